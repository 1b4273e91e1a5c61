"""Predictions to files in one call."""
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from mmseg.structures import SegDataSample

from mmseg_instbox.errors import InvalidInputError

from .coco import CocoWriter
from .labelme import LabelMeWriter
from .panoptic import PanopticWriter
from .png import PngWriter
from .result_writer import ResultWriter
from .yolo import YoloWriter

FORMATS: dict[str, type[ResultWriter]] = dict(
    coco=CocoWriter,
    png=PngWriter,
    labelme=LabelMeWriter,
    yolo=YoloWriter,
    panoptic=PanopticWriter)


def write_results(samples: Iterable[SegDataSample], kind: str, out_dir: str | Path,
                  dataset_meta: dict, score_thr: float = 0.) -> Path:
    """Write predictions in a format, one image after the other.

    Args:
        samples: As an inferencer's ``stream`` gives them, with ``name`` and ``img_path``.
        kind: A key of ``FORMATS``.
        out_dir: The folder.
        dataset_meta: The inferencer's ``dataset_meta``.
        score_thr: Instances of a lower score are left out.

    Returns:
        Path: What to open, a file or the folder.

    Raises:
        ValueError: The format is unknown; see also the writer of the format.
    """
    if kind not in FORMATS:
        hints = [f'; did you mean {name!r}' for name in get_close_matches(str(kind), FORMATS, 1)]
        raise InvalidInputError(f'There is no format {kind!r}{"".join(hints)}: choose one of '
                                f'{", ".join(FORMATS)}.')
    with FORMATS[kind](out_dir, dataset_meta, score_thr) as writer:
        for sample in samples:
            writer.add(sample, sample.name, sample.get('img_path'))
        return writer.close()
