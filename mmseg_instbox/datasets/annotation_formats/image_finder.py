"""Find the images that annotations name, and read their sizes without decoding them."""
import os
import re
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from PIL import ExifTags

from ...utils.foreign_errors import convert_errors, reason
from ...utils.image_header import IMAGE_SUFFIXES, open_image
from .annotated_images import list_files

UPLOAD_PREFIX = re.compile('^[0-9a-f]{8}-')  # Label Studio puts it before the names of uploads
SEPARATOR = re.compile(r'[\\/]+|\?d=')  # Label Studio: /data/local-files/?d=folder/a.jpg
TURNED = (5, 6, 7, 8)  # EXIF orientations that exchange width and height


class ImageFinder:
    """The image files below a folder.

    Args:
        root: The folder.

    Attributes:
        root: The folder.
        files: All images, relative to it, with slashes, in order.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = list_files(root, IMAGE_SUFFIXES)
        self._names, self._stems = defaultdict(list), defaultdict(list)
        for file in self.files:
            path = PurePosixPath(file.lower())
            self._names[path.name].append(file)
            self._stems[path.stem].append(file)
        self.info = lru_cache(None)(self._info)

    def find(self, name: str, near: str = '') -> str | None:
        """The file that a name means.

        The name may be an address, a path of another machine, have backslashes, codes as %20,
        another case or suffix, or no suffix. Of several files, the one with the most equal folders
        is meant, then one below ``near``, then the least deep.

        Returns:
            str | None: The file relative to the root.
        """
        if '://' in name:
            name = name.partition('?')[0]
        found = self._find(name, near)
        return self._find(unquote(name), near) if found is None and '%' in name else found

    def _find(self, name: str, near: str) -> str | None:
        parts = [part.strip() for part in SEPARATOR.split(name) if part not in ('', '.', '..')]
        last = parts[-1] if parts else ''
        lower = last.lower()
        stem, suffix = os.path.splitext(lower)
        found = (self._names.get(lower)
                 or self._stems.get(lower)
                 or self._stems.get(stem if suffix in IMAGE_SUFFIXES else lower)
                 or self._names.get(UPLOAD_PREFIX.sub('', lower), ()))
        below = f'{near}/'.lower() if near not in ('', '.') else ''

        def rank(file: str) -> tuple:
            own = file.split('/')
            same = 0
            while same < min(len(own), len(parts)) - 1 and (
                    own[-2 - same].lower() == parts[-2 - same].lower()):
                same += 1
            return (same, file.lower().startswith(below), own[-1] == last, -len(own))

        return max(found, key=rank, default=None)

    def _info(self, file: str) -> tuple[int, int, int]:
        """Width and height of an image as shown, and its EXIF orientation.

        Raises:
            ValueError: It cannot be read.
        """
        with convert_errors(f'{file}: the image is broken'), open_image(
                self.root / file, file) as image:
            orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
            return *(image.size[::-1] if orientation in TURNED else image.size), orientation

    def find_broken(self, files: list[str]) -> dict[str, str]:
        """Decode images, at a fraction of their size where the format can.

        Returns:
            dict[str, str]: The reason for each that is broken or truncated.
        """

        def find_fault(file: str) -> str | None:
            try:
                with open_image(self.root / file, file) as image:
                    image.draft('L', (1, 1))
                    image.load()
            except Exception as error:  # pillow raises many types on a broken file
                return reason(error)
            return None

        with ThreadPoolExecutor() as pool:
            reasons = zip(files, pool.map(find_fault, files), strict=True)
            return {file: why for file, why in reasons if why}
