"""The two shapes of a metric message, as types; the JSON Schema is made from them.

1. `Document[SeriesIn]`: a document of the ingestion API with the resource that it goes to.
2. `Points[PointIn]`: points with what they have in common.

With `Raw` for their parts, these stay undecoded, so that an invalid one stands alone. An optional
member that is null counts as missing.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta, Raw

from shared.model import MAX_COUNT, MAX_DIMENSIONS, MAX_NAME_LENGTH

__all__ = [
    "Addressed",
    "BaseData",
    "Data",
    "Document",
    "Name",
    "PlainPoint",
    "PointIn",
    "Points",
    "Region",
    "ResourceId",
    "SeriesIn",
    "TimedPoint",
]

_Part = TypeVar("_Part")

Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME_LENGTH)]
# The parser counts them, and says how many there are too many.
Names = Annotated[list[Name], Meta(extra_json_schema={"maxItems": MAX_DIMENSIONS})]
# As float, 3.0 is as good as 3: many JSON writers know one kind of number.
Count = Annotated[
    float,
    Meta(ge=1, le=MAX_COUNT, multiple_of=1, description="Number of samples in the value set."),
]
Values = Annotated[list[float], Meta(min_length=1, description="Samples of one value set.")]
# Patterns are for the JSON Schema; `shared.resource_ids` validates. msgspec would search the
# text, and accept "x\n".
Region = Annotated[
    str,
    Meta(
        description="Region of the resource, such as westeurope.",
        extra_json_schema={"pattern": "^[A-Za-z0-9 ]{2,60}$"},
    ),
]
ResourceId = Annotated[
    str,
    Meta(
        description="ID of the resource that the metric belongs to: "
        "/subscriptions/…/resourceGroups/…/providers/….",
        extra_json_schema={"pattern": "^/"},
    ),
]
Time = Annotated[
    str,
    Meta(
        description="ISO 8601; UTC unless it has an offset. If missing, when the message was "
        "enqueued.",
        examples=["2026-11-23T07:25:00Z"],
    ),
]
# Raw, so that the parser can look up the bytes before it decodes them.
DimensionsIn = Annotated[
    Raw,
    Meta(
        description="Names and values; the order does not matter.",
        extra_json_schema=msgspec.json.schema(
            Annotated[dict[Name, Name], Meta(max_length=MAX_DIMENSIONS)]
        ),
    ),
]


class _Strict(msgspec.Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """An unknown member is an error, so that a typing error never loses data in silence."""


class Addressed(_Strict, kw_only=True):
    """The members that say where points go."""

    resource_id: ResourceId | None = None
    region: Region | None = None


class PointIn(Addressed, gc=False, kw_only=True):
    """One point: exactly one of value, values, or min with max, sum and count."""

    metric: Name
    namespace: Name | None = None
    dimensions: DimensionsIn = Raw(b"")  # Empty if missing, which no document can say.
    time: Time | None = None
    value: float | None = None
    values: Values | None = None
    min: float | None = None
    max: float | None = None
    sum: float | None = None
    count: Count | None = None


class PlainPoint(_Strict, gc=False, kw_only=True):
    """A point as most are; decoding has nothing else to look for."""

    metric: Name
    dimensions: Raw = Raw(b"")
    time: datetime | None = None
    value: float


class TimedPoint(PointIn, gc=False, kw_only=True):
    """A point whose time is decoded with it, which is fast."""

    time: datetime | None = None  # type: ignore[assignment]


class Points(Addressed, Generic[_Part], kw_only=True):
    """Points with what they have in common; a point's own members win."""

    points: Annotated[list[_Part], Meta(min_length=1)]
    namespace: Name | None = None


class SeriesIn(_Strict, kw_only=True):
    """One value set of a document; dimValues in the order of the document's dimNames."""

    min: float
    max: float
    sum: float
    count: Count
    dim_values: Names | None = None


class BaseData(_Strict, Generic[_Part], kw_only=True):
    """The metric and its series."""

    metric: Name
    series: Annotated[list[_Part], Meta(min_length=1)]
    namespace: Name | None = None
    dim_names: Names | None = None


class Data(_Strict, Generic[_Part]):
    """The envelope of the ingestion API."""

    base_data: BaseData[_Part]


class Document(Addressed, Generic[_Part], kw_only=True):
    """A document as the ingestion API takes it."""

    data: Data[_Part]
    time: Time | None = None
