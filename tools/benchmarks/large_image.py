"""Time and memory of predicting one large picture.

Prints the time and the peak memory of the whole process, with the number of instances. Without a
checkpoint the network is random: it finds as many instances as masks may take memory, the worst
case.

Example:
    python tools/benchmarks/large_image.py --size 3000 4000 --tile 512
"""
import argparse
import time

import common
import numpy as np
import torch

from mmseg_instbox.apis import InstBoxInferencer, read_inputs
from mmseg_instbox.apis.model_loading import load_model
from mmseg_instbox.engine import load_config

CONFIG = 'configs/instbox/instbox_mobilenet-v2-d16_1xb8-2k_voc-mini-352x352.py'


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = common.make_parser(__doc__, 'large_image', repeats=None)
    parser.add_argument('--config', default=str(common.ROOT / CONFIG))
    parser.add_argument('--checkpoint', help='weights; random ones by default')
    parser.add_argument('--allow-pickle', action='store_true', help='trust the checkpoint')
    parser.add_argument('--image', help='picture, repeated to the size; noise by default')
    parser.add_argument('--size', type=common.positive, nargs=2, default=(3000, 4000),
                        metavar=('HEIGHT', 'WIDTH'))
    parser.add_argument('--tile', type=int, help='side of a tile; by default the picture is scaled '
                                                 'as the config says')
    return common.parse(parser)


def make_picture(image: str | None, height: int, width: int) -> np.ndarray:
    """A picture (height, width, 3) uint8 BGR: ``image`` side by side, or coloured blocks."""
    if image:
        part = next(read_inputs(image)).load()
        repeats = (-(-height // part.shape[0]), -(-width // part.shape[1]), 1)
        return np.ascontiguousarray(np.tile(part, repeats)[:height, :width])
    blocks = np.random.default_rng(0).integers(
        0, 256, (-(-height // 50), -(-width // 50), 3), dtype=np.uint8)
    return blocks.repeat(50, axis=0).repeat(50, axis=1)[:height, :width].copy()


def peak_memory() -> float:
    """Most memory that this process has taken, in GB."""
    return common.peak_memory() * common.MIB / 1e9


def main() -> None:
    """Predict and print."""
    args = parse_args()
    torch.manual_seed(0)
    if args.checkpoint:
        model = load_model(args.config, args.checkpoint, args.device,
                           allow_pickle=args.allow_pickle)
    else:
        model = load_model(load_config(args.config), device=args.device)
        torch.nn.init.normal_(model.decode_head.conv_seg.weight, std=0.3)
    inferencer = InstBoxInferencer(model, tile=args.tile, show_progress=False)
    picture, before = make_picture(args.image, *args.size), peak_memory()
    start = time.perf_counter()
    sample, = inferencer.stream([picture])
    seconds = time.perf_counter() - start
    found, peak = sample.pred_instances, peak_memory()
    row = dict(width=args.size[1], height=args.size[0], categories=model.num_classes,
               tile=args.tile, instances=len(found), left_out=found.num_left_out,
               seconds=seconds, peak_GB=peak, before_GB=before)
    common.finish('large_image', args, [row])


if __name__ == '__main__':
    main()
