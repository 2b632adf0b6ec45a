"""Decode a request body into points, checked against every rule of the service: all or nothing.

Members unknown to the service are ignored; member names compare with case.
"""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from typing import Annotated

import msgspec

from .answers import bad_request
from .limits import (
    MAX_COUNT,
    MAX_DIMENSIONS,
    MAX_FUTURE_SECONDS,
    MAX_PAST_SECONDS,
    MAX_TEXT_LENGTH,
)

__all__ = ["JSON", "NDJSON", "Point", "Shape", "ValueSet", "read", "shape_of"]

JSON = "application/json"
NDJSON = "application/x-ndjson"

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT_LENGTH)]
Count = Annotated[int, msgspec.Meta(ge=1, le=MAX_COUNT)]

# A batch holds thousands of these at a time and none of them is ever part of a cycle: gc=False
# keeps the garbage collector from walking over them.


class ValueSet(msgspec.Struct, rename="camel", gc=False):
    """Holds a value set: an entry of a document's `series`, or the aggregate of several."""

    min: float
    max: float
    sum: float
    count: Count
    dim_values: tuple[Text, ...] | None = ()


class _BaseData(msgspec.Struct, rename="camel", gc=False):
    metric: Text
    namespace: Text
    series: Annotated[list[ValueSet], msgspec.Meta(min_length=1)]
    dim_names: tuple[Text, ...] | None = ()  # Null is what Go makes of a list that is none.


class _Data(msgspec.Struct, rename="camel", gc=False):
    base_data: _BaseData


class _Document(msgspec.Struct, gc=False):
    time: str
    data: _Data


class Shape(msgspec.Struct, frozen=True):
    """Holds a metric and its sorted dimension names, as spelled and as compared (lower case)."""

    namespace: str
    metric: str
    dimensions: tuple[str, ...]
    order: tuple[int, ...]
    key: tuple[str, str, tuple[str, ...]]


class Point(msgspec.Struct, frozen=True, gc=False):
    """Holds the values of one series in one minute (minutes since the epoch)."""

    shape: Shape
    dimension_values: tuple[str, ...]
    minute: int
    values: ValueSet


# Python takes any character between date and time, and a fraction of an offset.
_TIME = re.compile(r"[\d-]{10}[T ][\d:.]+(?:Z|[+-]\d\d:\d\d)?", re.ASCII | re.IGNORECASE)
_decode = msgspec.json.Decoder(_Document).decode
_TOO_MANY_DIMENSIONS = f"'dimValues' and 'dimNames' lengths should be lesser than {MAX_DIMENSIONS}"


def read(body: bytes, media_type: str, now: float) -> tuple[int, list[Point]]:
    """Return the number of documents in a body, and all series in them; now in epoch seconds.

    Raises RefusalError for its first fault.
    """
    if media_type == JSON:
        documents = [_document(body)]
    else:
        documents = [
            _document(line, f"line {number}: ")
            for number, line in enumerate(body.split(b"\n"), 1)
            if line and not line.isspace()
        ]
    if not documents:
        raise bad_request("The body holds no document")
    minutes: dict[str, int] = {}  # There are thousands of documents, but few times.
    points: list[Point] = []
    for document in documents:
        minute = minutes.get(document.time)
        if minute is None:
            minute = minutes[document.time] = _minute(document.time, now)
        base = document.data.base_data
        shape = shape_of(base.namespace, base.metric, base.dim_names or ())
        points += [_point(shape, minute, values) for values in base.series]
    return len(documents), points


def _document(raw: bytes, where: str = "") -> _Document:
    try:
        return _decode(raw)
    except (ValueError, RecursionError) as exc:
        raise bad_request(f"{where}{exc}") from exc


def _minute(time: str, now: float) -> int:
    """Return the minute of an ISO 8601 time within the window; without an offset it is UTC."""
    try:
        # Not decoded by msgspec, which rounds 59.9999999 s up to the next minute.
        moment = dt.datetime.fromisoformat(time.upper() if _TIME.fullmatch(time) else "")
    except ValueError as exc:
        raise bad_request("'time' should be an ISO 8601 time") from exc
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    seconds = moment.timestamp()
    if not now - MAX_PAST_SECONDS <= seconds <= now + MAX_FUTURE_SECONDS:
        raise bad_request(
            f"'time' should not be older than {MAX_PAST_SECONDS // 60} minutes"
            f" and not more than {MAX_FUTURE_SECONDS // 60} minutes in the future"
        )
    return int(seconds // 60)


@lru_cache(maxsize=4096)
def shape_of(namespace: str, metric: str, names: tuple[str, ...]) -> Shape:
    """Return a metric with these dimension names, in any order. Raises RefusalError."""
    if len(names) > MAX_DIMENSIONS:
        raise bad_request(_TOO_MANY_DIMENSIONS)
    lowered = [name.lower() for name in names]
    if len(set(lowered)) < len(lowered):
        raise bad_request("'dimNames' should be different from each other")
    order = tuple(sorted(range(len(names)), key=lowered.__getitem__))
    return Shape(
        namespace=namespace,
        metric=metric,
        dimensions=tuple(names[index] for index in order),
        order=order,
        key=(namespace.lower(), metric.lower(), tuple(sorted(lowered))),
    )


def _point(shape: Shape, minute: int, values: ValueSet) -> Point:
    given = values.dim_values or ()
    if len(given) > MAX_DIMENSIONS:
        raise bad_request(_TOO_MANY_DIMENSIONS)
    if len(given) != len(shape.order):
        raise bad_request("'dimValues' and 'dimNames' lengths should be equal")
    if values.min > values.max:
        raise bad_request("'min' should not be greater than 'max'")
    ordered = tuple([given[index] for index in shape.order])  # A list is faster than a generator.
    return Point(shape, ordered, minute, values)
