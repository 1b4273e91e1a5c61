"""Files to download."""
import base64
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from mmseg.structures import SegDataSample

from mmseg_instbox.apis.formats import FORMATS


def export_file(kind: str, folder: Path, name: str, content: SegDataSample | str,
                dataset_meta: dict[str, Any] | None = None, score_thr: float = 0.) -> Path:
    """Writes a picture's results as one file.

    Args:
        kind: ``'picture'``, or a name of :data:`mmseg_instbox.apis.formats.FORMATS`.
        folder: Existing directory for the file.
        name: Of the picture, without ending.
        content: For ``'picture'`` its ``data:`` address, else the sample with ``pred_instances``
            and ``pred_sem_seg``.
        dataset_meta: ``classes``, ``thing_classes``, ``palette``.
        score_thr: Instances below are left out.

    Returns:
        Path: The file; a zip file where the format writes several.
    """
    if kind == 'picture':
        file = folder / f'{name}_instances.jpg'
        file.write_bytes(base64.b64decode(content.partition(',')[2]))
        return file
    with tempfile.TemporaryDirectory() as temporary:
        with FORMATS[kind](Path(temporary) / kind, dataset_meta, score_thr) as writer:
            writer.add(content, name, None)
        files = [file for file in Path(temporary, kind).rglob('*') if file.is_file()]
        if len(files) == 1:
            target = folder / f'{name}{files[0].suffix}'
            target.write_bytes(files[0].read_bytes())
            return target
        return zip_files(files, Path(temporary, kind), folder / f'{name}_{kind}.zip')


def zip_files(files: list[Path], root: Path, target: Path) -> Path:
    """Packs files under ``root`` into the zip file ``target``, with their places below it."""
    with zipfile.ZipFile(target, 'w', zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(files):
            archive.write(file, file.relative_to(root))
    return target
