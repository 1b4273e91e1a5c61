"""Reports figures of each category: as rows, as text in the log, as a JSON file."""
import logging
import math
from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from prettytable import PrettyTable

from mmseg_instbox.utils import write_json

TEXT_COLUMNS = ('category', 'IoU', 'APr_0.5', 'APr_vol', 'AP', 'AP50', 'PQ', 'objects')


def report(metric: BaseMetric, figures: dict[str, float], rows: Sequence[dict],
           num_images: int) -> None:
    """Log the table of a metric, and write its ``out_file`` if it has one.

    Args:
        metric (BaseMetric): The metric, with ``out_file``.
        figures (dict[str, float]): Its figures; in the file they have the names of the log.
        rows (Sequence[dict]): What :func:`category_rows` gathered.
        num_images (int): Number of evaluated images.
    """
    title, slash = (f'{metric.prefix}, ', f'{metric.prefix}/') if metric.prefix else ('', '')
    print_log(f'{title}per category, {num_images} images:\n{format_table(rows)}', logger='current')
    if metric.out_file is not None:
        named = {f'{slash}{key}': value for key, value in figures.items()}
        write_json(dict(metrics=named, categories=rows), metric.out_file)


def category_rows(classes: Sequence[str], thing_classes: Sequence[str],
                  class_figures: dict[str, np.ndarray],
                  thing_figures: dict[str, np.ndarray]) -> list[dict]:
    """Gather the figures of each category.

    Args:
        classes (Sequence[str]): Names of the C categories.
        thing_classes (Sequence[str]): Names of the T categories among them that have instances.
        class_figures (dict[str, ndarray]): Named figures of each category, (C,) each; nan where
            they are not defined.
        thing_figures (dict[str, ndarray]): The same of each thing category, (T,) each.

    Returns:
        list[dict]: A row a category with ``category`` and the figures; None stands for what is not
        defined.
    """
    things = {name: index for index, name in enumerate(thing_classes)}
    rows = []
    for place, name in enumerate(classes):
        row = dict(category=name)
        row.update((key, _defined(values[place])) for key, values in class_figures.items())
        for key, values in thing_figures.items():
            row[key] = _defined(values[things[name]]) if name in things else None
        rows.append(row)
    return rows


def format_table(rows: Sequence[dict]) -> str:
    """Set rows as a text table of the most important columns.

    Fractions get four places, undefined figures a dash.
    """
    columns = [name for name in TEXT_COLUMNS if any(name in row for row in rows)]
    table = PrettyTable(field_names=columns)
    table.align = 'r'
    table.align['category'] = 'l'
    for row in rows:
        table.add_row([_text(row[column]) for column in columns])
    return table.get_string()


def mean_defined(values: np.ndarray, name: str, lacking: str) -> float:
    """Average over the categories that occur; 0, with a warning, if none does."""
    if np.isnan(values).all():
        print_log(f'{name} is not defined: {lacking} in the ground truth; 0 is reported',
                  logger='current', level=logging.WARNING)
        return 0.
    return float(np.nanmean(values))


def _defined(value: float | np.generic) -> float | int | None:
    return None if math.isnan(value) else value.item()


def _text(value: object) -> str:
    if value is None:
        return '-'
    return f'{value:.4f}' if isinstance(value, float) else str(value)
