"""The categories of annotation files: checked, joined by name, and the same in all splits."""
from collections import Counter
from typing import Any

from ..instance_maps import VOID
from .annotated_images import AnnotatedImages, Annotations, Problem, id_key, number

MAX_CATEGORIES = VOID - 1  # beside background


def read_categories(part: Annotations) -> dict[Any, str]:
    """The names of the categories by the ids in the file, broken and repeated ones left out."""
    categories: dict[Any, str] = {}
    for row in part.categories:
        name, key = (row.get('name'), id_key(row.get('id'))) if isinstance(row, dict) else (0, None)
        if not isinstance(name, str | int) or key is None:
            part.report('broken annotation', part.file,
                        f'the category {str(row)[:100]} has no id or no name; left out.')
        elif key in categories:
            part.report('duplicate id', part.file,
                        f'category {row["id"]} is there twice; {name!r} is left out.')
        else:
            categories[key] = str(name).strip() or 'object'
    in_file = Counter((key[0] if isinstance(key, tuple) else 0, name)
                      for key, name in categories.items())
    names = sorted({*categories.values()})
    for (_, name), count in in_file.items():
        if count > 1:
            part.report('category names', part.file,
                        f'{count} categories have the name {name!r}; they become one.')
        alike = [each for each in names if each != name and each.lower() == name.lower()]
        if alike and name < alike[0]:
            part.report('category names', part.file, f'the categories {name!r} and '
                        f'{alike[0]!r} differ in case only; they are kept apart.')
    return categories


def category_rows(part: Annotations, categories: dict[Any, str],
                  objects: list[dict]) -> list[dict]:
    """COCO's table of categories; names in objects become ids.

    Order and ids are those of the file. Categories of one name get one id, what is no number from
    0 on becomes one, and those that are only parents of others are left out.
    """
    parents = {row.get('supercategory') for row in part.categories
               if isinstance(row, dict) and row.get('supercategory') != row.get('name')}
    used = {each['category_id'] for each in objects}
    ids: dict[str, int] = {}
    for key, name in categories.items():
        own = number(key[1] if isinstance(key, tuple) else key)
        if name not in ids and own is not None and own >= 0 and own not in ids.values():
            ids[name] = own
    names = [name for name in dict.fromkeys(categories.values())
             if name in used or name not in parents]
    for name in names:
        ids.setdefault(name, max([0, *ids.values()]) + 1)
    for each in objects:
        each['category_id'] = ids[each['category_id']]
    if len(names) > MAX_CATEGORIES:
        part.report('too many categories', part.file, f'{len(names)} categories; at most '
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
        images.coco['categories'] = [dict(id=ids[name], name=name, supercategory='')
                                     for name in sorted(ids, key=ids.get)]
    first = next(iter(splits.values()))
    first.problems += [Problem('empty category', '', f'no object has the category {name!r}.')
                       for name in ids if name not in used]
