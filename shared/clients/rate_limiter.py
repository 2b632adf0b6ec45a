"""A limit on what the relay asks of one account: so many requests at once, and a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Generic, NamedTuple, TypeVar

from shared.clients.deadline import Deadline
from shared.errors import LateError

__all__ = ["Answer", "Gate"]

_T = TypeVar("_T")
_Result = TypeVar("_Result")

# Seconds that a service may keep the gate closed; a wrong Retry-After must not end a source.
_LONGEST_CLOSED = 600.0


class Answer(NamedTuple, Generic[_T, _Result]):
    """What was there of one item in time."""

    item: _T
    results: list[_Result]
    whole: bool


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
        """One request's turn, waited for. Raises LateError once it is known to come too late."""
        self._pace(until)
        if not self._slots.acquire(timeout=until.left()):
            raise LateError(self._limits)
        try:
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
        function: Callable[[_T], Iterable[_Result]],
        items: Sequence[_T],
        until: Deadline,
        what: str,
    ) -> Iterator[Answer[_T, _Result]]:
        """Yield what the function gives for each item, in order; it takes its turns by itself.

        What an item gave before the deadline is yielded even if it did not come to its end. What
        hangs is left to its own time-outs. Raises, after the last item, what the function raised,
        or LateError when items are missing; `what` names them in it.
        """
        # Threads of its own: what hangs in those of one caller holds up no other.
        threads = ThreadPoolExecutor(self._at_once, thread_name_prefix="gate")
        found: list[list[_Result]] = [[] for _ in items]
        running = [
            threads.submit(_collect, function, item, results)
            for item, results in zip(items, found, strict=True)
        ]
        wait(running, timeout=until.left())
        threads.shutdown(wait=False, cancel_futures=True)
        missing, why, broke = 0, "no answer yet", None
        for item, results, future in zip(items, found, running, strict=True):
            # A future that was cancelled is done.
            whole = future.done() and not future.cancelled()
            failure = future.exception() if whole else None
            if isinstance(failure, LateError):
                whole, why = False, str(failure)
            elif failure is not None:
                broke = broke or failure
            missing += not whole
            yield Answer(item, list(results), whole)
        if broke is not None:
            raise broke
        if missing:
            raise LateError(f"{missing} of {len(items)} {what} not read in time: {why}")

    def _pace(self, until: Deadline) -> None:
        """Wait for what the rate allows, and until the gate is open."""
        while True:
            with self._lock:
                now, left = self._clock(), until.left()
                turn = max(self._next, now - self._burst) + self._interval
                closed = self._closed_until > now
                if closed:
                    turn = max(turn, self._closed_until)
                if not left or turn - now > left:
                    raise LateError(self._why_closed if closed else self._limits)
                self._next = turn
            if turn > now:
                self._sleep(turn - now)
            with self._lock:
                if self._closed_until <= self._clock():
                    return
            # It was closed meanwhile: this turn has passed.


def _collect(function: Callable[[_T], Iterable[_Result]], item: _T, results: list[_Result]) -> None:
    for result in function(item):
        results.append(result)  # noqa: PERF402 (what came before a failure is kept)
