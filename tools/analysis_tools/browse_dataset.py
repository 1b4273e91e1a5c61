"""Show training samples as the network gets them, with masks, boxes and box targets.

Example: ``python tools/analysis_tools/browse_dataset.py CONFIG --output-dir samples``
"""
import argparse

from mmengine.config import DictAction

from mmseg_instbox.apis.dataset_browser import browse_dataset
from mmseg_instbox.cli.scripts.arguments import user_errors


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('--output-dir', metavar='DIR', help='folder for the pictures')
    parser.add_argument('--number', type=int, help='how many samples; all by default')
    parser.add_argument('--split', choices=['train', 'val', 'test'], default='train')
    parser.add_argument('--seed', type=int, default=0, help='seed of the random transforms')
    parser.add_argument('--show', action='store_true', help='show each picture in a window')
    parser.add_argument('--show-interval', type=float, default=2,
                        help='seconds that a window stays')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='settings of the config to override')
    args = parser.parse_args()
    with user_errors():
        browse_dataset(args.config, args.output_dir, split=args.split, number=args.number,
                       seed=args.seed, show=args.show, wait_time=args.show_interval,
                       cfg_options=args.cfg_options)


if __name__ == '__main__':
    main()
