"""From nothing to instances: ``make quickstart``.

Makes the data set ``shapes``, fine-tunes the model in ``demo/`` on it, evaluates it on images that
it has not seen, predicts on fresh ones and draws what it finds.
"""
import argparse
import subprocess
import sys
import time
from pathlib import Path

from mmengine.config import Config, DictAction
from mmengine.runner import Runner
from mmseg.apis import inference_model
from mmseg.registry import VISUALIZERS
from PIL import Image

from mmseg_instbox.cli.main import user_errors
from mmseg_instbox.datasets.shapes_generator import generate_sample
from mmseg_instbox.engine import run_training, training_config
from mmseg_instbox.utils import write_json

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / 'configs/instbox/instbox_deeplabv3-mobilenet-v2-d16_1xb8-500_shapes-160x160.py'
FRESH_SPLIT = 100  # a number that no split of the data set has: see generate_sample


def make_data(root: Path, num_train: int, num_val: int) -> None:
    """Generate the data set below ``root``, unless it is there already."""
    lists = [root / 'ImageSets' / 'Segmentation' / f'{split}.txt' for split in ('train', 'val')]
    if [len(file.read_text().split()) for file in lists if file.is_file()] == [num_train, num_val]:
        print(f'The data set in {root} is used again.', flush=True)
        return
    subprocess.run([
        sys.executable, ROOT / 'tools' / 'dataset_converters' / 'make_shapes.py', '--out', root,
        '--num-train', str(num_train), '--num-val', str(num_val)
    ], check=True)


def build_config(args: argparse.Namespace) -> Config:
    """The config of the run: the one for ``shapes``, with the directories asked for."""
    cfg = training_config(str(CONFIG), work_dir=str(args.work_dir), cfg_options=args.cfg_options)
    cfg.setdefault('randomness', dict(seed=0))  # so that everybody sees the same figures
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        loader.dataset.data_root = str(args.data_root)
    # the evaluation comes once, after the training
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    cfg.default_hooks.checkpoint.pop('save_best', None)
    return cfg


def predict_fresh(runner: Runner, folder: Path, count: int) -> None:
    """Predict on images made just now and draw them into ``folder``."""
    model = runner.model.eval()
    model.cfg = runner.cfg
    visualizer = VISUALIZERS.build(
        dict(runner.cfg.visualizer, name='quickstart', vis_backends=[]))
    visualizer.dataset_meta = runner.train_loop.dataloader.dataset.metainfo
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        image = generate_sample(seed=0, split=FRESH_SPLIT, index=index)[0]
        file = folder / f'{index:02d}.jpg'
        Image.fromarray(image).save(file, quality=95)
        visualizer.add_datasample(
            file.stem, image, inference_model(model, str(file)), draw_gt=False, with_image=True,
            out_file=str(folder / f'{file.stem}_instances.png'))


@user_errors()
def main() -> None:
    start = time.perf_counter()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data-root', type=Path, default=Path('data/shapes'))
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/quickstart'))
    parser.add_argument('--num-train', type=int, default=2000, help='images to train on')
    parser.add_argument('--num-val', type=int, default=200, help='images to evaluate on')
    parser.add_argument('--num-fresh', type=int, default=12, help='images to predict on and draw')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
        help='override settings of the config, for example train_cfg.max_iters=100')
    args = parser.parse_args()
    make_data(args.data_root, args.num_train, args.num_val)
    runner = run_training(build_config(args))
    metrics = runner.test()
    pictures = args.work_dir / 'pictures'
    predict_fresh(runner, pictures, args.num_fresh)
    metrics['seconds_total'] = round(time.perf_counter() - start, 1)
    file = write_json(metrics, args.work_dir / 'metrics.json')
    print(f'\nAP^r at IoU 0.5 on {args.num_val} unseen images: {metrics["APr_0.5"]:.3f}; '
          f'mean IoU {metrics["mIoU"]:.3f}; {metrics["seconds_total"]:.0f} seconds.')
    print(f'checkpoint: {(args.work_dir / "last_checkpoint").read_text().strip()}\n'
          f'figures:    {file}\npictures:   {pictures}')


if __name__ == '__main__':
    main()
