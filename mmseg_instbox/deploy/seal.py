"""A digest at the end of a file, so that a broken one is refused before anybody parses it."""
import hashlib

from ..errors import BrokenExportError

_KEY = b'instbox_sha256'
_HEX = 64
_PROPERTY = 14 << 3 | 2  # field 14 of ONNX's ModelProto, metadata_props: length and content follow


def onnx_property(key: bytes, value: bytes) -> bytes:
    """An entry of an ONNX file's ``metadata_props``, to be appended to the file.

    A protobuf message is the concatenation of its fields, so nothing needs to be parsed.
    """
    entry = b''.join(bytes([number << 3 | 2]) + _varint(len(text)) + text
                     for number, text in ((1, key), (2, value)))
    return bytes([_PROPERTY]) + _varint(len(entry)) + entry


def _varint(number: int) -> bytes:
    """A number in protobuf's coding."""
    digits = []
    while number > 127:
        digits.append(number & 127 | 128)
        number >>= 7
    return bytes([*digits, number])


def _onnx_seal(digest: str) -> bytes:
    return onnx_property(_KEY, digest.encode())


def _xml_seal(digest: str) -> bytes:
    return b'<!-- ' + _KEY + b' ' + digest.encode() + b' -->\n'


_SEALS = {'.onnx': _onnx_seal, '.xml': _xml_seal}


def seal(content: bytes, suffix: str, beside: bytes = b'') -> bytes:
    """The content of a file with a digest at its end.

    Args:
        content: An ONNX model (``suffix`` is '.onnx') or the XML of an OpenVINO one ('.xml').
        suffix: Which of them.
        beside: The content of a second file that belongs to it.
    """
    return content + _SEALS[suffix](hashlib.sha256(content + beside).hexdigest())


def check_seal(content: bytes, suffix: str, source: str, beside: bytes = b'') -> str:
    """The digest that :func:`seal` put there.

    Raises:
        ValueError: There is none, or the file is not what was written.
    """
    length = len(_SEALS[suffix]('0' * _HEX))
    body, end = content[:-length], content[-length:]
    if _KEY not in end:
        raise BrokenExportError(f'{source}: this is no model that `instbox export` wrote, or its '
                                'end is missing; export the model again.')
    digest = hashlib.sha256(body + beside).hexdigest()
    if end != _SEALS[suffix](digest):
        raise BrokenExportError(f'{source}: the file has changed since it was exported, or is '
                                'broken; export the model again.')
    return digest
