"""Messages of points in which nothing is wrong: nearly all of them, read in one go.

How fast this is decides how much one instance can carry. All points are decoded by one call, and
then read column by column, so that a point costs little more than to look up its series and its
time. Whatever is out of the ordinary is left to `shared.messages.parser`, which reads part by part and
says what is wrong.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from shared.batch import Batch
from shared.messages.destination import Address, lane_of, narrowed
from shared.messages.known_series import known_series
from shared.messages.refusal import RefusedError
from shared.messages.schema import PlainMessage, PointsMessage
from shared.messages.validation import Times, value_set
from shared.model import Lane, Value

__all__ = ["read_at_once"]

_PLAIN = msgspec.json.Decoder(PlainMessage)
_ANY = msgspec.json.Decoder(PointsMessage)


def read_at_once(text: bytes, times: Times, defaults: Address) -> list[Batch] | None:
    """The points of a message, or None where it has to be looked at more closely.

    One that has other points among plain ones is decoded twice, up to the first of those.
    """
    try:
        try:
            return _plain(text, times, defaults)
        except msgspec.ValidationError:
            return _any(text, times, defaults)
    except (msgspec.DecodeError, RefusedError, RecursionError):
        return None


def _plain(text: bytes, times: Times, defaults: Address) -> list[Batch] | None:
    """Points of a single value each, all of the message's own address."""
    message = _PLAIN.decode(text)
    points = message.points
    address = narrowed(defaults, message, message.namespace)
    dimensions = [bytes(point.dimensions) for point in points]
    if _lost(text, dimensions):
        return None
    known = known_series[address.namespace]
    series = [known[point.metric][raw] for point, raw in zip(points, dimensions, strict=True)]
    values: list[Value] = [point.value for point in points]
    return [Batch(lane_of(address), series, [times[point.time] for point in points], values)]


def _any(text: bytes, times: Times, defaults: Address) -> list[Batch] | None:
    """Points of any form, each of an address of its own if it says so."""
    message = _ANY.decode(text)
    common = narrowed(defaults, message, message.namespace)
    found: dict[Lane, Batch] = {}
    address = None
    dimensions = []
    for given in message.points:
        own = narrowed(common, given, given.namespace)
        if own is not address:
            address, lane = own, lane_of(own)
            batch = found.get(lane) or found.setdefault(lane, Batch(lane, [], [], []))
        raw = b"" if given.dimensions is UNSET else bytes(given.dimensions)
        dimensions.append(raw)
        batch.series.append(known_series[own.namespace][given.metric][raw])
        batch.times.append(times[given.time])
        values = value_set(given)
        batch.values.append(values if given.value is UNSET else given.value)
    arrays = sum(point.values is not UNSET for point in message.points)
    return None if _lost(text, dimensions, arrays) else list(found.values())


def _lost(text: bytes, dimensions: list[bytes], arrays: int = 0) -> bool:
    """Whether points or dimensions may have been lost to others of the same name.

    Of two such members a decoder keeps the last; there were more brackets than are left. One that
    was a number or a text had none to lose, and is passed over.
    """
    objects = 1 + 2 * len(dimensions) - dimensions.count(b"")
    if text.count(b"{") != objects:
        return True
    if arrays:
        return text.count(b"[") != 1 + arrays
    # Looked for from both ends, which takes a twentieth of the time that counting takes.
    return text.find(b"[") != text.rfind(b"[")
