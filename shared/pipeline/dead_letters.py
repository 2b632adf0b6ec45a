"""Rejections -> messages of the dead-letter queue.

A dead letter is a JSON object:

    reason            code of the reason, see model.Reason
    detail            what is wrong with the first thing refused, and how many more there are
    deadLetteredTime  ISO 8601
    messageId         of the message that was refused (absent for samples)
    enqueuedTime      of that message, ISO 8601
    refused           [{"detail", "message"}]: each a message of the ingress queue's format with
                      only what was refused in it, or {"detail", "body"} for what is no JSON

Where a letter holds what several messages brought at the same moment, each thing refused has the
messageId and enqueuedTime of its own.

What does not fit one message of 64 KiB becomes several; a thing that does not fit by itself is
cut into letters with `part`, `parts` and a `bodyBase64` each, to be joined before decoding; the
`bodySha256` (hexadecimal) of the whole says which belong together.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby

import msgspec
from msgspec import UNSET, Raw, UnsetType

from shared.messages.packing import packed, size_in_queue
from shared.messages.writer import write_messages
from shared.model import Reason, Rejection, Verdict

__all__ = ["Origin", "rejections_of", "write_dead_letters"]

# Bytes of the entries of a letter; a queue message is 65,536 at most, and there is an envelope.
_MOST_BYTES = 60_000
# Bytes of a part; its base64 is a third longer.
_PART_BYTES = 40_000
# Characters of a detail; one that is longer repeats what it found. Six bytes each at the most.
_MOST_DETAIL = 2000
_MOST_DETAIL_OF_LETTER = 500
# A message ID is a GUID; but the host lets a member `id` of a body pass for it.
_MOST_MESSAGE_ID = 100
# Levels of nesting left to the letter around a message, and to whoever reads it.
_SPARE_LEVELS = 100

_ENCODER = msgspec.json.Encoder()


class Origin(msgspec.Struct, frozen=True):
    """The queue message that something came with."""

    message_id: str | None = None
    enqueued: datetime | None = None  # UTC


class _Refused(msgspec.Struct, omit_defaults=True, rename="camel"):
    detail: str
    message_id: str | None = None
    enqueued_time: datetime | None = None
    message: Raw | UnsetType = UNSET
    body: str | UnsetType = UNSET
    body_base64: str | UnsetType = UNSET


class _Letter(msgspec.Struct, omit_defaults=True, rename="camel"):
    reason: Reason
    detail: str
    dead_lettered_time: datetime
    message_id: str | None = None
    enqueued_time: datetime | None = None
    refused: list[Raw] | UnsetType = UNSET
    part: int | UnsetType = UNSET
    parts: int | UnsetType = UNSET
    body_base64: str | UnsetType = UNSET
    body_sha256: str | UnsetType = UNSET


def rejections_of(verdict: Verdict) -> Iterator[Rejection]:
    """A verdict on points as rejections of messages that hold them."""
    assert verdict.reason is not None  # noqa: S101 (a rejected verdict has one)
    for content in write_messages(verdict.points):
        yield Rejection(verdict.reason, verdict.detail, content)


def write_dead_letters(
    given: Sequence[tuple[Sequence[Rejection], Origin]], now: datetime
) -> Iterator[bytes]:
    """Yield the dead letters of what some messages brought, each under 64 KiB."""
    alone = given[0][1] if len(given) == 1 else None
    brought = [(rejection, origin) for rejections, origin in given for rejection in rejections]
    brought.sort(key=_reason)
    for reason, group in groupby(brought, key=_reason):
        entries: list[bytes] = []
        for rejection, origin in group:
            entry = _ENCODER.encode(_entry(rejection, None if alone else origin))
            if size_in_queue(entry) <= _MOST_BYTES:
                entries.append(entry)
            else:
                yield from _parts(rejection, origin, now)
        for run in packed(entries, _MOST_BYTES):
            first: str = msgspec.json.decode(run[0])["detail"]
            more = len(run) - 1
            yield _ENCODER.encode(
                _letter(Reason(reason), first, alone or Origin(), now, more=more, refused=run)
            )


def _reason(brought: tuple[Rejection, Origin]) -> str:
    return brought[0].reason


def _entry(rejection: Rejection, origin: Origin | None) -> _Refused:
    """A thing refused, with its origin where the letter has none."""
    detail, content = rejection.detail[:_MOST_DETAIL], rejection.content
    entry = _Refused(detail, *(_message(origin) if origin else ()))
    try:
        entry.body = content.decode()
        msgspec.json.decode(content)
        msgspec.json.decode(b"[" * _SPARE_LEVELS + content + b"]" * _SPARE_LEVELS)
    except UnicodeDecodeError:
        entry.body_base64 = base64.b64encode(content).decode()
    except (msgspec.DecodeError, RecursionError):
        pass  # Not JSON: its text is all there is to show.
    else:
        entry.body, entry.message = UNSET, Raw(content)
    return entry


def _message(origin: Origin) -> tuple[str | None, datetime | None]:
    """ID and enqueued time as a letter has them."""
    return origin.message_id and origin.message_id[:_MOST_MESSAGE_ID], origin.enqueued


def _parts(rejection: Rejection, origin: Origin, now: datetime) -> Iterator[bytes]:
    content = rejection.content
    pieces = [content[at : at + _PART_BYTES] for at in range(0, len(content), _PART_BYTES)]
    digest = hashlib.sha256(content).hexdigest()
    for number, piece in enumerate(pieces, 1):
        letter = _letter(
            rejection.reason,
            rejection.detail,
            origin,
            now,
            part=number,
            parts=len(pieces),
            body_base64=base64.b64encode(piece).decode(),
            body_sha256=digest,
        )
        yield _ENCODER.encode(letter)


def _letter(
    reason: Reason, detail: str, origin: Origin, now: datetime, more: int = 0, **content: object
) -> _Letter:
    text = detail[:_MOST_DETAIL_OF_LETTER] + (f" (and {more} more)" if more else "")
    return _Letter(reason, text, now, *_message(origin), **content)  # type: ignore[arg-type]
