"""Time and memory of predicting one large picture.

Prints the time and the peak memory of the whole process, with the number of instances. Without a
checkpoint the network is random: it finds as many instances as masks may take memory, the worst
case.

Example:
    python tools/benchmarks/large_image.py --size 3000 4000 --tile 512
"""
import argparse
import time
from pathlib import Path

import common
import numpy as np
import torch

from mmseg_instbox.apis import InstBoxInferencer, read_inputs
from mmseg_instbox.apis.model_loading import load_model
from mmseg_instbox.engine import load_config
from mmseg_instbox.utils import write_json

CONFIG = 'configs/instbox/instbox_mobilenet-v2-d16_1xb8-2k_voc-mini-352x352.py'


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--config', default=str(Path(__file__).resolve().parents[2] / CONFIG))
    parser.add_argument('--checkpoint', help='weights; random ones by default')
    parser.add_argument('--allow-pickle', action='store_true', help='trust the checkpoint')
    parser.add_argument('--image', help='picture, repeated to the size; noise by default')
    parser.add_argument('--size', type=int, nargs=2, default=(3000, 4000),
                        metavar=('HEIGHT', 'WIDTH'))
    parser.add_argument('--tile', type=int, help='side of a tile; by default the picture is scaled '
                                                 'as the config says')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/benchmarks/large_image.json'),
                        help='JSON file with the figures (default: %(default)s)')
    return parser.parse_args()


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
        model = load_model(args.config, args.checkpoint, allow_pickle=args.allow_pickle)
    else:
        model = load_model(load_config(args.config))
        torch.nn.init.normal_(model.decode_head.conv_seg.weight, std=0.3)
    inferencer = InstBoxInferencer(model, tile=args.tile, show_progress=False)
    picture, before = make_picture(args.image, *args.size), peak_memory()
    start = time.perf_counter()
    sample, = inferencer.stream([picture])
    seconds = time.perf_counter() - start
    found, peak = sample.pred_instances, peak_memory()
    print(f'{args.size[1]} x {args.size[0]} pixels, {model.num_classes} categories, '
          f'tile {args.tile}: {len(found)} instances ({found.num_left_out} left out), '
          f'{seconds:.1f} s, peak {peak:.2f} GB of process memory, of which {before:.2f} GB before '
          'predicting')
    row = dict(width=args.size[1], height=args.size[0], categories=model.num_classes,
               tile=args.tile, instances=len(found), left_out=found.num_left_out,
               seconds=seconds, peak_GB=peak, before_GB=before)
    settings = {key: common.portable(value) for key, value in vars(args).items() if key != 'out'}
    write_json(dict(**common.header('large_image'), settings=settings, rows=[row]), args.out)


if __name__ == '__main__':
    main()
