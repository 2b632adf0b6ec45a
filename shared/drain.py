"""What happens to one queue message: read, publish, dead-letter, put back."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from shared.dead_letter import Origin, rejections_of, write_dead_letters
from shared.errors import DeferredError
from shared.message import Address, parse
from shared.message_writer import write_messages
from shared.model import Point, Rejection, Status, Verdict, Window

__all__ = ["Drain", "Outbox", "Submit"]

LOG = logging.getLogger(__name__)

Submit = Callable[[Sequence[Point]], Awaitable[list[Verdict]]]


class Outbox(Protocol):
    """A queue to put messages into."""

    async def send(self, message: bytes, delay: timedelta = timedelta()) -> None:
        """Put a message there, to be seen after a delay."""


class Drain:
    """Settles messages: every point is published, dead-lettered or still in the ingress queue."""

    def __init__(
        self,
        *,
        submit: Submit,
        ingress: Outbox,
        dead_letters: Outbox,
        defaults: Address,
        window: Window,
        retry_delay: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self._submit = submit
        self._ingress = ingress
        self._dead_letters = dead_letters
        self._defaults = defaults
        self._window = window
        self._retry_delay = retry_delay
        self._clock = clock

    async def message(self, body: bytes, origin: Origin) -> None:
        """Settle one message. Returns once it may be deleted.

        Raises DeferredError when nothing of it could be settled now, so that the host shows the
        same message again. When a part of it could, only the rest goes back into the queue, as a
        new message: the settled part is neither counted nor dead-lettered twice.
        """
        now = self._clock()
        parsed = parse(
            body,
            enqueued=origin.enqueued or now,
            now=now,
            defaults=self._defaults,
            window=self._window,
        )
        # Before anything is published: should this fail, the whole message is tried again and
        # no value is counted twice.
        await self._bury(parsed.rejections, origin)
        verdicts = await self._submit(parsed.points) if parsed.points else []
        statuses = {verdict.status for verdict in verdicts}
        if statuses == {Status.DEFERRED} and not parsed.rejections:
            raise DeferredError(verdicts[0].detail)
        await self._settle(verdicts, origin)

    async def sample(self, points: Sequence[Point]) -> None:
        """Publish samples; what cannot be published now goes into the ingress queue, stamped."""
        if not points:
            return
        await self._settle(await self._submit(points), Origin())

    async def _settle(self, verdicts: Sequence[Verdict], origin: Origin) -> None:
        """Find a place for all that is not published: a point is in two rather than in none."""
        deferred = [verdict for verdict in verdicts if verdict.status is Status.DEFERRED]
        for verdict in deferred:
            LOG.warning("Put back %d points: %s", len(verdict.points), verdict.detail)
        for message in write_messages(point for verdict in deferred for point in verdict.points):
            await self._ingress.send(message, self._retry_delay)
        await self._bury(_rejections(verdicts), origin)

    async def _bury(self, rejections: Sequence[Rejection], origin: Origin) -> None:
        if not rejections:
            return
        for letter in write_dead_letters(rejections, origin, self._clock()):
            await self._dead_letters.send(letter)
        first = rejections[0]
        LOG.warning(
            "Dead-lettered %d of message %s: %s: %s",
            len(rejections),
            origin.message_id,
            first.reason,
            first.detail,
        )


def _rejections(verdicts: Iterable[Verdict]) -> list[Rejection]:
    return [
        rejection
        for verdict in verdicts
        if verdict.status is Status.REJECTED
        for rejection in rejections_of(verdict)
    ]
