"""Text of a dead-letter queue's message <-> what was refused; the other end of shared.pipeline.dead_letters.

A replay marks a letter before it puts anything back, and removes the mark, or the letter, after:

    replaying   {"time": when, "first": how many of `refused`, from the first, it is about}

A letter found with a mark is one whose replay was cut short: those entries may have been put back.
Members that are not known here are kept when a letter is written again.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import msgspec
from msgspec import UNSET, Raw, UnsetType

from shared.clients.queues import message_text
from shared.model import utc_text

__all__ = [
    "Entry",
    "Letter",
    "Part",
    "Unreadable",
    "entry_of",
    "joined",
    "read_letter",
    "write_letter",
    "write_part",
]

# Characters of the detail of a letter, as shared.pipeline.dead_letters cuts it.
_MOST_DETAIL = 500

_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was refused."""

    detail: str
    message_id: str | None  # Of the message that it came with.
    enqueued: datetime | None  # When that message was (UTC).
    content: bytes  # A message with only what was refused, or the body when it is no message.
    raw: bytes = b""  # As it stands in its letter; empty where it was cut into parts.
    in_doubt: datetime | None = None  # When a replay of it began that did not end.


@dataclass(frozen=True, slots=True)
class Letter:
    """What was refused for one reason at one moment."""

    reason: str
    detail: str
    time: datetime  # UTC
    entries: tuple[Entry, ...]
    envelope: Mapping[str, Raw]  # Its members but `refused` and `replaying`.


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of an entry that is too long for one letter."""

    number: int  # From 1.
    total: int
    piece: bytes
    letter: Letter  # The letter of the whole, but for what the entry holds.
    digest: str | None  # Of the whole; letters of old have none.

    @property
    def key(self) -> tuple[object, ...]:
        """What the parts of one thing share."""
        (entry,) = self.letter.entries
        text = self.digest or self.letter.detail
        origin = (entry.message_id, entry.enqueued)
        return self.letter.reason, self.letter.time, *origin, self.total, text


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A message that no dead letter is."""

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
    part: int | UnsetType = UNSET
    parts: int | UnsetType = UNSET
    body_base64: str | UnsetType = UNSET
    body_sha256: str | None = None
    replaying: _Mark | None = None


class _Entry(msgspec.Struct, rename="camel"):
    detail: str
    message_id: str | None = None
    enqueued_time: datetime | None = None
    message: Raw | UnsetType = UNSET
    body: str | UnsetType = UNSET
    body_base64: str | UnsetType = UNSET


_LETTER = msgspec.json.Decoder(_Letter)
_ENTRY = msgspec.json.Decoder(_Entry)
_MEMBERS = msgspec.json.Decoder(dict[str, Raw])


def read_letter(text: str) -> Letter | Part | Unreadable:
    """Read a message's text. Never raises for what it holds."""
    try:
        given = _LETTER.decode(text)
        envelope = _MEMBERS.decode(text)
        if given.refused is not UNSET:
            return _letter(given, given.refused, envelope)
        if UNSET not in {given.part, given.parts, given.body_base64}:
            return _part(given, envelope)
    except (msgspec.DecodeError, ValueError) as exc:
        return Unreadable(str(exc))
    except RecursionError:
        return Unreadable("nested too deeply")
    return Unreadable("neither `refused` nor a part of something")


def joined(parts: Sequence[Part]) -> Letter | None:
    """The letter of all parts of one thing, in any order; None where they are not its."""
    whole = b"".join(part.piece for part in sorted(parts, key=lambda part: part.number))
    digest = parts[0].digest
    if digest is not None and hashlib.sha256(whole).hexdigest() != digest:
        return None
    marks = [part.letter.entries[0].in_doubt for part in parts]
    mark = max(filter(None, marks), default=None)
    letter = parts[0].letter
    entry = replace(letter.entries[0], content=whole, in_doubt=mark)
    return replace(letter, entries=(entry,))


def entry_of(entry: Entry, message: bytes) -> Entry:
    """The entry with a message that holds a part of its content, written anew."""
    members: dict[str, object] = {"detail": entry.detail}
    if entry.raw:
        members = dict(_MEMBERS.decode(entry.raw))
    for name in ("body", "bodyBase64"):
        members.pop(name, None)
    raw = _ENCODER.encode({**members, "message": Raw(message)})
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


def write_part(part: Part, in_doubt: datetime) -> str:
    """The text of the part with a mark."""
    mark = {"time": utc_text(in_doubt)}
    return message_text(_ENCODER.encode({**part.letter.envelope, "replaying": mark}))


def _letter(given: _Letter, refused: Sequence[Raw], envelope: dict[str, Raw]) -> Letter:
    mark = given.replaying
    doubtful = 0 if mark is None else len(refused) if mark.first is None else mark.first
    entries = [
        _entry(given, bytes(raw), mark.time if mark and index < doubtful else None)
        for index, raw in enumerate(refused)
    ]
    if not entries:
        raise ValueError("nothing in `refused`")
    return _enveloped(given, tuple(entries), envelope)


def _entry(letter: _Letter, raw: bytes, in_doubt: datetime | None) -> Entry:
    given = _ENTRY.decode(raw)
    forms = [form for form in (given.message, given.body, given.body_base64) if form is not UNSET]
    if len(forms) != 1:
        raise ValueError("an entry has one of message, body and bodyBase64")
    if given.message is not UNSET:
        content = bytes(given.message)
    elif given.body is not UNSET:
        content = given.body.encode()
    else:
        content = base64.b64decode(str(given.body_base64), validate=True)
    return Entry(
        given.detail,
        given.message_id or letter.message_id,
        _utc(given.enqueued_time or letter.enqueued_time),
        content,
        raw,
        _utc(in_doubt),
    )


def _part(given: _Letter, envelope: dict[str, Raw]) -> Part:
    number, total = int(given.part or 0), int(given.parts or 0)
    if not 1 <= number <= total:
        raise ValueError(f"part {number} of {total}")
    mark = given.replaying.time if given.replaying else None
    origin = (given.message_id, _utc(given.enqueued_time))
    entry = Entry(given.detail, *origin, b"", in_doubt=_utc(mark))
    piece = base64.b64decode(str(given.body_base64), validate=True)
    letter = _enveloped(given, (entry,), envelope)
    return Part(number, total, piece, letter, given.body_sha256)


def _enveloped(given: _Letter, entries: tuple[Entry, ...], envelope: dict[str, Raw]) -> Letter:
    kept = {name: raw for name, raw in envelope.items() if name not in {"refused", "replaying"}}
    time = _utc(given.dead_lettered_time) or datetime.min.replace(tzinfo=UTC)
    return Letter(given.reason, given.detail, time, entries, kept)


def _utc(time: datetime | None) -> datetime | None:
    if time is None:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
