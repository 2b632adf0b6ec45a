"""Group commit: many invocations submit roll-ups, few POSTs carry them.

Each target has one delivery in flight. What comes in the meantime is merged, and goes out together
when the delivery has its answer. There is no timer: an idle target sends at once, a busy one in
batches that grow with the load.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from shared.background import run_in_background
from shared.model import Aggregates, Outcome, Outcomes, Results, Rollup, Status, Target, merge

__all__ = ["Batcher", "Send"]

LOG = logging.getLogger(__name__)

# Points that go out in one delivery; the next one takes the rest.
MAX_DELIVERY_POINTS = 50_000

Send = Callable[[Target, Aggregates], Awaitable[Outcomes]]
"""Sends value sets to a target; returns the outcome of all that was not published."""


class _Submission:
    """A roll-up, and the future of its outcome."""

    def __init__(self, rollup: Rollup) -> None:
        self.rollup = rollup
        self.points = rollup.points
        self.results: asyncio.Future[Results] = asyncio.get_running_loop().create_future()
        # Values that cannot be added to the others: they go out in the next delivery.
        self.rest: _Submission | None = None

    def resolve(self, results: Results) -> None:
        if not self.results.done():  # Its invocation may have been cancelled.
            self.results.set_result(results)

    def split(self) -> _Submission:
        """Keep the values that add up; return a submission of the others."""
        self.rollup, rest = self.rollup.split_overflow()
        self.rest = _Submission(rest)
        return self.rest


@dataclass
class Batcher:
    """Batches the roll-ups of all invocations on one event loop."""

    send: Send
    max_points: int = MAX_DELIVERY_POINTS
    _waiting: dict[tuple[str, str], deque[_Submission]] = field(init=False, default_factory=dict)

    async def submit(self, rollups: Sequence[Rollup]) -> Results:
        """Wait until every roll-up has an outcome.

        Raises only CancelledError, if the caller is cancelled; that stops neither the delivery nor
        anyone else who waits for it.
        """
        results: Results = []
        submissions = [self._enqueue(rollup) for rollup in rollups if rollup.minutes]
        for submission in submissions:
            part: _Submission | None = submission
            while part is not None:
                results += await part.results
                part = part.rest
        return results

    def _enqueue(self, rollup: Rollup) -> _Submission:
        submission = _Submission(rollup)
        key = rollup.target.key
        if key in self._waiting:
            self._waiting[key].append(submission)
        else:
            self._waiting[key] = deque([submission])
            run_in_background(self._run(rollup.target))
        return submission

    async def _run(self, target: Target) -> None:
        """Send what waits for the target until nothing does."""
        waiting = self._waiting[target.key]
        taken: list[_Submission] = []
        try:
            while waiting:
                taken, aggregates = self._next_delivery(waiting)
                await self._deliver(target, taken, aggregates)
        except BaseException:
            # The loop is stopping. A CancelledError must not reach an invocation: the Functions
            # worker would never answer it.
            _defer((*taken, *waiting), "the delivery was cancelled")
            raise
        finally:
            del self._waiting[target.key]

    def _next_delivery(self, waiting: deque[_Submission]) -> tuple[list[_Submission], Aggregates]:
        """Return the oldest submissions that fit into one delivery, and their value sets."""
        taken = [waiting.popleft()]
        points = taken[0].points
        while waiting and points + waiting[0].points <= self.max_points:
            taken.append(waiting.popleft())
            points += taken[-1].points
        while True:
            try:
                return taken, merge([submission.rollup for submission in taken]).aggregate()
            except OverflowError:
                half = len(taken) // 2
                if half:
                    waiting.extendleft(reversed(taken[half:]))
                    taken = taken[:half]
                else:
                    waiting.append(taken[0].split())
            except BaseException:
                waiting.extendleft(reversed(taken))  # `_run` defers what waits.
                raise

    async def _deliver(
        self, target: Target, submissions: Sequence[_Submission], aggregates: Aggregates
    ) -> None:
        try:
            outcomes = await self.send(target, aggregates)
        except Exception as exc:
            LOG.exception(
                "Unexpected error while posting to %s %s", target.region, target.resource_id
            )
            _defer(submissions, repr(exc))
            return
        for submission in submissions:
            submission.resolve(submission.rollup.by_outcome(outcomes))


def _defer(submissions: Iterable[_Submission], detail: str) -> None:
    outcome = Outcome(Status.DEFERRED, detail)
    for submission in submissions:
        submission.resolve([(submission.rollup, outcome)])
