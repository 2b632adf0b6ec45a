"""Group commit: what goes out together, who gets which outcome, and no waiter is left."""

from __future__ import annotations

import asyncio
import gc
import random
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from shared.model import (
    MAX_COUNT,
    PUBLISHED,
    Aggregates,
    Outcome,
    Outcomes,
    Reason,
    Results,
    Rollup,
    Status,
    Target,
    ValueSet,
)
from shared.publisher.batcher import Batcher
from tests.unit.rollups import MINUTE, OTHER, REGION, RESOURCE, TARGET, rollup_of, series

EASTUS = Target("eastus", RESOURCE)
UPPER = Target(REGION, RESOURCE.upper())
REJECTED = Outcome(Status.REJECTED, "400 no", Reason.REJECTED_BY_AZURE)
CANCELLED = Outcome(Status.DEFERRED, "the delivery was cancelled")


class ManualSend:
    """A `Send` of which each call waits until the test answers it."""

    def __init__(self) -> None:
        self.calls: list[tuple[Target, Aggregates]] = []
        self.answers: list[asyncio.Future[Outcomes]] = []

    async def __call__(self, target: Target, aggregates: Aggregates) -> Outcomes:
        self.calls.append((target, aggregates))
        self.answers.append(asyncio.get_running_loop().create_future())
        return await self.answers[-1]

    def answer(self, number: int, outcomes: Outcomes | None = None) -> None:
        self.answers[number].set_result(outcomes or {})

    def sums(self) -> list[dict[str, float]]:
        """Return metric -> sum of each call."""
        return [
            {
                one.metric: values.sum
                for group in aggregates.values()
                for one, values in group.items()
            }
            for _, aggregates in self.calls
        ]


async def run_tasks() -> None:
    """Run every task as far as it gets."""
    for _ in range(20):
        await asyncio.sleep(0)


Submit = Callable[..., "asyncio.Task[Results]"]


@pytest.fixture
def send() -> ManualSend:
    return ManualSend()


@pytest.fixture
def batcher(send: ManualSend) -> Batcher:
    return Batcher(send)


@pytest_asyncio.fixture
async def submit(batcher: Batcher) -> AsyncIterator[Submit]:
    """Start submissions; none may be left at the end."""
    tasks: list[asyncio.Task[Results]] = []

    def start(*rollups: Rollup, to: Batcher = batcher) -> asyncio.Task[Results]:
        tasks.append(asyncio.create_task(to.submit(rollups)))
        return tasks[-1]

    yield start
    await run_tasks()
    assert all(task.done() for task in tasks), "a submission hangs"


# --- What goes out together -----------------------------------------------------------------------


async def test_an_idle_target_sends_at_once(send: ManualSend, submit: Submit) -> None:
    rollup = rollup_of(a=1.0)
    nothing, task = submit(), submit(rollup, Rollup(OTHER))
    await run_tasks()
    assert nothing.result() == []
    assert send.calls == [(TARGET, rollup.aggregate())]
    assert not task.done()
    send.answer(0)
    assert await task == [(rollup, PUBLISHED)]


async def test_one_delivery_is_in_flight_and_the_rest_is_merged(
    send: ManualSend, submit: Submit
) -> None:
    first = submit(rollup_of(a=1.0))
    await run_tasks()
    others = [submit(rollup_of(a=value)) for value in (2.0, 3.0, 4.0)]
    await run_tasks()
    assert send.sums() == [{"a": 1.0}]
    send.answer(0)
    await run_tasks()
    assert first.done()
    assert send.sums()[1:] == [{"a": 9.0}]
    assert send.calls[1][1] == {MINUTE: {series("a"): ValueSet(2.0, 4.0, 9.0, 3)}}
    late = submit(rollup_of(a=5.0))
    await run_tasks()
    assert not any(task.done() for task in others)
    send.answer(1)
    await run_tasks()
    assert all(task.done() for task in others)
    assert send.sums()[2:] == [{"a": 5.0}]
    send.answer(2)
    await late


async def test_resource_ids_compare_without_case(send: ManualSend, submit: Submit) -> None:
    tasks = [submit(rollup_of(target, a=1.0)) for target in (TARGET, UPPER)]
    await run_tasks()
    assert send.sums() == [{"a": 2.0}]
    send.answer(0)
    # Each keeps the resource ID that it was submitted with, and does not change.
    assert [await task for task in tasks] == [
        [(rollup_of(target, a=1.0), PUBLISHED)] for target in (TARGET, UPPER)
    ]


async def test_targets_do_not_wait_for_each_other(send: ManualSend, submit: Submit) -> None:
    several = submit(rollup_of(a=1.0), rollup_of(OTHER, a=2.0))
    alone = submit(rollup_of(EASTUS, a=3.0))
    await run_tasks()
    assert [target for target, _ in send.calls] == [TARGET, OTHER, EASTUS]
    send.answer(2)
    send.answer(1)
    await run_tasks()
    assert (several.done(), alone.done()) == (False, True)
    send.answer(0)
    assert [rollup.target for rollup, _ in await several] == [TARGET, OTHER]


LIMIT = {
    "all fit": ([1, 1, 2], [4]),
    "one more does not": ([1, 1, 3], [2, 3]),
    "in their order": ([3, 2, 1], [3, 3]),
    "more than fit alone": ([1, 5, 1], [1, 5, 1]),
}


@pytest.mark.parametrize(("sizes", "calls"), LIMIT.values(), ids=LIMIT)
async def test_a_delivery_has_a_limit_of_points(
    sizes: list[int], calls: list[int], send: ManualSend, submit: Submit
) -> None:
    batcher = Batcher(send, max_points=4)
    tasks = [submit(rollup_of(a=[1.0] * size), to=batcher) for size in sizes]
    for number in range(len(calls)):
        await run_tasks()
        send.answer(number)
    await asyncio.gather(*tasks)
    assert send.sums() == [{"a": float(size)} for size in calls]


FULL = ValueSet(0.0, 1.0, 1.0, MAX_COUNT - 1)
HUGE = 1.7976931348623157e308
OVERFLOW: dict[str, tuple[list[list[float | ValueSet]], list[float]]] = {
    "the count is full": ([[FULL, 1.0]], [2.0]),
    "beyond the count": ([[FULL, 1.0, 5.0, 6.0]], [2.0, 11.0]),
    "two submissions": ([[1e308], [1e308]], [1e308, 1e308]),
    "one submission": ([[1e308, 1e308, 1.0]], [1e308, 1e308]),
    "values that only overflow together": ([[HUGE, 2.0**969, 2.0**969, 2.0**969]], []),
}


@pytest.mark.parametrize(("given", "sums"), OVERFLOW.values(), ids=OVERFLOW)
async def test_values_that_overflow_go_out_in_the_next_delivery(
    given: list[list[Any]], sums: list[float], send: ManualSend, submit: Submit
) -> None:
    rollups = [rollup_of(a=values) for values in given]
    tasks = [submit(rollup) for rollup in rollups]
    while not all(task.done() for task in tasks):
        await run_tasks()
        send.answer(len(send.calls) - 1)
        await run_tasks()
    assert [call["a"] for call in send.sums()] == sums or not sums
    for rollup, task in zip(rollups, tasks, strict=True):
        parts = [part for part, outcome in task.result() if outcome is PUBLISHED]
        values = [value for part in parts for value in part.minutes[MINUTE][series("a")]]
        assert values == rollup.minutes[MINUTE][series("a")]


async def test_only_the_series_that_overflows_waits(send: ManualSend, submit: Submit) -> None:
    task = submit(rollup_of(a=[1e308, 1e308], b=[1.0, 2.0]))
    await run_tasks()
    send.answer(0)
    await run_tasks()
    assert send.sums() == [{"a": 1e308, "b": 3.0}, {"a": 1e308}]
    outcome = Outcome(Status.DEFERRED, "503")
    send.answer(1, {(MINUTE, series("a")): outcome})
    assert await task == [
        (rollup_of(a=1e308, b=[1.0, 2.0]), PUBLISHED),
        (rollup_of(a=1e308), outcome),
    ]


# --- Who gets which outcome -----------------------------------------------------------------------


async def test_a_series_and_minute_have_one_outcome_for_all_who_submitted_them(
    send: ManualSend, submit: Submit
) -> None:
    first, second = submit(rollup_of(a=1.0, b=2.0)), submit(rollup_of(b=3.0, c=4.0))
    await run_tasks()
    deferred = Outcome(Status.DEFERRED, "503")
    send.answer(0, {(MINUTE, series("b")): REJECTED, (MINUTE, series("c")): deferred})
    assert await first == [(rollup_of(a=1.0), PUBLISHED), (rollup_of(b=2.0), REJECTED)]
    assert await second == [(rollup_of(b=3.0), REJECTED), (rollup_of(c=4.0), deferred)]


async def test_a_waiter_that_is_cancelled_does_not_touch_the_others(
    send: ManualSend, submit: Submit
) -> None:
    cancelled, other = submit(rollup_of(a=1.0)), submit(rollup_of(a=2.0))
    await run_tasks()
    waiting = submit(rollup_of(a=3.0))
    await run_tasks()
    cancelled.cancel()
    waiting.cancel()
    await run_tasks()
    assert (cancelled.cancelled(), waiting.cancelled(), other.done()) == (True, True, False)
    send.answer(0)
    assert await other == [(rollup_of(a=2.0), PUBLISHED)]
    await run_tasks()
    # It was accepted, and is sent all the same.
    assert send.sums() == [{"a": 3.0}, {"a": 3.0}]
    send.answer(1)


async def test_an_unexpected_error_defers_one_delivery(
    send: ManualSend, submit: Submit, caplog: pytest.LogCaptureFixture
) -> None:
    task = submit(rollup_of(a=1.0), rollup_of(OTHER, a=2.0))
    await run_tasks()
    later = submit(rollup_of(a=3.0))
    await run_tasks()
    send.answers[0].set_exception(OSError("broken"))
    await run_tasks()
    send.answer(1)
    send.answer(2)
    deferred = Outcome(Status.DEFERRED, "OSError('broken')")
    assert await task == [(rollup_of(a=1.0), deferred), (rollup_of(OTHER, a=2.0), PUBLISHED)]
    assert await later == [(rollup_of(a=3.0), PUBLISHED)]
    (record,) = caplog.records
    assert record.message == f"Unexpected error while posting to {REGION} {RESOURCE}"
    assert record.exc_info


async def test_when_the_loop_stops_waiters_are_answered_not_cancelled(
    send: ManualSend, submit: Submit
) -> None:
    in_flight = submit(rollup_of(a=[1e308, 1e308]))
    await run_tasks()
    waiting = submit(rollup_of(a=2.0))
    await run_tasks()
    send.answers[0].cancel()
    await run_tasks()
    assert in_flight.result() == [(rollup_of(a=1e308), CANCELLED)] * 2
    assert waiting.result() == [(rollup_of(a=2.0), CANCELLED)]
    after = submit(rollup_of(a=3.0))
    await run_tasks()
    send.answer(1)
    assert await after == [(rollup_of(a=3.0), PUBLISHED)]


def test_what_stops_the_program_is_raised() -> None:
    async def interrupt(target: Target, aggregates: Aggregates) -> Outcomes:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(Batcher(interrupt).submit([rollup_of(a=1.0)]))


async def test_a_delivery_is_referenced_until_it_ends(submit: Submit) -> None:
    """The loop holds its tasks weakly."""
    futures: list[weakref.ref[asyncio.Future[Outcomes]]] = []

    async def wait(target: Target, aggregates: Aggregates) -> Outcomes:
        future: asyncio.Future[Outcomes] = asyncio.get_running_loop().create_future()
        futures.append(weakref.ref(future))
        return await future

    batcher = Batcher(wait)
    task = submit(rollup_of(a=1.0), to=batcher)
    await run_tasks()
    gc.collect()
    future = futures[0]()
    assert future is not None
    future.set_result({})
    await task
    await run_tasks()
    assert not batcher._waiting


# --- Whatever happens -----------------------------------------------------------------------------


class RandomSend:
    """Answers, fails and is cancelled at random; counts what it published."""

    def __init__(self, chance: random.Random) -> None:
        self.published = Counter[str]()
        self._chance = chance
        self._in_flight: set[tuple[str, str]] = set()

    async def __call__(self, target: Target, aggregates: Aggregates) -> Outcomes:
        assert target.key not in self._in_flight
        self._in_flight.add(target.key)
        for _ in range(self._chance.randrange(20)):
            await asyncio.sleep(0)
        self._in_flight.remove(target.key)
        match self._chance.randrange(10):
            case 0:
                raise OSError("broken")
            case 1:
                raise asyncio.CancelledError
        choices = (PUBLISHED, PUBLISHED, REJECTED, Outcome(Status.DEFERRED, "503"))
        outcomes = {}
        for minute, group in aggregates.items():
            for one, values in group.items():
                outcome = self._chance.choice(choices)
                if outcome is PUBLISHED:
                    self.published[one.metric] += values.count
                else:
                    outcomes[minute, one] = outcome
        return outcomes


@pytest.mark.parametrize("seed", range(6))
async def test_every_submission_gets_every_outcome_once(seed: int) -> None:
    chance = random.Random(seed)
    send = RandomSend(chance)
    batcher = Batcher(send, max_points=8)
    published, answered, cancelled = Counter[str](), 0, 0

    async def produce() -> None:
        nonlocal answered
        target = Target(chance.choice(["westeurope", "eastus"]), chance.choice(["/a/b", "/A/B"]))
        values = {chance.choice("abc"): [1e308] * chance.randrange(1, 3), "d": [1.0, 2.0]}
        rollup = rollup_of(target, **values)
        results = await batcher.submit([rollup])
        answered += 1
        found = Counter[str]()
        for part, outcome in results:
            assert part.target == target
            for one, given in part.minutes[MINUTE].items():
                found[one.metric] += len(given)
                published[one.metric] += len(given) * (outcome is PUBLISHED)
        assert found == Counter({metric: len(given) for metric, given in values.items()})

    async def give_up() -> None:
        nonlocal cancelled
        task = asyncio.create_task(produce())
        for _ in range(chance.randrange(40)):
            await asyncio.sleep(0)
        cancelled += task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async with asyncio.timeout(120):  # Reached only if something hangs.
        kinds = [give_up if chance.random() < 0.1 else produce for _ in range(1000)]
        await asyncio.gather(*(kind() for kind in kinds))
    assert answered + cancelled == 1000
    # What cancelled submissions had published is not counted here.
    assert published <= send.published
    assert cancelled or published == send.published
