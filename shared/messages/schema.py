"""The two shapes of a metric message, as types: decoder and JSON Schema are made from them.

1. `DocumentMessage`: a document of the ingestion API plus the address it goes to.
2. `PointsMessage`: points that share an address.

Members named as the queue trigger's own metadata (id, dequeueCount, insertionTime,
expirationTime, nextVisibleTime, popReceipt) must never be added: the Functions host copies such
members of a body over the metadata.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from shared.model import MAX_COUNT, MAX_DIMENSIONS, MAX_NAME_LENGTH
from shared.resource_ids import REGION_PATTERN

__all__ = [
    "Addressed",
    "BaseData",
    "BaseParts",
    "Data",
    "DataParts",
    "DocumentMessage",
    "DocumentParts",
    "Name",
    "PlainMessage",
    "PlainPoint",
    "PointIn",
    "PointsMessage",
    "PointsParts",
    "SeriesIn",
]

Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME_LENGTH)]
# Counted by shared.messages.parser, which says by how many dimensions there are too many.
Names = Annotated[list[Name], Meta(extra_json_schema={"maxItems": MAX_DIMENSIONS})]
Count = Annotated[
    int, Meta(ge=1, le=MAX_COUNT, description="How many samples the value set stands for.")
]
Values = Annotated[list[float], Meta(min_length=1, description="Samples, aggregated to one set.")]
# Held to its pattern by shared.resource_ids, not by msgspec, whose search would let "x\n" pass.
Region = Annotated[
    str,
    Meta(
        description="Where the resource is, such as westeurope.",
        extra_json_schema={"pattern": REGION_PATTERN},
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
        description="ISO 8601, UTC unless it has an offset; when the message was enqueued "
        "if it is missing.",
        examples=["2026-11-23T07:25:00Z"],
    ),
]
# Raw: read by shared.messages.parser, which sees a name that is given twice and remembers what it read.
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
    """A member that is not known is an error: a misspelt one would lose data in silence."""


class Addressed(_Strict, kw_only=True):
    """What may say where points go."""

    resource_id: ResourceId | UnsetType = UNSET
    region: Region | UnsetType = UNSET


class PointIn(Addressed, gc=False):
    """One point: exactly one of value, values, or min with max, sum and count."""

    metric: Name
    namespace: Name | UnsetType = UNSET
    dimensions: DimensionsIn | UnsetType = UNSET
    time: Time | UnsetType = UNSET
    value: float | UnsetType = UNSET
    values: Values | UnsetType = UNSET
    min: float | UnsetType = UNSET
    max: float | UnsetType = UNSET
    sum: float | UnsetType = UNSET
    count: Count | UnsetType = UNSET


class PlainPoint(_Strict, gc=False):
    """A `PointIn` as most are: decoding the others' members would cost all of them."""

    metric: Name
    value: float
    dimensions: DimensionsIn = Raw(b"")  # Nothing, which is not what anybody can write.
    time: Time | UnsetType = UNSET


class PlainMessage(Addressed):
    """A `PointsMessage` of such points."""

    points: Annotated[list[PlainPoint], Meta(min_length=1)]
    namespace: Name | UnsetType = UNSET


class PointsMessage(Addressed):
    """Points with what they have in common; a point's own members win."""

    points: Annotated[list[PointIn], Meta(min_length=1)]
    namespace: Name | UnsetType = UNSET


class PointsParts(Addressed):
    """The same with its points still unread, so that one bad point stands alone."""

    points: Annotated[list[Raw], Meta(min_length=1)]
    namespace: Name | UnsetType = UNSET


class SeriesIn(_Strict):
    """One value set of a document; dimValues in the order of the document's dimNames."""

    min: float
    max: float
    sum: float
    count: Count
    dim_values: Names | UnsetType = UNSET


class BaseData(_Strict):
    """The metric and its series."""

    metric: Name
    series: Annotated[list[SeriesIn], Meta(min_length=1)]
    namespace: Name | UnsetType = UNSET
    dim_names: Names | UnsetType = UNSET


class Data(_Strict):
    """The envelope that the ingestion API puts around a document."""

    base_data: BaseData


class DocumentMessage(Addressed):
    """A document as one would POST it to the ingestion API."""

    data: Data
    time: Time | UnsetType = UNSET


class BaseParts(_Strict):
    metric: Name
    series: Annotated[list[Raw], Meta(min_length=1)]
    namespace: Name | UnsetType = UNSET
    dim_names: Names | UnsetType = UNSET


class DataParts(_Strict):
    base_data: BaseParts


class DocumentParts(Addressed):
    """The same with its series still unread."""

    data: DataParts
    time: Time | UnsetType = UNSET
