"""Put load on the page of ``instbox serve``: many clients at once, some with broken files.

Starts the command as a process of its own on this machine, with the model in ``demo/``. Each client
uploads images one after another; a tenth of the files are broken: not an image, cut off, empty, too
many bytes, too many pixels. Every good image must come back with the instances that
``InstBoxInferencer`` finds (names, scores, boxes, areas and the mask of each pixel; every fifth
also as the COCO file that the page saves), every broken one with a message, and the server's memory
must stay what it was after the warm-up. Otherwise the exit code is 1.
"""
import argparse
import io
import itertools
import json
import os
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / 'tests'), str(ROOT / 'tests' / 'fuzz')]

from page_client import PageClient, Refused  # noqa: E402
from programs import free_port  # noqa: E402

from mmseg_instbox.apis import InstBoxInferencer  # noqa: E402
from mmseg_instbox.utils import DEFAULT_SCORE_THR  # noqa: E402
from mmseg_instbox.visualization.drawing import resize_map  # noqa: E402
from mmseg_instbox.web.view import display_size, instance_map  # noqa: E402

SAMPLES = ROOT / 'demo' / 'samples'
UPLOAD_MB = 2
SAVED = 5  # of that many answered images one is also saved
GROWTH = 0.05  # of the server's memory after the warm-up
LEAKS = ('Traceback', 'site-packages', str(ROOT), str(Path.home()))


class Case(NamedTuple):
    """A file to upload, and what must come back: instances and their map, None for a refusal."""
    kind: str
    name: str
    content: bytes
    expected: dict[str, Any] | None


class Outcome(NamedTuple):
    """The result of a case: seconds it took, and what was wrong, '' for nothing."""
    kind: str
    seconds: float
    wrong: str


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (('--clients', 50), ('--requests', 500), ('--warm-up', 100),
                          ('--threads', 2)):
        parser.add_argument(name, type=int, default=default, help='default: %(default)s')
    return parser.parse_args()


def good_images() -> Iterator[tuple[str, bytes]]:
    """Yields the names and contents of sample images in several sizes and formats."""
    for file in sorted(SAMPLES.glob('*.jpg')):
        image = Image.open(file).convert('RGB')
        for number, (scale, kind) in enumerate(itertools.product((0.5, 0.8, 1, 1.5),
                                                                 ('JPEG', 'PNG', 'WEBP'))):
            size = [round(side * scale) for side in image.size]
            content = io.BytesIO()
            image.resize(size).save(content, kind)
            yield f'{file.stem} {number}.{kind.lower()}', content.getvalue()


def broken_images() -> Iterator[tuple[str, str, bytes]]:
    """Yields kind, name and content of files that are no images, or too large for the page."""
    whole = (SAMPLES / 'astronaut.jpg').read_bytes()
    yield 'not an image', 'note.jpg', b'This is a text. ' * 100
    yield 'cut off', 'cut.jpg', whole[:len(whole) // 2]
    yield 'too many bytes', 'heavy.jpg', whole + bytes(UPLOAD_MB * 2**20)
    yield 'too many pixels', 'bomb.png', bomb(12_000)
    yield 'empty', 'empty.png', b''


def bomb(side: int) -> bytes:
    """Makes a small PNG file of side x side black pixels."""
    header = struct.pack('>IIBBBBB', side, side, 1, 0, 0, 0, 0)
    parts = {b'IHDR': header, b'IDAT': zlib.compress(bytes(side // 8 + 1) * side), b'IEND': b''}
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
        for kind, data in parts.items())


def expected_view(inferencer: InstBoxInferencer, content: bytes) -> dict[str, Any]:
    """Returns what the inferencer finds in an image, as the page describes it."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        found = inferencer(file.name, score_thr=DEFAULT_SCORE_THR)['predictions'][0]
    masks = [coco_mask.decode(mask).astype(bool) for mask in found['masks']]
    height, width = Image.open(io.BytesIO(content)).size[::-1]
    ids, areas = instance_map(np.array(masks).reshape(-1, height, width))
    return dict(
        names=found['label_names'], scores=np.round(found['scores'], 3),
        boxes=np.rint(found['bboxes']).astype(int).reshape(-1, 4),
        areas=areas.tolist(),
        ids=resize_map(ids, display_size((height, width))), masks=found['masks'])


def differs(view: dict[str, Any], expected: dict[str, Any]) -> str:
    """Returns in what a view of the page differs from the expected one, '' if it does not."""
    rows = view['instances']
    if [row['name'] for row in rows] != list(expected['names']):
        return 'other categories'
    boxes = np.array([row['box'] for row in rows]).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    ids = np.repeat(view['runs'][::2], view['runs'][1::2])
    checks = dict(
        scores=np.allclose([row['score'] for row in rows], expected['scores'], atol=0.002),
        boxes=np.abs(boxes - expected['boxes']).max(initial=0) <= 1,
        areas=[row['area'] for row in rows] == expected['areas'],
        masks=np.array_equal(ids, expected['ids'].reshape(-1)))
    return ', '.join(name for name, equal in checks.items() if not equal)


def saved_differs(content: bytes, expected: dict[str, Any]) -> str:
    """Returns in what a saved COCO file differs from the expected one, '' if it does not."""
    saved = [each['segmentation'] for each in json.loads(content)['annotations']]
    same = len(saved) == len(expected['masks']) and all(
        np.array_equal(coco_mask.decode(one), coco_mask.decode(other))
        for one, other in zip(saved, expected['masks'], strict=True))
    return '' if same else 'saved masks'


def visit(client: PageClient, case: Case, save: bool) -> Outcome:
    """Uploads a file to the page and checks what comes back."""
    start = time.perf_counter()
    try:
        view = client.open(case.content, case.name)
        seconds = time.perf_counter() - start
        if case.expected is None:
            wrong = 'was not refused'
        else:
            wrong = differs(view, case.expected)
            if save:
                wrong = wrong or saved_differs(client.save('coco'), case.expected)
    except Refused as refusal:
        seconds = time.perf_counter() - start
        words = refusal.words.strip()
        wrong = f'refused: {words}' if case.expected else ''
        if not words or '{' in words or not words.endswith('.'):
            wrong = f'no sentence: {words}'
    except (OSError, ValueError, KeyError, StopIteration) as error:
        seconds, wrong = time.perf_counter() - start, f'{type(error).__name__}: {error}'
    leaks = [leak for leak in LEAKS for text in client.seen if leak in text]
    client.seen.clear()
    return Outcome(case.kind, seconds, f'the answer has {leaks[0]}' if leaks else wrong)


def put_load(address: str, cases: list[Case], clients: int,
             watch: Callable[[], None]) -> list[Outcome]:
    """Lets clients upload files until none is left; calls ``watch`` after each."""
    own = threading.local()

    def connect() -> None:
        own.client = PageClient(address)

    def upload(number: int, case: Case) -> Outcome:
        outcome = visit(own.client, case, number % SAVED == 0 and case.expected is not None)
        watch()
        return outcome

    with ThreadPoolExecutor(clients, initializer=connect) as pool:
        return list(pool.map(upload, range(len(cases)), cases))


@contextmanager
def served(threads: int) -> Iterator[tuple[str, int]]:
    """Runs ``instbox serve`` within the block; gives its address and process id."""
    port = free_port()
    environment = os.environ | dict(PYTHONPATH=str(ROOT), OMP_NUM_THREADS=str(threads))
    with tempfile.TemporaryFile('w+') as log:
        process = subprocess.Popen(
            [sys.executable, '-m', 'mmseg_instbox.cli', 'serve', '--port', port, '--device',
             'cpu', '--max-upload-mb', str(UPLOAD_MB)],
            env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_for(int(port), process)
            yield f'http://127.0.0.1:{port}', process.pid
        except BaseException:
            log.seek(0)
            sys.stderr.write(log.read()[-4000:])
            raise
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def wait_for(port: int, process: subprocess.Popen, seconds: float = 300) -> None:
    """Waits until the server answers."""
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(('127.0.0.1', port)) == 0:
                return
        time.sleep(0.2)
    raise RuntimeError(f'The server did not come up within {seconds:g} seconds.')


def resident(pid: int) -> float:
    """Returns the MiB of memory that a process holds."""
    status = Path(f'/proc/{pid}/status').read_text()
    return int(status.split('VmRSS:')[1].split()[0]) / 1024


def make_cases(good: list[Case], broken: list[Case], number: int) -> list[Case]:
    """Returns that many cases in a fixed order: every tenth is broken."""
    turns = itertools.cycle(good), itertools.cycle(broken)
    return [next(turns[index % 10 == 9]) for index in range(number)]


def table_of(outcomes: list[Outcome]) -> str:
    """Formats how many files of each kind were wrong, and percentiles of the seconds."""
    lines = ['| file | requests | wrong | p50 s | p90 s | p99 s |', '|' + ' --- |' * 6]
    for kind in dict.fromkeys(['good', *sorted(each.kind for each in outcomes)]):
        chosen = [each for each in outcomes if each.kind == kind]
        cuts = statistics.quantiles([each.seconds for each in chosen] * 2, n=100)
        cells = [kind, len(chosen), sum(bool(each.wrong) for each in chosen),
                 *(f'{cuts[part - 1]:.2f}' for part in (50, 90, 99))]
        lines.append(f'| {" | ".join(map(str, cells))} |')
    return '\n'.join(lines)


def main() -> None:
    args = parse_args()
    inferencer = InstBoxInferencer(device='cpu', show_progress=False)
    good = [Case('good', name, content, expected_view(inferencer, content))
            for name, content in good_images()]
    broken = [Case(kind, name, content, None) for kind, name, content in broken_images()]
    before: list[float] = []
    memory: list[float] = []
    with served(args.threads) as (address, pid):
        put_load(address, make_cases(good, broken, args.warm_up), args.clients,
                 lambda: before.append(resident(pid)))
        warm, start = max(before[len(before) // 2:]), time.perf_counter()
        outcomes = put_load(address, make_cases(good, broken, args.requests), args.clients,
                            lambda: memory.append(resident(pid)))
        seconds = time.perf_counter() - start
    wrong = [f'{each.kind}: {each.wrong}' for each in outcomes if each.wrong]
    growth = max(memory) / warm - 1
    print(*dict.fromkeys(wrong), table_of(outcomes), sep='\n')
    print(f'{len(outcomes) / seconds:.1f} files a second, {len(wrong)} wrong; memory of the server '
          f'in MiB: {warm:.0f} after the warm-up, {max(memory):.0f} at most ({growth:.1%} more; '
          f'limit {GROWTH:.0%}), {memory[-1]:.0f} at the end')
    sys.exit(bool(wrong) or growth > GROWTH)


if __name__ == '__main__':
    main()
