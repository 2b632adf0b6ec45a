"""A guard against the limit of active series: too many, and the store refuses all new ones.

Source: "Custom metrics in Azure Monitor", quotas and limits: 50,000 active time series in a
subscription and region; active is what had a value in the last 12 hours.

A series is kept as a hash of 64 bits and when it was last seen: some 100 bytes. Two series of
one hash would count as one, which for 50,000 has a chance of 1 to 10 billion. Each instance of
the app counts for itself, from its start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import nlargest
from operator import attrgetter

from shared.model import Lane, Point

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

_SERIES_OF = attrgetter("series")


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

    def admit(self, lane: Lane, points: Sequence[Point]) -> tuple[list[Point], list[Point]]:
        """The points of a lane (with its region) that pass, and those that are one too many."""
        step = int(self._clock() // _STEP)
        scope = self._scopes.setdefault(_scope_of(lane), _Scope())
        known = len(scope.seen)
        scope.purge(step)
        resource_id = lane.resource_id.lower()
        seen = scope.seen
        refused: list[Point] = []
        # Each series once: there are mostly many points of it.
        hashes = {hash((resource_id, series)) for series in set(map(_SERIES_OF, points))}
        if len(seen) + len(hashes.difference(seen)) <= self._most:
            seen.update(dict.fromkeys(hashes, step))
            passed = list(points)
        else:
            passed, refused = self._admit_some(seen, resource_id, points, step)
        self._series += len(seen) - known
        if self._series > self._most_series or len(self._scopes) > _MOST_SCOPES:
            self._make_room(step)
        return passed, refused

    def _admit_some(
        self, seen: dict[int, int], resource_id: str, points: Iterable[Point], step: int
    ) -> tuple[list[Point], list[Point]]:
        """Those of series that are known, and of the first new ones."""
        passed: list[Point] = []
        refused: list[Point] = []
        for point in points:
            series = hash((resource_id, point.series))
            if series not in seen and len(seen) >= self._most:
                refused.append(point)
                continue
            seen[series] = step
            passed.append(point)
        return passed, refused

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
