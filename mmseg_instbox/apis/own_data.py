"""Prepares annotated images of any format for a training: parts, categories, files."""
import json
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import datasets
from ..datasets.annotation_formats import AnnotatedImages
from ..errors import InvalidInputError
from ..utils import atomic_write

BACKGROUND = ('background', '_background_')  # names that are no category of objects
SHARE = 0.2  # of the images that are split off for validation


@dataclass(frozen=True)
class OwnData:
    """The parts of the data for a training.

    Attributes:
        parts: 'train', 'val' and maybe 'test', with the same categories.
        notes: What a user should know: problems of the annotations, categories left out.
    """
    parts: dict[str, AnnotatedImages]
    notes: list[str]

    @property
    def categories(self) -> list[str]:
        """The names of the categories."""
        return [row['name'] for row in self.parts['train'].coco['categories']]

    def write(self, folder: Path) -> None:
        """Write the parts as ``train.json``, ``val.json`` and ``test.json`` of COCO's format."""
        for name, part in self.parts.items():
            # not indented, which takes minutes for a data set of COCO's size
            atomic_write(json.dumps(part.coco).encode(), folder / f'{name}.json')

    def limit_validation(self, count: int | None, seed: int) -> 'OwnData':
        """The data with at most ``count`` images to validate on, if it is a number."""
        val = self.parts['val']
        number = len(val.coco['images'])
        if count is None or number <= count:
            return self
        val = only_images(val, choose_images(val, count / number, seed))
        note = f'validated on {len(val.coco["images"])} of {number} images, because of the time'
        return OwnData({**self.parts, 'val': val}, [*self.notes, note])


def objects_of(part: AnnotatedImages) -> list[dict]:
    """The annotations that are no crowds."""
    return [each for each in part.coco['annotations'] if not each.get('iscrowd')]


def count_objects(part: AnnotatedImages) -> Counter:
    """Number of objects by name of their category."""
    names = {row['id']: row['name'] for row in part.coco['categories']}
    return Counter(names[each['category_id']] for each in objects_of(part))


def only_images(part: AnnotatedImages, chosen: set[int]) -> AnnotatedImages:
    """The part with the images of these ids alone."""
    return AnnotatedImages(part.root, dict(
        images=[row for row in part.coco['images'] if row['id'] in chosen],
        annotations=[row for row in part.coco['annotations'] if row['image_id'] in chosen],
        categories=part.coco['categories']))


def only_categories(part: AnnotatedImages, names: Sequence[str]) -> AnnotatedImages:
    """The part with these categories alone, numbered from 1 in this order."""
    numbers = {name: index for index, name in enumerate(names, 1)}
    old = {row['id']: numbers.get(row['name']) for row in part.coco['categories']}
    return AnnotatedImages(part.root, dict(
        images=part.coco['images'],
        annotations=[dict(row, category_id=old[row['category_id']])
                     for row in part.coco['annotations'] if old[row['category_id']]],
        categories=[dict(id=index, name=name) for name, index in numbers.items()]))


def read_own_data(path: str | Path, val: str | Path | None = None,
                  images: str | Path | None = None, seed: int = 0) -> OwnData:
    """Read annotated images and choose what to train on and what to validate on.

    Data without a part for validation lose a fifth of their images to it, chosen at random so that
    each category has its share. A part for testing stays apart.

    Args:
        path: Any annotations that :func:`mmseg_instbox.datasets.read_annotations` reads.
        val: The same, to validate on.
        images: The folder of the images of ``path``, if they do not lie there.
        seed: Seed of the choice.

    Raises:
        MissingFileError: There is no such file or folder.
        InvalidInputError: The data cannot be read, or hold too little to train or validate on.
    """
    splits, notes = _read(path, images)
    train = splits.get('train') or splits.get('all')
    if train is None and len(splits) == 1:
        train = splits.pop(*splits)
    if train is None:
        raise InvalidInputError(f'{path} has the parts {", ".join(splits)}, but none to train on: '
                                'give the folder of one of them, and another one with --val.')
    if train.fatal:
        raise InvalidInputError(f'{path} cannot be trained on: {"; ".join(map(str, train.fatal))}')
    counts = count_objects(train)
    names = [name for name in dict.fromkeys(row['name'] for row in train.coco['categories'])
             if counts[name] and name.casefold() not in BACKGROUND]
    if not names:
        raise InvalidInputError(f'{path}: none of the {len(train.coco["images"])} images to train '
                                'on has an object; `instbox check` lists what was left out.')
    if val is not None:
        others, more = _read(val, None)
        notes += more
        splits['val'] = next(others[key] for key in ('val', 'all', 'test', 'train')
                             if key in others)
    parts = {'train': only_categories(train, names)}
    for key in ('val', 'test'):
        if key in splits:
            parts[key] = only_categories(splits[key], names)
            if unknown := sorted(set(count_objects(splits[key])) - set(names)):
                notes.append(f'no object to train on: {", ".join(unknown)}; left out of {key}')
    if 'test' in parts and not objects_of(parts['test']):
        del parts['test']
        notes.append('no object to test on: the images for testing are left out')
    if 'val' not in parts:
        if len({each['image_id'] for each in objects_of(parts['train'])}) < 2:
            raise InvalidInputError(f'{path} has one image with objects, which is not enough to '
                                    'train and to validate: annotate more, or give others with '
                                    '--val.')
        chosen = choose_images(parts['train'], SHARE, seed)
        parts['val'] = only_images(parts['train'], chosen)
        parts['train'] = only_images(
            parts['train'], {row['id'] for row in train.coco['images']} - chosen)
    elif not objects_of(parts['val']):
        raise InvalidInputError(f'{val or path}: none of the {len(parts["val"].coco["images"])} '
                                f'images to validate on has an object of {", ".join(names)}: give '
                                'others with --val.')
    return OwnData(parts, notes)


def _read(path: str | Path,
          images: str | Path | None) -> tuple[dict[str, AnnotatedImages], list[str]]:
    """The parts of annotations that have images, and a line for each kind of problem."""
    found = datasets.read_annotations(path, images)
    parts = {key: part for key, part in found.items() if part.coco['images']}
    if not parts:
        raise InvalidInputError(f'{path} has annotations of no image that is there; `instbox '
                                'check` lists what is missing.')
    kinds = defaultdict(list)
    for part in found.values():
        for problem in part.problems:
            kinds[problem.kind].append(problem)
    return parts, [f'{len(each)} x {kind}, for example {each[0]}' for kind, each in kinds.items()]


def choose_images(part: AnnotatedImages, share: float, seed: int) -> set[int]:
    """Choose a share of the images in which each category has its share of images, if it can.

    The categories choose in turn, the rarest first. At least one image with an object is chosen,
    and one with an object is not.

    Args:
        part: Images; at least two have objects.
        share: Between 0 and 1.
        seed: Seed of the choice.

    Returns:
        set[int]: Ids of the chosen images.
    """
    generator = random.Random(seed)
    groups = defaultdict(set)
    for each in objects_of(part):
        groups[each['category_id']].add(each['image_id'])
    with_objects = sorted(set().union(*groups.values()))
    groups['none'] = {row['id'] for row in part.coco['images']} - set(with_objects)
    chosen, decided = set(), set()
    for _, images in sorted(groups.items(), key=lambda item: (len(item[1]), str(item[0]))):
        free = sorted(images - decided)
        generator.shuffle(free)
        wanted = max(round(share * len(images)) - len(images & chosen), 0)
        chosen.update(free[:wanted])
        decided |= images
    if not chosen & set(with_objects):
        chosen.add(generator.choice(with_objects))
    if chosen >= set(with_objects):
        chosen.remove(generator.choice(with_objects))
    return chosen
