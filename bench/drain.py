"""Measure how fast messages are processed if each POST takes 100 ms: `python -m bench.drain`.

The app on one loop, a feeder in place of its queue, the store a process of its own; beside one POST
for each message as it came, made by as many threads, which is how people begin. Each point has a
time of its own, as from a producer; in the last case the points share 20 times.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import NamedTuple

import requests

from bench.feeder import SITE, Feeder, make_messages, open_app
from bench.measuring import Goal, Row, Spread, conclude, interleaved, options, say
from bench.store import Store, run_store

__all__ = ["main"]

LATENCY = 0.1
# Of the app: MAX_POSTS.
THREADS = 32
SERIES = 50


class Case(NamedTuple):
    """The inputs of a measurement."""

    in_flight: int
    per_message: int
    stamped: bool = True  # Each point has a time of its own.


JUDGED = Case(288, 150)
CASES = (Case(1, 30), Case(32, 30), Case(288, 1), JUDGED, Case(288, 300), Case(288, 150, False))
ROUNDS = 5
# How many times as many messages are processed as are in flight.
TURNS = {1: 20, 32: 10, 288: 10}
GOALS = {"messages/s": 2_000, "points/s": 300_000, "messages a POST": 50, "ms added": 5}


def post_each(url: str, messages: Sequence[bytes], in_flight: int) -> float:
    """POST each message as it is, in THREADS threads; return the seconds."""
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=THREADS))

    def post(message: bytes) -> None:
        session.post(f"{url}/westeurope{SITE}/metrics", data=message, timeout=30)

    with session, ThreadPoolExecutor(min(in_flight, THREADS)) as threads:
        started = time.perf_counter()
        list(threads.map(post, messages))
        return time.perf_counter() - started


class _Measurement:
    """Messages of one case, and what processing them takes."""

    def __init__(self, app: Feeder, store: Store, case: Case, quick: bool) -> None:
        self._app, self._store = app, store
        self._case = case
        turns = 2 if quick else TURNS[case.in_flight]
        self._messages = make_messages(
            case.in_flight * turns, case.per_message, series=SERIES, stamped=case.stamped
        )
        self.posts: list[int] = []
        self.cpu: list[float] = []

    def measure(self, rounds: int) -> dict[str, object]:
        """Return the figures of the case; rates are messages a second."""
        contenders: dict[str, Callable[[], float]] = {"ours": self._ours, "each": self._each}
        taken = interleaved(contenders, rounds)
        count, per_message = len(self._messages), self._case.per_message
        ours = Spread.of(taken["ours"])
        milliseconds = [1000 / rate * self._case.in_flight for rate in taken["ours"]]
        return {
            "in_flight": self._case.in_flight,
            "points_a_message": per_message,
            "times": "own" if self._case.stamped else "shared",
            "messages/s": ours,
            "points/s": Spread.of([rate * per_message for rate in taken["ours"]]),
            "messages a POST": Spread.of([count / posts for posts in self.posts]),
            "ms added": Spread.of([each - LATENCY * 1000 for each in milliseconds]),
            "cpu µs a point": median(self.cpu) / count / per_message * 1e6,
            "messages/s, a POST each": Spread.of(taken["each"]),
        }

    def _ours(self) -> float:
        used = time.process_time()
        seconds = self._app.feed(self._messages, self._case.in_flight)
        self.cpu.append(time.process_time() - used)
        totals = self._store.totals()
        expected = len(self._messages) * self._case.per_message
        if totals.points != expected:
            raise SystemExit(f"{totals.points} points came, not {expected}")
        self.posts.append(totals.posts)
        return len(self._messages) / seconds

    def _each(self) -> float:
        # As many as take two POSTs of each thread: each takes the same.
        some = self._messages[: 2 * min(self._case.in_flight, THREADS)]
        rate = len(some) / post_each(self._store.url, some, self._case.in_flight)
        self._store.totals()
        return rate


def run(quick: bool) -> Row:
    """Measure all cases."""
    figures = []
    with run_store() as store, open_app(store) as app:
        store.delay(LATENCY)
        for case in CASES:
            figures.append(_Measurement(app, store, case, quick).measure(1 if quick else ROUNDS))
            say(", ".join(f"{name} {_text(figure)}" for name, figure in figures[-1].items()))
    judged = figures[CASES.index(JUDGED)]
    alone = figures[0]
    goals = [
        Goal(f"{name}, 288 in flight of 150 points", found, limit, at_least=True)
        for name, limit in GOALS.items()
        if name != "ms added" and isinstance(found := judged[name], Spread)
    ]
    added = alone["ms added"]
    assert isinstance(added, Spread)  # noqa: S101 (for the types)
    goals.append(Goal("ms added to a POST, 1 in flight", added, GOALS["ms added"]))
    return Row("drain", tuple(goals), tuple(figures), quick)


def _text(figure: object) -> str:
    return f"{figure:.2f}" if isinstance(figure, float) else str(figure)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; return the exit status."""
    given = options(__doc__).parse_args(arguments)
    return conclude(run(given.quick), given)


if __name__ == "__main__":
    sys.exit(main())
