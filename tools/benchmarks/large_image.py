"""Time and memory of one large image: predicted, drawn and written as COCO JSON.

The image is a photograph of ``demo/samples`` enlarged to the size, the model the one in ``demo/``.
With ``--random``, random weights on coloured blocks find as many instances as the grouper keeps.
Memory is the peak of the process: before the prediction, after it, and after all.
"""
import tempfile
from pathlib import Path

import cv2
import numpy as np
import torch
from support import common

from mmseg_instbox.apis import InstBoxInferencer
from mmseg_instbox.apis.formats import write_results
from mmseg_instbox.engine import load_config, load_model

CONFIG = 'instbox_mobilenet-v2-d16_1xb8-2k_voc-mini-352x352'


def make_image(height: int, width: int, random: bool) -> np.ndarray:
    """Makes an image (height, width, 3) uint8 BGR."""
    if not random:
        return cv2.resize(cv2.imread(str(common.SAMPLES / 'chelsea.jpg')), (width, height))
    blocks = np.random.default_rng(0).integers(
        0, 256, (-(-height // 50), -(-width // 50), 3), dtype=np.uint8)
    return blocks.repeat(50, axis=0).repeat(50, axis=1)[:height, :width].copy()


def peak_gb() -> float:
    return common.peak_memory() * common.MIB / 1e9


def main() -> None:
    parser = common.make_parser(__doc__, 'large_image', repeats=None)
    parser.add_argument('--size', type=int, nargs=2, default=(6000, 8000),
                        metavar=('HEIGHT', 'WIDTH'), help='in pixels (default: %(default)s)')
    parser.add_argument('--random', action='store_true', help='random weights, coloured blocks')
    parser.add_argument('--tile', type=int,
                        help='side of a tile; by default the image is scaled as the config says')
    args = common.parse(parser, quick=dict(size=(300, 400)))
    model, image = None, make_image(*args.size, args.random)
    if args.random:
        torch.manual_seed(0)
        model = load_model(load_config(CONFIG), device=args.device)
        torch.nn.init.normal_(model.decode_head.conv_seg.weight, std=0.3)
    inferencer = InstBoxInferencer(model, device=args.device, tile=args.tile, show_progress=False)
    row = dict(width=args.size[1], height=args.size[0], categories=inferencer.model.num_classes,
               tile=args.tile, before_GB=peak_gb())
    spent, found = common.timed(lambda: list(inferencer.stream([image])))
    instances = found[0].pred_instances
    row |= dict(seconds=spent / 1e3, instances=len(instances), left_out=instances.num_left_out,
                peak_GB=peak_gb())

    def draw_and_write() -> None:
        inferencer.visualize([image], found, vis_dir=Path(folder))
        write_results(found, 'coco', folder, inferencer.dataset_meta, score_thr=0.2)

    with tempfile.TemporaryDirectory() as folder:
        row['all_seconds'] = (spent + common.timed(draw_and_write)[0]) / 1e3
    row['all_peak_GB'] = peak_gb()
    where = f'{args.size[1]} x {args.size[0]} pixels, predicted, drawn and written as COCO'
    common.finish(
        'large_image', args, [row],
        note=f'Random weights of `{CONFIG}`.' if args.random else common.MODEL,
        figures=[common.Figure(where, row['all_seconds'], 's', at_most=5.),
                 common.Figure('its peak memory', row['all_peak_GB'], 'GB', at_most=1.5)])


if __name__ == '__main__':
    main()
