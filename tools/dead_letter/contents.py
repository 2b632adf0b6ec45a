"""Contents of dead letters -> messages for the ingress queue, each point with its time."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime

import msgspec
from msgspec import Raw

from shared.clients.storage import message_text
from shared.errors import ValidationError
from shared.messages.body import MAX_BODY_BYTES, decode_body, split_documents
from shared.messages.json_decoding import restore_escapes
from shared.messages.writer import pack, queued_size
from shared.text import utc_text

__all__ = ["MAX_CONTENT_BYTES", "count_points", "queue_texts"]

_Members = dict[str, Raw]

# Bytes of a content, decompressed; a message is 65,536 at most.
MAX_CONTENT_BYTES = 1_000_000

_ENCODER = msgspec.json.Encoder()
_MEMBERS = msgspec.json.Decoder(_Members)
_LIST = msgspec.json.Decoder(list[Raw])
_POINTS = msgspec.json.Decoder(list[_Members])
# XML 1.0, in which a message is sent, cannot hold these; in JSON they are escaped.
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")


def count_points(content: bytes) -> int:
    """Return how many points or series a content has; 1 if that is not known."""
    try:
        return sum(map(_size, _documents(content))) or 1
    except ValueError:
        return 1


def queue_texts(content: bytes, enqueued: datetime, restamp: datetime | None) -> list[str]:
    """Return the messages to enqueue for a content: one for each document.

    A document is split if its times make it too long for a queue. A point without a time gets that
    of `enqueued`, as if it had not been rejected. With `restamp` every point gets that time. What
    is not a message of points is not changed. Raises ValueError if a queue cannot hold it, or if a
    part of it is not JSON.
    """
    time = Raw(_ENCODER.encode(utc_text(restamp or enqueued)))
    documents = (_stamp(one, time, restamp is not None) for one in _documents(content))
    bodies = [restore_escapes(part) for parts in documents for part in parts] or [content]
    try:
        texts = [message_text(body) for body in bodies]
    except UnicodeDecodeError as exc:
        raise ValueError("content is not UTF-8, which a queue cannot hold") from exc
    if any(map(_NOT_IN_XML.search, texts)):
        raise ValueError("content has control characters, which a queue cannot hold")
    if any(len(text.encode()) > MAX_BODY_BYTES for text in texts):
        raise ValueError(f"content too long for a queue: more than {MAX_BODY_BYTES:,} bytes")
    return texts


def _documents(content: bytes) -> list[_Members]:
    """Return the documents of a message; none if it is not a message of JSON objects.

    Raises ValueError if only some of them are JSON objects.
    """
    found: list[_Members] = []
    count = 0
    try:
        text = decode_body(content, MAX_CONTENT_BYTES)
        for _, document in split_documents(text):
            count += 1
            with suppress(ValueError, RecursionError):
                found.append(_MEMBERS.decode(document))
    except (ValidationError, ValueError, RecursionError):
        return []
    if 0 < len(found) < count:
        raise ValueError("some documents of the content are not JSON objects: correct them")
    return found


def _size(document: _Members) -> int:
    try:
        if "points" in document:
            return len(_LIST.decode(document["points"]))
        base_data = _MEMBERS.decode(_MEMBERS.decode(document["data"])["baseData"])
        return len(_LIST.decode(base_data["series"]))
    except (KeyError, ValueError, RecursionError):
        return 1


def _stamp(document: _Members, time: Raw, overwrite: bool) -> list[bytes]:
    """Return a document with times, in parts that each fit into a message.

    If the document is not as expected, it is not changed.
    """

    def stamped(members: _Members) -> bytes:
        has_time = bytes(members.get("time", b"null")) != b"null"
        return _ENCODER.encode(members if has_time and not overwrite else {**members, "time": time})

    if "data" in document:
        return [stamped(document)]
    try:
        points = _POINTS.decode(document["points"])
    except (KeyError, ValueError, RecursionError):
        return [_ENCODER.encode(document)]
    frame = queued_size(_ENCODER.encode({**document, "points": []}))
    runs = pack(map(stamped, points), MAX_BODY_BYTES - frame)
    return [_ENCODER.encode({**document, "points": run}) for run in list(runs) or [[]]]
