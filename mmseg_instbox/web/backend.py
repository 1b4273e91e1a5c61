"""The work behind the page, independent of Gradio: images in, views and files out."""
import base64
import math
import shutil
import tempfile
import threading
import time
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from ..apis.formats import file_name, write_results
from ..errors import InstBoxError, InvalidInputError, TooLargeError
from ..utils import DEFAULT_SCORE_THR
from ..utils.decoding import pil_to_bgr
from ..utils.foreign_errors import convert_errors
from ..utils.image_header import open_image
from .view import LAYERS, Scene, make_scene, render, shown_instances

MAX_SCENES = 16  # images of all visitors that are kept in memory
MAX_NAME = 60  # characters of a file name, of up to 4 bytes each
MAX_REDUCTION = 4  # times as many pixels as allowed are scaled down; more are not decoded
IMAGE_GONE = 'This image is no longer kept on the server. Upload it again.'


class PageError(InvalidInputError):
    """An error whose message is meant for the visitor of the page."""


@dataclass
class Settings:
    """The visitor's settings."""
    score_thr: float = DEFAULT_SCORE_THR  # instances of a lower score are left out
    layers: tuple[str, ...] = LAYERS[:3]  # that are drawn
    grouping: dict[str, Any] = field(default_factory=dict)  # options of the grouper


class PageBackend:
    """Runs the network of an ``InstBoxInferencer`` once for an image; groups, draws and exports its
    outputs many times. Of the images the last used ``MAX_SCENES`` are kept; those of more than
    ``max_pixels`` are scaled down, see :func:`read_upload`."""

    def __init__(self, inferencer: Any, max_pixels: int = 16_000_000) -> None:
        self.inferencer = inferencer
        self.max_pixels = max_pixels
        self._scenes: OrderedDict[str, Scene] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, path: str | Path, name: str) -> str:
        """Runs the network on an uploaded file, keeps its outputs and returns their key.

        ``name`` is that of the file on the visitor's machine. Raises PageError for a file that is
        not an image that can be read, or too large.
        """
        image, note = read_upload(Path(path), Path(name).name, self.max_pixels)
        sample = next(iter(self.inferencer.stream([image], keep_boxes=True)))
        scene = make_scene(file_name(Path(name).stem)[:MAX_NAME], image, sample, note)
        key = uuid.uuid4().hex
        with self._lock:
            self._scenes[key] = scene
            if len(self._scenes) > MAX_SCENES:
                self._scenes.popitem(last=False)
        return key

    def forget(self, key: str | None) -> None:
        """Drops an image, if it is kept."""
        with self._lock:
            self._scenes.pop(key, None)

    def view(self, key: str, settings: Settings) -> dict[str, Any]:
        """Groups and draws an image without running the network: the result of
        :func:`.view.render`, with the time it took in ``milliseconds``. Raises PageError if the
        image is no longer kept."""
        start = time.perf_counter()
        scene = self._find(key)
        grouped = scene.grouped
        if grouped is None or grouped[0] != settings.grouping:
            instances = self.inferencer.regroup(scene.sample, **settings.grouping)
            scene.grouped = grouped = settings.grouping, shown_instances(instances, scene.size)
        view = render(scene, *grouped[1], settings.layers, settings.score_thr,
                      self.inferencer.dataset_meta, self.inferencer.model.thing_ids)
        return view | dict(milliseconds=round(1000 * (time.perf_counter() - start)))

    def export(self, key: str, settings: Settings, kind: str, folder: Path) -> Path:
        """Writes the results of an image, in its full size, as one file in an existing ``folder``.

        ``kind`` is ``'image'`` for what the page shows, or a name of
        :data:`mmseg_instbox.apis.formats.FORMATS`; formats of several files are zipped. Raises
        PageError if the image is no longer kept.
        """
        scene = self._find(key)
        if kind == 'image':
            file = folder / f'{scene.name}_instances.jpg'
            file.write_bytes(base64.b64decode(self.view(key, settings)['image'].split(',')[1]))
            return file
        sample = SegDataSample(
            metainfo=dict(scene.sample.metainfo, name=scene.name, img_path=None),
            pred_sem_seg=PixelData(data=scene.sample.pred_sem_seg.data.long()),
            pred_instances=self.inferencer.regroup(scene.sample, **settings.grouping))
        with tempfile.TemporaryDirectory() as temporary:
            write_results([sample], kind, Path(temporary, kind), self.inferencer.dataset_meta,
                          settings.score_thr)
            files = [file for file in Path(temporary).rglob('*') if file.is_file()]
            if len(files) == 1:
                return Path(shutil.copy(files[0], folder / f'{scene.name}{files[0].suffix}'))
            target = folder / f'{scene.name}_{kind}'
            return Path(shutil.make_archive(str(target), 'zip', Path(temporary, kind)))

    def _find(self, key: str | None) -> Scene:
        with self._lock:
            if key not in self._scenes:
                raise PageError(IMAGE_GONE)
            self._scenes.move_to_end(key)
            return self._scenes[key]


def read_upload(path: Path, name: str, max_pixels: int) -> tuple[np.ndarray, str]:
    """Decodes an uploaded image to ``(H, W, 3)`` uint8 BGR; one of more than ``max_pixels`` is
    scaled down, with a note for the visitor (else '').

    Raises PageError if the file is not an image that can be read, or its header gives more than
    ``MAX_REDUCTION`` times ``max_pixels``.
    """
    size = 'too many'
    try:
        with open_image(path.read_bytes(), name) as image:
            size, pixels = '{} x {}'.format(*image.size), math.prod(image.size)
            if max_pixels < pixels <= MAX_REDUCTION * max_pixels:
                share = math.sqrt(max_pixels / pixels)
                with convert_errors(f'{name}: the image is broken or truncated'):
                    image.thumbnail([max(1, int(side * share)) for side in image.size])
            left = math.prod(image.size)
            if left <= max_pixels:
                note = (f'The image was scaled down from {pixels / 1e6:.3g} to {left / 1e6:.3g} '
                        'megapixels; saved files have the smaller size.')
                return pil_to_bgr(image, name), note if left < pixels else ''
    except TooLargeError:  # its message is for the operator of the server
        pass
    except InstBoxError as error:
        raise PageError(str(error)) from error
    raise PageError(f'{name}: the image is too large: it has {size} pixels, the page accepts up '
                    f'to {MAX_REDUCTION * max_pixels / 1e6:g} million. Scale it down and upload it '
                    'again.')
