"""Waiting that a stop can cut short, and how long to wait for a queue that stays empty."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

__all__ = ["MINIMUM_INTERVAL", "Backoff", "wait"]

# Storage.Queues extension: QueuePollingIntervals, RandomizedExponentialBackoffStrategy.
MINIMUM_INTERVAL = 0.1  # Seconds.
SPREAD = 0.2  # Each step is up to this share longer or shorter.


async def wait(event: asyncio.Event, seconds: float) -> bool:
    """True as soon as `event` is set, False when `seconds` have passed first."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


class Backoff:
    """Seconds from one fruitless poll to the next: 0.1, then growing twofold up to `maximum`."""

    def __init__(
        self, maximum: float, spread: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._maximum = maximum
        self._spread = spread
        self._step = 0.0

    def reset(self) -> None:
        """Start over: the last poll found something."""
        self._step = 0.0

    def next(self) -> float:
        """How long to wait now."""
        pause = MINIMUM_INTERVAL + self._step * self._spread(1 - SPREAD, 1 + SPREAD)
        if pause >= self._maximum:
            return self._maximum
        self._step = 2 * self._step or MINIMUM_INTERVAL
        return pause
