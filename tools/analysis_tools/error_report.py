"""Show what went wrong with each object and each prediction of a dump.

Every object and every prediction gets one kind: found, missed, on nothing, bad border, wrong
category, wrong category and border, merged, split or duplicate, as defined in
mmseg_instbox/evaluation/functional/error_analysis.py. Prints how many there are of each kind and
how much AP^r is lost to it, and writes to the output directory errors.json with every object and
every prediction, and index.html with drawings of the worst images, which a browser opens from disk.
No network is run: the dump is what tools/test.py --out wrote. With --truth categories boxes
the errors are those of the grouping alone.
"""
import argparse
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import jinja2
from torch.utils.data import Subset

from mmseg_instbox.cli.dumps import dump_parser, open_dump
from mmseg_instbox.cli.main import user_errors
from mmseg_instbox.evaluation.error_report import KIND_COLORS, KIND_TITLES, ErrorFinder, summarise
from mmseg_instbox.evaluation.functional.error_analysis import CORRECT
from mmseg_instbox.evaluation.metrics.base_metric import format_table
from mmseg_instbox.evaluation.oracle import use_truth
from mmseg_instbox.evaluation.replay import Regroup, build_grouper, map_samples
from mmseg_instbox.utils import atomic_write, write_json
from mmseg_instbox.visualization.drawing import text_color

TEMPLATE = Path(__file__).with_suffix('.html')
DRAWINGS = 'pictures'  # folder of the report
THIN = 0.15  # share of its box that a thin object fills
# kinds that objects, or predictions, cannot be of, so that their number is None
IMPOSSIBLE = dict(objects=('background', 'duplicate'), predictions=('missed', ))


def make_report(args: argparse.Namespace) -> dict:
    """Write the report of a dump and return what ``errors.json`` holds."""
    samples, grouper = open_dump(args)
    folder = args.out_dir / DRAWINGS
    folder.mkdir(parents=True, exist_ok=True)
    things = samples.dataset_meta['thing_classes']
    prepare = partial(use_truth, categories='categories' in args.truth,
                      boxes='boxes' in args.truth)
    finder = ErrorFinder(Regroup(build_grouper(grouper), samples.thing_ids, prepare),
                         samples.dataset_meta, args.threshold, args.background)
    settings = dict(
        config=args.config, dump=str(args.dump), grouper=grouper, threshold=args.threshold,
        background=args.background, truth=args.truth, num_images=len(samples))
    report = dict(settings=settings,
                  **summarise(map_samples(finder.find, samples, args.workers), things))
    worst = [image for image in report['images'][:args.max_images] if image['cost'] > 0]
    chosen = Subset(samples, [image['index'] for image in worst])
    draw = partial(finder.draw, folder=folder)
    drawings = map_samples(draw, chosen, args.workers) if worst else []
    write_json(report, args.out_dir / 'errors.json')
    atomic_write(render_page(report, worst, drawings).encode(), args.out_dir / 'index.html')
    return report


def render_page(report: dict, images: Sequence[dict], drawings: Sequence[dict]) -> str:
    """The page as HTML; ``images`` are those shown, ``drawings`` what was drawn of each."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    cards = [_card(*pair) for pair in zip(images, drawings, strict=True)]
    shown = Counter(kind['name'] for card in cards for kind in card['kinds'])
    kinds = [dict(row, images=shown[row['name']]) for row in kind_rows(report)]
    colors = {kind: ['#' + bytes(each).hex() for each in (color, text_color(color))]
              for kind, color in KIND_COLORS.items()}
    template = environment.from_string(TEMPLATE.read_text(encoding='utf-8'))
    grouper = dict(report['settings']['grouper'])
    return template.render(report | dict(
        title=Path(report['settings']['dump']).name, grouper_type=grouper.pop('type'),
        grouper=grouper, kinds=kinds, colors=colors, titles=KIND_TITLES, images=cards))


def kind_rows(report: dict) -> list[dict]:
    """The figures of each kind: 'correct', then the one that costs most first."""
    kinds = sorted(KIND_TITLES, key=lambda kind: (kind != CORRECT,
                                                  -(report['kinds'][kind]['AP_lost'] or 0)))
    return [dict(report['kinds'][kind], name=kind, title=KIND_TITLES[kind],
                 **{side: None for side, names in IMPOSSIBLE.items() if kind in names})
            for kind in kinds]


def _card(image: dict, drawings: dict) -> dict:
    """What the page says of an image."""
    name = Path(image['img_path']).name
    objects, predictions = (Counter(entry['kind'] for entry in image[side])
                            for side in ('objects', 'predictions'))
    kinds = [dict(name=kind, objects=objects[kind], predictions=predictions[kind])
             for kind in KIND_TITLES if objects[kind] or predictions[kind]]
    alt = dict(truth=_alt_text(f'Ground truth of {name}', image['objects']),
               prediction=_alt_text(f'Prediction of {name}', image['predictions']))
    files = {side: f'{DRAWINGS}/{drawings[side]}' for side in alt}
    return drawings | files | dict(name=name, cost=image['cost'], kinds=kinds, alt=alt)


def _alt_text(caption: str, entries: Sequence[dict]) -> str:
    """A drawing in words: every object or prediction with its category and kind."""
    counts = Counter(f'{entry["category"]} ({KIND_TITLES[entry["kind"]]})' for entry in entries)
    listed = ', '.join(f'{count} {name}' for name, count in counts.items()) or 'nothing'
    return f'{caption}: {listed}.'


def main() -> None:
    parser = dump_parser(__doc__)
    parser.add_argument('--out-dir', type=Path, required=True, help='directory for the report')
    parser.add_argument('--threshold', type=float, default=0.5,
                        help='IoU above which an object is found (default: %(default)s)')
    parser.add_argument('--background', type=float, default=0.1,
                        help='IoU up to which a prediction has nothing to do with an object '
                        '(default: %(default)s)')
    parser.add_argument('--truth', nargs='+', choices=('categories', 'boxes'), default=[],
                        help='take these from the ground truth, not from the network')
    parser.add_argument('--max-images', type=int, default=50,
                        help='how many of the worst images are drawn (default: %(default)s)')
    args = parser.parse_args()
    if not 0 <= args.background < args.threshold < 1:
        parser.error(f'--background is {args.background} and --threshold {args.threshold}; '
                     'expected 0 <= background < threshold < 1')
    with user_errors():
        report = make_report(args)
    rows = [row | {'kind': row['title'], 'AP^r lost': row['AP_lost']} for row in kind_rows(report)]
    print(format_table(rows, ('kind', 'objects', 'predictions', 'AP^r lost'), digits=3))
    print(f'AP^r_{args.threshold:g} is {report["AP"]:.3f}, with every kind fixed '
          f'{report["AP_all_fixed"]:.3f}')
    thin = [each['kind'] == CORRECT for image in report['images'] for each in image['objects']
            if each['fill'] < THIN]
    print(f'Of {len(thin)} objects that fill under {THIN:.0%} of their box {sum(thin)} are found')
    print(f'The report is in {args.out_dir / "index.html"}')


if __name__ == '__main__':
    main()
