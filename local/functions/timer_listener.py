"""What the Timers extension does: run a function on its schedule, one run at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from local.functions.conversion import timer_argument
from local.functions.index import Function, TimerTrigger
from local.functions.queue_listener import Invoke
from local.functions.waiting import wait

__all__ = ["TimerListener", "utc_now"]

# Seconds slept at a time: a laptop that was shut or whose clock was set finds back within them.
LONGEST_SLEEP = 30.0


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


class TimerListener:
    """Runs a function at each tick of its schedule, in UTC.

    Ticks that pass while it runs become one run at once afterwards. A failed run waits for the
    next tick. Azure marks a run as past due at the start alone, when it finds in its storage that
    a tick was missed; nothing is stored here, so no run is.
    """

    def __init__(
        self,
        function: Function,
        invoke: Invoke,
        *,
        now: Callable[[], datetime] = utc_now,
        sleep: Callable[[asyncio.Event, float], Awaitable[bool]] = wait,
    ) -> None:
        """`sleep(stopping, seconds)` waits, and is true when `stopping` was set."""
        assert isinstance(function.trigger, TimerTrigger)  # noqa: S101 - The host's choice.
        self._function = function
        self._trigger = function.trigger
        self._invoke = invoke
        self._now = now
        self._sleep = sleep
        self.in_work = 0
        self.idle = asyncio.Event()  # No run is under way.
        self.idle.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until `stopping` is set, then finish the run under way."""
        schedule = self._trigger.schedule
        due = self._now() if self._trigger.run_on_startup else schedule.after(self._now())
        while not await self._reached(due, stopping):
            await self._run()
            due = max(schedule.after(due), self._now())

    async def _reached(self, due: datetime, stopping: asyncio.Event) -> bool:
        """Wait for `due`. True when `stopping` was set first."""
        while (remaining := (due - self._now()).total_seconds()) > 0:
            if await self._sleep(stopping, min(remaining, LONGEST_SLEEP)):
                return True
        return stopping.is_set()

    async def _run(self) -> None:
        """One run, whatever comes of it: the invocation has logged a failure."""
        self.in_work = 1
        self.idle.clear()
        await self._invoke(self._function, lambda: timer_argument(past_due=False))
        self.in_work = 0
        self.idle.set()
