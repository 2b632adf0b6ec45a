"""Measure how fast messages are processed if each POST takes 100 ms: `python -m bench.drain`.

The app on one loop, a feeder in place of its queue, the store a process of its own; beside one POST
for each message as it is, made by 32 threads, which is how people begin. Each point has a time of
its own, as from a producer; in the last case the points share 20 times.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import NamedTuple

import requests

from bench.feeder import SITE, Feeder, make_messages, open_app
from bench.measuring import Goal, Spread, interleaved, main_of, progress, ratios
from bench.store import Store, run_store

__all__ = ["run"]

THREADS = 32
SERIES = 50
ROUNDS = 5


class Case(NamedTuple):
    """The inputs of a measurement."""

    in_flight: int
    per_message: int
    stamped: bool = True  # Each point has a time of its own.


JUDGED = Case(288, 150)
CASES = (Case(1, 30), Case(32, 30), Case(288, 1), JUDGED, Case(288, 300), Case(288, 150, False))
# How many times as many messages are processed as are in flight.
TURNS = {1: 20, 32: 10, 288: 10}


def run(given: argparse.Namespace) -> list[Goal]:
    """Measure all cases."""
    goals: list[Goal] = []
    with run_store() as store, open_app(store) as app:
        for case in CASES:
            measurement = _Measurement(app, store, case, given.quick)
            taken = interleaved(measurement.contenders(), 1 if given.quick else ROUNDS)
            rate = Spread.of(*taken["ours"])
            points = Spread.of(*[one * case.per_message for one in taken["ours"]])
            per_post = Spread.of(*measurement.messages_per_post)
            times = "own" if case.stamped else "shared"
            progress(
                f"{case.in_flight} in flight of {case.per_message} points ({times} times): "
                f"{rate} messages/s, {points} points/s, {per_post} messages a POST, "
                f"{median(measurement.cpu):.2f} µs of the processor a point; "
                f"a POST each: {Spread.of(*taken['each'])} messages/s"
            )
            if case == JUDGED:
                where = "288 in flight of 150 points"
                goals += [
                    Goal(f"messages/s, {where}", rate, 2_000, at_least=True),
                    Goal(f"points/s, {where}", points, 300_000, at_least=True),
                    Goal(f"messages a POST, {where}", per_post, 50, at_least=True),
                ]
            elif case.in_flight == 1:
                what = "time ÷ that of a POST alone, 1 in flight"
                goals.append(Goal(what, ratios(taken["each"], taken["ours"]), 1.05))
    return goals


class _Measurement:
    """Messages of one case, and what processing them takes."""

    def __init__(self, app: Feeder, store: Store, case: Case, quick: bool) -> None:
        self._app, self._store, self._case = app, store, case
        count = case.in_flight * (2 if quick else TURNS[case.in_flight])
        self._messages = make_messages(count, case.per_message, series=SERIES, stamped=case.stamped)
        self.messages_per_post: list[float] = []
        self.cpu: list[float] = []  # Microseconds a point.

    def contenders(self) -> dict[str, Callable[[], float]]:
        """Return what takes turns; each returns messages a second."""
        return {"ours": self._ours, "each": self._each}

    def _ours(self) -> float:
        used = time.process_time()
        seconds = self._app.feed(self._messages, self._case.in_flight)
        used = time.process_time() - used
        totals, count = self._store.totals(), len(self._messages)
        points = count * self._case.per_message
        if totals.points != points:
            raise SystemExit(f"{totals.points} points were posted, not {points}")
        self.cpu.append(used / points * 1e6)
        self.messages_per_post.append(count / totals.posts)
        return count / seconds

    def _each(self) -> float:
        # Some POSTs of each thread are enough: each takes the same.
        some = self._messages[: max(20, 2 * min(self._case.in_flight, THREADS))]
        rate = len(some) / _post_each(self._store.url, some, self._case.in_flight)
        self._store.totals()
        return rate


def _post_each(url: str, messages: Sequence[bytes], in_flight: int) -> float:
    """POST each message as it is, in THREADS threads; return the seconds."""
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=THREADS))

    def post(message: bytes) -> None:
        session.post(f"{url}/westeurope{SITE}/metrics", data=message, timeout=30)

    with session, ThreadPoolExecutor(min(in_flight, THREADS)) as threads:
        started = time.perf_counter()
        list(threads.map(post, messages))
        return time.perf_counter() - started


if __name__ == "__main__":
    main_of("drain", __doc__, run)
