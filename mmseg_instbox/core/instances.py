from typing import Any

from torch import Tensor


class Instances:
    """N instances of an image: fields with an entry for each, such as ``masks`` and ``scores``.

    What MMEngine's ``InstanceData`` is to MMSegmentation, without MMEngine.

    Args:
        metainfo: What is said of all of them together; each entry becomes an attribute.
        **fields: Tensors ``(N, ...)``; each becomes an attribute.
    """

    def __init__(self, metainfo: dict[str, Any] | None = None, **fields: Tensor) -> None:
        self.metainfo = dict(metainfo or {})
        self.fields = fields
        self.__dict__.update(self.metainfo | fields)

    def __len__(self) -> int:
        return len(next(iter(self.fields.values()), ()))

    def __getitem__(self, index: Tensor | slice | str) -> Any:
        """A field by its name; or the instances at an index, bool ``(N,)``, int64 ``(K,)`` or a
        slice, as ``Instances``."""
        if isinstance(index, str):
            return self.fields[index]
        return Instances(self.metainfo, **{key: each[index] for key, each in self.fields.items()})

    def __contains__(self, name: str) -> bool:
        return name in self.fields
