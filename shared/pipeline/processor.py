"""What happens to a message or a sample: parse, admit, publish, settle.

Every point of it ends published, in the dead-letter queue, or in the ingress queue.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
from cachetools import LRUCache

from shared.clients.storage import Queue
from shared.errors import DeferredError
from shared.messages.parser import MessageParser
from shared.messages.writer import write_messages
from shared.model import Origin, Reason, Rejection, Results, Rollup, Status, Submit
from shared.pipeline.admission import Admission
from shared.pipeline.dead_letters import (
    MAX_MESSAGE_ID,
    by_reason,
    rejections_of,
    write_dead_letters,
)
from shared.telemetry import LogLimiter, Record, ignore
from shared.text import clean, plural

__all__ = ["Processor"]

LOG = logging.getLogger(__name__)

# Resources for which the reason of the last deferral is kept.
MAX_DEFERRALS = 10_000
# Bytes for remembering messages, so that a second delivery does not publish them again. Each takes
# about as many as the second limit says, and what of it is not in a queue yet.
MAX_REMEMBERED_BYTES = 32 * 1024 * 1024
REMEMBERED_BYTES = 400
# Seconds between two tries to put a message into a queue; they double up to the maximum.
FIRST_BACKOFF = 1.0
MAX_BACKOFF = 30.0
# Tries to put one message into a queue. They take five minutes, longer than most outages; then the
# invocation fails, so that messages that cannot be settled do not keep all others from being read.
MAX_TRIES = 15

_Put = tuple[Queue, bytes]
"""A queue, and a message that is to be put into it."""


def _bytes_of(puts: tuple[_Put, ...]) -> int:
    size = REMEMBERED_BYTES + sum(len(message) for _, message in puts)
    return min(size, MAX_REMEMBERED_BYTES)  # The cache raises an error for anything larger.


@dataclass(kw_only=True)
class Processor:
    """Processes messages and samples; shared by all invocations on one event loop."""

    parser: MessageParser
    admission: Admission
    submit: Submit
    ingress: Queue
    dead_letters: Queue
    retry_delay: timedelta  # How long what is put back into the ingress queue stays invisible.
    clock: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    record: Record = ignore
    _deferrals: LRUCache[str, str] = field(
        init=False, default_factory=lambda: LRUCache(MAX_DEFERRALS)
    )
    # By message ID: what is being processed; what is not to be published again, with what of it is
    # not in a queue yet.
    _running: dict[str, asyncio.Event] = field(init=False, default_factory=dict)
    _unsent: LRUCache[str, tuple[_Put, ...]] = field(
        init=False, default_factory=lambda: LRUCache(MAX_REMEMBERED_BYTES, _bytes_of)
    )
    _warnings: LogLimiter = field(init=False, default_factory=lambda: LogLimiter(LOG))

    async def process(self, body: bytes, origin: Origin) -> None:
        """Process one message. Returns when the message may be deleted.

        Raises DeferredError if all of it is deferred, so that the host shows the same message
        again; if only a part is, that part goes back into the queue as a new message, so that the
        rest is neither counted nor dead-lettered twice. Raises DeferredError too if a queue has not
        accepted for minutes what is to be put back or dead-lettered; at once, if nothing of the
        message could be sent to the store.
        """
        message_id = origin.message_id or ""
        # The host shows a message again if it cannot renew its hold on it, or cannot delete it.
        while message_id in self._running:
            await self._running[message_id].wait()
        done = asyncio.Event()
        if message_id:
            self._running[message_id] = done
        try:
            await self._process(body, origin, message_id)
        finally:
            self._running.pop(message_id, None)
            done.set()

    async def _process(self, body: bytes, origin: Origin, message_id: str) -> None:
        puts, tries = self._unsent.get(message_id), 1
        if puts is None:
            puts, tries = await self._publish(body, origin), MAX_TRIES
        else:
            text = "Message %s was processed before; not publishing it again"
            LOG.warning(text, clean(message_id, MAX_MESSAGE_ID))
            if not puts:  # The host could not delete it.
                return
        await self._put(puts, message_id, tries)
        self.record("MessagesDrained", 1)

    async def process_sample(self, rollup: Rollup) -> None:
        """Publish a sample; what is deferred goes into the ingress queue."""
        # There is no second delivery of a sample: no failure of a queue may keep it from the store.
        results = await self.admission.publish([rollup], submit=self.submit)
        self._report(results)
        rejections = list(rejections_of(results))
        self._report_rejections(rejections, Origin())
        await self._put(self._puts_of(results, rejections, Origin()))

    async def _publish(self, body: bytes, origin: Origin) -> tuple[_Put, ...]:
        """Publish a message; return what is to be put back and dead-lettered."""
        now = self.clock()
        parsed = self.parser.parse(body, enqueued=origin.enqueued or now, now=now)
        rejections = [self._add_deferral(rejection) for rejection in parsed.rejections]
        admitted, results = await self.admission.admit(parsed.rollups)
        results += await self.submit(admitted) if admitted else []
        self._report(results)
        rejections += rejections_of(results)
        statuses = {outcome.status for _, outcome in results}
        if statuses == {Status.DEFERRED} and not rejections:
            raise DeferredError(results[0][1].detail)
        if Status.PUBLISHED in statuses and origin.enqueued is not None:
            waited = (self.clock() - origin.enqueued).total_seconds()
            self.record("PublishLatency", max(0.0, waited))
        if statuses == {Status.PUBLISHED} and not rejections:
            return ()
        puts = self._puts_of(results, rejections, origin)
        if not admitted and statuses <= {Status.REJECTED}:
            # Until a queue has something of it, the next delivery may process it again.
            await self._put(puts[:1], max_tries=1)
            puts = puts[1:]
        self._report_rejections(rejections, origin)
        return puts

    def _puts_of(
        self, results: Results, rejections: Sequence[Rejection], origin: Origin
    ) -> tuple[_Put, ...]:
        """Return what is to be put back, then what is to be dead-lettered.

        In this order: a crash in between leaves a point in two places rather than in none.
        """
        deferred = (rollup for rollup, outcome in results if outcome.status is Status.DEFERRED)
        dead_letters = write_dead_letters(rejections, origin, self.clock())
        return (
            *((self.ingress, message) for message in write_messages(deferred)),
            *((self.dead_letters, message) for message in dead_letters),
        )

    async def _put(
        self, puts: tuple[_Put, ...], message_id: str = "", max_tries: int | None = None
    ) -> None:
        """Put messages into queues one after the other, again while a queue does not accept one.

        What was published must not be published again because of a queue. Raises DeferredError
        after `max_tries` for one of them; the next delivery to this instance puts what is left.
        """
        tries, backoff = 0, FIRST_BACKOFF
        try:
            while puts:
                queue, message = puts[0]
                delay = self.retry_delay if queue is self.ingress else timedelta()
                try:
                    await queue.send(message, delay)
                except Exception as exc:
                    tries += 1
                    if tries == max_tries:
                        raise self._not_accepted(puts, message_id, tries, exc) from exc
                    text = f"retrying in {backoff:g} s: {clean(str(exc))}"
                    self._warnings.warn("A queue does not accept a message", 1, text)
                    await self.sleep(backoff)
                    backoff = min(MAX_BACKOFF, 2 * backoff)
                else:
                    puts = puts[1:]
                    tries, backoff = 0, FIRST_BACKOFF
        finally:
            if message_id:
                self._unsent[message_id] = puts

    def _not_accepted(
        self, puts: tuple[_Put, ...], message_id: str, tries: int, error: Exception
    ) -> DeferredError:
        """Return the error for a message that waits for a queue; log it the first time."""
        queue = "ingress" if puts[0][0] is self.ingress else "dead-letter"
        which = f"message {clean(message_id, MAX_MESSAGE_ID)}" if message_id else "the message"
        text = f"the {queue} queue does not accept what {which} puts into it: {clean(str(error))}"
        if tries > 1:
            self._warnings.warn(
                "Giving a message back to the host",
                1,
                f"{text}. What was published is not published again while this instance lives. "
                "Check that the storage account can be reached, and that the app's identity has "
                "Storage Queue Data Contributor on it",
                level=logging.ERROR,
            )
        return DeferredError(text)

    def _add_deferral(self, rejection: Rejection) -> Rejection:
        """Add to expired points what deferred their resource: it may be why they are too old."""
        if rejection.reason is Reason.EXPIRED and rejection.resource_id is not None:
            reason = self._deferrals.get(rejection.resource_id.lower())
            if reason is not None:
                detail = f"{rejection.detail}; this resource was last deferred because of: {reason}"
                return msgspec.structs.replace(rejection, detail=detail)
        return rejection

    def _report(self, results: Results) -> None:
        """Record and log what was published and deferred, and remember why."""
        # After what was published: one resource may have both.
        for rollup, outcome in sorted(results, key=lambda one: one[1].status is Status.DEFERRED):
            resource_id = rollup.target.resource_id.lower()
            if outcome.status is Status.DEFERRED:
                self._deferrals[resource_id] = outcome.detail
                text = f"{plural(rollup.points, 'point')} will be retried: {outcome.detail}"
                self._warnings.warn("Deferring", rollup.points, text)
                self.record("PointsDeferred", rollup.points)
            elif outcome.status is Status.PUBLISHED:
                self._deferrals.pop(resource_id, None)
                self.record("PointsPublished", rollup.points)

    def _report_rejections(self, rejections: Sequence[Rejection], origin: Origin) -> None:
        for reason, group in by_reason(rejections):
            first, *others = group
            message_id = clean(origin.message_id or "(a sample)", MAX_MESSAGE_ID)
            points = first.points + sum(rejection.points for rejection in others)
            text = f"{plural(points, 'point')} of message {message_id}: {first.detail}"
            self._warnings.warn(f"Dead-lettering as {reason}", points, text)
            self.record("PointsRejected", points, Reason=reason)
