"""Rejections -> messages of the dead-letter queue.

A dead letter is a JSON object:

    reason            code of the reason, see model.Reason
    detail            what is wrong with the first thing refused, and how many more there are
    messageId         of the message that was refused (absent for samples)
    enqueuedTime      of that message, ISO 8601
    deadLetteredTime  ISO 8601
    refused           [{"detail", "message"}]: each a message of the ingress queue's format with
                      only what was refused in it, or {"detail", "body"} for what is no JSON

What does not fit one message of 64 KiB becomes several; a thing that does not fit by itself is
cut into letters with `part`, `parts` and a `bodyBase64` each, to be joined before decoding.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby

import msgspec
from msgspec import UNSET, Raw, UnsetType

from shared.message_writer import write_messages
from shared.model import Reason, Rejection, Verdict
from shared.packing import packed, size_in_queue

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


def rejections_of(verdict: Verdict) -> Iterator[Rejection]:
    """A verdict on points as rejections of messages that hold them."""
    assert verdict.reason is not None  # noqa: S101 (a rejected verdict has one)
    for content in write_messages(verdict.points):
        yield Rejection(verdict.reason, verdict.detail, content)


def write_dead_letters(
    rejections: Iterable[Rejection], origin: Origin, now: datetime
) -> Iterator[bytes]:
    """Yield the dead letters of one message's rejections, each under 64 KiB."""
    ordered = sorted(rejections, key=lambda rejection: rejection.reason)
    for reason, group in groupby(ordered, key=lambda rejection: rejection.reason):
        entries: list[bytes] = []
        for rejection in group:
            entry = _ENCODER.encode(_entry(rejection))
            if size_in_queue(entry) <= _MOST_BYTES:
                entries.append(entry)
            else:
                yield from _parts(rejection, origin, now)
        for run in packed(entries, _MOST_BYTES):
            first: str = msgspec.json.decode(run[0])["detail"]
            yield _ENCODER.encode(
                _letter(reason, first, origin, now, more=len(run) - 1, refused=run)
            )


def _entry(rejection: Rejection) -> _Refused:
    detail, content = rejection.detail[:_MOST_DETAIL], rejection.content
    try:
        text = content.decode()
        msgspec.json.decode(content)
        msgspec.json.decode(b"[" * _SPARE_LEVELS + content + b"]" * _SPARE_LEVELS)
    except UnicodeDecodeError:
        return _Refused(detail, body_base64=base64.b64encode(content).decode())
    except (msgspec.DecodeError, RecursionError):
        return _Refused(detail, body=text)
    return _Refused(detail, message=Raw(content))


def _parts(rejection: Rejection, origin: Origin, now: datetime) -> Iterator[bytes]:
    content = rejection.content
    pieces = [content[at : at + _PART_BYTES] for at in range(0, len(content), _PART_BYTES)]
    for number, piece in enumerate(pieces, 1):
        letter = _letter(
            rejection.reason,
            rejection.detail,
            origin,
            now,
            part=number,
            parts=len(pieces),
            body_base64=base64.b64encode(piece).decode(),
        )
        yield _ENCODER.encode(letter)


def _letter(
    reason: Reason, detail: str, origin: Origin, now: datetime, more: int = 0, **content: object
) -> _Letter:
    text = detail[:_MOST_DETAIL_OF_LETTER] + (f" (and {more} more)" if more else "")
    message_id = origin.message_id and origin.message_id[:_MOST_MESSAGE_ID]
    return _Letter(reason, text, now, message_id, origin.enqueued, **content)  # type: ignore[arg-type]
