"""A file of messages -> its entries: a line each, or the elements of one JSON document.

Lines are read one by one, so a file of any length takes no more memory than its longest line. JSON
that is spread over lines, an array of a message a line for one, is read whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO, NamedTuple

import msgspec

__all__ = ["Entry", "entries"]

_BOM = b"\xef\xbb\xbf"
_JSON = msgspec.json.Decoder(msgspec.Raw)
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])


class Entry(NamedTuple):
    """A message as it stands in a file: a body that the function would take, or a longer one."""

    number: int  # Of its line or, in an array, its element; from 1.
    where: str  # For people: `line 3`, `[2]`, or nothing where there is but one.
    body: bytes


def entries(file: BinaryIO) -> Iterator[Entry]:
    """Yield what stands in the file, undecoded."""
    for entry in _lines(file):
        yield from _split(entry)


def _split(entry: Entry) -> Iterator[Entry]:
    """Yield each document of an array: a message has at most 3,000 of them, a file any number."""
    parts: list[msgspec.Raw] = []
    if entry.body.lstrip().startswith(b"["):
        with suppress(msgspec.DecodeError, RecursionError):  # Told when it is parsed.
            parts = _ARRAY.decode(entry.body)
    if not parts:
        yield entry
    for index, part in enumerate(parts):
        if entry.where:
            yield Entry(entry.number, f"{entry.where}: [{index}]", bytes(part))
        else:
            yield Entry(index + 1, f"[{index}]", bytes(part))


def _lines(file: BinaryIO) -> Iterator[Entry]:
    """Yield the lines of the file, or all of it if it is one JSON text over lines."""
    first, second = _read_line(file, 1), None
    if first is None:
        return
    if not _is_json(first.body):
        second = _read_line(file, first.number + 1)
        if second is not None and not _stand_alone(first.body, second.body):
            yield Entry(1, "", first.body + second.body + file.read())
            return
    ahead = [entry for entry in (first, second) if entry is not None]
    yield from ahead
    for number, line in enumerate(file, ahead[-1].number + 1):
        if not line.isspace():
            yield Entry(number, f"line {number}", line)


def _read_line(file: BinaryIO, number: int) -> Entry | None:
    """The next line that is not empty."""
    for at, line in enumerate(iter(file.readline, b""), number):
        text = line.removeprefix(_BOM) if at == 1 else line
        if text.strip():
            return Entry(at, f"line {at}", text)
    return None


def _stand_alone(first: bytes, second: bytes) -> bool:
    """Whether a broken first line is a document by itself, not the start of one.

    A document goes on with a name, an array is opened on a line of its own; base64 has no { at all.
    """
    if first.lstrip().startswith(b"["):
        return False
    return not first.lstrip().startswith(b"{") or second.lstrip().startswith(b"{")


def _is_json(text: bytes) -> bool:
    try:
        _JSON.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
