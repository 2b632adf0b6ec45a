"""Keep a region that does not answer from holding up the others.

A region has a number of slots for POSTs. While it does not answer, a POST that waits for a slot is
given up after some seconds. After some time-outs in a row the circuit opens: no POST is sent, but
for one at a time that finds out whether the region is back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["CircuitBreaker"]

# POSTs in flight to one region, so that a region that hangs leaves threads to the others.
MAX_POSTS_PER_REGION = 8
# Seconds without an answer after which nothing waits for a slot any longer.
MAX_SILENCE = 4.0
# Time-outs in a row that open the circuit, and seconds from one probe to the next.
MAX_TIMEOUTS = 3
PROBE_INTERVAL = 15.0


@dataclass
class CircuitBreaker:
    """The slots of one region, and whether it answers; for one event loop."""

    region: str
    clock: Callable[[], float]
    _slots: asyncio.Semaphore = field(
        init=False, default_factory=lambda: asyncio.Semaphore(MAX_POSTS_PER_REGION)
    )
    _in_flight: int = field(init=False, default=0)
    # By the clock: the last answer, or the first POST after a time in which nothing was sent.
    _silent_since: float = field(init=False, default=0.0)
    _timeouts: int = field(init=False, default=0)
    _next_probe: float = field(init=False, default=0.0)  # By the clock.
    _probing: bool = field(init=False, default=False)

    def is_open(self) -> bool:
        """Return whether no POST is sent now."""
        waits = self._probing or self.clock() < self._next_probe
        return self._timeouts >= MAX_TIMEOUTS and waits

    def reason(self) -> str:
        """Return the reason for not sending a POST."""
        return f"{self.region} does not answer; deferring without a request"

    async def acquire(self) -> bool:
        """Wait for a slot; return False if the POST must not be sent."""
        if self.is_open():
            return False
        self._probing = self._timeouts >= MAX_TIMEOUTS
        if not self._in_flight:
            self._silent_since = self.clock()  # Time without a POST is not silence.
        if not await self._wait_for_slot():
            self._probing = False
            return False
        self._in_flight += 1
        return True

    async def _wait_for_slot(self) -> bool:
        """Wait in the order of arrival; return False if the region is silent for too long."""
        if not self._slots.locked():
            return await self._slots.acquire()
        waiter = asyncio.ensure_future(self._slots.acquire())
        while not waiter.done():
            await asyncio.wait((waiter,), timeout=MAX_SILENCE / 4)
            if not waiter.done() and self.clock() - self._silent_since >= MAX_SILENCE:
                waiter.cancel()
                await asyncio.wait((waiter,))
                if not waiter.cancelled():  # It was granted at this moment.
                    self._slots.release()
                return False
        return True

    def release(self, *, answered: bool = False, timed_out: bool = False) -> None:
        """Give the slot back after an answer or a time-out.

        A POST that had neither does not show whether the region is back.
        """
        self._in_flight -= 1
        self._probing = False
        self._slots.release()
        if timed_out:
            self._timeouts += 1
            self._next_probe = self.clock() + PROBE_INTERVAL
        elif answered:
            self._timeouts = 0
            self._silent_since = self.clock()
