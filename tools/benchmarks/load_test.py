"""Put load on the page of ``instbox serve``: many visitors at once, some with broken files.

Starts the command as a process of its own on this machine, with the model that comes along.
Visitors drop pictures on the page, one after another each; a tenth of the files are broken: no
picture, cut off, empty, too many bytes, too many pixels. Every good picture must come back with the
instances that ``InstBoxInferencer`` finds (names, scores, boxes, areas and the mask of each pixel;
every fifth also as the COCO file that the page saves), every broken one with a sentence, and the
server's memory must be what it was after the warm-up.
"""
import argparse
import io
import itertools
import json
import queue
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
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import common
import numpy as np
from page_client import PageClient, Refused
from PIL import Image
from pycocotools import mask as coco_mask

from mmseg_instbox.apis import InstBoxInferencer
from mmseg_instbox.web.scene import display_size, instance_map, resize_map

SAMPLES = common.ROOT / 'demo' / 'samples'
UPLOAD_MB = 2
SAVED = 5  # of how many answered pictures one is also saved
SCORE = 0.2  # where the page's slider stands
LEAKS = ('Traceback', 'site-packages', str(common.ROOT), str(Path.home()))


class Case(NamedTuple):
    """A file to drop, and what must come back: instances and their map, or None for a refusal."""
    kind: str
    name: str
    content: bytes
    expected: dict[str, Any] | None


class Outcome(NamedTuple):
    """What became of a case: seconds it took, and what was wrong, '' for nothing."""
    kind: str
    seconds: float
    wrong: str


def parse_args() -> argparse.Namespace:
    parser = common.make_parser(__doc__, 'load_test', repeats=None, device=False)
    for name, default in (('--clients', 50), ('--requests', 500)):
        parser.add_argument(name, type=common.positive, default=default,
                            help='default: %(default)s')
    parser.add_argument('--warm-up', type=common.positive, default=100,
                        help='pictures before those that count (default: %(default)s)')
    return common.parse(parser)


def good_pictures() -> Iterator[tuple[str, bytes]]:
    """Sample pictures in several sizes and formats."""
    for file in sorted(SAMPLES.glob('*.jpg')):
        picture = Image.open(file).convert('RGB')
        for number, (scale, kind) in enumerate(itertools.product((0.5, 0.8, 1, 1.5),
                                                                 ('JPEG', 'PNG', 'WEBP'))):
            size = [round(side * scale) for side in picture.size]
            content = io.BytesIO()
            picture.resize(size).save(content, kind)
            yield f'{file.stem} {number}.{kind.lower()}', content.getvalue()


def broken_pictures() -> Iterator[tuple[str, str, bytes]]:
    """Files that are no pictures, or none for this page: kind, name, content."""
    whole = (SAMPLES / 'astronaut.jpg').read_bytes()
    yield 'no picture', 'note.jpg', b'This is a text. ' * 100
    yield 'cut off', 'cut.jpg', whole[:len(whole) // 2]
    yield 'too many bytes', 'heavy.jpg', whole + bytes(UPLOAD_MB * 2**20)
    yield 'too many pixels', 'bomb.png', bomb(12_000)
    yield 'empty', 'empty.png', b''


def bomb(side: int) -> bytes:
    """A small PNG file that says it has side x side pixels, all black."""
    header = struct.pack('>IIBBBBB', side, side, 1, 0, 0, 0, 0)
    parts = {b'IHDR': header, b'IDAT': zlib.compress(bytes(side // 8 + 1) * side), b'IEND': b''}
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
        for kind, data in parts.items())


def expected_view(inferencer: InstBoxInferencer, content: bytes) -> dict[str, Any]:
    """What the inferencer finds in a picture, as the page describes it."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        found = inferencer(file.name, score_thr=SCORE)['predictions'][0]
    masks = [coco_mask.decode(mask).astype(bool) for mask in found['masks']]
    height, width = Image.open(io.BytesIO(content)).size[::-1]
    ids = instance_map(np.array(masks).reshape(-1, height, width))
    return dict(
        names=found['label_names'], scores=np.round(found['scores'], 3),
        boxes=np.rint(found['bboxes']).astype(int).reshape(-1, 4),
        areas=[int(mask.sum()) for mask in masks],
        ids=resize_map(ids, display_size((height, width))), masks=found['masks'])


def differs(view: dict[str, Any], expected: dict[str, Any]) -> str:
    """In what a view of the page is not what was expected, '' if it is."""
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
    """In what a saved COCO file is not what was expected, '' if it is."""
    saved = [each['segmentation'] for each in json.loads(content)['annotations']]
    same = len(saved) == len(expected['masks']) and all(
        np.array_equal(coco_mask.decode(one), coco_mask.decode(other))
        for one, other in zip(saved, expected['masks'], strict=True))
    return '' if same else 'saved masks'


def visit(client: PageClient, case: Case, save: bool) -> Outcome:
    """Drops a file on the page and looks at what comes back."""
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
    """Lets visitors drop files until none is left; each is a visitor of its own to the page."""
    waiting: queue.SimpleQueue[tuple[int, Case]] = queue.SimpleQueue()
    for each in enumerate(cases):
        waiting.put(each)
    outcomes: list[Outcome] = []

    def work() -> None:
        client = PageClient(address)
        while True:
            try:
                number, case = waiting.get_nowait()
            except queue.Empty:
                return
            outcomes.append(visit(client, case, number % SAVED == 0 and case.expected is not None))
            watch()

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@contextmanager
def served(threads: int) -> Iterator[tuple[str, int]]:
    """``instbox serve`` as a process: its address and process id; it ends with the context."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    environment = common.environment(dict(OMP_NUM_THREADS=str(threads), PYTHONUNBUFFERED='1'))
    with tempfile.TemporaryFile('w+') as log:
        process = subprocess.Popen(
            [sys.executable, '-m', 'mmseg_instbox.cli', 'serve', '--port', str(port), '--device',
             'cpu', '--max-upload-mb', str(UPLOAD_MB)],
            env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_for(port, process)
            yield f'http://127.0.0.1:{port}', process.pid
        except BaseException:
            log.seek(0)
            sys.stderr.write(log.read()[-4000:])
            raise
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def wait_for(port: int, process: subprocess.Popen, seconds: float = 300) -> None:
    """Waits until the server answers.

    Raises:
        RuntimeError: It ended, or took too long.
    """
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(('127.0.0.1', port)) == 0:
                return
        time.sleep(0.2)
    raise RuntimeError(f'The server did not come up within {seconds:g} seconds.')


def resident(pid: int) -> float:
    """MiB of memory that a process holds."""
    status = Path(f'/proc/{pid}/status').read_text()
    return int(status.split('VmRSS:')[1].split()[0]) / 1024


def make_cases(good: list[Case], broken: list[Case], number: int) -> list[Case]:
    """So many cases, in a fixed order: every tenth is broken."""
    turns = itertools.cycle(good), itertools.cycle(broken)
    return [next(turns[index % 10 == 9]) for index in range(number)]


def rows_of(outcomes: list[Outcome]) -> list[dict[str, Any]]:
    """A row a kind of file: how many, how many went wrong, and percentiles of the seconds."""
    rows = []
    for kind in dict.fromkeys(['good', *sorted(each.kind for each in outcomes)]):
        chosen = [each for each in outcomes if each.kind == kind]
        cuts = statistics.quantiles([each.seconds for each in chosen] * 2, n=100)
        rows.append(dict(file=kind, requests=len(chosen),
                         wrong=sum(bool(each.wrong) for each in chosen),
                         **{f'p{part}_s': cuts[part - 1] for part in (50, 90, 99)},
                         slowest_s=max(each.seconds for each in chosen)))
    return rows


def main() -> None:
    args = parse_args()
    inferencer = InstBoxInferencer(device='cpu', show_progress=False)
    good = [Case('good', name, content, expected_view(inferencer, content))
            for name, content in good_pictures()]
    broken = [Case(kind, name, content, None) for kind, name, content in broken_pictures()]
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
    print(*dict.fromkeys(wrong), sep='\n')
    growth = max(memory) / warm - 1
    common.finish(
        'load_test', args, rows_of(outcomes), figure='p50_s',
        goals=[common.Goal('answers that were wrong', 'at most', 0, len(wrong)),
               common.Goal('growth of memory after the warm-up', 'at most', 0.05, growth)],
        tables={'The server': [dict(
            clients=args.clients, requests_a_second=len(outcomes) / seconds, warm_mib=warm,
            highest_mib=max(memory), last_mib=memory[-1], growth=growth)]},
        note='Each client drops its next file when the last one was answered.')
    sys.exit(bool(wrong) or growth > 0.05)


if __name__ == '__main__':
    main()
