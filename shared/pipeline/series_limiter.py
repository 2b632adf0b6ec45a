"""The limit of active series: beyond it, the store rejects all new ones.

Source: "Custom metrics in Azure Monitor", quotas and limits: 50,000 active time series per
subscription and region; a series is active for 12 hours after its last value.

A series is kept as a hash of 64 bits and when it was last seen: some 100 bytes. Two series with
one hash would count as one; for 50,000 series the chance is 1 to 10 billion. Each instance of the
app counts for itself, from its start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from heapq import nlargest

from shared.model import Series, Target

__all__ = ["SeriesLimiter"]

# Seconds; the time of a series' last value is kept in steps of half an hour, for 12 hours.
STEP = 1800.0
ACTIVE_STEPS = 24
# Series of all subscriptions and regions together: 50 MB. Beyond, the smallest scopes are
# forgotten, since a producer may invent scopes; a scope itself counts as some series.
MAX_TOTAL_SERIES = 500_000
SCOPE_SERIES = 500
# Scopes that are reported, so that invented ones do not become series themselves.
MAX_GAUGES = 20


class _Scope:
    """The active series of one subscription and region."""

    def __init__(self) -> None:
        self.seen: dict[int, int] = {}  # Hash of the series -> last step.
        self._purged = -1

    def __len__(self) -> int:
        return len(self.seen) + SCOPE_SERIES

    def purge(self, step: int) -> None:
        """Forget series that are no longer active."""
        if step != self._purged:
            self._purged = step
            oldest = step - ACTIVE_STEPS
            self.seen = {series: last for series, last in self.seen.items() if last >= oldest}


class SeriesLimiter:
    """Admits known series, and new ones up to a limit per subscription and region."""

    def __init__(
        self,
        limit: int,
        *,
        max_total: int = MAX_TOTAL_SERIES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._max_total = max_total
        self._clock = clock
        self._scopes: dict[tuple[str, str], _Scope] = {}

    def excess(self, target: Target, series: Iterable[Series]) -> set[Series]:
        """Note series of a resolved target as active; return the new ones beyond the limit."""
        step = int(self._clock() // STEP)
        key = _scope_of(target)
        scope = self._scopes.setdefault(key, _Scope())
        before = len(scope)
        scope.purge(step)
        resource = hash(target.resource_id.lower())
        hashes = {resource ^ hash(one): one for one in series}
        excess: set[Series] = set()
        if len(scope.seen) + len(set(hashes).difference(scope.seen)) <= self._limit:
            scope.seen.update(dict.fromkeys(hashes, step))
        else:
            for hashed, one in hashes.items():
                if hashed in scope.seen or len(scope.seen) < self._limit:
                    scope.seen[hashed] = step
                else:
                    excess.add(one)
        if len(scope) > before or before == SCOPE_SERIES:
            self._evict()
        return excess

    def describe(self, target: Target) -> str:
        """Return why a series of the target was rejected."""
        subscription, region = _scope_of(target)
        return (
            f"active series limit reached: {self._limit:,} in subscription {subscription} and "
            f"region {region} (METRICS_MAX_ACTIVE_SERIES); a series frees its slot after 12 hours "
            "without a value"
        )

    def gauges(self) -> Iterator[tuple[str, float, dict[str, str]]]:
        """Yield the number of active series of the largest subscriptions and regions."""
        step = int(self._clock() // STEP)
        for scope in self._scopes.values():
            scope.purge(step)
        largest = nlargest(MAX_GAUGES, self._scopes.items(), key=lambda item: len(item[1]))
        for (subscription, region), scope in largest:
            if scope.seen:
                dimensions = {"Subscription": subscription, "Region": region}
                yield "ActiveSeries", len(scope.seen), dimensions

    def _evict(self) -> None:
        total = sum(map(len, self._scopes.values()))
        while total > self._max_total and len(self._scopes) > 1:
            smallest = min(self._scopes, key=lambda key: len(self._scopes[key]))
            total -= len(self._scopes.pop(smallest))


def _scope_of(target: Target) -> tuple[str, str]:
    """Return subscription and region."""
    return target.resource_id.split("/", 3)[2].lower(), target.region
