"""Ctrl-C and SIGTERM between two steps, never within one."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any

__all__ = ["Stop", "stoppable"]


@dataclass
class Stop:
    """The signal by which the user asked to stop."""

    signal: int | None = None

    def asked(self) -> bool:
        """Return whether the user asked to stop."""
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """The exit code of a process that was stopped so: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + (self.signal or signal.SIGINT)


@contextmanager
def stoppable(
    text: str, interrupt: Callable[[int, FrameType | None], Any] = signal.default_int_handler
) -> Iterator[Stop]:
    """Note the first SIGINT or SIGTERM and print the text; the next one calls `interrupt`.

    By default, that raises KeyboardInterrupt. Only for the main thread, which receives signals.
    """
    stop = Stop()

    def ask(number: int, frame: FrameType | None) -> None:
        if stop.asked():
            interrupt(number, frame)
            return
        stop.signal = number
        # Over the progress bar if there is one.
        begin = "\r\x1b[2K" if os.isatty(2) else ""
        with suppress(OSError):  # The other end of a pipe is closed.
            os.write(2, f"{begin}{text}\n".encode())  # Not through a buffer that may be in use.

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
