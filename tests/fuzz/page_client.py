"""A client of the page of ``instbox serve`` that speaks HTTP as a browser does."""
import json
import urllib.error
import urllib.request
import uuid
from typing import Any

BOUNDARY = 'instbox-boundary'


class Refused(Exception):
    """The server refused: ``status`` of HTTP (200 if the page shows the message) and its words."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words


class PageClient:
    """A session of the page.

    Args:
        address: Of the page, such as ``'http://127.0.0.1:7860'``.
        timeout: Seconds to wait for data from the server.

    Attributes:
        seen: Everything that the server sent, as text.
    """

    def __init__(self, address: str, timeout: float = 120) -> None:
        self.address = address.rstrip('/')
        self.timeout = timeout
        self.session = uuid.uuid4().hex[:11]
        self.seen: list[str] = []
        self.config = json.loads(self.get('/config'))
        self.ids = {part['props']['elem_id']: part['id'] for part in self.config['components']
                    if part['props'].get('elem_id')}
        values = {part['id']: part['props'].get('value') for part in self.config['components']}
        opening = self.event('instbox-image', 'change')
        self.defaults = [values[number] for number in opening['inputs'][2:]]

    def request(self, path: str, body: bytes | None = None,
                content_type: str = 'application/json') -> bytes:
        """Returns the server's answer.

        Args:
            path: Relative to the page's address, or a whole address.
            body: For a POST request; without one it is a GET request.
            content_type: Of the body.

        Raises:
            Refused: The status of the answer is not 200.
        """
        address = path if path.startswith('http') else self.address + path
        request = urllib.request.Request(address, body, {'Content-Type': content_type})
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as answer:
                content = answer.read()
        except urllib.error.HTTPError as error:
            words = error.read().decode(errors='replace')
            self.seen.append(words)
            raise Refused(error.code, words) from error
        self.seen.append(content.decode(errors='replace'))
        return content

    def get(self, path: str) -> bytes:
        """Returns the server's answer to a request without a body."""
        return self.request(path)

    def event(self, name: str, kind: str) -> dict[str, Any]:
        """Returns the page's description of an event of a component, by its ``elem_id``."""
        target = [self.ids[name], kind]
        return next(each for each in self.config['dependencies'] if target in each['targets'])

    def upload(self, content: bytes, name: str) -> dict[str, Any]:
        """Uploads a file and returns the page's reference to it."""
        head = (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; '
                f'filename="{name}"\r\nContent-Type: application/octet-stream\r\n\r\n')
        body = head.encode() + content + f'\r\n--{BOUNDARY}--\r\n'.encode()
        path, = json.loads(self.request('/gradio_api/upload', body,
                                        f'multipart/form-data; boundary={BOUNDARY}'))
        return dict(path=path, orig_name=name, meta={'_type': 'gradio.FileData'})

    def call(self, name: str, kind: str, data: list[Any]) -> list[Any]:
        """Triggers an event and returns its outputs.

        Args:
            name: ``elem_id`` of the component.
            kind: Of the event, such as ``'click'``.
            data: A value for each input of the event.

        Raises:
            Refused: The queue is full, or the page reports an error.
        """
        event = self.event(name, kind)
        body = dict(data=data, fn_index=event['id'], session_hash=self.session,
                    trigger_id=self.ids[name], event_data=None)
        joined = json.loads(self.request('/gradio_api/queue/join', json.dumps(body).encode()))
        return self._wait(joined['event_id'])

    def _wait(self, event_id: str) -> list[Any]:
        """Waits until an event is done."""
        address = f'{self.address}/gradio_api/queue/data?session_hash={self.session}'
        with urllib.request.urlopen(address, timeout=self.timeout) as answer:
            for line in answer:
                if not line.startswith(b'data:'):
                    continue
                self.seen.append(line.decode())
                message = json.loads(line[5:])
                done = message['msg'] == 'process_completed' and message['event_id'] == event_id
                if done and message['success']:
                    return message['output']['data']
                if done or message['msg'] == 'unexpected_error':
                    raise Refused(200, str((message.get('output') or message).get('error')))
        raise Refused(200, 'The server closed the connection without an answer.')

    def open(self, content: bytes, name: str) -> dict[str, Any]:
        """Uploads an image to the page and returns what it shows, see ``web.view.render``.

        Raises:
            Refused: The page shows a message instead.
        """
        file = self.upload(content, name)
        _, view, *_ = self.call('instbox-image', 'change', [file, None, *self.defaults])
        if 'error' in view:
            raise Refused(200, view['error'])
        return view

    def save(self, kind: str) -> bytes:
        """Returns the file that the page offers for its image: ``'coco'``, ``'png'``, ..."""
        file, = self.call(f'instbox-save-{kind}', 'click', [None, *self.defaults])
        return self.get(file['value']['url'] if 'value' in file else file['url'])
