"""Messages of a dead-letter queue -> dead letters; see shared.pipeline.dead_letters.

`show --json` and `purge --export` write a dead letter with the `id` of its message in the queue.
A message that is not a dead letter has the reason `unreadable`, and `text` instead of `refused`.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from shared.errors import RelayError
from shared.text import clean
from tools.dead_letter.queue import Message

__all__ = ["MAX_CONTENT_BYTES", "UNREADABLE", "DeadLetter", "Entry", "parse", "read_file"]

UNREADABLE = "unreadable"
# Bytes of a content, decompressed; a message is 65,536 at most.
MAX_CONTENT_BYTES = 1_000_000

_MEMBERS = msgspec.json.Decoder(dict[str, Raw])
_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was rejected."""

    detail: str
    content: bytes  # A message with only what was rejected, or the body if it is not JSON.
    is_cut: bool
    raw: bytes  # The JSON of the entry.


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What was rejected of a message for one reason; or a message that is not a dead letter."""

    message: Message  # In the dead-letter queue.
    reason: str
    detail: str  # Or why it is not a dead letter.
    time: datetime  # When it was dead-lettered (UTC).
    enqueued: datetime | None = None  # When the rejected message was (UTC).
    message_id: str | None = None  # Of the rejected message.
    entries: tuple[Entry, ...] = ()  # At least one, if it is a dead letter.
    members: Mapping[str, Raw] = field(default_factory=dict)  # Those but `refused`.

    @property
    def problem(self) -> str:
        """Why it cannot be replayed; empty if it can."""
        if not self.entries:
            return "not a dead letter"
        if any(entry.is_cut for entry in self.entries):
            return "content too long for a dead letter, so only its beginning was kept"
        return ""

    def as_json(self) -> bytes:
        """Return it in one line, with compressed messages decompressed."""
        members: dict[str, Any] = {"id": self.message.id}
        if self.entries:
            members |= self.members
            members["refused"] = [Raw(_decompressed(entry)) for entry in self.entries]
        else:
            members |= {"reason": UNREADABLE, "detail": self.detail, "text": self.message.text}
        # A producer may have written a message in several lines.
        return msgspec.json.format(msgspec.json.encode(members), indent=-1)


class _DeadLetter(msgspec.Struct, rename="camel"):
    reason: str
    detail: str
    dead_lettered_time: datetime
    refused: list[Raw]
    message_id: str | None = None
    enqueued_time: datetime | None = None


class _Entry(msgspec.Struct, rename="camel"):
    detail: str
    message: Raw | UnsetType = UNSET
    body: str | UnsetType = UNSET
    body_base64: str | UnsetType = UNSET
    body_gzip_base64: str | UnsetType = UNSET
    body_bytes: int | None = None


class _Exported(msgspec.Struct):
    id: str = ""
    text: str | None = None


def parse(message: Message) -> DeadLetter:
    """Return the dead letter of a message. Never raises for what the message holds."""
    try:
        return _parse(message.text.encode(), message)
    except (ValueError, RecursionError) as exc:  # msgspec, base64 and UTF-8 raise ValueErrors.
        return DeadLetter(message, UNREADABLE, clean(str(exc)), message.inserted)


def read_file(path: Path) -> list[DeadLetter]:
    """Return the dead letters of a file: a JSON array, or one per line.

    Raises RelayError for the first that is not one: nothing is guessed of what was edited.
    """
    where = str(path)
    try:
        data = path.read_bytes()
        if data.lstrip().startswith(b"["):
            documents = msgspec.json.decode(data, type=list[Raw])
        else:
            documents = [Raw(line) for line in data.splitlines() if line.strip()]
        found = []
        for number, document in enumerate(documents, 1):
            where = f"{path}, dead letter {number}"
            exported = msgspec.json.decode(document, type=_Exported)
            message = Message(exported.id, exported.text or "", _EPOCH)
            is_dead_letter = exported.text is None
            found.append(_parse(bytes(document), message) if is_dead_letter else parse(message))
    except (OSError, ValueError, RecursionError) as exc:
        raise RelayError(f"{where}: {clean(str(exc))}") from exc
    return found


def _parse(data: bytes, message: Message) -> DeadLetter:
    """Raises ValueError, RecursionError."""
    given = msgspec.json.decode(data, type=_DeadLetter)
    if not given.refused:
        raise ValueError("`refused` is empty")
    members = _MEMBERS.decode(data)
    return DeadLetter(
        message=message,
        reason=given.reason,
        detail=given.detail,
        time=_utc(given.dead_lettered_time),
        enqueued=None if given.enqueued_time is None else _utc(given.enqueued_time),
        message_id=given.message_id,
        entries=tuple(_parse_entry(bytes(raw)) for raw in given.refused),
        members={name: raw for name, raw in members.items() if name not in ("id", "refused")},
    )


def _parse_entry(raw: bytes) -> Entry:
    given = msgspec.json.decode(raw, type=_Entry)
    forms = (given.message, given.body, given.body_base64, given.body_gzip_base64)
    if sum(form is not UNSET for form in forms) != 1:
        raise ValueError("expected one of message, body, bodyBase64, bodyGzipBase64 in `refused`")
    if given.message is not UNSET:
        content = bytes(given.message)
    elif given.body is not UNSET:
        content = given.body.encode()
    elif given.body_base64 is not UNSET:
        content = base64.b64decode(given.body_base64, validate=True)
    else:
        content = _decompress(base64.b64decode(str(given.body_gzip_base64), validate=True))
    return Entry(given.detail, content, given.body_bytes is not None, raw)


def _decompress(data: bytes) -> bytes:
    """Decompress gzip, within a limit: anyone who can enqueue decides what it holds."""
    decompressor = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        content = decompressor.decompress(data, MAX_CONTENT_BYTES)
    except zlib.error as exc:
        raise ValueError(f"bodyGzipBase64: {exc}") from exc
    if not decompressor.eof:
        raise ValueError(f"bodyGzipBase64: incomplete, or more than {MAX_CONTENT_BYTES:,} bytes")
    msgspec.json.decode(content)  # Nothing but JSON is compressed.
    return content


def _decompressed(entry: Entry) -> bytes:
    """Return the JSON of an entry with its message readable."""
    members = _MEMBERS.decode(entry.raw)
    if members.pop("bodyGzipBase64", None) is None:
        return entry.raw
    return msgspec.json.encode({**members, "message": Raw(entry.content)})


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
