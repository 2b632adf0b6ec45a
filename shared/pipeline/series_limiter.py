"""A guard against the limit of active series: too many, and the store refuses all new ones.

Source: "Custom metrics in Azure Monitor", quotas and limits: 50,000 active time series in a
subscription and region; active is what had a value in the last 12 hours.

A series is kept as a hash of 64 bits and when it was last seen: some 100 bytes. Two series of
one hash would count as one, which for 50,000 has a chance of 1 to 10 billion. Each instance of
the app counts for itself, from its start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from heapq import nlargest

from shared.batch import Batch
from shared.model import Lane, Series

__all__ = ["Guard"]

# Seconds: after 12 hours without a value a series is no longer active. They are told apart by
# the half hour.
_STEP = 1800.0
_STEPS = 24
# Series of all subscriptions and regions together: 50 MB. Where there are more, or more scopes,
# those of the smallest are forgotten: scopes that a producer makes up push out no real one.
_MOST_SERIES = 500_000
_MOST_SCOPES = 1_000
_MOST_GAUGES = 20


class _Scope:
    """The active series of one subscription and region."""

    def __init__(self) -> None:
        self.seen: dict[int, int] = {}  # Hash of the series -> the last half hour.
        self._purged = -1

    def purge(self, step: int) -> None:
        """Forget what is no longer active."""
        if step != self._purged:
            self._purged = step
            oldest = step - _STEPS
            self.seen = {series: last for series, last in self.seen.items() if last >= oldest}


class Guard:
    """Lets known series pass, and new ones as long as there is room for them."""

    def __init__(
        self,
        most: int,
        *,
        most_series: int = _MOST_SERIES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._most_series = most_series
        self._clock = clock
        self._scopes: dict[tuple[str, str], _Scope] = {}
        self._series = 0  # Of all scopes.

    def admit(self, batch: Batch) -> tuple[Batch, Batch]:
        """The points of a lane (with its region) that pass, and those that are one too many."""
        step = int(self._clock() // _STEP)
        scope = self._scopes.setdefault(_scope_of(batch.lane), _Scope())
        known = len(scope.seen)
        scope.purge(step)
        # Each series once: there are mostly many points of it.
        refused = self._note(scope.seen, batch.lane, dict.fromkeys(batch.series), step)
        self._series += len(scope.seen) - known
        if self._series > self._most_series or len(self._scopes) > _MOST_SCOPES:
            self._make_room(step)
        if not refused:
            return batch, batch.pick(())
        series = list(enumerate(batch.series))
        passed = batch.pick([position for position, one in series if one not in refused])
        return passed, batch.pick([position for position, one in series if one in refused])

    def _note(
        self, seen: dict[int, int], lane: Lane, given: Iterable[Series], step: int
    ) -> set[Series]:
        """Note known series, and new ones while there is room; those for which there is none."""
        resource_id = lane.resource_id.lower()
        hashes = {hash((resource_id, series)): series for series in given}
        # A set looks each up among the seen; the difference of keys goes through all of the seen.
        if len(seen) + len(set(hashes).difference(seen)) <= self._most:
            seen.update(dict.fromkeys(hashes, step))
            return set()
        refused = set()
        for hashed, series in hashes.items():
            if hashed not in seen and len(seen) >= self._most:
                refused.add(series)
            else:
                seen[hashed] = step
        return refused

    def gauges(self) -> Iterator[tuple[str, float, dict[str, str]]]:
        """How many series are active, for the subscriptions and regions with the most."""
        self._purge(int(self._clock() // _STEP))
        # Each is a series of its own; regions that a producer makes up must not become some.
        largest = nlargest(_MOST_GAUGES, self._scopes.items(), key=lambda item: len(item[1].seen))
        for (subscription, region), scope in largest:
            if scope.seen:
                dimensions = {"Subscription": subscription, "Region": region}
                yield "ActiveSeries", len(scope.seen), dimensions

    def _purge(self, step: int) -> None:
        for scope in self._scopes.values():
            scope.purge(step)
        self._series = sum(len(scope.seen) for scope in self._scopes.values())

    def _make_room(self, step: int) -> None:
        self._purge(step)
        while len(self._scopes) > 1 and (
            self._series > self._most_series or len(self._scopes) > _MOST_SCOPES
        ):
            smallest = min(self._scopes, key=lambda key: len(self._scopes[key].seen))
            self._series -= len(self._scopes.pop(smallest).seen)

    def why(self, lane: Lane) -> str:
        """What is said of points that do not pass."""
        subscription, region = _scope_of(lane)
        return (
            f"a new series, and {self._most} are active in subscription {subscription} and region "
            f"{region} (METRICS_MAX_ACTIVE_SERIES); one without a value for 12 hours makes room"
        )


def _scope_of(lane: Lane) -> tuple[str, str]:
    """Subscription and region."""
    return lane.resource_id.split("/", 3)[2].lower(), lane.region
