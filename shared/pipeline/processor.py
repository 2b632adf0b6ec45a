"""What happens to a message or a sample: parse, admit, publish, settle.

Every point of it ends published, in the dead-letter queue, or in the ingress queue.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby

import msgspec
from cachetools import LRUCache

from shared.clients.storage import Queue
from shared.errors import DeferredError
from shared.messages.parser import MessageParser
from shared.messages.writer import write_messages
from shared.model import Reason, Rejection, Rollup, Status
from shared.pipeline.admission import Admission
from shared.pipeline.dead_letters import DeadLetters, Origin, rejections_of
from shared.publisher.batcher import Results, Submit
from shared.telemetry import LogLimiter, Record, ignore
from shared.text import plural

__all__ = ["Processor"]

LOG = logging.getLogger(__name__)

# Resources for which the reason of the last deferral is kept.
MAX_DEFERRALS = 10_000


class Processor:
    """Processes messages and samples; shared by all invocations on one event loop."""

    def __init__(
        self,
        *,
        parser: MessageParser,
        admission: Admission,
        submit: Submit,
        ingress: Queue,
        dead_letters: DeadLetters,
        retry_delay: timedelta,
        clock: Callable[[], datetime],
        record: Record = ignore,
    ) -> None:
        """`retry_delay` is how long what is put back into the ingress queue stays invisible."""
        self._parser = parser
        self._admission = admission
        self._submit = submit
        self._ingress = ingress
        self._dead_letters = dead_letters
        self._retry_delay = retry_delay
        self._clock = clock
        self._record = record
        self._deferrals: LRUCache[str, str] = LRUCache(MAX_DEFERRALS)
        self._warnings = LogLimiter(LOG)

    async def process(self, body: bytes, origin: Origin) -> None:
        """Process one message. Returns when the message may be deleted.

        Raises DeferredError if all of it is deferred, so that the host shows the same message
        again. If only a part is deferred, that part goes back into the queue as a new message, so
        that the rest is neither counted nor dead-lettered twice.
        """
        now = self._clock()
        parsed = self._parser.parse(body, enqueued=origin.enqueued or now, now=now)
        rejections = [self._explain(rejection) for rejection in parsed.rejections]
        self._report_rejections(rejections, origin)
        results = await self._publish(parsed.rollups, rejections, origin)
        statuses = {outcome.status for _, outcome in results}
        if statuses == {Status.DEFERRED} and not rejections:
            self._report(results, origin)
            raise DeferredError(results[0][1].detail)
        await self._settle(results, origin)
        self._record("MessagesDrained", 1)
        if Status.PUBLISHED in statuses and origin.enqueued is not None:
            waited = (self._clock() - origin.enqueued).total_seconds()
            self._record("PublishLatency", max(0.0, waited))

    async def process_sample(self, rollup: Rollup) -> None:
        """Publish a sample; what is deferred goes into the ingress queue."""
        results = await self._publish([rollup], [], Origin())
        await self._settle(results, Origin())

    async def _publish(
        self, rollups: Sequence[Rollup], rejections: list[Rejection], origin: Origin
    ) -> Results:
        """Publish what is admitted; return the outcome of all that is not dead-lettered yet.

        What is known to be rejected is dead-lettered before anything is published: if that fails,
        the whole message is processed again and no value is counted twice.
        """
        admitted, results = await self._admission.admit(rollups)
        rejected = [result for result in results if result[1].status is Status.REJECTED]
        rejections += rejections_of(rejected)
        await self._dead_letters.put(rejections, origin)
        self._report(rejected, origin)
        results = [result for result in results if result[1].status is not Status.REJECTED]
        if admitted:
            results += await self._submit(admitted)
        self._note_deferrals(results)
        return results

    async def _settle(self, results: Results, origin: Origin) -> None:
        """Put back what is deferred and dead-letter what is rejected.

        In this order: a crash in between leaves a point in two places rather than in none.
        """
        deferred = [result for result in results if result[1].status is Status.DEFERRED]
        for rollup, outcome in deferred:
            text = f"{plural(rollup.points, 'point')} will be retried: {outcome.detail}"
            self._warnings.warn("deferring", rollup.points, text)
        for message in write_messages(rollup for rollup, _ in deferred):
            await self._ingress.send(message, self._retry_delay)
        await self._dead_letters.put(list(rejections_of(results)), origin)
        self._report(results, origin)

    def _explain(self, rejection: Rejection) -> Rejection:
        """Add to expired points what deferred them: their age alone is not why."""
        if rejection.reason is Reason.EXPIRED and rejection.resource_id is not None:
            why = self._deferrals.get(rejection.resource_id.lower())
            if why is not None:
                detail = f"{rejection.detail}; last deferred because of: {why}"
                return msgspec.structs.replace(rejection, detail=detail)
        return rejection

    def _note_deferrals(self, results: Results) -> None:
        # After what was published: one resource may have both.
        for rollup, outcome in sorted(results, key=lambda one: one[1].status is Status.DEFERRED):
            resource_id = rollup.target.resource_id.lower()
            if outcome.status is Status.DEFERRED:
                self._deferrals[resource_id] = outcome.detail
            elif outcome.status is Status.PUBLISHED:
                self._deferrals.pop(resource_id, None)

    def _report_rejections(self, rejections: Iterable[Rejection], origin: Origin) -> None:
        for reason, group in groupby(sorted(rejections, key=_reason), key=_reason):
            first, *others = group
            points = first.points + sum(rejection.points for rejection in others)
            self._report_rejected(Reason(reason), points, first.detail, origin)

    def _report(self, results: Results, origin: Origin) -> None:
        for rollup, outcome in results:
            points = rollup.points
            match outcome.status:
                case Status.PUBLISHED:
                    self._record("PointsPublished", points)
                case Status.DEFERRED:
                    self._record("PointsDeferred", points)
                case Status.REJECTED:
                    assert outcome.reason is not None  # noqa: S101 (every rejection has one)
                    self._report_rejected(outcome.reason, points, outcome.detail, origin)

    def _report_rejected(self, reason: Reason, points: int, detail: str, origin: Origin) -> None:
        text = f"{plural(points, 'point')} of message {origin.message_id}: {detail}"
        self._warnings.warn(f"dead-lettering as {reason}", points, text)
        self._record("PointsRejected", points, Reason=str(reason))


def _reason(rejection: Rejection) -> str:
    return rejection.reason
