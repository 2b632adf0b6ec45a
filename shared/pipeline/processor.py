"""What happens to one queue message: read, publish, dead-letter, put back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby

import msgspec

from shared.batch import batches
from shared.errors import DeferredError
from shared.log_limit import LogLimit
from shared.messages.parser import Address, parse
from shared.messages.writer import write_messages
from shared.model import Lane, Point, Reason, Rejection, Status, Verdict, Window
from shared.pipeline.dead_letter_box import DeadLetterBox, Outbox
from shared.pipeline.dead_letters import Origin, rejections_of
from shared.publisher.batcher import Submit
from shared.telemetry import Record, unrecorded

__all__ = ["Drain"]

LOG = logging.getLogger(__name__)

# A window that every time is in.
_ENDLESS = Window(timedelta.max, timedelta.max)


class Drain:
    """Settles messages: every point is published, dead-lettered or still in the ingress queue."""

    def __init__(
        self,
        *,
        submit: Submit,
        obstacle: Callable[[Lane], str | None],
        ingress: Outbox,
        dead_letters: Outbox,
        defaults: Address,
        window: Window,
        retry_delay: timedelta,
        clock: Callable[[], datetime],
        record: Record = unrecorded,
    ) -> None:
        """`obstacle` says what kept a resource's points from the store, if that is known."""
        self._submit = submit
        self._obstacle = obstacle
        self._ingress = ingress
        self._dead_letters = DeadLetterBox(dead_letters, clock)
        self._defaults = defaults
        self._window = window
        self._retry_delay = retry_delay
        self._clock = clock
        self._record = record
        self._warnings = LogLimit(LOG)

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
        rejections = [self._explained(rejection) for rejection in parsed.rejections]
        await self._dead_letters.bury(rejections, origin)
        for reason, alike in groupby(sorted(rejections, key=_reason), key=_reason):
            first, *rest = alike
            parts = first.parts + sum(rejection.parts for rejection in rest)
            self._note_refused(reason, parts, first.detail, origin)
        verdicts = await self._submit(parsed.batches) if parsed.batches else []
        statuses = {verdict.status for verdict in verdicts}
        if statuses == {Status.DEFERRED} and not rejections:
            self._count(verdicts, origin)
            raise DeferredError(verdicts[0].detail)
        await self._settle(verdicts, origin)
        self._record("MessagesDrained", 1)
        if Status.PUBLISHED in statuses and origin.enqueued is not None:
            waited = (self._clock() - origin.enqueued).total_seconds()
            self._record("PublishLatency", max(0.0, waited))

    async def sample(self, points: Sequence[Point]) -> None:
        """Publish samples; what cannot be published now goes into the ingress queue, stamped."""
        if not points:
            return
        await self._settle(await self._submit(batches(points)), Origin())

    def _explained(self, rejection: Rejection) -> Rejection:
        """Expired points with what held them up: that they are too old is not why."""
        if rejection.reason is not Reason.EXPIRED:
            return rejection
        now = self._clock()
        late = parse(
            rejection.content, enqueued=now, now=now, defaults=self._defaults, window=_ENDLESS
        )
        for batch in late.batches:
            if why := self._obstacle(batch.lane):
                return msgspec.structs.replace(
                    rejection, detail=f"{rejection.detail}; held up by: {why}"
                )
        return rejection

    async def _settle(self, verdicts: Sequence[Verdict], origin: Origin) -> None:
        """Find a place for all that is not published: a point is in two rather than in none."""
        deferred = [verdict for verdict in verdicts if verdict.status is Status.DEFERRED]
        for verdict in deferred:
            self._warnings.warn("put back", len(verdict.points), verdict.detail)
        for message in write_messages(point for verdict in deferred for point in verdict.points):
            await self._ingress.send(message, self._retry_delay)
        await self._dead_letters.bury(_rejections(verdicts), origin)
        self._count(verdicts, origin)

    def _note_refused(self, reason: str, parts: int, detail: str, origin: Origin) -> None:
        text = f"message {origin.message_id}: {detail}"
        self._warnings.warn(f"dead-lettered as {reason}", parts, text)
        self._record("PointsRejected", parts, Reason=reason)

    def _count(self, verdicts: Iterable[Verdict], origin: Origin) -> None:
        for verdict in verdicts:
            points = len(verdict.points)
            match verdict.status:
                case Status.PUBLISHED:
                    self._record("PointsPublished", points)
                case Status.DEFERRED:
                    self._record("PointsDeferred", points)
                case Status.REJECTED:
                    self._note_refused(str(verdict.reason), points, verdict.detail, origin)


def _reason(rejection: Rejection) -> str:
    return str(rejection.reason)


def _rejections(verdicts: Iterable[Verdict]) -> list[Rejection]:
    return [
        rejection
        for verdict in verdicts
        if verdict.status is Status.REJECTED
        for rejection in rejections_of(verdict)
    ]
