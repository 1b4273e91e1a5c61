"""Fit the calibration of a model's scores on a dump of tools/test.py --out; no network is run.

    python tools/analysis_tools/calibrate.py CONFIG DUMP --plot reliability.png

A score should be the share of instances with that score that are right, at IoU 0.5 with an object
of their category. Prints how far off the scores are, the line for the config that corrects them
without changing the order of instances, and the threshold of the corrected scores with the best
F1. Fit on other images than those on which you report.
"""
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mmseg_instbox.cli.dumps import dump_parser, open_dump
from mmseg_instbox.cli.main import user_errors
from mmseg_instbox.errors import InvalidInputError
from mmseg_instbox.evaluation import DumpedSamples
from mmseg_instbox.evaluation.functional.calibration import (
    best_threshold,
    calibrate,
    expected_calibration_error,
    fit_calibration,
    reliability_table,
)
from mmseg_instbox.evaluation.metrics.inst_box_metric import THRESHOLDS
from mmseg_instbox.evaluation.replay import Regroup, build_grouper, match_images


def collect(samples: DumpedSamples, grouper: dict,
            workers: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Uncalibrated scores (D,), which are right (D,) bool, and the number of objects."""
    variant = Regroup(build_grouper(grouper | dict(calibration=None)), samples.thing_ids)
    images = [image for image, in match_images(samples, [variant], workers, labels_per_instance=1)]
    scores = np.concatenate([image['scores'] for image in images])
    hits = np.concatenate([image['hits'][:, THRESHOLDS.index(0.5)] for image in images])
    if hits.all() or not hits.any():
        raise InvalidInputError(f'{len(hits)} instances were predicted and {hits.sum()} are right; '
                                'a calibration needs right and wrong ones')
    return scores, hits, int(sum(image['num_objects'].sum() for image in images))


def draw(file: Path, curves: dict[str, np.ndarray]) -> None:
    """Draw precision against score of the columns of some :func:`reliability_table`."""
    figure = Figure(figsize=(4.5, 4.5))
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color='grey', linewidth=1, label='score = share')
    for name, (counts, scores, shares) in curves.items():
        line, = axes.plot(scores, shares, label=name)
        axes.scatter(scores, shares, 800 * counts / counts.sum(), color=line.get_color(),
                     clip_on=False, zorder=3)
    axes.set(title='area of a mark: number of instances', xlabel='score', xlim=(0, 1), ylim=(0, 1),
             ylabel='share of instances that are right (IoU 0.5)', aspect='equal')
    axes.legend()
    figure.savefig(file, dpi=120, bbox_inches='tight')


def main() -> None:
    parser = dump_parser(__doc__)
    parser.add_argument('--given', type=float, nargs=2, metavar=('A', 'B'),
                        help='examine this calibration instead of fitting one')
    parser.add_argument('--plot', type=Path, metavar='PNG', help='draw precision against score')
    args = parser.parse_args()
    with user_errors():
        samples, grouper = open_dump(args, args.plot)
        scores, hits, num_objects = collect(samples, grouper, args.workers)
    calibration = tuple(args.given or (round(each, 3) for each in fit_calibration(scores, hits)))
    mapped = calibrate(scores, calibration)
    before, after = (expected_calibration_error(each, hits) for each in (scores, mapped))
    threshold, f1 = best_threshold(mapped, hits, num_objects)
    print(f'{len(scores)} instances, {hits.mean():.3f} of them right; {num_objects} objects\n'
          f'expected calibration error: {before:.3f} before, {after:.3f} after\n'
          f'    model = dict(grouper=dict(calibration={calibration}))\n'
          f'best F1 {f1:.3f} from score {threshold:.2f} on')
    if args.plot:
        draw(args.plot, {name: reliability_table(each, hits).T
                         for name, each in (('uncalibrated', scores), ('calibrated', mapped))})


if __name__ == '__main__':
    main()
