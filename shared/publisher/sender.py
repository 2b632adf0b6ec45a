"""The points of a lane -> POSTs -> what became of every point.

What the service accepted is never sent again. What it refused as a whole is halved until the
culprit stands alone: for k culprits among n series that takes O(k log n) POSTs. What may pass is
tried again for some seconds, then deferred, and the lane is left alone for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Executor
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

import msgspec

from shared.batch import Batch
from shared.log_limit import LogLimit
from shared.model import Judged, Lane, Status, Window
from shared.pipeline.detours import Detours
from shared.publisher.client import Answer
from shared.publisher.encoder import Body, halved, write_bodies
from shared.publisher.responses import Action, Ruling, judge
from shared.publisher.retry import Policy, retry_after
from shared.publisher.rollup import rollup
from shared.telemetry import Record, unrecorded

__all__ = ["Delivery", "Poster", "Timing"]

LOG = logging.getLogger(__name__)

# Seconds that a lane is left alone when retries did not help: at least, and, whatever
# Retry-After says, at most, so that one odd header does not outlast the points' window.
_LEAST_PAUSE = 5.0
_MOST_PAUSE = 300.0
# POSTs under way at once to one region, so that one that hangs leaves threads to the others.
_AT_ONCE_PER_REGION = 8
# Lanes that are left alone at once; more than that are asked again too early.
_MOST_PAUSES = 10_000


class Timing(msgspec.Struct, frozen=True):
    """Clocks, sleep and chance, so that tests need not wait."""

    now: Callable[[], datetime] = partial(datetime.now, UTC)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random


_POLICY = Policy()
_TIMING = Timing()


class _Pause(msgspec.Struct, frozen=True):
    """Until when (by the clock) a lane is to be left alone, and why."""

    until: float
    why: str


class Poster(Protocol):
    """What sends a body; blocking."""

    def post(self, lane: Lane, body: bytes) -> Answer:
        """Send a body once."""


LookUp = Callable[[str], Awaitable[str | None]]


class Delivery:
    """Posts the points of lanes and judges them; shared by all lanes of one event loop.

    The POSTs run in the executor's threads. Waiting and logging happen on the loop: a wait holds
    no thread, and a log line belongs to its invocation.
    """

    def __init__(
        self,
        poster: Poster,
        *,
        executor: Executor,
        max_body_bytes: int,
        window: Window,
        look_up: LookUp,
        detours: Detours,
        policy: Policy = _POLICY,
        timing: Timing = _TIMING,
        record: Record = unrecorded,
    ) -> None:
        """`look_up` finds the region of a resource anew, where the one it was given is wrong."""
        self._poster = poster
        self._executor = executor
        self._limit = max_body_bytes
        self._window = window
        self._look_up = look_up
        self._detours = detours
        self._record = record
        self._policy = policy
        self._timing = timing
        self._pauses: dict[tuple[str, str], _Pause] = {}
        self._warnings = LogLimit(LOG)
        self._slots = _Slots(_AT_ONCE_PER_REGION)

    async def __call__(self, batch: Batch) -> list[Judged]:
        """Post the points. Every position is in exactly one of what is returned."""
        lane = batch.lane
        if why := self._paused(lane):
            return [Judged(Status.DEFERRED, range(len(batch)), why)]
        deadline = self._timing.clock() + self._policy.total
        work = self._bodies(batch)
        judged: list[Judged] = []
        rerouted = False
        while work:
            if judged and self._timing.clock() > deadline:
                # Halving may take long; what is left is not worth holding up the lane for.
                judged.append(_deferred(work, "not reached in time"))
                break
            body = work.pop()
            members = _members(body, batch)
            route = self._detours.route(lane)
            answer, ruling, elsewhere = await self._attempt(route, body, deadline, rerouted)
            match ruling.action:
                case Action.PUBLISHED:
                    judged.append(Judged(Status.PUBLISHED, members))
                case Action.EXPIRE if expired := self._expired(batch, members):
                    judged.append(_rejected(expired, answer, ruling))
                    work += self._bodies(batch, sorted({*members}.difference(expired)))
                case Action.HALVE | Action.EXPIRE if halves := halved(body):
                    work += halves
                case Action.HALVE | Action.EXPIRE:
                    judged.append(_rejected(members, answer, ruling))
                case Action.REROUTE if elsewhere is not None:
                    self._detours.learn(lane, elsewhere)
                    work.append(body)
                    rerouted = True
                case _:
                    hint = f"; {ruling.hint} on {lane.resource_id}" if ruling.hint else ""
                    why = f"{answer}{hint}"
                    self._detours.learn(lane, ruling.region)
                    self._pause(lane, ruling.pause, why)
                    judged.append(_deferred([body, *work], why))
                    break
        return judged

    async def _attempt(
        self, lane: Lane, body: Body, deadline: float, rerouted: bool
    ) -> tuple[Answer, Ruling, str | None]:
        """Settle a body; where it belongs to another region, that region, once. Never raises."""
        region: str | None = None
        try:
            answer, ruling = await self._settle(lane, body, deadline)
            if ruling.action is Action.REROUTE and not rerouted:
                # The service may say it, else it is looked up.
                region = ruling.region or await self._look_up(lane.resource_id)
        except Exception as exc:
            # Not foreseen; what was published before it must not be sent again for it.
            LOG.exception("A POST to %s %s broke", lane.region, lane.resource_id)
            return Answer(None, type(exc).__name__, str(exc)), Ruling(Action.DEFER), None
        return answer, ruling, None if region == lane.region else region

    def _bodies(self, batch: Batch, positions: Sequence[int] | None = None) -> list[Body]:
        return list(write_bodies(rollup(batch, positions), self._limit))

    async def _settle(self, lane: Lane, body: Body, deadline: float) -> tuple[Answer, Ruling]:
        """Post a body, again while that may help, and say what the last answer means."""
        loop = asyncio.get_running_loop()
        attempt = 0
        while True:
            attempt += 1
            async with self._slots.of(lane.region):
                answer = await loop.run_in_executor(
                    self._executor, self._poster.post, lane, body.data
                )
            ruling = judge(answer)
            self._report(lane, body, answer, ruling)
            if ruling.action is not Action.RETRY:
                return answer, ruling
            asked = retry_after(answer.retry_after, self._timing.now())
            delay = self._policy.delay(attempt, self._timing.chance(), asked)
            if self._timing.clock() + delay > deadline:
                pause = min(_MOST_PAUSE, max(_LEAST_PAUSE, asked or 0.0))
                return answer, Ruling(Action.DEFER, pause=pause)
            await self._timing.sleep(delay)

    def _report(self, lane: Lane, body: Body, answer: Answer, ruling: Ruling) -> None:
        points = body.points
        line = (
            f"POST {lane.region} {lane.resource_id}: {points} points in {len(body.documents)} "
            f"documents, {len(body.data)} bytes, {answer.seconds * 1000:.0f} ms: {answer}"
        )
        status = str(answer.status or answer.code)
        if ruling.action is Action.PUBLISHED:
            LOG.info("%s", line)
        else:
            self._warnings.warn(f"points not taken ({status})", points, line)
        self._record("Posts", 1, Status=status)
        self._record("PostDuration", answer.seconds, Status=status)
        self._record("BatchSize", points)

    def _expired(self, batch: Batch, positions: Iterable[int]) -> list[int]:
        """Where the points are whose window has passed on their way."""
        oldest = self._timing.now() - self._window.past
        return [position for position in positions if batch.times[position] < oldest]

    def _paused(self, lane: Lane) -> str | None:
        """Why the lane is to be left alone, if it is."""
        pause = self._pauses.get(lane.key)
        if pause is None:
            return None
        if pause.until > self._timing.clock():
            return pause.why
        del self._pauses[lane.key]
        return None

    def _pause(self, lane: Lane, seconds: float, why: str) -> None:
        now = self._timing.clock()
        if len(self._pauses) >= _MOST_PAUSES:
            kept = {key: pause for key, pause in self._pauses.items() if pause.until > now}
            self._pauses = kept if len(kept) < _MOST_PAUSES else {}
        self._pauses[lane.key] = _Pause(now + seconds, why)


class _Slots:
    """At most so many at once for each name; a name that nobody uses is forgotten."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._used: dict[str, tuple[asyncio.Semaphore, int]] = {}

    @contextlib.asynccontextmanager
    async def of(self, name: str) -> AsyncIterator[None]:
        """Wait for a slot of that name and hold it."""
        slots, users = self._used.get(name, (asyncio.Semaphore(self._at_once), 0))
        self._used[name] = (slots, users + 1)
        try:
            async with slots:
                yield
        finally:
            slots, users = self._used.pop(name)
            if users > 1:
                self._used[name] = (slots, users - 1)


def _members(body: Body, batch: Batch) -> Sequence[int]:
    """Where the body's points are; mostly it holds all, which nobody has to list.

    A roll-up has each position once, so that as many as there are points are all of them.
    """
    return range(len(batch)) if body.points == len(batch) else body.positions()


def _deferred(bodies: Iterable[Body], why: str) -> Judged:
    return Judged(Status.DEFERRED, [one for body in bodies for one in body.positions()], why)


def _rejected(positions: Sequence[int], answer: Answer, ruling: Ruling) -> Judged:
    return Judged(Status.REJECTED, positions, str(answer), ruling.reason)
