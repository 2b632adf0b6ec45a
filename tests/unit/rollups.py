"""Roll-ups for tests: one moment, one target, and series by their metric."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from shared.model import Rollup, Series, Target, ValueSet

__all__ = [
    "GROUP",
    "MINUTE",
    "NOW",
    "OTHER",
    "REGION",
    "RESOURCE",
    "TARGET",
    "rollup_of",
    "series",
    "value_of",
    "values_in",
]

NOW = datetime(2026, 11, 23, 7, 25, 30, tzinfo=UTC)
MINUTE = NOW.replace(second=0)
GROUP = "/subscriptions/5b2f8c1d-1111-4222-8333-944455566677/resourceGroups/orders"
RESOURCE = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/ordersqueues"
REGION = "westeurope"
TARGET = Target(REGION, RESOURCE)
OTHER = Target(REGION, f"{RESOURCE}2")


def series(metric: str = "m", **dimensions: str) -> Series:
    """Return a series of the namespace n."""
    return Series.of("n", metric, tuple(sorted(dimensions.items())))


def rollup_of(
    target: Target = TARGET, time: datetime = NOW, /, **metrics: float | ValueSet | list[float]
) -> Rollup:
    """Return a roll-up with the values of some metrics in one minute."""
    rollup = Rollup(target)
    for metric, given in metrics.items():
        for value in given if isinstance(given, list) else [given]:
            rollup.add(time, series(metric), value)
    return rollup


def value_of(value: float) -> ValueSet:
    """Return the value set of one value."""
    return ValueSet(value, value, value, 1)


def values_in(rollups: Iterable[Rollup]) -> list[tuple[datetime, str, float | ValueSet]]:
    """Return minute, metric and value of everything in roll-ups, sorted by metric."""
    found = [
        (minute, one.metric, value)
        for rollup in rollups
        for minute, group in rollup.minutes.items()
        for one, values in group.items()
        for value in values
    ]
    return sorted(found, key=lambda item: item[:2])
