"""The table of images of an annotation file, each row with its file."""
from typing import Any

from ...errors import InstBoxError
from ...utils.file_names import check_inside
from ...utils.foreign_errors import reason
from ...utils.limits import limit
from .annotated_images import Annotations, Report, id_key, number
from .image_finder import TURNED, ImageFinder

MAX_DECODED = 5000  # of larger data sets only the headers of the images are read


class ImageTable:
    """Finds and measures the images of an annotation file.

    Args:
        part: The tables of the file.
        finder: Finds the images; None leaves their names as they are and reads no image.
        need_images: Whether an image without its file is left out although its size is known.
        report: Is called with each problem.

    Attributes:
        images: By the id in the file: ``file_name``, ``width``, ``height``, ``source`` and, if the
            objects have to be turned with the image, ``turn``. An image that cannot be used is
            empty; a file that is listed twice has one dictionary.
    """

    def __init__(self, part: Annotations, finder: ImageFinder | None, need_images: bool,
                 report: Report) -> None:
        self.part, self.finder, self.need_images = part, finder, need_images
        self.report = report
        self.images: dict[Any, dict] = {}
        self._read()

    def get(self, key: Any) -> dict | None:
        """The image of an id in the file; None if no image has it."""
        return self.images.get(id_key(key))

    def _read(self) -> None:
        files: dict[str, dict] = {}
        away = []
        for row in self.part.images:
            source = row.get('source', self.part.file) if isinstance(row, dict) else self.part.file
            key = id_key(row.get('id')) if isinstance(row, dict) else None
            name = row.get('file_name') if isinstance(row, dict) else None
            if key is None or not isinstance(name, str) or not name.strip():
                self.report('broken annotation', source,
                            f'the image {str(row)[:100]} has no id or no file name; left out.')
                continue
            if key in self.images:
                self.report('duplicate id', source,
                            f'image {key} is there twice; {name} is left out.')
                continue
            image = self._find_image(row, name, source)
            file = image.get('file_name')
            if file in files:
                self.report('duplicate file', source, f'{file} is listed twice; its objects are '
                            'joined.', file)
            self.images[key] = files.setdefault(file, image) if file else {}
            near = row.get('near', self.part.near)
            if self.finder and file and file != f'{near}/{name}'.removeprefix('./').lstrip('/'):
                away.append((source, name, file))
        self._report_moved(away, len(files))
        self._drop_broken(files)

    def _report_moved(self, away: list[tuple[str, str, str]], total: int) -> None:
        """Report names that are no paths, and images that are not where most of them are."""
        for source, name, file in away:
            if not f'/{file}'.endswith(f'/{name}'):
                self.report('file name', source, f'{name!r} is taken to be {file}.')
            elif len(away) * 2 < total:
                self.report('moved file', source, f'{name} is found as {file}.')

    def _drop_broken(self, files: dict[str, dict]) -> None:
        if self.finder is None or len(files) > MAX_DECODED:
            return
        known = set(self.finder.files)
        for file, why in self.finder.find_broken([each for each in files if each in known]).items():
            self.report('unreadable image', file, f'the image is broken or truncated ({why}); left '
                        'out.')
            files[file].clear()

    def _find_image(self, row: dict, name: str, source: str) -> dict:
        """The image of a row; empty if it cannot be used, which is reported."""
        width, height = number(row.get('width')) or 0, number(row.get('height')) or 0
        known = width > 0 and height > 0 and width * height <= limit('pixels')
        image = dict(file_name=name, width=width, height=height, source=source)
        if self.finder is None:
            try:
                check_inside(name, source)
            except InstBoxError as error:
                self.report('file name', source, f'{error} Left out.')
                return {}
            if not known:
                self.report('image size', source, f'{name} has the size {width} x {height}; left '
                            'out.')
            return image if known else {}
        file = self.finder.find(name, row.get('near', self.part.near))
        if file is None and (self.need_images or not known):
            self.report('missing file', source, f'there is no image {name}; left out.')
            return {}
        if file is None:
            return image | dict(file_name=name.replace('\\', '/'))
        return self._measure(image, file, (width, height) if known else None)

    def _measure(self, image: dict, file: str, given: tuple[int, int] | None) -> dict:
        """Complete an image by its file."""
        try:
            width, height, orientation = self.finder.info(file)
        except (InstBoxError, OSError) as error:
            self.report('unreadable image', file, f'{reason(error)}; left out.')
            return {}
        image |= dict(file_name=file, width=width, height=height)
        if given == (height, width) != (width, height) and orientation in TURNED:
            image['turn'] = orientation
            self.report('orientation', image['source'], f'{file} is turned by its EXIF '
                        'orientation, its objects are not; they are turned, too.', file)
        elif given not in (None, (width, height)):
            self.report('image size', image['source'], f'{file} is {width} x {height} pixels, not '
                        f'{given[0]} x {given[1]}; its objects stay where they are.', file)
        elif given and (orientation in (2, 3, 4) or orientation in TURNED and width == height):
            self.report('orientation', image['source'], f'{file} has the EXIF orientation '
                        f'{orientation}; its objects are taken to be drawn on the turned image.',
                        file)
        return image

    def number_images(self) -> list[dict]:
        """COCO's table of the images that can be used; whole numbers stay ids."""
        images = [*{id(each): each for each in self.images.values() if each}.values()]
        keys = {}
        for key, image in self.images.items():
            keys.setdefault(id(image), key)
        numbers = [keys[id(image)] for image in images]
        if not all(isinstance(key, int) for key in numbers):
            numbers = range(1, len(images) + 1)
        for key, image in zip(numbers, images, strict=True):
            image['id'] = key
        return images
