"""The data sample of commands that import neither torch nor OpenMMLab."""
from typing import Any


class PlainSample(dict):
    """A data sample without MMEngine and torch: a dictionary whose entries are attributes, too."""
    set_metainfo = dict.update

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None
