"""Limit the concurrent requests, and the requests per second, to one account."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from shared.clients.http import Deadline
from shared.errors import DeadlineError

__all__ = ["ItemResult", "RateLimiter"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

# Seconds that a service may ask to wait; a wrong Retry-After must not stop a source for long.
MAX_PAUSE = 600.0


class ItemResult(NamedTuple, Generic[_Item, _Result]):
    """The results of one item that came before the deadline."""

    item: _Item
    results: list[_Result]
    complete: bool


@dataclass(kw_only=True)
class RateLimiter:
    """Shared by everything that sends requests to one account, from any thread."""

    max_concurrent: int
    per_second: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        self._slots = threading.BoundedSemaphore(self.max_concurrent)
        self._lock = threading.Lock()
        self._next = self._paused_until = self.clock()
        self._pause_reason = ""
        self._limits = (
            f"the rate limit is {self.per_second:g} requests per second, "
            f"{self.max_concurrent} at a time"
        )

    @contextmanager
    def acquire(self, deadline: Deadline) -> Iterator[None]:
        """Wait until a request may start, and count it as running in the block.

        Raises DeadlineError as soon as it is known that the deadline would pass first.
        """
        self._wait_for_rate(deadline)
        if not self._slots.acquire(timeout=deadline.left()):
            raise DeadlineError(self._limits)
        try:
            yield
        finally:
            self._slots.release()

    def pause(self, seconds: float, why: str) -> None:
        """Start no request for some seconds; `why` is the text of the errors until then."""
        with self._lock:
            end = self.clock() + min(seconds, MAX_PAUSE)
            if end > self._paused_until:
                self._paused_until, self._pause_reason = end, why

    def map(
        self,
        function: Callable[[_Item], Iterable[_Result]],
        items: Sequence[_Item],
        deadline: Deadline,
        what: str,
    ) -> Iterator[ItemResult[_Item, _Result]]:
        """Yield the results of the function for each item, in order, until the deadline.

        The function calls `acquire` itself. Results that came before the deadline count even if
        the item is not complete; a call that hangs is left to its own time-outs. After the last
        item, raises what the function raised, or DeadlineError if items are not complete; `what`
        is their noun in its text.
        """
        # Threads of its own: calls of one caller that hang do not hold up another.
        threads = ThreadPoolExecutor(self.max_concurrent, thread_name_prefix="rate-limiter")
        tasks: list[tuple[_Item, list[_Result], Future[None]]] = []
        for item in items:
            results: list[_Result] = []
            tasks.append((item, results, threads.submit(_collect, function, item, results)))
        wait([call for _, _, call in tasks], timeout=deadline.left())
        threads.shutdown(wait=False, cancel_futures=True)
        missing, why, error = 0, "no response yet", None
        for item, results, call in tasks:
            # A future that was cancelled is done.
            complete = call.done() and not call.cancelled()
            raised = call.exception() if complete else None
            if isinstance(raised, DeadlineError):
                complete, why = False, str(raised)
            elif raised is not None:
                error = error or raised
            missing += not complete
            yield ItemResult(item, list(results), complete)
        if error is not None:
            raise error
        if missing:
            raise DeadlineError(
                f"{missing} of {len(items)} {what} not read before the deadline: {why}"
            )

    def _wait_for_rate(self, deadline: Deadline) -> None:
        interval = 1 / self.per_second
        # After idle time, the requests of one second may start at once.
        burst = max(1.0, interval)
        while True:
            with self._lock:
                now, left = self.clock(), deadline.left()
                start = max(self._next, now - burst) + interval
                paused = self._paused_until > now
                if paused:
                    start = max(start, self._paused_until)
                if not left or start - now > left:
                    raise DeadlineError(self._pause_reason if paused else self._limits)
                self._next = start
            if start > now:
                self.sleep(start - now)
            with self._lock:
                if self._paused_until <= self.clock():
                    return
            # A pause began during the wait: try again after it.


def _collect(
    function: Callable[[_Item], Iterable[_Result]], item: _Item, results: list[_Result]
) -> None:
    for result in function(item):
        results.append(result)  # noqa: PERF402 (results before an error are kept)
