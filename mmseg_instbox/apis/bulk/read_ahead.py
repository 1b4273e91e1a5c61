"""Loading the next images while the network sees those before."""
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from ...utils.inputs import InputImage


def read_ahead(images: Iterable[InputImage], number: int) -> Iterator[InputImage]:
    """The same images, loaded by ``number`` threads, no more than that many at a time.

    What an image raises, it raises when it is loaded here, too.
    """
    with ThreadPoolExecutor(number) as pool:
        waiting: deque = deque()
        try:
            for image in images:
                waiting.append((image, pool.submit(image.load)))
                if len(waiting) > number:
                    yield _loaded(*waiting.popleft())
            while waiting:
                yield _loaded(*waiting.popleft())
        finally:
            for _, picture in waiting:
                picture.cancel()


def _loaded(image: InputImage, picture) -> InputImage:
    return replace(image, load=picture.result)
