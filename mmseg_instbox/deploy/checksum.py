"""A checksum at the end of a file, so that a broken file is refused before it is parsed."""
import hashlib

from ..errors import BrokenExportError

_KEY = b'instbox_sha256'
_HEX = 64
_PROPERTY = 14 << 3 | 2  # field 14 of ONNX's ModelProto, metadata_props: length and content follow


def onnx_property(key: bytes, value: bytes) -> bytes:
    """Returns an entry of an ONNX file's ``metadata_props``, to append to the file.

    A protobuf message is the concatenation of its fields, so nothing needs to be parsed.
    """
    entry = b''.join(bytes([number << 3 | 2]) + _varint(len(text)) + text
                     for number, text in ((1, key), (2, value)))
    return bytes([_PROPERTY]) + _varint(len(entry)) + entry


def _varint(number: int) -> bytes:
    """Encodes a number as protobuf does."""
    digits = []
    while number > 127:
        digits.append(number & 127 | 128)
        number >>= 7
    return bytes([*digits, number])


def _onnx_checksum(digest: str) -> bytes:
    return onnx_property(_KEY, digest.encode())


def _xml_checksum(digest: str) -> bytes:
    return b'<!-- ' + _KEY + b' ' + digest.encode() + b' -->\n'


_CHECKSUMS = {'.onnx': _onnx_checksum, '.xml': _xml_checksum}


def add_checksum(content: bytes, suffix: str, beside: bytes = b'') -> bytes:
    """Appends a checksum to the content of a file.

    Args:
        content: An ONNX model (``suffix`` is '.onnx') or the XML of an OpenVINO one ('.xml').
        suffix: The kind of file.
        beside: The content of a second file that belongs to it.
    """
    return content + _CHECKSUMS[suffix](hashlib.sha256(content + beside).hexdigest())


def check_checksum(content: bytes, suffix: str, source: str, beside: bytes = b'') -> str:
    """Checks and returns the hexadecimal digest that :func:`add_checksum` appended.

    Raises:
        ValueError: There is none, or the file has changed.
    """
    length = len(_CHECKSUMS[suffix]('0' * _HEX))
    body, end = content[:-length], content[-length:]
    if _KEY not in end:
        raise BrokenExportError(f'{source}: this file was not written by `instbox export`, or its '
                                'end is missing; export the model again.')
    digest = hashlib.sha256(body + beside).hexdigest()
    if end != _CHECKSUMS[suffix](digest):
        raise BrokenExportError(f'{source}: the file is broken or has changed since it was '
                                'exported; export the model again.')
    return digest
