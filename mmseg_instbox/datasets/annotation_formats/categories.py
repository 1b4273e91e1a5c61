"""The categories of annotation files: checked, joined by name, and the same in all splits."""
from collections import Counter
from typing import Any

from ..instance_maps import VOID
from .annotated_images import AnnotatedImages, Annotations, Problem, Report, id_key, number

MAX_CATEGORIES = VOID - 1  # beside background


def read_categories(part: Annotations, report: Report) -> dict[Any, str]:
    """The names of the categories by the ids in the file, broken and repeated ones left out."""
    categories: dict[Any, str] = {}
    for row in part.categories:
        name = row.get('name') if isinstance(row, dict) else None
        if not isinstance(name, str | int) or id_key(row.get('id')) is None:
            report('broken annotation', part.file,
                   f'the category {str(row)[:100]} has no id or no name; left out.')
        elif id_key(row['id']) in categories:
            report('duplicate id', part.file,
                   f'category {row["id"]} is there twice; {name!r} is left out.')
        else:
            categories[id_key(row['id'])] = str(name).strip() or 'object'
    names = sorted(set(categories.values()))
    in_file = Counter((key[0] if isinstance(key, tuple) else 0, name)
                      for key, name in categories.items())
    for (_, name), count in in_file.items():
        if count > 1:
            report('category names', part.file,
                   f'{count} categories have the name {name!r}; they become one.')
        alike = [each for each in names if each != name and each.lower() == name.lower()]
        if alike and name < alike[0]:
            report('category names', part.file, f'the categories {name!r} and '
                   f'{alike[0]!r} differ in case only; they are kept apart.')
    return categories


def category_rows(part: Annotations, categories: dict[Any, str], objects: list[dict],
                  report: Report) -> list[dict]:
    """COCO's table of categories; names in objects become ids.

    Categories of one name get one id, and those that are only parents of others are left out.
    """
    parents = {row.get('supercategory') for row in part.categories
               if isinstance(row, dict) and row.get('supercategory') != row.get('name')}
    used = {each['category_id'] for each in objects}
    ids = {}
    for key, name in categories.items():
        ids.setdefault(name, number(key) if number(key) not in (None, *ids.values()) else 0)
        ids[name] = ids[name] or number(key) or 0
    names = [name for name in ids if name in used or name not in parents]
    for name in names:  # 0 is no id for pycocotools, and some files have names as ids
        if not ids[name] > 0:
            ids[name] = max(0, *ids.values()) + 1
    for each in objects:
        each['category_id'] = ids[each['category_id']]
    if len(names) > MAX_CATEGORIES:
        report('too many categories', part.file, f'{len(names)} categories; at most '
               f'{MAX_CATEGORIES} are possible. Join some of them.')
    return [dict(id=ids[name], name=name, supercategory='') for name in names]


def unify_categories(splits: dict[str, AnnotatedImages]) -> None:
    """Give all splits the categories of all, with the same ids."""
    ids: dict[str, int] = {}
    for images in splits.values():
        for row in images.coco['categories']:
            free = max([0, *ids.values()]) + 1
            ids.setdefault(row['name'], free if row['id'] in ids.values() else row['id'])
    used = set()
    for images in splits.values():
        names = {row['id']: row['name'] for row in images.coco['categories']}
        for each in images.coco['annotations']:
            used.add(names[each['category_id']])
            each['category_id'] = ids[names[each['category_id']]]
    rows = [dict(id=ids[name], name=name, supercategory='') for name in sorted(ids, key=ids.get)]
    for images in splits.values():
        images.coco['categories'] = [dict(row) for row in rows]
    first = next(iter(splits.values()))
    for name in ids:
        if name not in used:
            first.problems.append(Problem('empty category', '', f'no object has the category '
                                          f'{name!r}.'))
