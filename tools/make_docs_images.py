"""Draws the images in docs/images again with the model in demo/: `make docs-images`.

The photographs may be published. Those of docs/images/photographs have their authors and licences
in its README. The others come with scikit-image: chelsea, camera and coffee (CC0), astronaut (NASA,
public domain), motorcycle (Middlebury stereo data 2014; scikit-image takes CC0 and public domain
alone).

Some need more: the web page the extra "demo", playwright and Chromium; the generated shapes what
`make quickstart` leaves in work_dirs/quickstart and data/shapes; the plot of the scores a dump of
tools/test.py (docs/results.md), given with --dump. Those that cannot be made are named and stay as
they are.
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from skimage import data

from mmseg_instbox.apis import InstBoxInferencer, browse_dataset
from mmseg_instbox.visualization import PixelBoxVisualizer

ROOT = Path(__file__).resolve().parents[1]
PHOTOGRAPHS = ROOT / 'docs/images/photographs'
CONFIG = 'instbox_deeplabv3-mobilenet-v2-d16_1xb8-5k_voc-plus-416x416'
SHAPES = 'instbox_fcrn-r18-d8_1xb8-2k_shapes-160x160'
QUALITY = 80  # of JPEG
# file -> width in pixels, and photographs in rows
DRAWINGS = {
    'demo.jpg': (1200, [('motorcycle', 'horses'), ('musicians', 'camera', 'astronaut')]),
    'samples.jpg': (1000, [('astronaut', 'chelsea')]),
    'failures.jpg': (1000, [('coffee', 'astronaut', 'street'), ('orchestra', 'wine')]),
}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, default=ROOT / 'docs/images', help='folder to write to')
    parser.add_argument('--dump', type=Path, help='dump of `val_official`, for calibration.png')
    parser.add_argument('--quickstart', type=Path, default=Path('work_dirs/quickstart'),
                        help='work directory of `make quickstart` (default: %(default)s)')
    return parser.parse_args()


def photographs() -> dict[str, np.ndarray]:
    """RGB photographs (H, W, 3) uint8 by name."""
    camera = data.camera()
    ours = {file.stem: cv2.imread(str(file))[..., ::-1] for file in PHOTOGRAPHS.glob('*.jpg')}
    return dict(
        ours, astronaut=data.astronaut(), chelsea=data.chelsea(),
        motorcycle=data.stereo_motorcycle()[0], camera=np.dstack([camera] * 3),
        coffee=data.coffee())


def write(file: Path, image: np.ndarray, width: int = 1200) -> None:
    """Write an RGB image, scaled down to ``width`` pixels if it is wider."""
    scale = min(1, width / image.shape[1])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(file), small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    print(f'{file.name}: {file.stat().st_size / 1e3:.0f} kB')


def draw_rows(inferencer: InstBoxInferencer, rows: list[list[np.ndarray]],
              width: int) -> np.ndarray:
    """Predictions on RGB photographs, in rows of the same width."""
    return np.vstack([fit_width(inferencer(
        [photo[..., ::-1] for photo in row], return_vis=True)['visualization'], width)
        for row in rows])


def fit_width(images: list[np.ndarray], width: int) -> np.ndarray:
    """Images side by side, at one height and ``width`` pixels together."""
    height = width / sum(image.shape[1] / image.shape[0] for image in images)
    joined = np.hstack([cv2.resize(
        image, (round(image.shape[1] * height / image.shape[0]), round(height)),
        interpolation=cv2.INTER_AREA) for image in images])
    return cv2.resize(joined, (width, joined.shape[0]))


def draw_grouping(inferencer: InstBoxInferencer, photo: np.ndarray) -> np.ndarray:
    """Photograph, votes, candidates and instances."""
    visualizer = PixelBoxVisualizer(grouper=inferencer.model.cfg.model.grouper)
    visualizer.dataset_meta = inferencer.dataset_meta
    sample = next(inferencer.stream([photo[..., ::-1]], keep_boxes=True))
    visualizer.add_datasample('grouping', photo, sample, draw_gt=False, with_image=True)
    return visualizer.get_image()


def shoot_web_page(inferencer: InstBoxInferencer, chromium: str, file: Path) -> None:
    """Write a screenshot of the web page with the first sample image."""
    from playwright.sync_api import sync_playwright

    from mmseg_instbox.web import running
    with running(inferencer) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=['--no-sandbox', '--disable-gpu'])
        page = browser.new_page(viewport=dict(width=1280, height=900))
        page.set_default_timeout(90_000)
        page.goto(server.local_url)
        page.locator('#instbox-samples img').first.click()
        page.wait_for_selector('#instbox-viewer .ib-result:not([hidden])')
        page.locator('#instbox-viewer .ib-image').hover()
        page.screenshot(path=file)
        browser.close()
    Image.open(file).quantize().save(file, optimize=True)


def make_shapes_images(folder: Path, out: Path) -> None:
    """Write what `make quickstart` drew, and a training sample with its box targets."""
    drawn = [cv2.imread(str(file))[..., ::-1]
             for file in sorted((folder / 'pictures').glob('*_instances.png'))]
    write(out / 'quickstart.jpg', np.vstack([
        fit_width(drawn[i:i + 4], 1056) for i in range(0, len(drawn), 4)]))
    with tempfile.TemporaryDirectory() as place:
        browse_dataset(SHAPES, place, number=1)
        sample, = Path(place).iterdir()
        write(out / 'box-targets.jpg', cv2.imread(str(sample))[..., ::-1], 900)


def main() -> None:
    args = parse_args()
    inferencer = InstBoxInferencer(show_progress=False)
    photos = photographs()
    for name, (width, rows) in DRAWINGS.items():
        chosen = [[photos[photo] for photo in row] for row in rows]
        write(args.out / name, draw_rows(inferencer, chosen, width))
    write(args.out / 'votes.jpg', draw_grouping(inferencer, photos['horses']), 1000)
    chromium = os.environ.get('CHROMIUM') or shutil.which('chromium') or shutil.which(
        'google-chrome')
    if chromium and find_spec('gradio') and find_spec('playwright'):
        shoot_web_page(inferencer, chromium, args.out / 'web-page.png')
    else:
        print('Not made: web-page.png')
    if (args.quickstart / 'pictures').is_dir():
        make_shapes_images(args.quickstart, args.out)
    else:
        print('Not made: quickstart.jpg, box-targets.jpg')
    if args.dump:
        subprocess.run([
            sys.executable, ROOT / 'tools/analysis_tools/calibrate.py', CONFIG, args.dump,
            '--plot', args.out / 'calibration.png'], check=True)
    else:
        print('Not made: calibration.png')


if __name__ == '__main__':
    main()
