import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from mmseg_instbox.apis.formats import file_name
from mmseg_instbox.utils.decoding import decode_image

from ..errors import InstBoxError, InvalidInputError
from .exports import export_file
from .scene import Scene, full_sample, make_scene, summarise
from .scene_store import SceneStore
from .view import LAYERS, render

NOT_A_PICTURE = ('This file is not a picture that can be read: it is broken or of another format. '
                 'Use a JPEG, PNG, WebP or BMP file.')
MAX_NAME = 60  # characters of a name, of up to 4 bytes each
GONE = 'This picture is no longer kept on the server: drop it again.'


class PageError(InvalidInputError):
    """An error whose message is meant for the visitor of the page."""


class Upload(NamedTuple):
    """A picture that came in: where it lies and the name the visitor gave it."""
    path: str
    name: str


@dataclass
class Settings:
    """What a visitor has set.

    Attributes:
        score_thr (float): Instances below are left out.
        layers (tuple[str, ...]): What is drawn, of :data:`.view.LAYERS`.
        grouping (dict): Options of the grouper.
    """
    score_thr: float = 0.2
    layers: tuple[str, ...] = LAYERS[:3]
    grouping: dict[str, Any] = field(default_factory=dict)


class Studio:
    """The work behind the page, without the page: pictures in, views and files out.

    The network runs once for a picture; groupings and drawings of it reuse what it said.

    Args:
        inferencer: An ``InstBoxInferencer``, or whatever has its ``stream``, ``regroup``,
            ``dataset_meta`` and ``model``.
        max_pixels: Larger pictures are refused.
        max_objects: How many objects are shown of a picture, the surest.
        capacity: How many pictures are kept in memory.
    """

    def __init__(self, inferencer: Any, max_pixels: int = 16_000_000, max_objects: int = 200,
                 capacity: int = 16) -> None:
        if max_pixels < 1 or max_objects < 1:
            raise InvalidInputError('max_pixels and max_objects of the page are at least 1, got '
                                    f'{max_pixels} and {max_objects}')
        self.inferencer = inferencer
        self.max_pixels = max_pixels
        self.max_objects = max_objects
        self.store = SceneStore(capacity)

    def open(self, upload: Upload) -> str:
        """Runs the network on a picture and keeps what it said.

        Returns:
            str: The key of the picture.

        Raises:
            PageError: If the file is no picture that can be read, or one that is too large.
        """
        check_picture(upload.path, self.max_pixels)
        try:
            image = decode_image(Path(upload.path).read_bytes(), Path(upload.name).name)
        except InstBoxError as error:
            raise PageError(str(error)) from error
        sample = next(iter(self.inferencer.stream([image], keep_boxes=True)))
        name = file_name(Path(upload.name).stem)[:MAX_NAME]
        return self.store.add(make_scene(name, image, sample))

    def view(self, key: str, settings: Settings) -> dict[str, Any]:
        """What the page shows of a picture, see :func:`.view.render`; no network pass.

        Raises:
            PageError: If the picture is no longer kept.
        """
        start = time.perf_counter()
        scene = self._scene(key)
        if scene.last is None or scene.last[0] != settings.grouping:
            instances = self.inferencer.regroup(scene.sample, **settings.grouping)
            scene.last = settings.grouping, summarise(instances, scene.size)
        view = render(scene, scene.last[1], settings.layers, settings.score_thr,
                      self.inferencer.dataset_meta, self.inferencer.model.thing_ids,
                      self.max_objects)
        return view | dict(milliseconds=round(1000 * (time.perf_counter() - start)))

    def export(self, key: str, settings: Settings, kind: str, folder: Path) -> Path:
        """Writes a picture's results, at full size, into ``folder``.

        Args:
            key: Of the picture.
            settings: Instances below their score are left out.
            kind: ``'coco'`` JSON, ``'png'`` a zip file of instance and category PNGs, or
                ``'picture'`` what the page shows.
            folder: An existing directory.

        Raises:
            PageError: If the picture is no longer kept.
        """
        scene = self._scene(key)
        if kind == 'picture':
            return export_file(kind, folder, scene.name, self.view(key, settings)['picture'])
        instances = self.inferencer.regroup(scene.sample, **settings.grouping)
        return export_file(kind, folder, scene.name, full_sample(scene, instances),
                           self.inferencer.dataset_meta, settings.score_thr)

    def _scene(self, key: str) -> Scene:
        scene = self.store.get(key)
        if scene is None:
            raise PageError(GONE)
        return scene


def check_picture(path: str, max_pixels: int) -> None:
    """Looks at the header of a file, before the picture is unpacked.

    Raises:
        PageError: If it is no picture, or one of more than ``max_pixels``.
    """
    try:
        with Image.open(path) as picture:
            width, height = picture.size
    except Image.DecompressionBombError as error:
        raise PageError('This picture is too large for this page: make it smaller.') from error
    except (OSError, ValueError, SyntaxError) as error:
        raise PageError(NOT_A_PICTURE) from error
    if width * height > max_pixels:
        raise PageError(f'This picture is too large: {width} x {height} pixels are '
                        f'{width * height / 1e6:.1f} million, this page takes up to '
                        f'{max_pixels / 1e6:g} million. Make it smaller and drop it again.')
