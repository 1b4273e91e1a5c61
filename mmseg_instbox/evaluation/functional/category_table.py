"""Per-category figures as rows and as text."""
import math
from collections.abc import Sequence

import numpy as np
from prettytable import PrettyTable

TEXT_COLUMNS = ('category', 'IoU', 'APr_0.5', 'APr_vol', 'AP', 'AP50', 'PQ', 'objects')


def category_rows(classes: Sequence[str], thing_classes: Sequence[str],
                  class_figures: dict[str, np.ndarray], thing_figures: dict[str, np.ndarray],
                  num_objects: np.ndarray) -> list[dict]:
    """Gather the figures of each category.

    Args:
        classes (Sequence[str]): Names of the C categories.
        thing_classes (Sequence[str]): Names of the T categories among them that have instances.
        class_figures (dict[str, ndarray]): Named figures of each category, (C,) float each; nan
            where they are not defined.
        thing_figures (dict[str, ndarray]): The same of each thing category, (T,) float each.
        num_objects (ndarray): Number of objects of each thing category, (T,) int.

    Returns:
        list[dict]: A row a category with ``category``, the figures and ``objects``; None stands
        for what is not defined.
    """
    things = {name: index for index, name in enumerate(thing_classes)}
    rows = []
    for place, name in enumerate(classes):
        row = dict(category=name)
        row.update((key, _defined(values[place])) for key, values in class_figures.items())
        index = things.get(name)
        for key, values in thing_figures.items():
            row[key] = None if index is None else _defined(values[index])
        row['objects'] = None if index is None else int(num_objects[index])
        rows.append(row)
    return rows


def format_table(rows: Sequence[dict], columns: Sequence[str] = TEXT_COLUMNS) -> str:
    """Set rows as a text table: of the columns those that the rows have.

    Fractions get four places, undefined figures a dash.
    """
    columns = [name for name in columns if any(name in row for row in rows)]
    table = PrettyTable(field_names=columns)
    table.align = 'r'
    table.align['category'] = 'l'
    for row in rows:
        table.add_row([_text(row[column]) for column in columns])
    return table.get_string()


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _text(value) -> str:
    if value is None:
        return '-'
    return f'{value:.4f}' if isinstance(value, float) else str(value)
