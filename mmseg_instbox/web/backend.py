"""The work behind the page, independent of Gradio: images in, views and files out."""
import base64
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

from ..apis.formats import FORMATS, file_name
from ..errors import InstBoxError, InvalidInputError, TooLargeError
from ..utils.decoding import decode_image
from ..utils.image_header import open_image
from .scene import Scene, make_scene, shown_instances
from .view import LAYERS, render

MAX_NAME = 60  # characters of a file name, of up to 4 bytes each
IMAGE_GONE = 'This image is no longer kept on the server. Upload it again.'


class PageError(InvalidInputError):
    """An error whose message is meant for the visitor of the page."""


@dataclass
class Settings:
    """The visitor's settings.

    Attributes:
        score_thr (float): Instances of a lower score are left out.
        layers (tuple[str, ...]): What is drawn, of :data:`.view.LAYERS`.
        grouping (dict): Options of the grouper.
    """
    score_thr: float = 0.2
    layers: tuple[str, ...] = LAYERS[:3]
    grouping: dict[str, Any] = field(default_factory=dict)


class PageBackend:
    """Runs the network once for an image; groups, draws and exports its outputs many times.

    Args:
        inferencer: An ``InstBoxInferencer``, or an object with its ``stream``, ``regroup``,
            ``dataset_meta`` and ``model``.
        max_pixels: Limit of an image's pixels.
        max_objects: Number of instances that are shown of an image, best score first.
        capacity: Number of images kept in memory; the one unused for longest is dropped first.

    Raises:
        InvalidInputError: A limit is below 1.
    """

    def __init__(self, inferencer: Any, max_pixels: int = 16_000_000, max_objects: int = 200,
                 capacity: int = 16) -> None:
        if min(max_pixels, max_objects, capacity) < 1:
            raise InvalidInputError(f'Got max_pixels={max_pixels}, max_objects={max_objects} '
                                    f'and capacity={capacity}; expected at least 1 of each.')
        self.inferencer = inferencer
        self.max_pixels = max_pixels
        self.max_objects = max_objects
        self.capacity = capacity
        self._scenes: OrderedDict[str, Scene] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, path: str | Path, name: str) -> str:
        """Runs the network on an image, keeps its outputs and returns their key.

        Args:
            path: Of the uploaded file.
            name: Of the file on the visitor's machine.

        Raises:
            PageError: The file is not a readable image, or has more than ``max_pixels``.
        """
        image = read_upload(Path(path), Path(name).name, self.max_pixels)
        sample = next(iter(self.inferencer.stream([image], keep_boxes=True)))
        scene = make_scene(file_name(Path(name).stem)[:MAX_NAME], image, sample)
        key = uuid.uuid4().hex
        with self._lock:
            self._scenes[key] = scene
            while len(self._scenes) > self.capacity:
                self._scenes.popitem(last=False)
        return key

    def forget(self, key: str | None) -> None:
        """Drops an image, if it is kept."""
        with self._lock:
            self._scenes.pop(key, None)

    def view(self, key: str, settings: Settings) -> dict[str, Any]:
        """Groups and draws an image without running the network.

        Returns:
            dict: As of :func:`.view.render`, with the time it took in ``milliseconds``.

        Raises:
            PageError: The image is no longer kept.
        """
        start = time.perf_counter()
        scene = self._find(key)
        grouped = scene.grouped
        if grouped is None or grouped[0] != settings.grouping:
            instances = self.inferencer.regroup(scene.sample, **settings.grouping)
            scene.grouped = grouped = settings.grouping, shown_instances(instances, scene.size)
        view = render(scene, *grouped[1], settings.layers, settings.score_thr,
                      self.inferencer.dataset_meta, self.inferencer.model.thing_ids,
                      self.max_objects)
        return view | dict(milliseconds=round(1000 * (time.perf_counter() - start)))

    def export(self, key: str, settings: Settings, kind: str, folder: Path) -> Path:
        """Writes the results of an image, in its full size, as one file.

        Args:
            key: Of the image.
            settings: Instances below their score are left out.
            kind: ``'image'`` for what the page shows, or a name of
                :data:`mmseg_instbox.apis.formats.FORMATS`; formats of several files are zipped.
            folder: An existing directory for the file.

        Raises:
            PageError: The image is no longer kept.
        """
        scene = self._find(key)
        if kind == 'image':
            file = folder / f'{scene.name}_instances.jpg'
            file.write_bytes(base64.b64decode(self.view(key, settings)['image'].split(',')[1]))
            return file
        instances = self.inferencer.regroup(scene.sample, **settings.grouping)
        categories = PixelData(data=scene.sample.pred_sem_seg.data.long())
        sample = SegDataSample(metainfo=scene.sample.metainfo, pred_sem_seg=categories,
                               pred_instances=instances)
        with tempfile.TemporaryDirectory() as temporary:
            with FORMATS[kind](Path(temporary, kind), self.inferencer.dataset_meta,
                               settings.score_thr) as writer:
                writer.add(sample, scene.name, None)
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


def read_upload(path: Path, name: str, max_pixels: int) -> np.ndarray:
    """Decodes an uploaded image, unless its header gives too large a size.

    Returns:
        np.ndarray: ``(H, W, 3)`` uint8 BGR.

    Raises:
        PageError: The file is not a readable image, or has more than ``max_pixels``.
    """
    content, size = path.read_bytes(), 'too many'
    try:
        with open_image(content, name) as header:
            width, height = header.size
        if width * height <= max_pixels:
            return decode_image(content, name)
        size = f'{width} x {height}'
    except TooLargeError:  # its message is for the operator of the server
        pass
    except InstBoxError as error:
        raise PageError(str(error)) from error
    raise PageError(f'{name}: the image is too large: it has {size} pixels, the page accepts up '
                    f'to {max_pixels / 1e6:g} million. Scale it down and upload it again.')
