"""Roll-ups -> queue messages: what is put back into the ingress queue, or dead-lettered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby

import msgspec
from msgspec import Raw

from shared.messages.schema import PointIn, Points
from shared.model import Rollup, Series, ValueSet
from shared.text import utc_text

__all__ = [
    "MAX_MESSAGE_BYTES",
    "encode_point",
    "encode_points_message",
    "pack",
    "queued_size",
    "write_messages",
]

# Well under the 64 KiB of a queue message, to leave room for what may go around it.
MAX_MESSAGE_BYTES = 48 * 1024

_ENCODER = msgspec.json.Encoder()

# Region, resource ID, namespace.
_Header = tuple[str, str, str]


def write_messages(rollups: Iterable[Rollup], limit: int = MAX_MESSAGE_BYTES) -> Iterator[bytes]:
    """Yield messages that hold the value sets of roll-ups, as few as keep under `limit` bytes.

    Each point carries its minute, so that it does not get the time of the new message.
    """
    for run in pack(_documents(rollups, limit - 2), limit - 2):
        yield bytes(run[0]) if len(run) == 1 else _ENCODER.encode(run)


def encode_points_message(
    region: str, resource_id: str, namespace: str, points: list[Raw]
) -> bytes:
    """Return a message of points with one target; what is empty is left to the defaults."""
    return _ENCODER.encode(_message(region, resource_id, namespace, points))


def encode_point(series: Series, value: float | ValueSet, time: datetime | None) -> bytes:
    """Return a point of a message; without a time it gets that of its message."""
    point = PointIn(metric=series.metric, time=None if time is None else utc_text(time))
    if series.dimensions:
        point.dimensions = Raw(_ENCODER.encode(series.dimensions))
    if isinstance(value, ValueSet):
        if value.count == 1 and value.min == value.max == value.sum:
            point.value = value.sum
        else:
            point.min, point.max = value.min, value.max
            point.sum, point.count = value.sum, value.count
    else:
        point.value = value
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
    entries = sorted(_entries(rollups), key=_header)
    for (region, resource_id, namespace), group in groupby(entries, key=_header):
        message = _message(region, resource_id, namespace, [])
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
                    yield header, encode_point(series, values, minute)


def _header(entry: tuple[_Header, bytes]) -> _Header:
    return entry[0]


def _message(region: str, resource_id: str, namespace: str, points: list[Raw]) -> Points[Raw]:
    return Points(
        points=points,
        namespace=namespace or None,
        resource_id=resource_id or None,
        region=region or None,
    )
