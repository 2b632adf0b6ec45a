"""A limit on what the relay asks of one account: so many requests at once, and a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

from shared.deadline import Deadline
from shared.errors import LateError

__all__ = ["Gate"]

_T = TypeVar("_T")
_Result = TypeVar("_Result")

# Seconds that a service may keep the gate closed; a wrong Retry-After must not end a source.
_LONGEST_CLOSED = 600.0


class Gate:
    """Shared by all that asks one account, from whatever thread."""

    def __init__(
        self,
        *,
        at_once: int,
        per_second: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._at_once = at_once
        self._slots = threading.BoundedSemaphore(at_once)
        self._interval = 1 / per_second
        # What was not asked for while it was idle may be asked for at once.
        self._burst = max(per_second, 1.0) * self._interval
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next = clock()
        self._closed_until = clock()
        self._limits = f"at most {at_once} requests at once and {per_second:g} a second"
        self._why_closed = ""

    @contextmanager
    def turn(self, until: Deadline) -> Iterator[None]:
        """One request's turn, waited for. Raises LateError at once if it comes too late."""
        if not self._slots.acquire(timeout=until.left()):
            raise LateError(self._limits)
        try:
            self._pace(until)
            yield
        finally:
            self._slots.release()

    def close(self, seconds: float, why: str) -> None:
        """Let nothing through for so long: the service asked for that."""
        with self._lock:
            end = self._clock() + min(seconds, _LONGEST_CLOSED)
            if end > self._closed_until:
                self._closed_until, self._why_closed = end, why

    def each(
        self,
        function: Callable[[_T], _Result],
        items: Sequence[_T],
        until: Deadline,
        what: str,
    ) -> Iterator[_Result]:
        """Yield the function of each item, in order; the function takes its turns by itself.

        Raises LateError after the last that was there in time; `what` names the items in it. What
        hangs is left to its own time-outs.
        """
        # Threads of its own: what hangs in those of one caller holds up no other.
        threads = ThreadPoolExecutor(self._at_once, thread_name_prefix="gate")
        running = [threads.submit(function, item) for item in items]
        done, late = wait(running, timeout=until.left())
        threads.shutdown(wait=False, cancel_futures=True)
        missing, why = len(late), "no answer yet"
        for future in running:
            if future not in done:
                continue
            try:
                result = future.result()
            except LateError as exc:
                missing, why = missing + 1, str(exc)
            else:
                yield result
        if missing:
            raise LateError(f"{missing} of {len(items)} {what} not read in time: {why}")

    def _pace(self, until: Deadline) -> None:
        with self._lock:
            now = self._clock()
            turn = max(self._next, now - self._burst) + self._interval
            closed = self._closed_until > now
            if closed:
                turn = max(turn, self._closed_until)
            pause = turn - now
            if pause > until.left():
                raise LateError(self._why_closed if closed else self._limits)
            self._next = turn
        if pause > 0:
            self._sleep(pause)
