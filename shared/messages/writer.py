"""Points -> queue messages: what is put back into the ingress queue, or dead-lettered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

import msgspec
from msgspec import UNSET, Raw, UnsetType

from shared.messages.packing import packed, size_in_queue
from shared.messages.schema import PointIn, PointsParts
from shared.model import Point, utc_text

__all__ = ["MAX_MESSAGE_BYTES", "write_envelope", "write_messages", "write_point"]

# Well under the 64 KiB of a queue message, to leave room for what may go around it.
MAX_MESSAGE_BYTES = 48 * 1024

_ENCODER = msgspec.json.Encoder()


def write_messages(points: Iterable[Point], limit: int = MAX_MESSAGE_BYTES) -> Iterator[bytes]:
    """Yield messages that read back as these points, as few as hold them under `limit` bytes.

    Every point carries its time, so that it is not taken for the time of the new message.
    """
    for run in packed(_documents(points, limit - 2), limit - 2):
        yield bytes(run[0]) if len(run) == 1 else _ENCODER.encode(run)


def write_envelope(region: str, resource_id: str, namespace: str, points: list[Raw]) -> bytes:
    """A document around points of one address; what is empty is for the reader to fill in."""
    return _ENCODER.encode(_envelope(region, resource_id, namespace, points))


def write_point(point: Point, *, timed: bool = True) -> bytes:
    """What a document holds of a point; without its time it is of when it is enqueued."""
    return _ENCODER.encode(_written(point, utc_text(point.time) if timed else UNSET))


def _documents(points: Iterable[Point], limit: int) -> Iterator[bytes]:
    """A document for each address, or several where one would be too long."""
    ordered = sorted(points, key=_address)
    for (region, resource_id, namespace), group in groupby(ordered, key=_address):
        envelope = _envelope(region, resource_id, namespace)
        room = limit - size_in_queue(_ENCODER.encode(envelope))
        for batch in packed(map(write_point, group), room):
            yield _ENCODER.encode(msgspec.structs.replace(envelope, points=batch))


def _address(point: Point) -> tuple[str, str, str]:
    return point.lane.region, point.lane.resource_id, point.namespace


def _envelope(
    region: str, resource_id: str, namespace: str, points: list[Raw] | None = None
) -> PointsParts:
    return PointsParts(
        points or [],
        namespace or UNSET,
        resource_id=resource_id or UNSET,
        region=region or UNSET,
    )


def _written(point: Point, time: str | UnsetType) -> PointIn:
    dimensions = point.dimensions
    one = not isinstance(point.value, tuple)
    return PointIn(
        point.metric,
        dimensions=Raw(_ENCODER.encode(dict(dimensions))) if dimensions else UNSET,
        time=time,
        value=point.sum if one else UNSET,
        min=UNSET if one else point.min,
        max=UNSET if one else point.max,
        sum=UNSET if one else point.sum,
        count=UNSET if one else point.count,
    )
