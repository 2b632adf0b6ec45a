"""Messages of a dead-letter queue -> dead letters; see shared.pipeline.dead_letters.

`show --json` and `purge --export` write a dead letter with the `id` of its message in the queue. A
message that is not a dead letter is read as one with the reason `unreadable`.
"""

from __future__ import annotations

import zlib
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import UNSET, Raw, UnsetType

from shared.errors import RelayError
from shared.pipeline.dead_letters import is_embeddable
from shared.text import clean
from tools.dead_letter.contents import MAX_CONTENT_BYTES, count_points

__all__ = ["UNREADABLE", "DeadLetter", "Entry", "parse", "read_file", "unreadable"]

UNREADABLE = "unreadable"

_Time = Annotated[datetime, msgspec.Meta(tz=True)]


class Entry(msgspec.Struct, rename="camel", omit_defaults=True):
    """One thing that was rejected, in one of the forms of a content."""

    detail: str
    message: Raw | UnsetType = UNSET  # A message with only what was rejected.
    body: str | UnsetType = UNSET  # If it is not JSON.
    body_base64: bytes | UnsetType = UNSET  # If it is not text, or cut.
    body_gzip_base64: bytes | UnsetType = UNSET  # Until it is read: one of these, compressed.
    body_bytes: int | None = None  # Before it was cut; None if it is whole.
    body_sha256: str | None = None

    def __post_init__(self) -> None:
        """Decompress a content. Raises ValueError, to which msgspec adds the path."""
        forms = (self.message, self.body, self.body_base64, self.body_gzip_base64)
        if forms.count(UNSET) != len(forms) - 1:
            raise ValueError("expected one of message, body, bodyBase64, bodyGzipBase64")
        if self.body_gzip_base64 is not UNSET:
            content, self.body_gzip_base64 = _decompress(self.body_gzip_base64), UNSET
            if is_embeddable(content):
                self.message = Raw(content)
                return
            try:
                self.body = content.decode()
            except UnicodeDecodeError:
                self.body_base64 = content

    @property
    def content(self) -> bytes:
        """The rejected content as it was enqueued; only its beginning if it was cut."""
        if self.message is not UNSET:
            return bytes(self.message)
        return self.body.encode() if self.body is not UNSET else bytes(self.body_base64 or b"")

    @property
    def points(self) -> int:
        """The number of points or series in it; 1 if that is not known."""
        return count_points(self.content)


class DeadLetter(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """The parts of a message that were rejected for one reason; or an unreadable message."""

    id: str = ""  # Of its message in the dead-letter queue.
    reason: str
    detail: str  # Or why it is not a dead letter.
    dead_lettered_time: _Time
    message_id: str | None = None  # Of the rejected message.
    enqueued_time: _Time | None = None  # Of the rejected message.
    refused: Annotated[list[Entry], msgspec.Meta(min_length=1)]

    @property
    def problem(self) -> str:
        """The reason why it cannot be replayed; empty if it can."""
        if self.reason == UNREADABLE:
            return UNREADABLE
        if any(entry.body_bytes is not None for entry in self.refused):
            return "content too long for a dead letter, so only its beginning was kept"
        return ""

    @property
    def points(self) -> int:
        """The number of rejected points or series."""
        return sum(entry.points for entry in self.refused)

    def as_json(self) -> bytes:
        """Return it in one line."""
        # A producer may have written a message in several lines.
        return msgspec.json.format(msgspec.json.encode(self), indent=-1)


_DEAD_LETTER = msgspec.json.Decoder(DeadLetter)
_DEAD_LETTERS = msgspec.json.Decoder(list[DeadLetter])


def parse(message_id: str, text: str, time: datetime) -> DeadLetter:
    """Return the dead letter of a message, put into the queue at `time`; never raise."""
    try:
        found = _DEAD_LETTER.decode(text)
    except (ValueError, RecursionError) as exc:  # msgspec and UTF-8 raise ValueErrors.
        return unreadable(message_id, text, time, clean(str(exc)))
    found.id = message_id
    return found


def unreadable(message_id: str, text: str, time: datetime, detail: str = "") -> DeadLetter:
    """Return a message that is not a dead letter, with why it is not."""
    entry = Entry(detail, body=text)
    return DeadLetter(
        id=message_id, reason=UNREADABLE, detail=detail, dead_lettered_time=time, refused=[entry]
    )


def read_file(path: Path) -> list[DeadLetter]:
    """Return the dead letters of a file: a JSON array, or one per line.

    Raises RelayError if one of them is not valid: nothing is guessed of what was edited.
    """
    try:
        data = path.read_bytes()
        if data.lstrip().startswith(b"["):
            return _DEAD_LETTERS.decode(data)
        return _DEAD_LETTER.decode_lines(data)
    except (OSError, ValueError, RecursionError) as exc:
        raise RelayError(f"{path}: {clean(str(exc))}") from exc


def _decompress(data: bytes) -> bytes:
    """Decompress gzip, within a limit: anyone who can enqueue decides what it holds."""
    decompressor = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        content = decompressor.decompress(data, MAX_CONTENT_BYTES)
    except zlib.error as exc:
        raise ValueError(f"bodyGzipBase64: {exc}") from exc
    if not decompressor.eof:
        raise ValueError(f"bodyGzipBase64: incomplete, or more than {MAX_CONTENT_BYTES:,} bytes")
    return content
