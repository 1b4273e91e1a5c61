import threading
import uuid
from collections import OrderedDict

from ..errors import InvalidInputError
from .scene import Scene


class SceneStore:
    """Keeps the pictures of the last visitors in memory, the one longest unused goes first.

    Args:
        capacity: How many are kept.

    Raises:
        ValueError: If that is not at least one.
    """

    def __init__(self, capacity: int = 16) -> None:
        if capacity < 1:
            raise InvalidInputError('SceneStore keeps at least one picture, got '
                                    f'capacity={capacity}')
        self.capacity = capacity
        self._scenes: OrderedDict[str, Scene] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, scene: Scene) -> str:
        """Keeps a picture and returns its key, which cannot be guessed."""
        key = uuid.uuid4().hex
        with self._lock:
            self._scenes[key] = scene
            while len(self._scenes) > self.capacity:
                self._scenes.popitem(last=False)
        return key

    def get(self, key: str) -> Scene | None:
        """The picture of a key, or None where it is no longer kept."""
        with self._lock:
            if key in self._scenes:
                self._scenes.move_to_end(key)
            return self._scenes.get(key)

    def drop(self, key: str | None) -> None:
        """Forgets a picture, if it is kept."""
        with self._lock:
            self._scenes.pop(key, None)

    def __len__(self) -> int:
        return len(self._scenes)
