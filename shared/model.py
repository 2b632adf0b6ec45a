"""What flows through the relay, and the limits of the store.

A `Rollup` holds what one target is to receive, by minute and series. A message, a sample and the
relay's own telemetry all become roll-ups; a point shares the outcome of its series and minute.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache

import msgspec

__all__ = [
    "MAX_COUNT",
    "MAX_DIMENSIONS",
    "MAX_NAME_LENGTH",
    "PUBLISHED",
    "Aggregates",
    "Dimensions",
    "Origin",
    "Outcome",
    "Outcomes",
    "Reason",
    "Rejection",
    "Results",
    "Rollup",
    "Series",
    "Status",
    "Submit",
    "Target",
    "TimeWindow",
    "ValueSet",
    "merge",
    "minute_of",
]

# Characters of a namespace, metric, dimension name or dimension value.
# Source: Azure Monitor, "Custom metrics", limits and quotas.
MAX_NAME_LENGTH = 256
# Dimensions of a metric. Source: the same; the service answers 400 to the eleventh.
MAX_DIMENSIONS = 10
# Samples in one value set: `count` is an int32.
# Source: OpenAPI document of the ingestion API, 2018-09-01-preview.
MAX_COUNT = 2**31 - 1

# Pairs of name and value, sorted by name without case, so that equal sets compare equal.
Dimensions = tuple[tuple[str, str], ...]


@lru_cache(maxsize=4096)
def _shared_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return one tuple for all series with these names, which saves memory."""
    return names


class Target(msgspec.Struct, frozen=True):
    """A resource and the region that it is published to."""

    region: str  # Empty until it is resolved.
    resource_id: str

    @property
    def key(self) -> tuple[str, str]:
        """What identifies the target: resource IDs compare without case."""
        return self.region, self.resource_id.lower()


class Series(msgspec.Struct, frozen=True, cache_hash=True, gc=False):
    """A metric with its dimensions; names and values have the same order."""

    namespace: str
    metric: str
    dimension_names: tuple[str, ...] = ()
    dimension_values: tuple[str, ...] = ()

    @classmethod
    def of(cls, namespace: str, metric: str, dimensions: Dimensions) -> Series:
        """Return the series with these dimensions."""
        names, values = zip(*dimensions, strict=True) if dimensions else ((), ())
        return cls(namespace, metric, _shared_names(names), values)

    @property
    def dimensions(self) -> dict[str, str]:
        """Names and values."""
        return dict(zip(self.dimension_names, self.dimension_values, strict=True))


class ValueSet(msgspec.Struct, frozen=True, gc=False):
    """Samples of one series, aggregated as the store keeps them."""

    min: float
    max: float
    sum: float
    count: int


Aggregates = dict[datetime, dict[Series, ValueSet]]
"""Minute (UTC) -> series -> value set."""


class Status(StrEnum):
    """What happened to a series and minute."""

    PUBLISHED = "published"  # The store has it.
    DEFERRED = "deferred"  # It may be published later: it goes back to the ingress queue.
    REJECTED = "rejected"  # It will never be published: it goes to the dead-letter queue.


class Reason(StrEnum):
    """Why something is in the dead-letter queue."""

    INVALID = "invalid"  # It breaks the message format or a limit of the store.
    EXPIRED = "expired"  # It is older than the store accepts.
    REJECTED_BY_AZURE = "rejected_by_azure"  # The store rejected it, in its own words.
    TOO_LARGE = "too_large"  # The store answers 413 to a single series.
    FORBIDDEN_SCOPE = "forbidden_scope"  # Its resource is outside METRICS_ALLOWED_SCOPES.
    CARDINALITY = "cardinality"  # A new series beyond METRICS_MAX_ACTIVE_SERIES.


class Outcome(msgspec.Struct, frozen=True, cache_hash=True):
    """What happened to a series and minute, and why."""

    status: Status
    detail: str = ""  # In the service's words, if it gave any.
    reason: Reason | None = None  # Set if it was rejected.


PUBLISHED = Outcome(Status.PUBLISHED)

Outcomes = Mapping[tuple[datetime, Series], Outcome]
"""The exceptions of a delivery, by minute and series; everything else was published."""


class Origin(msgspec.Struct, frozen=True):
    """The queue message that something came with."""

    message_id: str | None = None
    enqueued: datetime | None = None  # UTC.


class Rejection(msgspec.Struct, frozen=True):
    """What will never be published, and why."""

    reason: Reason
    detail: str  # Path, what was found, the limit.
    content: bytes  # A message with only the rejected points, or the body if it is not a message.
    points: int = 1  # How many points, or parts that are not points, it holds.
    resource_id: str | None = None  # Set if it is known.


class TimeWindow(msgspec.Struct, frozen=True):
    """The accepted age of a value."""

    past: timedelta
    future: timedelta


class Rollup(msgspec.Struct):
    """What one target is to receive: minute (UTC) -> series -> values.

    Values stay lists until `aggregate`. Do not change a roll-up after handing it on.
    """

    target: Target
    minutes: dict[datetime, dict[Series, list[float | ValueSet]]] = {}

    @property
    def points(self) -> int:
        """How many values it holds."""
        return sum(sum(map(len, group.values())) for group in self.minutes.values())

    def add(self, time: datetime, series: Series, value: float | ValueSet) -> None:
        """Add a value to the minute of `time` (UTC)."""
        group = self.minutes.setdefault(minute_of(time), {})
        group.setdefault(series, []).append(value)

    def aggregate(self) -> Aggregates:
        """Return one value set for each minute and series.

        Raises OverflowError if a sum is not a finite double or a count not an int32.
        """
        return {
            minute: {series: _aggregate(values) for series, values in group.items()}
            for minute, group in self.minutes.items()
        }

    def aggregate_all(self) -> Iterator[Aggregates]:
        """Yield the value sets of all values: once, unless some of them cannot be added up."""
        rest = self
        while rest.minutes:
            first, rest = rest.split_overflow()
            yield first.aggregate()

    def split_overflow(self) -> tuple[Rollup, Rollup]:
        """Return the first values of each series that add up, and the values after them."""
        first, rest = Rollup(self.target), Rollup(self.target)
        for minute, group in self.minutes.items():
            for series, values in group.items():
                count = _count_addable(values)
                first.minutes.setdefault(minute, {})[series] = values[:count]
                if count < len(values):
                    rest.minutes.setdefault(minute, {})[series] = values[count:]
        return first, rest

    def by_outcome(self, outcomes: Outcomes) -> list[tuple[Rollup, Outcome]]:
        """Return a roll-up for each different outcome."""
        if not outcomes:
            return [(self, PUBLISHED)]
        parts: dict[Outcome, Rollup] = {}
        for minute, group in self.minutes.items():
            for series, values in group.items():
                outcome = outcomes.get((minute, series), PUBLISHED)
                part = parts.setdefault(outcome, Rollup(self.target))
                part.minutes.setdefault(minute, {})[series] = values
        return [(part, outcome) for outcome, part in parts.items()]


Results = list[tuple[Rollup, Outcome]]
"""Roll-ups, each with the outcome of everything in it."""

Submit = Callable[[Sequence[Rollup]], Awaitable[Results]]
"""Publishes roll-ups; returns them with their outcomes."""


def merge(rollups: Iterable[Rollup]) -> Rollup:
    """Return the values of one or more roll-ups of one target; the roll-ups do not change."""
    first, *others = rollups
    if not others:
        return first
    # For each minute, the merged lists, and the series whose list is a copy: a list is copied when
    # a second one comes, since most have only one.
    minutes: dict[datetime, tuple[dict[Series, list[float | ValueSet]], set[Series]]] = {}
    for rollup in (first, *others):
        for minute, group in rollup.minutes.items():
            merged, copied = minutes.setdefault(minute, ({}, set()))
            for series, values in group.items():
                known = merged.get(series)
                if known is None:
                    merged[series] = values
                elif series in copied:
                    known += values
                else:
                    merged[series] = known + values
                    copied.add(series)
    return Rollup(first.target, {minute: merged for minute, (merged, _) in minutes.items()})


def minute_of(time: datetime) -> datetime:
    """Return the beginning of the minute."""
    return time.replace(second=0, microsecond=0)


def _count_addable(values: list[float | ValueSet]) -> int:
    """Return how many of the first values add up: at least one."""

    def overflows(count: int) -> bool:
        try:
            _aggregate(values[:count])
        except OverflowError:
            return True
        return False

    size = 2  # Doubled first: where values overflow, few of them add up.
    while size < len(values) and not overflows(size):
        size *= 2
    sizes = range(size // 2 + 1, min(size, len(values)) + 1)
    return size // 2 + bisect_left(sizes, x=True, key=overflows)


def _aggregate(values: list[float | ValueSet]) -> ValueSet:
    if len(values) == 1:
        value = values[0]
        return value if isinstance(value, ValueSet) else ValueSet(value, value, value, 1)
    try:
        # fsum raises OverflowError rather than return infinity.
        return ValueSet(min(values), max(values), math.fsum(values), len(values))  # type: ignore[type-var,arg-type]
    except TypeError:  # There is a value set among them.
        sets = [_aggregate([value]) for value in values]
    count = sum(one.count for one in sets)
    if count > MAX_COUNT:
        raise OverflowError(f"count {count} is more than {MAX_COUNT}")
    return ValueSet(
        min(one.min for one in sets),
        max(one.max for one in sets),
        math.fsum(one.sum for one in sets),
        count,
    )
