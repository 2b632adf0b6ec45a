"""A limit on what the relay asks of one account: so many requests at once, and a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["Gate"]

_T = TypeVar("_T")
_Result = TypeVar("_Result")


class Gate:
    """Runs requests to one account in threads of its own: one that hangs holds up no other."""

    def __init__(
        self,
        name: str,
        *,
        at_once: int,
        per_second: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix=name)
        self._interval = 1 / per_second
        # What was not asked for while it was idle may be asked for at once.
        self._burst = max(per_second, 1.0) * self._interval
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next = clock()

    def wait(self) -> None:
        """Wait for the turn of one request."""
        with self._lock:
            now = self._clock()
            self._next = max(self._next, now - self._burst) + self._interval
            pause = self._next - now
        if pause > 0:
            self._sleep(pause)

    def each(self, function: Callable[[_T], _Result], items: Iterable[_T]) -> list[_Result]:
        """The function of each item, in order, as many at once as the gate lets through.

        Not to be called from within: the threads would wait for each other.
        """
        return list(self._threads.map(function, items))
