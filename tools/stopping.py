"""Ctrl-C and SIGTERM between two steps, never within one."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

__all__ = ["Stop", "stoppable"]


class Stop:
    """Whether the user asked to stop, and by which signal."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def asked(self) -> bool:
        """Return whether it was asked."""
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """The exit code of a process that was stopped so: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + (self.signal or signal.SIGINT)


@contextmanager
def stoppable(text: str) -> Iterator[Stop]:
    """Note the first SIGINT or SIGTERM and print the text.

    The next one does what SIGINT does outside the block: by default, it raises KeyboardInterrupt.
    Only for the main thread, which receives signals.
    """
    stop = Stop()
    outside = signal.getsignal(signal.SIGINT)
    interrupt = outside if callable(outside) else signal.default_int_handler  # It may be ignored.

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
