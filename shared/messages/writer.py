"""Roll-ups -> queue messages: what is put back into the ingress queue, or dead-lettered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby
from operator import itemgetter

import msgspec
from msgspec import Raw

from shared.messages.schema import PointIn, Points
from shared.model import Rollup, Series, ValueSet
from shared.text import utc_text

__all__ = ["MAX_MESSAGE_BYTES", "pack", "queued_size", "write_messages"]

# Well under the 64 KiB of a queue message, to leave room for what may go around it.
MAX_MESSAGE_BYTES = 48 * 1024

_ENCODER = msgspec.json.Encoder()

# Region, resource ID, namespace.
_Header = tuple[str, str, str]


def write_messages(rollups: Iterable[Rollup], limit: int = MAX_MESSAGE_BYTES) -> Iterator[bytes]:
    """Yield messages that hold the value sets of roll-ups, as few as keep under `limit` bytes.

    Each point carries its minute, so that it does not get the time of the new message. What is
    empty of a target or a namespace is left to the defaults.
    """
    for run in pack(_documents(rollups, limit - 2), limit - 2):
        yield bytes(run[0]) if len(run) == 1 else _ENCODER.encode(run)


def _encode_point(series: Series, value: ValueSet, minute: datetime) -> bytes:
    """Return a point of a message."""
    point = PointIn(metric=series.metric, time=utc_text(minute))
    if series.dimensions:
        point.dimensions = Raw(_ENCODER.encode(series.dimensions))
    if value.count == 1 and value.min == value.max == value.sum:
        point.value = value.sum
    else:
        point.min, point.max = value.min, value.max
        point.sum, point.count = value.sum, value.count
    return _ENCODER.encode(point)


def pack(values: Iterable[bytes], limit: int) -> Iterator[list[Raw]]:
    """Yield runs of encoded values that fill at most `limit` bytes, commas included.

    The order is kept. A value that is too long by itself is a run of its own.
    """
    run: list[Raw] = []
    used = 0
    for value in values:
        size = queued_size(value) + 1
        if run and used + size > limit:
            yield run
            run, used = [], 0
        run.append(Raw(value))
        used += size
    if run:
        yield run


def queued_size(value: bytes) -> int:
    """Return the bytes of an encoded value in a queue: XML 1.0 cannot hold U+FFFE and U+FFFF.

    `shared.clients.storage` writes these two as JSON escapes, of six bytes instead of three.
    """
    return len(value) + 3 * (value.count(b"\xef\xbf\xbe") + value.count(b"\xef\xbf\xbf"))


def _documents(rollups: Iterable[Rollup], limit: int) -> Iterator[bytes]:
    """Yield a document for each target and namespace, or several if one would be too long."""
    entries = sorted(_entries(rollups), key=itemgetter(0))
    for (region, resource_id, namespace), group in groupby(entries, key=itemgetter(0)):
        message: Points[Raw] = Points(
            points=[],
            namespace=namespace or None,
            resource_id=resource_id or None,
            region=region or None,
        )
        available = limit - queued_size(_ENCODER.encode(message))
        for points in pack((point for _, point in group), available):
            yield _ENCODER.encode(msgspec.structs.replace(message, points=points))


def _entries(rollups: Iterable[Rollup]) -> Iterator[tuple[_Header, bytes]]:
    for rollup in rollups:
        target = rollup.target
        for aggregates in rollup.aggregate_all():
            for minute, group in aggregates.items():
                for series, values in group.items():
                    header = target.region, target.resource_id, series.namespace
                    yield header, _encode_point(series, values, minute)
