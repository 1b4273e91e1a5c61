"""What the metrics of instances share: decoding of images, and reports by category."""
import logging
import math
from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from prettytable import PrettyTable

from ...utils import write_json
from ..sample_reader import EvaluatedImage, category_names, decode_image

TEXT_COLUMNS = ('category', 'IoU', 'APr_0.5', 'APr_vol', 'AP', 'AP50', 'PQ', 'objects')


class InstMetric(BaseMetric):
    """Base of metrics that keep a few numbers of each image; subclasses implement ``measure``.

    Args:
        out_file (str, optional): A JSON file to write with the figures and a row a category.
        **kwargs: Arguments of mmengine's ``BaseMetric``: ``prefix`` is put before the names of the
            figures, with a slash, and over the table.

    Attributes:
        figures (tuple[str]): Names of what it reports, without prefix, greater is better; a config
            whose ``save_best`` names another one is refused. Empty: unknown.
    """
    figures: tuple[str, ...] = ()

    def __init__(self, out_file: str | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.out_file = out_file

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Measure each image; an image is decoded once for all metrics of an evaluator.

        Raises:
            ValueError: A field is missing, a size does not fit or a category is unknown.
        """
        for sample in data_samples:
            image = decode_image(sample, self.dataset_meta)
            self.results.append(self.measure(sample, image))

    def measure(self, sample: dict, image: EvaluatedImage) -> object:
        """Return what ``compute_metrics`` needs of an image."""
        raise NotImplementedError(f'{type(self).__name__} must implement measure')


def report(metric: BaseMetric, figures: dict[str, float], num_images: int,
           class_figures: dict[str, np.ndarray],
           thing_figures: dict[str, np.ndarray]) -> dict[str, float]:
    """Log the table of a metric, write its ``out_file`` if it has one, and return its figures.

    Names of figures get the metric's prefix in the file, as in the log. ``class_figures`` and
    ``thing_figures`` are those of :func:`category_rows`.
    """
    classes, things, _ = category_names(metric.dataset_meta)
    rows = category_rows(classes, things, class_figures, thing_figures)
    title, slash = (f'{metric.prefix}, ', f'{metric.prefix}/') if metric.prefix else ('', '')
    print_log(f'{title}per category, {num_images} images:\n{format_table(rows)}', logger='current')
    if metric.out_file is not None:
        named = {f'{slash}{key}': value for key, value in figures.items()}
        write_json(dict(metrics=named, categories=rows), metric.out_file)
    return figures


def category_rows(classes: Sequence[str], thing_classes: Sequence[str],
                  class_figures: dict[str, np.ndarray],
                  thing_figures: dict[str, np.ndarray]) -> list[dict]:
    """Gather a row for each category: its name ``category`` and its figures.

    ``class_figures`` are (C,) each, ``thing_figures`` (T,); None stands for what is nan in them,
    and for the figures of things in other rows.
    """
    rows = [dict(category=name) for name in classes]
    for names, columns in ((classes, class_figures), (thing_classes, thing_figures)):
        for key, values in columns.items():
            known = dict(zip(names, values.tolist(), strict=True))
            for row in rows:
                value = known.get(row['category'], math.nan)
                row[key] = None if math.isnan(value) else value
    return rows


def format_table(rows: Sequence[dict], columns: Sequence[str] = TEXT_COLUMNS,
                 digits: int = 4) -> str:
    """Format the columns that the rows have as text; None and what is missing is '-'."""
    columns = [name for name in columns if any(name in row for row in rows)]
    table = PrettyTable(columns, float_format=f'.{digits}')
    table.align = 'r'
    table.align[columns[0]] = 'l'
    for row in rows:
        values = (row.get(column) for column in columns)
        table.add_row(['-' if value is None else value for value in values])
    return table.get_string()


def means(figures: dict[str, np.ndarray], lacking: str) -> dict[str, float]:
    """Average each figure over the categories where it is not nan.

    It is 0 if there is none, with a warning that says what is ``lacking`` in the ground truth.
    """
    found = {}
    for name, values in figures.items():
        if np.isnan(values).all():
            print_log(f'{name} is not defined: {lacking} in the ground truth; 0 is reported',
                      logger='current', level=logging.WARNING)
        found[name] = 0. if np.isnan(values).all() else float(np.nanmean(values))
    return found
