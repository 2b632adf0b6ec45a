"""Run a function on its schedule, one run at a time, as the Timers extension does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from local.functions.conversion import timer_argument
from local.functions.index import Function, TimerTrigger
from local.functions.queue_listener import Invoke, wait

__all__ = ["TimerListener"]

# Seconds slept at a time: a laptop that was shut or whose clock was set finds back within them.
MAX_SLEEP = 30.0


def _utc_now() -> datetime:
    return datetime.now(UTC)


class TimerListener:
    """Runs a function at each tick of its schedule, in UTC.

    Ticks that pass while it runs become one run at once afterwards. A failed run waits for the
    next tick.
    """

    def __init__(
        self,
        function: Function,
        invoke: Invoke,
        *,
        now: Callable[[], datetime] = _utc_now,
        sleep: Callable[[asyncio.Event, float], Awaitable[bool]] = wait,
    ) -> None:
        """Prepare to listen; `sleep(stopping, seconds)` returns whether `stopping` was set."""
        assert isinstance(function.trigger, TimerTrigger)  # noqa: S101 - The host's choice.
        self._function = function
        self._trigger = function.trigger
        self._invoke = invoke
        self._now = now
        self._sleep = sleep
        self.in_work = 0

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until `stopping` is set, then finish the run under way."""
        schedule = self._trigger.schedule
        due = self._now() if self._trigger.run_on_startup else schedule.after(self._now())
        while not await self._reached(due, stopping):
            self.in_work = 1
            fired = self._now()
            await self._invoke(self._function, timer_argument)
            self.in_work = 0
            # Not after `due`, which may be long ago: a laptop wakes up.
            due = max(schedule.after(fired), self._now())

    async def _reached(self, due: datetime, stopping: asyncio.Event) -> bool:
        """Wait for `due`. Return True if `stopping` was set first."""
        while (remaining := (due - self._now()).total_seconds()) > 0:
            if await self._sleep(stopping, min(remaining, MAX_SLEEP)):
                return True
        return stopping.is_set()
