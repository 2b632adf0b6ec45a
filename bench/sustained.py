"""Whether an hour is like a minute: `python -m bench.sustained`.

Half the rate that is possible, measured first, for as long as it is told: what a message waits
until its points are published, and whether memory grows. A feeder in the place of the queue, with
at most 288 messages in flight, as the host has; the others wait, and that counts.
"""

from __future__ import annotations

import asyncio
import sys
from array import array
from statistics import median, quantiles

from bench.feeder import make_messages, new_origin, open_app
from bench.measuring import Goal, Row, Spread, conclude, options, resident, say
from bench.store import Store, run_store
from shared.pipeline.processor import Processor

__all__ = ["main"]

SECONDS = 600
LATENCY = 0.1
IN_FLIGHT, PER_MESSAGE, SERIES = 288, 30, 500
# MiB that it may be more at the end than when everything had been used once.
GOAL_MIB = 5
# Messages that are made at a time: their points must not grow old.
BATCH = 288
SAMPLES = 50


class _Load:
    """Messages that come evenly, and what each waited."""

    def __init__(self, processor: Processor, store: Store, rate: float, seconds: float) -> None:
        self._processor, self._store = processor, store
        self._rate, self._seconds = rate, seconds
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self.waited = array("d")  # As little as can be of what grows.
        self.memory: list[float] = []

    async def run(self) -> float:
        """Go on to the end; how many messages there were."""
        loop = asyncio.get_running_loop()
        started, number = loop.time(), 0
        messages: list[bytes] = []
        every = self._seconds / SAMPLES
        running: set[asyncio.Task[None]] = set()
        while loop.time() < started + self._seconds:
            if not messages:
                messages = make_messages(BATCH, PER_MESSAGE, series=SERIES)
            due = started + number / self._rate
            await asyncio.sleep(max(0.0, due - loop.time()))
            task = asyncio.create_task(self._one(messages.pop(), due))
            running.add(task)
            task.add_done_callback(running.discard)
            number += 1
            if loop.time() > started + every * (len(self.memory) + 1):
                self.memory.append(resident())
                await asyncio.to_thread(self._store.totals)  # It forgets what it was sent.
        await asyncio.gather(*running)
        return float(number)

    async def _one(self, message: bytes, due: float) -> None:
        async with self._slots:
            await self._processor.process(message, new_origin())
        self.waited.append(asyncio.get_running_loop().time() - due)


def run(seconds: float, quick: bool) -> Row:
    """Measure the top rate for some seconds, then go on at half of it."""
    with run_store() as store, open_app(store) as app:
        store.delay(LATENCY)
        messages = make_messages(IN_FLIGHT * (2 if quick else 20), PER_MESSAGE, series=SERIES)
        app.feed(messages, IN_FLIGHT)
        top = len(messages) / app.feed(messages, IN_FLIGHT)
        del messages
        store.totals()
        say(f"top rate {top:,.0f} messages/s of {PER_MESSAGE} points; {seconds:g} s at half of it")
        load: list[_Load] = []

        async def half(processor: Processor) -> float:
            load.append(_Load(processor, store, top / 2, seconds))
            return await load[0].run()

        count = app.run(half)
    waited, memory = load[0].waited, load[0].memory
    percentiles = quantiles(waited, n=100)
    tenth = max(1, len(memory) // 10)
    early, late = median(memory[tenth : 2 * tenth]), median(memory[-tenth:])
    figures = {
        "seconds": seconds,
        "top messages/s": top,
        "messages": count,
        "points": count * PER_MESSAGE,
        "p50 ms": percentiles[49] * 1000,
        "p99 ms": percentiles[98] * 1000,
        "most ms": max(waited) * 1000,
        "MiB after a tenth": early,
        "MiB at the end": late,
    }
    say(", ".join(f"{name} {value:,.1f}" for name, value in figures.items()))
    goals = (Goal(f"MiB grown in {seconds:g} s", Spread.of([late - early]), GOAL_MIB),)
    return Row("sustained", goals, (figures,), quick)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; the exit status."""
    parser = options(__doc__)
    parser.add_argument("--seconds", type=float, help=f"default: {SECONDS}; 5 with --quick")
    given = parser.parse_args(arguments)
    return conclude(run(given.seconds or (5 if given.quick else SECONDS), given.quick), given)


if __name__ == "__main__":
    sys.exit(main())
