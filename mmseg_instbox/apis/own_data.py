"""Prepares annotated images of any format for a training: parts, categories, files."""
import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import datasets
from ..datasets.annotation_formats import AnnotatedImages
from ..datasets.annotation_formats.annotated_images import BACKGROUND
from ..errors import InvalidInputError
from ..utils import atomic_write

SHARE = 0.2  # of the images that are split off for validation
MOST = 0.5  # of them at most, to keep images of one video or photograph together
# how Roboflow names the augmented copies of a photograph, and the frames of a video
COPY = re.compile(r'(_(mp4|mov|avi)-\d+_\w+)?\.rf\.[0-9a-f]+\.\w+$', re.IGNORECASE)


@dataclass(frozen=True)
class OwnData:
    """The parts of the data for a training."""
    parts: dict[str, AnnotatedImages]  # 'train', 'val' and maybe 'test', with the same categories
    notes: list[str]  # what a user should know, such as problems and categories that are left out

    @property
    def categories(self) -> list[str]:
        """The names of the categories."""
        return [row['name'] for row in self.parts['train'].coco['categories']]

    def write(self, folder: Path) -> None:
        """Write the parts as ``train.json``, ``val.json`` and ``test.json`` of COCO's format."""
        (folder / 'test.json').unlink(missing_ok=True)  # of another training
        for name, part in self.parts.items():
            # not indented, which takes minutes for a data set of COCO's size
            atomic_write(json.dumps(part.coco).encode(), folder / f'{name}.json')

    def limit_validation(self, count: int | None, seed: int) -> 'OwnData':
        """The data with at most ``count`` images to validate and to test on, if it is a number."""
        parts, notes = dict(self.parts), [*self.notes]
        for key in ('val', 'test'):
            number = len(parts[key].coco['images']) if key in parts else 0
            if count is not None and number > count:
                parts[key] = only_images(parts[key], choose_images(parts[key], count / number,
                                                                   seed))
                notes.append(f'{len(parts[key].coco["images"])} of {number} images of {key} are '
                             'used, because of the time')
        return OwnData(parts, notes)


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

    Of images without objects at most as many are trained on as there are with objects.
    Data without a part for validation lose a fifth of their images to it, chosen at random so that
    each category has its share; images of one video and augmented copies of one photograph stay
    together. A part for testing stays apart.

    Args:
        path: Any annotations that :func:`mmseg_instbox.datasets.read_annotations` reads.
        val: The same, to validate on.
        images: The folder of the images of ``path``, if they do not lie there.
        seed: Of the choice.

    Raises:
        MissingFileError: There is no such file or folder.
        InvalidInputError: The data cannot be read, or hold too little to train or validate on.
    """
    found = datasets.read_annotations(path, images)
    notes, other = _sum_up(found), None
    if val is not None:
        others = datasets.read_annotations(val)
        notes += _sum_up(others)
        others = _with_images(others, val)
        other = next(others[key] for key in ('val', 'all', 'test', 'train') if key in others)
    own = choose_parts(found, path, other, seed)
    return OwnData(own.parts, notes + own.notes)


def choose_parts(found: dict[str, AnnotatedImages], path: str | Path,
                 val: AnnotatedImages | None = None, seed: int = 0) -> OwnData:
    """Choose as :func:`read_own_data` does, of what was ``found`` at a path; ``val`` are other
    images to validate on. InvalidInputError if there is too little to train or validate on."""
    splits, notes = _with_images(found, path), []
    train = _take_train(splits, path)
    if 'all' in splits:
        notes.append(f'{len(splits["all"].coco["images"])} images are in no part for training, '
                     'validation or testing; left out')
    counts = count_objects(train)
    names = [name for name in dict.fromkeys(row['name'] for row in train.coco['categories'])
             if counts[name] and name.casefold() not in BACKGROUND]
    if not names:
        raise InvalidInputError(f'{path}: none of the {len(train.coco["images"])} images to train '
                                'on has an object; `instbox check` lists what was left out.')
    parts = {'train': _limit_empty(only_categories(train, names), notes, seed)}
    splits |= dict(val=val) if val else {}
    for key in ('val', 'test'):
        part = splits.get(key)
        if part is None:
            continue
        if unknown := sorted(set(count_objects(part)) - set(names)):
            notes.append(f'no object to train on: {", ".join(unknown)}; left out of {key}')
        part = only_categories(part, names)
        if objects_of(part):
            parts[key] = part
        elif key == 'val' and val is not None:
            raise InvalidInputError(f'--val: none of the {len(part.coco["images"])} images to '
                                    f'validate on has an object of {", ".join(names)}.')
        else:
            notes.append(f'the {len(part.coco["images"])} images of {key} have no object; left out')
    if 'val' not in parts:
        _split(parts, notes, path, seed)
    elif both := _files(parts['train']) & _files(parts['val']):
        notes.append(f'{len(both)} images are in both train and val, which flatters the figures')
    return OwnData(parts, notes)


def _take_train(splits: dict[str, AnnotatedImages], path: str | Path) -> AnnotatedImages:
    """Take the part to train on out of the splits: a single one, whatever its name."""
    names = [*splits] if len(splits) == 1 else [each for each in ('train', 'all') if each in splits]
    if not names:
        raise InvalidInputError(f'{path} has the parts {", ".join(splits)}, but none to train on: '
                                'give the folder of one of them, and another one with --val.')
    train = splits.pop(names[0])
    if train.fatal:
        raise InvalidInputError(f'{path} cannot be trained on: {"; ".join(map(str, train.fatal))}')
    return train


def _limit_empty(part: AnnotatedImages, notes: list[str], seed: int) -> AnnotatedImages:
    """The part with no more images without objects than with, which would take all the time."""
    with_objects = {each['image_id'] for each in objects_of(part)}
    empty = [row['id'] for row in part.coco['images'] if row['id'] not in with_objects]
    if len(empty) <= len(with_objects):
        return part
    kept = random.Random(seed).sample(empty, len(with_objects))
    notes.append(f'{len(kept)} of {len(empty)} images without objects are used, as many as there '
                 'are with objects')
    return only_images(part, with_objects.union(kept))


def _sum_up(found: dict[str, AnnotatedImages]) -> list[str]:
    """A line for each kind of problem."""
    kinds = defaultdict(list)
    for part in found.values():
        for problem in part.problems:
            kinds[problem.kind].append(problem)
    return [f'{len(each)} x {kind}, for example {each[0]}' for kind, each in kinds.items()]


def _with_images(found: dict[str, AnnotatedImages],
                 path: str | Path) -> dict[str, AnnotatedImages]:
    """The parts that have images."""
    parts = {key: part for key, part in found.items() if part.coco['images']}
    if not parts:
        raise InvalidInputError(f'{path} has annotations of no image that can be used: '
                                f'{"; ".join(_sum_up(found)[:3])}')
    return parts


def _files(part: AnnotatedImages) -> set[Path]:
    return {part.root / row['file_name'] for row in part.coco['images']}


def _split(parts: dict[str, AnnotatedImages], notes: list[str], path: str | Path,
           seed: int) -> None:
    """Split a part for validation off that for training."""
    train = parts['train']
    with_objects = {each['image_id'] for each in objects_of(train)}
    if len(with_objects) < 2:
        raise InvalidInputError(f'{path} has one image with objects, which is not enough to '
                                'train and to validate: annotate more, or give others with '
                                '--val.')
    groups = group_copies(train)
    chosen = choose_images(train, SHARE, seed, groups)
    if len({*groups.values()}) < len(groups) and (
            with_objects <= chosen or len(chosen) > MOST * len(groups)):
        notes.append('images of one video or photograph are in both train and val, which flatters '
                     'the figures')
        chosen = choose_images(train, SHARE, seed)
    parts['val'] = only_images(train, chosen)
    parts['train'] = only_images(train, {*groups} - chosen)


def group_copies(part: AnnotatedImages) -> dict[int, int]:
    """The id of the first image of the same video or photograph, by the id of each image."""
    first: dict[Any, int] = {}
    return {row['id']: first.setdefault(
        COPY.sub('', row['file_name']) if row.get('video_id') is None else row['video_id'],
        row['id']) for row in part.coco['images']}


def choose_images(part: AnnotatedImages, share: float, seed: int,
                  groups: Mapping[int, int] | None = None) -> set[int]:
    """Choose the ids of a share of the images in which each category has its share, if it can.

    The categories choose in turn, the rarest first. At least one image with an object is chosen,
    and of several one is not. Images of one group, see :func:`group_copies`, are chosen together.
    """
    generator = random.Random(seed)
    groups = groups or {row['id']: row['id'] for row in part.coco['images']}
    holders = defaultdict(set)  # of each category
    for each in objects_of(part):
        holders[each['category_id']].add(groups[each['image_id']])
    with_objects = sorted(set().union(*holders.values()))
    holders['none'] = set(groups.values()) - set(with_objects)
    chosen, decided = set(), set()
    for _, members in sorted(holders.items(), key=lambda item: (len(item[1]), str(item[0]))):
        free = sorted(members - decided)
        generator.shuffle(free)
        wanted = max(round(share * len(members)) - len(members & chosen), 0)
        chosen.update(free[:wanted])
        decided |= members
    if not chosen & set(with_objects):
        chosen.add(generator.choice(with_objects))
    if len(with_objects) > 1 and chosen >= set(with_objects):
        chosen.remove(generator.choice(with_objects))
    return {image for image, group in groups.items() if group in chosen}
