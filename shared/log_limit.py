"""Warnings that a flood cannot multiply: the first of each kind in a minute, then how many more."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

__all__ = ["LogLimit"]

# Seconds, and lines of each kind in them.
_SPAN = 60.0
_MOST = 10


class _Span:
    """What was said of one kind since a moment, and what was not."""

    def __init__(self, end: float) -> None:
        self.end = end
        self.lines = 0
        self.messages = 0  # Not said,
        self.things = 0  # and what they counted.


class LogLimit:
    """Logs on an event loop, so that the rest of a flood is said once it is over too."""

    def __init__(
        self,
        log: logging.Logger,
        *,
        span: float = _SPAN,
        most: int = _MOST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._length = span
        self._most = most
        self._clock = clock
        self._spans: dict[str, _Span] = {}

    def warn(self, kind: str, count: int, text: str) -> None:
        """Log that so many things were of a kind; kinds are few."""
        span = self._spans.get(kind)
        if span is None or self._clock() >= span.end:
            self._close(kind)
            span = self._spans[kind] = _Span(self._clock() + self._length)
        if span.lines < self._most:
            span.lines += 1
            self._log.warning("%d %s: %s", count, kind, text)
            return
        if not span.messages:
            wait = max(0.0, span.end - self._clock())
            asyncio.get_running_loop().call_later(wait, self._close, kind, span)
        span.messages += 1
        span.things += count

    def _close(self, kind: str, span: _Span | None = None) -> None:
        """Say what was not said; of a span that is still the current one, if one is given."""
        current = self._spans.get(kind)
        if current is None or span not in (None, current):
            return
        del self._spans[kind]
        if current.messages:
            self._log.warning(
                "%d more %s, of %d messages, in the last %g s",
                current.things,
                kind,
                current.messages,
                self._length,
            )
