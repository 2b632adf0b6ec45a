"""Random answers, queues that fail, messages that are shown again: no point is lost.

Processor, batcher and sender as the app has them, with a store and queues that answer at random.
A point may count twice only if the answer that accepted it was lost.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from shared.clients.storage import Queue
from shared.errors import DeferredError
from shared.messages.parser import MessageParser
from shared.messages.validation import Defaults
from shared.model import Aggregates, Origin, Target, TimeWindow
from shared.pipeline.admission import Admission
from shared.pipeline.processor import Processor
from shared.pipeline.regions import Regions
from shared.publisher.batcher import Batcher
from shared.publisher.encoder import Body, encode_bodies
from shared.publisher.responses import Response, ResponseAction, classify
from shared.publisher.sender import Sender, TargetStates, Timing

NOW = datetime(2026, 11, 23, 7, 25, 10, tzinfo=UTC)
PAST = timedelta(minutes=20)
SITES = "/subscriptions/1/resourceGroups/g/providers/Microsoft.Web/sites"
# Answers and their shares.
FAILURES = [
    (Response(503), 0.05),
    (Response(None, "ConnectionError", "refused"), 0.03),
    (Response(403), 0.02),
    (Response(401), 0.01),
    (Response(429, retry_after=1.0), 0.02),
    (Response(400, "RegionMismatch", "resource's region : northeurope. Ensure that"), 0.02),
]
LOST_ANSWER = 0.02
FAILED_PUT = 0.1
FAILED_DELETION = 0.02
BAD_POINT = 0.003


class ModelStore:
    """Counts the points that it accepts, and those whose answer is lost."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.accepted: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()

    def encode(self, aggregates: Aggregates) -> Iterator[Body]:
        return encode_bodies(aggregates, 20_000)

    def classify(self, response: Response) -> ResponseAction:
        return classify(response)

    def token(self) -> str:
        return "token"

    def post(self, target: Target, data: bytes, token: str) -> Response:  # noqa: ARG002
        documents = [json.loads(line)["data"]["baseData"] for line in data.splitlines()]
        if any(one["metric"] == "bad" for one in documents):
            return Response(400, "BadRequest", "no")
        for failure, share in FAILURES:
            if self._chance.random() < share:
                return failure
        is_lost = self._chance.random() < LOST_ANSWER
        for one in documents:
            for series in one["series"]:
                (number,) = series["dimValues"]
                self.accepted[number] += series["count"]
                self.lost[number] += series["count"] * is_lost
        return Response(None, "ConnectionError", "lost") if is_lost else Response(200)


class ModelQueue(Queue):
    """Fails now and then."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.messages: list[bytes] = []

    async def send(self, message: bytes, delay: timedelta = timedelta()) -> None:  # noqa: ARG002
        await asyncio.sleep(0)
        if self._chance.random() < FAILED_PUT:
            raise OSError("the queue is busy")
        self.messages.append(message)


class NamedRegions:
    """Every message names the region of its resource."""

    async def resolve(self, target: Target) -> Target:
        return target

    async def correct(self, target: Target, region: str | None) -> Target:
        """Return the target in the region that the store names."""
        return Target(region or "", target.resource_id)


class ModelClock:
    """Moves with each look, and instead of waiting."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        self.seconds += 0.001
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        await asyncio.sleep(0)


def make_messages(chance: random.Random, count: int) -> tuple[list[bytes], set[str]]:
    """Return messages of so many points, and the numbers of those that the store rejects."""
    messages: list[bytes] = []
    bad: set[str] = set()
    number = 0
    while number < count:
        points: list[dict[str, Any]] = []
        for _ in range(min(chance.randint(1, 60), count - number)):
            is_bad = chance.random() < BAD_POINT
            bad |= {str(number)} if is_bad else set()
            time = NOW - timedelta(seconds=chance.randint(0, 200))
            points.append(
                {
                    "metric": "bad" if is_bad else "good",
                    "value": 1,
                    "time": time.isoformat(),
                    "dimensions": {"Number": str(number)},
                }
            )
            number += 1
        address = {
            "resourceId": f"{SITES}/{chance.randrange(8)}",
            "region": chance.choice(["westeurope", "eastus"]),
        }
        messages.append(json.dumps({**address, "points": points}).encode())
    return messages, bad


@pytest.mark.parametrize("count", [3_000, pytest.param(100_000, marks=pytest.mark.slow)])
async def test_no_point_is_lost_and_none_counts_twice_without_a_lost_answer(count: int) -> None:
    chance, clock = random.Random(count), ModelClock()
    store, ingress, dead = ModelStore(chance), ModelQueue(chance), ModelQueue(chance)
    messages, bad = make_messages(chance, count)
    regions = cast(Regions, NamedRegions())
    with ThreadPoolExecutor(8) as threads:
        sender = Sender(
            store,
            executor=threads,
            past=PAST,
            correct_region=regions.correct,
            states=TargetStates(clock),
            timing=Timing(lambda: NOW, clock, clock.sleep, chance.random),
        )
        processor = Processor(
            parser=MessageParser(Defaults("n"), TimeWindow(PAST, timedelta(minutes=4))),
            admission=Admission(regions),
            submit=Batcher(sender.send).submit,
            ingress=ingress,
            dead_letters=dead,
            retry_delay=timedelta(),
            clock=lambda: NOW,
            sleep=clock.sleep,
        )

        shown = 0

        async def show(number: int, body: bytes) -> bool:
            """Return whether a message is deleted."""
            nonlocal shown
            shown += 1
            try:
                await processor.process(body, Origin(str(number), NOW))
            except (DeferredError, OSError):
                return False
            return chance.random() >= FAILED_DELETION

        waiting = dict(enumerate(messages))
        numbers = itertools.count(len(messages))
        while waiting or ingress.messages:
            waiting |= {next(numbers): body for body in ingress.messages}
            ingress.messages = []
            for first in range(0, len(waiting), 288):
                some = list(waiting.items())[first : first + 288]
                deleted = await asyncio.gather(*(show(number, body) for number, body in some))
                for (number, _), is_deleted in zip(some, deleted, strict=True):
                    if is_deleted:
                        waiting[number] = b""
            waiting = {number: body for number, body in waiting.items() if body}
            clock.seconds += 30

    rejected = {
        point["dimensions"]["Number"]
        for body in dead.messages
        for entry in json.loads(body)["refused"]
        for document in (
            entry["message"] if isinstance(entry["message"], list) else [entry["message"]]
        )
        for point in document["points"]
    }
    everything = {str(number) for number in range(count)}
    assert everything - store.accepted.keys() - rejected == set()
    assert rejected == bad
    twice = {number: total for number, total in store.accepted.items() if total > 1}
    assert [number for number, total in twice.items() if total > 1 + store.lost[number]] == []
    print(
        f"{count:,} points in {len(messages):,} messages, {shown:,} times shown: lost 0, "
        f"{len(rejected)} rejected, {len(twice):,} counted twice, all of them with a lost answer"
    )
