"""Text of a dead-letter queue's message <-> what was refused; see shared.pipeline.dead_letters.

A replay marks a letter before it puts anything back, and removes the mark, or the letter, after:

    replaying   {"time": when, "first": how many of `refused`, from the first, it is about}

A letter found with a mark is one whose replay was cut short: those entries may have been put back.
Members that are not known here are kept when a letter is written again.
"""

from __future__ import annotations

import base64
import gzip
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import msgspec
from msgspec import UNSET, Raw, UnsetType

from shared.clients.storage import message_text
from shared.text import utc_text

__all__ = [
    "Entry",
    "Letter",
    "Unreadable",
    "entry_of",
    "read_letter",
    "write_letter",
]

# Characters of the detail of a letter, as shared.pipeline.dead_letters cuts it.
_MOST_DETAIL = 500
# Bytes of the content of an entry, decompressed; a message has 65,536, and an array around it.
_MOST_CONTENT = 1_000_000

_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was refused."""

    detail: str
    message_id: str | None  # Of the message that it came with.
    enqueued: datetime | None  # When that message was (UTC).
    content: bytes  # A message with only what was refused, or the body when it is no message.
    raw: bytes  # As it stands in its letter.
    in_doubt: datetime | None = None  # When a replay of it began that did not end.
    whole_bytes: int | None = None  # Bytes before it was cut; None if `content` is all of it.


@dataclass(frozen=True, slots=True)
class Letter:
    """What was refused for one reason at one moment."""

    reason: str
    detail: str
    time: datetime  # UTC
    entries: tuple[Entry, ...]
    envelope: Mapping[str, Raw]  # Its members but `refused` and `replaying`.


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A message that is not a dead letter."""

    why: str


class _Mark(msgspec.Struct):
    time: datetime
    first: int | None = None  # All, where it is missing.


class _Letter(msgspec.Struct, rename="camel"):
    reason: str
    detail: str
    dead_lettered_time: datetime
    message_id: str | None = None
    enqueued_time: datetime | None = None
    refused: list[Raw] | UnsetType = UNSET
    replaying: _Mark | None = None


class _Entry(msgspec.Struct, rename="camel"):
    detail: str
    # In letters that several messages share, as earlier versions wrote them.
    message_id: str | None = None
    enqueued_time: datetime | None = None
    message: Raw | UnsetType = UNSET
    body: str | UnsetType = UNSET
    body_base64: str | UnsetType = UNSET
    body_gzip_base64: str | UnsetType = UNSET
    body_bytes: int | None = None


_LETTER = msgspec.json.Decoder(_Letter)
_ENTRY = msgspec.json.Decoder(_Entry)
_MEMBERS = msgspec.json.Decoder(dict[str, Raw])
# Members that hold the content of an entry, one of them.
_CONTENTS = ("message", "body", "bodyBase64", "bodyGzipBase64")


def read_letter(text: str) -> Letter | Unreadable:
    """Read a message's text. Never raises for what it holds."""
    try:
        given = _LETTER.decode(text)
        if given.refused is UNSET:
            return Unreadable("`refused` is missing")
        return _letter(given, given.refused, _MEMBERS.decode(text))
    except (msgspec.DecodeError, ValueError) as exc:
        return Unreadable(str(exc))
    except RecursionError:
        return Unreadable("nested too deeply")


def entry_of(entry: Entry, message: bytes) -> Entry:
    """The entry with a message that holds a part of its content, written anew."""
    members = dict(_MEMBERS.decode(entry.raw))
    compressed = "bodyGzipBase64" in members
    for name in _CONTENTS:
        members.pop(name, None)
    content: dict[str, object] = {"message": Raw(message)}
    if compressed:  # A part of what did not fit may not fit either.
        data = gzip.compress(message, mtime=0)
        content = {"bodyGzipBase64": base64.b64encode(data).decode()}
    raw = _ENCODER.encode({**members, **content})
    return replace(entry, content=message, raw=raw)


def write_letter(letter: Letter, entries: Sequence[Entry]) -> str:
    """The text of the letter with these entries instead of its own, at least one."""
    ordered = sorted(entries, key=lambda entry: entry.in_doubt is None)
    first, more = ordered[0].detail[:_MOST_DETAIL], len(ordered) - 1
    members: dict[str, object] = {
        **letter.envelope,
        "detail": f"{first} (and {more} more)" if more else first,
    }
    if marks := [entry.in_doubt for entry in ordered if entry.in_doubt]:
        members["replaying"] = {"time": utc_text(max(marks)), "first": len(marks)}
    members["refused"] = [Raw(entry.raw) for entry in ordered]
    return message_text(_ENCODER.encode(members))


def _letter(given: _Letter, refused: Sequence[Raw], envelope: dict[str, Raw]) -> Letter:
    mark = given.replaying
    doubtful = 0 if mark is None else len(refused) if mark.first is None else mark.first
    entries = [
        _entry(given, bytes(raw), mark.time if mark and index < doubtful else None)
        for index, raw in enumerate(refused)
    ]
    if not entries:
        raise ValueError("nothing in `refused`")
    kept = {name: raw for name, raw in envelope.items() if name not in {"refused", "replaying"}}
    time = _utc(given.dead_lettered_time) or datetime.min.replace(tzinfo=UTC)
    return Letter(given.reason, given.detail, time, tuple(entries), kept)


def _entry(letter: _Letter, raw: bytes, in_doubt: datetime | None) -> Entry:
    given = _ENTRY.decode(raw)
    forms = (given.message, given.body, given.body_base64, given.body_gzip_base64)
    if sum(form is not UNSET for form in forms) != 1:
        raise ValueError(f"an entry has one of {', '.join(_CONTENTS)}")
    if given.message is not UNSET:
        content = bytes(given.message)
    elif given.body is not UNSET:
        content = given.body.encode()
    elif given.body_base64 is not UNSET:
        content = base64.b64decode(given.body_base64, validate=True)
    else:
        content = _unpacked(base64.b64decode(str(given.body_gzip_base64), validate=True))
    return Entry(
        given.detail,
        given.message_id or letter.message_id,
        _utc(given.enqueued_time or letter.enqueued_time),
        content,
        raw,
        _utc(in_doubt),
        given.body_bytes,
    )


def _unpacked(data: bytes) -> bytes:
    """Decompress gzip: whoever writes to the queue decides what it holds."""
    decompressor = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        content = decompressor.decompress(data, _MOST_CONTENT)
    except zlib.error as exc:
        raise ValueError(f"bodyGzipBase64: {exc}") from exc
    if not decompressor.eof:
        raise ValueError(f"bodyGzipBase64: incomplete, or more than {_MOST_CONTENT:,} bytes")
    return content


def _utc(time: datetime | None) -> datetime | None:
    if time is None:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
