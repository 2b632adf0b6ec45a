"""Ctrl-C and SIGTERM between two steps, never within one."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

__all__ = ["Stop", "stoppable"]


class Stop:
    """Whether somebody asked for the end."""

    def __init__(self) -> None:
        self._times = 0

    def ask(self) -> int:
        """Ask for the end; how often that was done."""
        self._times += 1
        return self._times

    def asked(self, times: int = 1) -> bool:
        """Whether it was asked for so often."""
        return self._times >= times


@contextmanager
def stoppable(said: str, times: int | None = 1) -> Iterator[Stop]:
    """Count SIGINT and SIGTERM so many times; the next one ends the process as ever.

    With None they are all counted. What is `said` is printed at the first one. For the main thread
    alone, which is told of signals.
    """
    stop = Stop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, _frame: FrameType | None) -> None:
        asked = stop.ask()
        if asked == 1:
            _say(said)
        elif times is not None and asked > times:
            signal.signal(number, before[signal.Signals(number)])
            signal.raise_signal(number)

    for number in before:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(text: str) -> None:
    """Print on standard error, in the place of a progress bar where there is one."""
    begin = "\r\x1b[2K" if os.isatty(2) else ""
    with suppress(OSError):  # Nobody reads it any more.
        os.write(2, f"{begin}{text}\n".encode())  # Not by a buffer that may be in use just now.
