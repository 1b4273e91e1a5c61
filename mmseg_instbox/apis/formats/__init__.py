"""Predictions in the formats of other programs.

Writers read mmseg's data samples without importing torch or mmseg, so that `instbox convert` starts
fast.
"""
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InvalidInputError
from ...utils.file_names import file_name
from ...utils.lazy_names import lazy_names
from .coco import CocoWriter
from .pixel_maps import PanopticWriter, PngWriter
from .polygons import LabelMeWriter, YoloWriter
from .result_writer import ResultWriter
from .supervision import to_supervision

if TYPE_CHECKING:
    from .coco_reader import samples_from_coco

# the readers of annotations, which predictions are written without, take a tenth of a second
__getattr__, _ = lazy_names(__name__)

__all__ = ['FORMATS', 'CocoWriter', 'LabelMeWriter', 'PanopticWriter', 'PngWriter', 'ResultWriter',
           'YoloWriter', 'file_name', 'samples_from_coco', 'to_supervision', 'write_results']

FORMATS: dict[str, type[ResultWriter]] = dict(
    coco=CocoWriter, png=PngWriter, labelme=LabelMeWriter, yolo=YoloWriter,
    panoptic=PanopticWriter)


def write_results(samples: Iterable[Any], kind: str, out_dir: str | Path, dataset_meta: dict,
                  score_thr: float = 0.) -> Path:
    """Writes predictions in a format, one image after the other.

    Args:
        samples: As an inferencer's ``stream`` returns them, with ``name`` and ``img_path``.
        kind: A key of ``FORMATS``.
        out_dir: The folder.
        dataset_meta: The inferencer's ``dataset_meta``.
        score_thr: Instances of a lower score are left out.

    Returns:
        Path: The result to open, a file or the folder.

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
