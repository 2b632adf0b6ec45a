"""Measure latency and memory under sustained load: `python -m bench.sustained`.

Half of the top rate, which is measured first: how long a message waits until its points are
published, and whether memory grows. A feeder stands in for the queue, with up to 288 messages in
flight, as the host has; the others wait, and that counts.
"""

from __future__ import annotations

import argparse
import asyncio
from array import array
from statistics import median, quantiles

from bench.feeder import make_messages, new_origin, open_app
from bench.measuring import Goal, Spread, main_of, progress, resident
from bench.store import Store, run_store
from shared.pipeline.processor import Processor

__all__ = ["run"]

# Seconds: with --all, without, and with --quick.
LONG, SHORT, QUICK = 600, 60, 5
IN_FLIGHT, PER_MESSAGE, SERIES = 288, 30, 500
# MiB between the end and when everything has been used once.
GOAL_MIB = 5
# Messages that are made at a time, so that their points do not grow old.
BATCH = 288
SAMPLES = 50


class _Load:
    """Messages that come evenly, and what each waited."""

    def __init__(self, processor: Processor, store: Store, rate: float, seconds: float) -> None:
        self._processor, self._store = processor, store
        self._rate, self._seconds = rate, seconds
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self.waited = array("d")  # Small, since it grows.
        self.memory: list[float] = []

    async def run(self) -> float:
        """Go on to the end; return how many messages there were."""
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


def run(given: argparse.Namespace) -> list[Goal]:
    """Measure the top rate, then go on at half of it."""
    seconds = QUICK if given.quick else LONG if given.all else SHORT
    with run_store() as store, open_app(store) as app:
        messages = make_messages(IN_FLIGHT * (2 if given.quick else 20), PER_MESSAGE, series=SERIES)
        app.feed(messages, IN_FLIGHT)
        top = len(messages) / app.feed(messages, IN_FLIGHT)
        del messages
        store.totals()
        progress(f"top rate {top:,.0f} messages/s of {PER_MESSAGE} points; {seconds} s at half")
        load: list[_Load] = []

        async def half(processor: Processor) -> float:
            load.append(_Load(processor, store, top / 2, seconds))
            return await load[0].run()

        count = app.run(half)
    waited, memory = load[0].waited, load[0].memory
    percentiles = quantiles(waited, n=100)
    tenth = max(1, len(memory) // 10)
    early, late = median(memory[tenth : 2 * tenth]), median(memory[-tenth:])
    progress(
        f"{count:,.0f} messages in {seconds} s; p50 {percentiles[49] * 1000:.0f} ms, "
        f"p99 {percentiles[98] * 1000:.0f} ms, at most {max(waited) * 1000:.0f} ms; "
        f"{early:.1f} MiB after a tenth, {late:.1f} MiB at the end"
    )
    return [Goal(f"MiB grown in {seconds} s", Spread.of(late - early), GOAL_MIB)]


if __name__ == "__main__":
    main_of("sustained", __doc__, run)
