"""Puts dead letters into their queue: what is refused meanwhile shares the next ones.

A flood of bad messages then costs a few requests, not one each, and the good ones among them wait
for no more than one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from shared.errors import DeferredError
from shared.model import Rejection
from shared.pipeline.dead_letters import Origin, write_dead_letters

__all__ = ["DeadLetterBox", "Outbox"]


class Outbox(Protocol):
    """A queue to put messages into."""

    async def send(self, message: bytes, delay: timedelta = timedelta()) -> None:
        """Put a message there, to be seen after a delay."""


class _Burial(msgspec.Struct, eq=False):
    """What one message, or sample, brings; and who waits for it."""

    rejections: Sequence[Rejection]
    origin: Origin
    done: asyncio.Future[None]


class DeadLetterBox:
    """Shared by all invocations on one event loop."""

    def __init__(self, queue: Outbox, clock: Callable[[], datetime]) -> None:
        self._queue = queue
        self._clock = clock
        self._waiting: list[_Burial] = []
        self._task: asyncio.Task[None] | None = None

    async def bury(self, rejections: Sequence[Rejection], origin: Origin) -> None:
        """Wait until the rejections are in the queue. Raises what the queue raised."""
        if not rejections:
            return
        burial = _Burial(rejections, origin, asyncio.get_running_loop().create_future())
        self._waiting.append(burial)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        await burial.done

    async def _run(self) -> None:
        """Write what waits until nothing does."""
        burials: list[_Burial] = []
        try:
            while self._waiting:
                burials, self._waiting = self._waiting, []
                _resolve(burials, await self._write(burials))
        except BaseException:
            # A CancelledError must not reach an invocation: the worker would never answer it.
            _resolve((*burials, *self._waiting), DeferredError("the event loop is being stopped"))
            raise
        finally:
            self._task = None

    async def _write(self, burials: Sequence[_Burial]) -> Exception | None:
        """Write the letters of all; what went wrong, if anything, and then none is buried."""
        given = [(burial.rejections, burial.origin) for burial in burials]
        try:
            letters = write_dead_letters(given, self._clock())
            await asyncio.gather(*map(self._queue.send, letters))
        except Exception as exc:  # noqa: BLE001 (raised to all who wait)
            return exc
        return None


def _resolve(burials: Sequence[_Burial], failure: Exception | None) -> None:
    for burial in burials:
        if burial.done.done():  # Its invocation may have been cancelled.
            continue
        if failure is None:
            burial.done.set_result(None)
        else:
            burial.done.set_exception(failure)
