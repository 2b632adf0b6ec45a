"""What flows through the relay, and the limits of the store that it flows to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache

import msgspec

__all__ = [
    "MAX_COUNT",
    "MAX_DIMENSIONS",
    "MAX_NAME_LENGTH",
    "Dimensions",
    "Family",
    "Judged",
    "Lane",
    "Point",
    "Reason",
    "Rejection",
    "Series",
    "Status",
    "Value",
    "ValueSet",
    "Verdict",
    "Window",
    "utc_text",
]

# Characters of a namespace, metric, dimension name or dimension value.
# Source: Azure Monitor, "Custom metrics", limits and quotas.
MAX_NAME_LENGTH = 256
# Dimensions of a metric. Source: the same; the service answers 400 to the eleventh.
MAX_DIMENSIONS = 10
# Samples behind one value set: `count` is an int32.
# Source: the ingestion API's OpenAPI document, 2018-09-01-preview.
MAX_COUNT = 2**31 - 1

# (name, value) pairs sorted by name without case, so that the same set always compares equal.
Dimensions = tuple[tuple[str, str], ...]

# min, max, sum, count
ValueSet = tuple[float, float, float, int]
# One that stands alone is its own min, max and sum, of one sample.
Value = float | ValueSet


class Lane(msgspec.Struct, frozen=True):
    """What one POST can carry: the points of one resource, sent to the region it is in."""

    region: str  # Empty until it is looked up.
    resource_id: str

    @property
    def key(self) -> tuple[str, str]:
        """What tells lanes apart: resource IDs compare without case."""
        return self.region, self.resource_id.lower()


class Family(msgspec.Struct, frozen=True, cache_hash=True, gc=False):
    """What the series of one document share."""

    namespace: str
    metric: str
    dimension_names: tuple[str, ...]


# One is the same again, as many series share it.
_known_family = lru_cache(maxsize=4096)(Family)


class Series(msgspec.Struct, frozen=True, cache_hash=True, gc=False):
    """What tells the series of one resource apart; points mostly share theirs with others."""

    family: Family
    dimension_values: tuple[str, ...]

    @classmethod
    def of(cls, namespace: str, metric: str, dimensions: Dimensions) -> Series:
        """The series with these dimensions."""
        names, values = zip(*dimensions, strict=True) if dimensions else ((), ())
        return cls(_known_family(namespace, metric, names), values)

    @property
    def dimensions(self) -> Dimensions:
        """Names and values in pairs."""
        return tuple(zip(self.family.dimension_names, self.dimension_values, strict=True))


class Point(msgspec.Struct, frozen=True, gc=False):
    """One value set of one series at one moment, checked against every limit."""

    lane: Lane
    series: Series
    time: datetime  # UTC
    min: float
    max: float
    sum: float
    count: int

    @classmethod
    def of_one(cls, lane: Lane, series: Series, time: datetime, value: float) -> Point:
        """A point of a single value."""
        return cls(lane, series, time, value, value, value, 1)

    @property
    def value(self) -> Value:
        """Its value where it is of a single one, else its value set."""
        if self.count == 1 and self.min == self.max == self.sum:
            return self.sum
        return self.min, self.max, self.sum, self.count

    @property
    def namespace(self) -> str:
        """The namespace of its series."""
        return self.series.family.namespace

    @property
    def metric(self) -> str:
        """The metric of its series."""
        return self.series.family.metric

    @property
    def dimensions(self) -> Dimensions:
        """The dimensions of its series."""
        return self.series.dimensions


class Reason(StrEnum):
    """Why points are in the dead-letter queue."""

    INVALID = "invalid"  # The message breaks its format or a limit of the store.
    EXPIRED = "expired"  # Older than the store accepts.
    REJECTED_BY_AZURE = "rejected_by_azure"  # The store refused it, in its own words.
    TOO_LARGE = "too_large"  # A series that the store finds too long by itself.
    FORBIDDEN_SCOPE = "forbidden_scope"  # Of a resource outside METRICS_ALLOWED_SCOPES.
    CARDINALITY = "cardinality"  # A new series where METRICS_MAX_ACTIVE_SERIES are active.


class Status(StrEnum):
    """How far a point has come."""

    PUBLISHED = "published"  # In the store.
    REJECTED = "rejected"  # Will never be: belongs into the dead-letter queue.
    DEFERRED = "deferred"  # Not now: belongs back into the ingress queue.


class Verdict(msgspec.Struct, frozen=True):
    """What became of points that went out together."""

    status: Status
    points: Sequence[Point]
    detail: str = ""  # In the service's own words where it had any.
    reason: Reason | None = None  # Of a rejection.


class Judged(msgspec.Struct, frozen=True):
    """What became of some points of a delivery, told by their positions in it."""

    status: Status
    positions: Sequence[int]
    detail: str = ""
    reason: Reason | None = None

    def on(self, points: Sequence[Point]) -> Verdict:
        """The same said of points themselves."""
        return Verdict(self.status, points, self.detail, self.reason)


class Rejection(msgspec.Struct, frozen=True):
    """What will never be published, and why."""

    reason: Reason
    detail: str  # Path, what was found, what is allowed.
    content: bytes  # A message with only what was refused, or the body when it is no message.
    parts: int = 1  # Of the message it came with: points, or what is no point.


class Window(msgspec.Struct, frozen=True):
    """How far from now a point's time may be for the store to accept it."""

    past: timedelta
    future: timedelta


def utc_text(time: datetime) -> str:
    """ISO 8601 with a Z, no fraction unless there is one: 2026-11-23T07:25:00Z."""
    return time.isoformat().replace("+00:00", "Z")
