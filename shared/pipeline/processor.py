"""What happens to a message or a sample: parse, admit, publish, settle.

Every point of it ends published, in the dead-letter queue, or in the ingress queue.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby

import msgspec
from cachetools import LRUCache

from shared.clients.storage import Queue
from shared.errors import DeferredError
from shared.log_limiter import LogLimiter
from shared.messages.parser import MessageParser
from shared.messages.writer import write_messages
from shared.model import Origin, Reason, Rejection, Results, Rollup, Status, Submit
from shared.pipeline.admission import Admission
from shared.pipeline.dead_letters import (
    MAX_MESSAGE_ID,
    DeadLetters,
    rejections_of,
    write_dead_letters,
)
from shared.telemetry import Record, ignore
from shared.text import clean, plural

__all__ = ["Processor"]

LOG = logging.getLogger(__name__)

# Resources for which the reason of the last deferral is kept.
MAX_DEFERRALS = 10_000
# Messages that are remembered so that a second delivery does not publish them again.
MAX_SETTLED = 10_000
# Seconds between two tries to put a message into a queue; they double up to the maximum.
FIRST_BACKOFF = 1.0
MAX_BACKOFF = 30.0
# Seconds of these waits after which a message gives its slot to others; it is shown again later.
MAX_HOLD = 300.0
# Bytes of what is kept meanwhile to be put when messages are shown again.
MAX_UNSENT_BYTES = 32 * 1024 * 1024


@dataclass(kw_only=True)
class Processor:
    """Processes messages and samples; shared by all invocations on one event loop."""

    parser: MessageParser
    admission: Admission
    submit: Submit
    ingress: Queue
    dead_letters: DeadLetters
    retry_delay: timedelta  # How long what is put back into the ingress queue stays invisible.
    clock: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    record: Record = ignore
    _deferrals: LRUCache[str, str] = field(
        init=False, default_factory=lambda: LRUCache(MAX_DEFERRALS)
    )
    # Messages in work, and messages that must not be processed again, by their IDs.
    _running: dict[str, asyncio.Event] = field(init=False, default_factory=dict)
    _settled: LRUCache[str, None] = field(init=False, default_factory=lambda: LRUCache(MAX_SETTLED))
    # What a queue did not accept, by the ID of the message that it belongs to.
    _unsent: LRUCache[str, list[tuple[Queue, bytes]]] = field(
        init=False, default_factory=lambda: LRUCache(MAX_UNSENT_BYTES, getsizeof=_unsent_bytes)
    )
    _warnings: LogLimiter = field(init=False, default_factory=lambda: LogLimiter(LOG))

    async def process(self, body: bytes, origin: Origin) -> None:
        """Process one message. Returns when the message may be deleted.

        Raises DeferredError if all of it is deferred, so that the host shows the same message
        again. If only a part is deferred, that part goes back into the queue as a new message, so
        that the rest is neither counted nor dead-lettered twice. If a queue accepts nothing for
        minutes, it raises DeferredError too, and the same message is then only settled.
        """
        message_id = origin.message_id or ""
        # The host shows a message again if it cannot renew its hold on it, or cannot delete it.
        while message_id in self._running:
            await self._running[message_id].wait()
        if message_id and message_id in self._settled:
            LOG.warning("Message %s is settled already and can be deleted", clean(message_id))
            return
        done = asyncio.Event()
        if message_id:
            self._running[message_id] = done
        try:
            unsent = self._unsent.pop(message_id, None)
            if unsent is None:
                await self._process(body, origin)
            else:
                await self._put(unsent, origin)
            self._settled[message_id] = None
        finally:
            self._running.pop(message_id, None)
            done.set()

    async def _process(self, body: bytes, origin: Origin) -> None:
        now = self.clock()
        parsed = self.parser.parse(body, enqueued=origin.enqueued or now, now=now)
        rejections = [self._explain(rejection) for rejection in parsed.rejections]
        results = await self._publish(parsed.rollups, rejections, origin)
        statuses = {outcome.status for _, outcome in results}
        if statuses == {Status.DEFERRED} and not rejections:
            self._report(results)
            raise DeferredError(results[0][1].detail)
        await self._settle(results, origin)
        self.record("MessagesDrained", 1)
        if Status.PUBLISHED in statuses and origin.enqueued is not None:
            waited = (self.clock() - origin.enqueued).total_seconds()
            self.record("PublishLatency", max(0.0, waited))

    async def process_sample(self, rollup: Rollup) -> None:
        """Publish a sample; what is deferred goes into the ingress queue."""
        # There is no second delivery of a sample: no failure of a queue may keep it from the store.
        results = await self.admission.publish([rollup], submit=self.submit)
        self._note_deferrals(results)
        await self._settle(results, Origin())

    async def _publish(
        self, rollups: Sequence[Rollup], rejections: list[Rejection], origin: Origin
    ) -> Results:
        """Publish what is admitted; return the outcome of all that is not dead-lettered yet.

        What is known to be rejected is dead-lettered before anything is published: if that fails,
        the whole message is processed again and no value is counted twice.
        """
        admitted, results = await self.admission.admit(rollups)
        rejections += rejections_of(results)
        await self.dead_letters.put(rejections, origin)
        self._report_rejections(rejections, origin)
        results = [result for result in results if result[1].status is Status.DEFERRED]
        if admitted:
            results += await self.submit(admitted)
        self._note_deferrals(results)
        return results

    async def _settle(self, results: Results, origin: Origin) -> None:
        """Put back what is deferred and dead-letter what is rejected.

        In this order: a crash in between leaves a point in two places rather than in none.
        """
        deferred = [result for result in results if result[1].status is Status.DEFERRED]
        for rollup, outcome in deferred:
            text = f"{plural(rollup.points, 'point')} will be retried: {outcome.detail}"
            self._warnings.warn("Deferring", rollup.points, text)
        rejections = list(rejections_of(results))
        self._report_rejections(rejections, origin)
        self._report(results)
        messages = write_messages(rollup for rollup, _ in deferred)
        dead_letters = write_dead_letters(rejections, origin, self.clock())
        puts = [(self.ingress, message) for message in messages]
        await self._put(puts + [(self.dead_letters.queue, one) for one in dead_letters], origin)

    async def _put(self, puts: Sequence[tuple[Queue, bytes]], origin: Origin) -> None:
        """Put messages into their queues, trying again for MAX_HOLD seconds, a sample for longer.

        Raises DeferredError then, and keeps what is left for when the host shows the message again.
        """
        waited, backoff = 0.0, FIRST_BACKOFF
        left = list(puts)
        while left:
            queue, message = left[0]
            delay = self.retry_delay if queue is self.ingress else timedelta()
            try:
                await queue.send(message, delay)
            except Exception as exc:
                error = clean(str(exc))
                if waited >= MAX_HOLD and origin.message_id:
                    self._unsent[origin.message_id] = left
                    raise DeferredError(
                        f"a queue accepts no messages; {plural(len(left), 'message')} will be put "
                        f"when this one is shown again: {error}"
                    ) from exc
                text = f"retrying in {backoff:g} s: {error}"
                self._warnings.warn("A queue does not accept a message", 1, text)
                await self.sleep(backoff)
                waited, backoff = waited + backoff, min(MAX_BACKOFF, 2 * backoff)
            else:
                left.pop(0)

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

    def _report(self, results: Results) -> None:
        for rollup, outcome in results:
            if outcome.status is Status.PUBLISHED:
                self.record("PointsPublished", rollup.points)
            elif outcome.status is Status.DEFERRED:
                self.record("PointsDeferred", rollup.points)

    def _report_rejections(self, rejections: Iterable[Rejection], origin: Origin) -> None:
        for reason, group in groupby(sorted(rejections, key=_reason), key=_reason):
            first, *others = group
            message_id = clean(origin.message_id or "(a sample)", MAX_MESSAGE_ID)
            points = first.points + sum(rejection.points for rejection in others)
            text = f"{plural(points, 'point')} of message {message_id}: {first.detail}"
            self._warnings.warn(f"Dead-lettering as {reason}", points, text)
            self.record("PointsRejected", points, Reason=reason)


def _unsent_bytes(puts: list[tuple[Queue, bytes]]) -> int:
    return sum(len(message) for _, message in puts)


def _reason(rejection: Rejection) -> str:
    return rejection.reason
