"""Ctrl-C and SIGTERM between two steps, never within one."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Stop", "stoppable"]

_SAID = b"\nEnding once what is under way is done, and letters are given back; again: at once.\n"


class Stop:
    """Whether somebody asked for the end."""

    def __init__(self) -> None:
        self._asked = False

    def ask(self) -> None:
        """Ask for the end."""
        self._asked = True

    def asked(self) -> bool:
        """Whether it was asked for."""
        return self._asked


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Have the first SIGINT or SIGTERM ask for the end; the second ends the process as ever."""
    stop = Stop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.ask()
        for number, handler in before.items():
            signal.signal(number, handler)
        os.write(2, _SAID)  # Not through a buffer that may be in use just now.

    for number in before:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
