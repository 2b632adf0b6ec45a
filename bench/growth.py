"""Whether a point takes longer where there are many: `python -m bench.growth`.

More points waiting, more resources, more series, each by a factor of ten at a time, in fresh
processes; the store answers at once. What a point takes of the processor may not grow.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from math import inf
from statistics import median

from bench.feeder import Feeder, feed, make_messages, open_app
from bench.measuring import MIB, Goal, Row, Spread, apart, conclude, options, resident, say
from bench.store import run_store
from shared.pipeline.processor import Processor

__all__ = ["main"]

PER_MESSAGE = 250
WAITING = (1_000, 10_000, 100_000, 1_000_000)
RESOURCES = (10, 100, 1_000, 10_000)
SERIES = (50, 500, 5_000, 50_000)
# Points of each resource, and of each series.
PER_RESOURCE, PER_SERIES = 10, 20
# Of the largest, in relation to the least of those before it: more would be more than linear,
# and caches of a processor are only so large.
GOAL = 1.5
ROUNDS = 3
# Small sizes are done again and again for so many seconds.
LEAST_SECONDS = 0.5


def _micros(app: Feeder, messages: Sequence[bytes], points: int) -> float:
    """Microseconds of the processor a point, all messages in flight; the median of some rounds."""
    taken: list[float] = []
    while len(taken) < ROUNDS or sum(taken) < LEAST_SECONDS:
        used = time.process_time()
        app.feed(messages, len(messages))
        taken.append(time.process_time() - used)
    return median(taken) / points * 1e6


def waiting(points: int) -> dict[str, float]:
    """Points that are all there at once, of 50 series; and the memory while no POST is answered."""
    messages = make_messages(points // PER_MESSAGE, PER_MESSAGE, series=50)
    with run_store() as store, open_app(store) as app:
        app.feed(messages[:2], 1)

        async def held(processor: Processor) -> float:
            store.delay(inf)
            before = resident()
            tasks = [asyncio.create_task(feed(processor, [message], 1)) for message in messages]
            for _ in range(100):  # Each comes as far as it can.
                await asyncio.sleep(0)
            more = resident() - before
            store.delay(0)
            await asyncio.gather(*tasks)
            return more

        memory = app.run(held) * MIB / points
        return {"size": points, "µs a point": _micros(app, messages, points), "bytes": memory}


def resources(number: int) -> dict[str, float]:
    """So many resources, with ten points each."""
    points = number * PER_RESOURCE
    messages = make_messages(number, PER_RESOURCE, series=1, resources=number)
    return _grown(messages, number, points)


def series(number: int) -> dict[str, float]:
    """So many series of one resource, with twenty points each."""
    points = number * PER_SERIES
    # Rolled up alike however many there are.
    messages = make_messages(points // PER_MESSAGE, PER_MESSAGE, series=number, in_a_row=PER_SERIES)
    return _grown(messages, number, points)


def _grown(messages: Sequence[bytes], number: int, points: int) -> dict[str, float]:
    """The time of each point, and the memory that stays for each resource or series."""
    with run_store() as store, open_app(store) as app:
        app.feed(messages[:2], 1)
        before = resident()
        app.feed(messages, 288)
        memory = (resident() - before) * MIB / number
        return {"size": number, "µs a point": _micros(app, messages, points), "bytes": memory}


def run(quick: bool) -> Row:
    """Measure each size in a process of its own."""
    figures: list[dict[str, object]] = []
    goals = []
    for what, measure, sizes, unit in KINDS:
        found = []
        for size in sizes[: 2 if quick else None]:
            found.append(apart(measure, size))
            micros, memory = found[-1]["µs a point"], found[-1]["bytes"]
            say(f"{size:9,} {what:<15} {micros:8.2f} µs a point {memory:10,.0f} bytes a {unit}")
        figures += [{"what": what, **one} for one in found]
        times = [one["µs a point"] for one in found]
        grown = Spread.of([times[-1] / min(times[:-1])])
        goals.append(Goal(f"time a point, {sizes[-1]:,} {what} ÷ least of fewer", grown, GOAL))
    return Row("growth", tuple(goals), tuple(figures), quick)


KINDS = (
    ("points waiting", waiting, WAITING, "point"),
    ("resources", resources, RESOURCES, "resource"),
    ("series", series, SERIES, "series"),
)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; the exit status."""
    given = options(__doc__).parse_args(arguments)
    return conclude(run(given.quick), given)


if __name__ == "__main__":
    sys.exit(main())
