"""Rejections -> messages of the dead-letter queue.

A dead letter is a JSON object:

    reason            a code, see model.Reason
    detail            what is wrong with the first entry, and how many more there are
    deadLetteredTime  ISO 8601
    messageId         of the rejected message (missing for samples)
    enqueuedTime      of that message, ISO 8601
    refused           entries of {"detail", "message"}: each a message of the ingress queue's
                      format with only what was rejected. Content that is not JSON is in `body`, or
                      in `bodyBase64` if it is not text. What does not fit is in
                      `bodyGzipBase64`. If it does not fit so either, it is cut: then `bodyBytes`
                      and `bodySha256` (hexadecimal) tell its length and hash before the cut.

There is one dead letter for each message and reason, or several if one would exceed 64 KiB.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby
from operator import attrgetter

import msgspec
from msgspec import Raw

from shared.messages.writer import pack, queued_size, write_messages
from shared.model import Origin, Reason, Rejection, Results, Status

__all__ = ["by_reason", "is_embeddable", "rejections_of", "write_dead_letters"]

# Bytes of the entries of a dead letter; a queue message is 65,536 at most, with an envelope of up
# to 4 KB.
MAX_ENTRIES_BYTES = 61_000
# Bytes of cut content, before base64; the longest detail has room beside it.
MAX_CUT_BYTES = 36_000
# Characters of a detail, which may quote what it found. Six bytes each at most.
MAX_ENTRY_DETAIL = 2000
MAX_DETAIL = 500
# Characters; a message ID is a GUID, but the host takes a member `id` of a body for it.
MAX_MESSAGE_ID = 100
# Levels of nesting that the dead letter adds, and room for what its readers add.
_SPARE_LEVELS = 100

_ENCODER = msgspec.json.Encoder()


class _DeadLetter(msgspec.Struct, kw_only=True, omit_defaults=True, rename="camel"):
    reason: Reason
    detail: str
    dead_lettered_time: datetime
    message_id: str | None = None
    enqueued_time: datetime | None = None
    refused: list[Raw]


def by_reason(
    rejections: Iterable[Rejection],
) -> Iterator[tuple[Reason, Iterator[Rejection]]]:
    """Yield each reason with its rejections."""
    reason = attrgetter("reason")
    return groupby(sorted(rejections, key=reason), reason)


def rejections_of(results: Results) -> Iterator[Rejection]:
    """Yield the rejected roll-ups as rejections, with messages that hold them."""
    for rollup, outcome in results:
        if outcome.status is Status.REJECTED:
            assert outcome.reason is not None  # noqa: S101 (every rejection has one)
            points = rollup.points
            for content in write_messages([rollup]):
                yield Rejection(outcome.reason, outcome.detail, content, points)
                points = 0  # The first message counts for all of them.


def write_dead_letters(
    rejections: Iterable[Rejection], origin: Origin, now: datetime
) -> Iterator[bytes]:
    """Yield the dead letters of a message, each under 64 KiB."""
    for reason, group in by_reason(rejections):
        entries = map(_entry, group)
        for run in pack(entries, MAX_ENTRIES_BYTES):
            detail: str = msgspec.json.decode(run[0])["detail"][:MAX_DETAIL]
            more = f" (and {len(run) - 1} more)" if len(run) > 1 else ""
            message_id = origin.message_id and origin.message_id[:MAX_MESSAGE_ID]
            yield _ENCODER.encode(
                _DeadLetter(
                    reason=reason,
                    detail=detail + more,
                    dead_lettered_time=now,
                    message_id=message_id,
                    enqueued_time=origin.enqueued,
                    refused=run,
                )
            )


def _entry(rejection: Rejection) -> bytes:
    entry = b""
    for members in _encodings(rejection.content):
        entry = _ENCODER.encode({"detail": rejection.detail[:MAX_ENTRY_DETAIL], **members})
        if queued_size(entry) < MAX_ENTRIES_BYTES:
            break
    return entry


def _encodings(content: bytes) -> Iterator[dict[str, object]]:
    """Yield the members that can hold a content, the most readable first; the last always fits."""
    if is_embeddable(content):
        yield {"message": Raw(content)}
    else:
        try:
            yield {"body": content.decode()}
        except UnicodeDecodeError:
            yield {"bodyBase64": base64.b64encode(content).decode()}
    yield {"bodyGzipBase64": base64.b64encode(gzip.compress(content, mtime=0)).decode()}
    yield {
        "bodyBase64": base64.b64encode(content[:MAX_CUT_BYTES]).decode(),
        "bodyBytes": len(content),
        "bodySha256": hashlib.sha256(content).hexdigest(),
    }


def is_embeddable(content: bytes) -> bool:
    """Return whether it is JSON, and not nested too deeply for a reader of the dead letter."""
    try:
        msgspec.json.decode(content)
        msgspec.json.decode(b"[" * _SPARE_LEVELS + content + b"]" * _SPARE_LEVELS)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
