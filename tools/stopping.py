"""Ctrl-C and SIGTERM between two steps, never within one."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

__all__ = ["Stop", "stoppable"]


class Stop:
    """How often the user asked to stop, and by which signal first."""

    def __init__(self) -> None:
        self._times = 0
        self._signal = signal.SIGINT

    def ask(self, number: int = signal.SIGINT) -> int:
        """Ask to stop; return how often that was done."""
        if not self._times:
            self._signal = signal.Signals(number)
        self._times += 1
        return self._times

    def asked(self, times: int = 1) -> bool:
        """Return whether it was asked at least this often."""
        return self._times >= times

    @property
    def exit_code(self) -> int:
        """The exit code of a process that was stopped so: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self._signal


@contextmanager
def stoppable(text: str, times: int | None = 1) -> Iterator[Stop]:
    """Count the first `times` of SIGINT and SIGTERM; the next one has its usual effect.

    None counts all of them. The text is printed at the first one. Only for the main thread, which
    receives signals.
    """
    stop = Stop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, _frame: FrameType | None) -> None:
        asked = stop.ask(number)
        if asked == 1 and times != 0:
            _print(text)
        if times is not None and asked > times:
            signal.signal(number, before[signal.Signals(number)])
            signal.raise_signal(number)

    for number in before:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print(text: str) -> None:
    """Print to standard error, over the progress bar if there is one."""
    begin = "\r\x1b[2K" if os.isatty(2) else ""
    with suppress(OSError):  # The other end of a pipe is closed.
        os.write(2, f"{begin}{text}\n".encode())  # Not through a buffer that may be in use.
