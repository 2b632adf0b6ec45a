"""One delivery: value sets -> POSTs -> outcomes, with retries and splitting.

What the store has accepted is never sent again. A body that it rejects as a whole is halved until
the series at fault is alone: k such series among n take O(k log n) POSTs. What may pass is retried
for some seconds, then deferred, and the target gets a cooldown.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol

import msgspec
from cachetools import LRUCache

from shared.errors import TokenError
from shared.model import Aggregates, Outcome, Outcomes, Series, Status, Target, minute_of
from shared.publisher.circuit_breaker import CircuitBreaker
from shared.publisher.encoder import Body
from shared.publisher.responses import (
    REGION_SILENT,
    RETRY_SECONDS,
    TOKEN_ERROR,
    Action,
    Response,
    ResponseAction,
    backoff,
    cooldown,
)
from shared.telemetry import LogLimiter, Record, ignore
from shared.text import plural

__all__ = ["CorrectRegion", "Sender", "Store", "TargetStates", "Timing"]

LOG = logging.getLogger(__name__)

# Regions with a circuit breaker; a producer may invent some.
MAX_REGIONS = 1_000
# Targets with a cooldown; beyond, the ones that were set first are tried too early.
MAX_COOLDOWNS = 10_000

CorrectRegion = Callable[[Target, str | None], Awaitable[Target | None]]
"""Returns the target in its right region after a RegionMismatch, None if that is unknown."""


class Store(Protocol):
    """Where deliveries end."""

    def encode(self, aggregates: Aggregates) -> Iterator[Body]:
        """Yield the request bodies of one target."""

    def token(self) -> str:
        """Return a token; blocks. Raises TokenError."""

    def post(self, target: Target, data: bytes, token: str) -> Response:
        """Post a body once; blocks, and never raises for the service or the way to it.

        A token that is answered 401 is not returned by `token` again.
        """

    def classify(self, response: Response) -> ResponseAction:
        """Return what an answer asks for."""


class Timing(msgspec.Struct, frozen=True):
    """Clocks, sleep and randomness, so that tests need not wait."""

    now: Callable[[], datetime] = partial(datetime.now, UTC)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Callable[[], float] = random.random


@dataclass
class TargetStates:
    """The cooldowns of targets and the circuit breakers of regions."""

    clock: Callable[[], float] = time.monotonic
    _cooldowns: LRUCache[tuple[str, str], tuple[float, str]] = field(
        init=False, default_factory=lambda: LRUCache(MAX_COOLDOWNS)
    )
    _breakers: LRUCache[str, CircuitBreaker] = field(
        init=False, default_factory=lambda: LRUCache(MAX_REGIONS)
    )

    def unavailable(self, target: Target) -> str:
        """Return the reason for not trying a target now, empty if there is none."""
        until, reason = self._cooldowns.get(target.key, (0.0, ""))
        if until > self.clock():
            return reason
        breaker = self.breaker(target.region)
        return breaker.reason() if breaker.is_open() else ""

    def set_cooldown(self, target: Target, seconds: float, reason: str) -> None:
        """Do not try a target for some seconds."""
        self._cooldowns[target.key] = self.clock() + seconds, reason

    def breaker(self, region: str) -> CircuitBreaker:
        """Return the circuit breaker of a region."""
        return self._breakers.setdefault(region, CircuitBreaker(region, self.clock))


@dataclass
class Sender:
    """Sends value sets to a store; shared by all targets of one event loop.

    POSTs run in the executor's threads; waits hold no thread.
    """

    store: Store
    _: KW_ONLY
    executor: Executor
    past: timedelta  # How old a value may be for the store to accept it.
    correct_region: CorrectRegion
    timing: Timing = field(default_factory=Timing)
    record: Record = ignore
    states: TargetStates  # Shared by all senders of an app.
    _warnings: LogLimiter = field(init=False, default_factory=lambda: LogLimiter(LOG))

    async def send(self, target: Target, aggregates: Aggregates) -> Outcomes:
        """Send value sets. Returns the outcome of each that was not published."""
        if reason := self.states.unavailable(target):
            deferred = Outcome(Status.DEFERRED, reason)
            return {(minute, one): deferred for minute in aggregates for one in aggregates[minute]}
        outcomes: dict[tuple[datetime, Series], Outcome] = {}
        bodies = list(self.store.encode(aggregates))
        deadline = self.timing.clock() + RETRY_SECONDS
        corrected = False
        while bodies:
            if self.timing.clock() > deadline:
                # Splitting may take long; the target should not wait for what is left.
                outcomes.update(_all(bodies, Outcome(Status.DEFERRED, "not reached in time")))
                break
            body = bodies.pop()
            response, action = await self._post(target, body, deadline)
            match action.action:
                case Action.PUBLISHED:
                    continue
                case Action.SPLIT | Action.DROP_EXPIRED:
                    parts, rejected = self._split(body, response, action)
                    bodies += parts
                    outcomes.update(rejected)
                    continue
                case Action.OTHER_REGION if not corrected:
                    corrected = True
                    found = await self._other_region(target, action.region)
                    if found is not None:
                        target = found
                        bodies.append(body)
                        continue
            hint = f"; {action.hint} on {target.resource_id}" if action.hint else ""
            reason = f"{response}{hint}"
            if response.code != REGION_SILENT:
                seconds = cooldown(action, response.retry_after)
                self.states.set_cooldown(target, seconds, reason)
            outcomes.update(_all([body, *bodies], Outcome(Status.DEFERRED, reason)))
            break
        return outcomes

    def _split(
        self, body: Body, response: Response, action: ResponseAction
    ) -> tuple[list[Body], dict[tuple[datetime, Series], Outcome]]:
        """Return what to send instead of a rejected body, and the outcome of the rest of it."""
        rejected = Outcome(Status.REJECTED, str(response), action.reason)
        if action.action is Action.DROP_EXPIRED:
            return self._split_by_time(body, rejected)
        halves = body.halves()
        return halves, {} if halves else _all([body], rejected)

    def _split_by_time(
        self, body: Body, expired: Outcome
    ) -> tuple[list[Body], dict[tuple[datetime, Series], Outcome]]:
        """Drop the minutes that expired; without any, find the minutes that the store rejects."""
        minutes = sorted({document.minute for document in body.documents})
        oldest = minute_of(self.timing.now() - self.past)
        if minutes[0] < oldest:
            before, others = body.split_at(oldest)
            return others, _all(before, expired)
        if len(minutes) == 1:
            # It is ahead of the store's clock, or will expire by the app's.
            return [], _all([body], Outcome(Status.DEFERRED, expired.detail))
        before, others = body.split_at(minutes[len(minutes) // 2])
        return before + others, {}

    async def _post(
        self, target: Target, body: Body, deadline: float
    ) -> tuple[Response, ResponseAction]:
        """Post a body, again while that may help; return the last answer. Never raises."""
        attempt = 0
        renewed = False
        try:
            while True:
                attempt += 1
                response = await self._post_once(target, body)
                action = self.store.classify(response)
                if response.code != REGION_SILENT:
                    self._report(target, body, response, action)
                if action.action is Action.RENEW_TOKEN and not renewed:
                    renewed = True
                    continue
                if action.action is not Action.RETRY:
                    return response, action
                delay = backoff(attempt, self.timing.jitter(), response.retry_after)
                if self.timing.clock() + delay > deadline:
                    return response, action
                await self.timing.sleep(delay)
        except Exception as exc:
            # What this delivery has published must not be sent again because of it.
            LOG.exception(
                "Unexpected error while posting to %s %s", target.region, target.resource_id
            )
            return Response(None, type(exc).__name__, str(exc)), ResponseAction(Action.DEFER)

    async def _other_region(self, target: Target, region: str | None) -> Target | None:
        try:
            return await self.correct_region(target, region)
        except Exception:
            LOG.exception("Unexpected error while looking up the region of %s", target.resource_id)
            return None

    async def _post_once(self, target: Target, body: Body) -> Response:
        in_thread = partial(asyncio.get_running_loop().run_in_executor, self.executor)
        try:  # Before it holds a slot: that there is no token is not the region's fault.
            token = await in_thread(self.store.token)
        except TokenError as exc:
            return Response(None, TOKEN_ERROR, str(exc))
        breaker = self.states.breaker(target.region)
        if not await breaker.acquire():
            return Response(None, REGION_SILENT, breaker.reason())
        answered = timed_out = False
        try:
            response = await in_thread(self.store.post, target, body.data, token)
            answered, timed_out = response.status is not None, response.timed_out
        finally:
            breaker.release(answered=answered, timed_out=timed_out)
        return response

    def _report(
        self, target: Target, body: Body, response: Response, action: ResponseAction
    ) -> None:
        samples = body.samples
        text = (
            f"POST to {target.region} {target.resource_id}: {plural(samples, 'sample')} in "
            f"{len(body.data):,} bytes, {response.seconds * 1000:.0f} ms: {response}"
        )
        status = str(response.status or response.code)
        if action.action is Action.PUBLISHED:
            LOG.info("%s", text)
        else:
            self._warnings.warn(f"Samples not published ({status})", samples, text)
        self.record("Posts", 1, Status=status)
        self.record("PostDuration", response.seconds, Status=status)
        self.record("BatchSize", samples)


def _all(bodies: Iterable[Body], outcome: Outcome) -> dict[tuple[datetime, Series], Outcome]:
    return {key: outcome for body in bodies for key in body.contents()}
