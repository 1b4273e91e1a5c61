"""Prepares annotated images of any format for a training: parts, categories, files."""
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import datasets
from ..errors import InvalidInputError
from ..utils import atomic_write

BACKGROUND = ('background', '_background_')  # names that are no category of objects
SHARE = 0.2  # of the images that are split off for validation


@dataclass(frozen=True)
class DataPart:
    """Images of one part of the data, with their objects.

    Attributes:
        root: The folder of the images.
        coco: ``images``, ``annotations`` and ``categories`` as in an instances JSON of COCO.
        fatal: Why it cannot be trained on.
    """
    root: Path
    coco: dict[str, list[dict]]
    fatal: tuple[str, ...] = ()

    @property
    def objects(self) -> list[dict]:
        """The annotations that are no crowds."""
        return [each for each in self.coco['annotations'] if not each.get('iscrowd')]

    def counts(self) -> Counter:
        """Number of objects by name of their category."""
        names = {row['id']: row['name'] for row in self.coco['categories']}
        return Counter(names[each['category_id']] for each in self.objects)

    def only(self, images: Iterable[int]) -> 'DataPart':
        """The part with the images of these ids."""
        chosen = set(images)
        return DataPart(self.root, dict(
            images=[row for row in self.coco['images'] if row['id'] in chosen],
            annotations=[row for row in self.coco['annotations'] if row['image_id'] in chosen],
            categories=self.coco['categories']))

    def with_categories(self, names: Sequence[str]) -> 'DataPart':
        """The part with these categories alone, numbered from 1 in this order."""
        numbers = {name: index for index, name in enumerate(names, 1)}
        old = {row['id']: numbers.get(row['name']) for row in self.coco['categories']}
        return DataPart(self.root, dict(
            images=self.coco['images'],
            annotations=[dict(row, category_id=old[row['category_id']])
                         for row in self.coco['annotations'] if old[row['category_id']]],
            categories=[dict(id=index, name=name) for name, index in numbers.items()]))

    def image_sizes(self) -> np.ndarray:
        """Width and height of the images, (N, 2)."""
        return np.array([(row['width'], row['height']) for row in self.coco['images']])

    def object_sizes(self) -> np.ndarray:
        """Square root of each object's box area, as a share of its image's longer side, (M,)."""
        sides = {row['id']: max(row['width'], row['height']) for row in self.coco['images']}
        return np.array([np.sqrt(each['bbox'][2] * each['bbox'][3]) / sides[each['image_id']]
                         for each in self.objects])


@dataclass(frozen=True)
class OwnData:
    """The parts of the data for a training.

    Attributes:
        parts: 'train', 'val' and maybe 'test', with the same categories.
        notes: What a user should know: problems of the annotations, categories left out.
    """
    parts: dict[str, DataPart]
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
        FileNotFoundError: There is no such file or folder.
        ValueError: The data cannot be read, or hold too little to train or validate on.
    """
    splits, notes = _read(path, images)
    train = splits.get('train') or splits.get('all')
    if train is None and len(splits) == 1:
        train = splits.pop(*splits)
    if train is None:
        raise InvalidInputError(f'{path} has the parts {", ".join(splits)}, but none to train on: '
                                'give the folder of one of them, and another one with --val.')
    if train.fatal:
        raise InvalidInputError(f'{path} cannot be trained on: {"; ".join(train.fatal)}')
    counts = train.counts()
    names = [row['name'] for row in train.coco['categories']]
    names = [name for name in dict.fromkeys(names)
             if counts[name] and name.casefold() not in BACKGROUND]
    if not names:
        raise InvalidInputError(f'{path}: none of the {len(train.coco["images"])} images to train '
                                'on has an object; `instbox check` lists what was left out.')
    if val is not None:
        others, more = _read(val, None)
        notes += more
        splits['val'] = next(others[key] for key in ('val', 'all', 'test', 'train')
                             if key in others)
    parts = {'train': train, **{key: splits[key] for key in ('val', 'test') if key in splits}}
    notes += _left_out(parts, names)
    parts = {key: part.with_categories(names) for key, part in parts.items()}
    if 'val' not in parts:
        parts = _split_off(parts, path, seed)
    elif not parts['val'].objects:
        raise InvalidInputError(f'{val or path}: none of the {len(parts["val"].coco["images"])} '
                                f'images to validate on has an object of {", ".join(names)}: give '
                                'others with --val.')
    return OwnData(parts, notes)


def _read(path: str | Path, images: str | Path | None) -> tuple[dict[str, DataPart], list[str]]:
    """The parts of annotations that have images, and a line for each kind of problem."""
    found = datasets.read_annotations(path, images)
    parts = {key: DataPart(part.root, part.coco, tuple(str(each) for each in part.fatal))
             for key, part in found.items() if part.coco['images']}
    if not parts:
        raise InvalidInputError(f'{path} has annotations of no image that is there; `instbox '
                                'check` lists what is missing.')
    kinds = defaultdict(list)
    for part in found.values():
        for problem in part.problems:
            kinds[problem.kind].append(problem)
    return parts, [f'{len(each)} x {kind}, for example {each[0]}' for kind, each in kinds.items()]


def _left_out(parts: dict[str, DataPart], names: Sequence[str]) -> list[str]:
    """A note about categories that other parts have and the training lacks."""
    for key in ('val', 'test'):
        unknown = sorted(set(parts[key].counts()) - set(names)) if key in parts else []
        if unknown:
            return [f'no object to train on: {", ".join(unknown)}; left out of {key}']
    return []


def _split_off(parts: dict[str, DataPart], path: str | Path, seed: int) -> dict[str, DataPart]:
    """The parts with one for validation from the images to train on."""
    train = parts.pop('train')
    if len({each['image_id'] for each in train.objects}) < 2:
        raise InvalidInputError(f'{path} has one image with objects, which is not enough to train '
                                'and to validate: annotate more, or give others with --val.')
    chosen = choose_images(train, SHARE, seed)
    rest = [row['id'] for row in train.coco['images'] if row['id'] not in chosen]
    return dict(train=train.only(rest), val=train.only(chosen), **parts)


def choose_images(part: DataPart, share: float, seed: int) -> set[int]:
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
    for each in part.objects:
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
