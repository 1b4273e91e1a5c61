"""The table of images in COCO's formats."""
import os
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from mmseg.structures import SegDataSample

from mmseg_instbox.errors import InvalidInputError


def is_address(image_file: str) -> bool:
    """Whether an image lies at an address such as ``https://...``."""
    return '://' in image_file


class ImageTable:
    """Collects the images of a COCO file and gives each its id."""

    def __init__(self) -> None:
        self._images: dict[int, dict] = {}
        self._files: dict[int, str] = {}

    def add(self, sample: SegDataSample, name: str, image_file: str | None,
            shape: tuple[int, int]) -> int:
        """Enter an image.

        Args:
            sample: Its ``img_id``, if it has one, becomes the id; otherwise that is the next
                number from 1 on.
            name: Name of an image without file.
            image_file: Path or address of the image.
            shape: Height and width in pixels.

        Returns:
            int: The id.

        Raises:
            ValueError: If another image has the id.
        """
        image_id = int(sample.get('img_id', len(self._images) + 1))
        if image_id in self._images:
            raise InvalidInputError(f'{name}: its id {image_id} is that of '
                                    f'{self._images[image_id]["file_name"]}. Give each image an '
                                    'img_id of its own, or none of them.')
        if image_file is not None and not is_address(image_file):
            self._files[image_id] = os.path.abspath(image_file)
        elif image_file is not None:
            name = PurePosixPath(unquote(urlsplit(image_file).path)).name or name
        height, width = shape
        self._images[image_id] = dict(id=image_id, file_name=name, height=height, width=width)
        return image_id

    def rows(self) -> list[dict]:
        """The images; ``file_name`` is relative to the folder that all the files lie in."""
        folders = {os.path.dirname(file) for file in self._files.values()}
        root = os.path.commonpath(folders) if folders else ''
        return [row | dict(file_name=os.path.relpath(self._files[key], root).replace(os.sep, '/'))
                if key in self._files else row for key, row in self._images.items()]
