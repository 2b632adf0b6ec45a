"""Messages of points in which nothing is wrong: nearly all of them, read in one go.

How fast this is decides how much one instance can carry. All points are decoded by one call, and
a point then costs little more than to look up its series and its time. Whatever is out of the
ordinary is left to `shared.message`, which reads part by part and says what is wrong.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from shared.checks import MOST_REMEMBERED, Times, known_series, series_of, value_set
from shared.destination import Address, lane_of, narrowed
from shared.message_types import PointsMessage
from shared.model import Point
from shared.refusal import RefusedError

__all__ = ["read_at_once"]

_DECODER = msgspec.json.Decoder(PointsMessage)
_NO_DIMENSIONS = b"{}"


def read_at_once(text: bytes, times: Times, defaults: Address) -> list[Point] | None:
    """The points of a message, or None where it has to be looked at more closely."""
    try:
        message = _DECODER.decode(text)
        return _points(text, message, times, narrowed(defaults, message, message.namespace))
    except (msgspec.DecodeError, RefusedError, RecursionError):
        return None


def _points(
    text: bytes, message: PointsMessage, times: Times, common: Address
) -> list[Point] | None:
    points = []
    known = times.known
    address = None
    objects, arrays = 1, 1  # The message itself, and its points.
    for given in message.points:
        own = common
        if not (given.resource_id is UNSET and given.region is UNSET and given.namespace is UNSET):
            own = narrowed(common, given, given.namespace)
        if own is not address:
            address, lane, namespace = own, lane_of(own), own.namespace

        dimensions = _NO_DIMENSIONS
        if given.dimensions is not UNSET:
            dimensions = bytes(given.dimensions)
            objects += 1
        look_up = known_series if len(dimensions) <= MOST_REMEMBERED else series_of
        series = look_up(namespace, given.metric, dimensions)
        time = known.get(given.time) or times.of(given.time)

        if given.values is not UNSET:
            arrays += 1
        elif (
            given.min is UNSET
            and given.max is UNSET
            and given.sum is UNSET
            and given.count is UNSET
            and given.value is not UNSET
        ):
            value = given.value
            points.append(Point(lane, series, time, value, value, value, 1))
            continue
        points.append(Point(lane, series, time, *value_set(given)))

    # A decoder keeps the last of two members of one name: what is in the other would be lost in
    # silence. It would have left more brackets than what was read has.
    if text.count(b"{") != objects + len(points) or text.count(b"[") != arrays:
        return None
    return points
