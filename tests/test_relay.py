"""Group commit: who goes out together, who gets which answer, and who is left waiting: nobody."""

from __future__ import annotations

import asyncio
import gc
import itertools
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

import pytest
import pytest_asyncio
from builders import LANE, REGION, RESOURCE, point
from by_points import judged, submit
from hypothesis import given
from hypothesis import strategies as st

from shared.batch import Batch
from shared.model import Judged, Lane, Point, Reason, Status, Verdict
from shared.publisher.batcher import Relay

OTHER = Lane(REGION, RESOURCE.replace("ordersqueues", "other"))
EASTUS = Lane("eastus", RESOURCE)


def deferred(points: Sequence[Point], why: str) -> list[Verdict]:
    return [Verdict(Status.DEFERRED, points, why)]


def published(points: Sequence[Point]) -> list[Verdict]:
    return [Verdict(Status.PUBLISHED, points)]


class Deliveries:
    """A `Deliver` whose every call waits until the test answers it."""

    def __init__(self) -> None:
        self.begun: list[tuple[Lane, list[Point]]] = []
        self._answers: list[asyncio.Future[list[Judged]]] = []
        self._in_lane: set[tuple[str, str]] = set()

    async def __call__(self, batch: Batch) -> list[Judged]:
        lane = batch.lane
        key = (lane.region, lane.resource_id.lower())
        assert key not in self._in_lane, "two deliveries at once in one lane"
        self._in_lane.add(key)
        self.begun.append((lane, list(batch)))
        answer: asyncio.Future[list[Judged]] = asyncio.get_running_loop().create_future()
        self._answers.append(answer)
        try:
            return await answer
        finally:
            self._in_lane.remove(key)

    def values(self) -> list[list[float]]:
        """The values of the points of each delivery so far."""
        return [[one.sum for one in points] for _, points in self.begun]

    def answer(self, number: int, verdicts: list[Verdict] | None = None) -> None:
        if verdicts is None:
            verdicts = published(self.begun[number][1])
        self._answers[number].set_result(judged(self.begun[number][1], verdicts))

    def fail(self, number: int, exc: BaseException) -> None:
        self._answers[number].set_exception(exc)

    def cancel(self, number: int) -> None:
        self._answers[number].cancel()


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)


Start = Callable[[Coroutine[object, object, list[Verdict]]], "asyncio.Task[list[Verdict]]"]


@pytest.fixture
def deliveries() -> Deliveries:
    return Deliveries()


@pytest.fixture
def relay(deliveries: Deliveries) -> Relay:
    return Relay(deliveries)


@pytest_asyncio.fixture
async def start() -> AsyncIterator[Start]:
    """Starts a submission; all must have ended when the test has."""
    tasks: list[asyncio.Task[list[Verdict]]] = []

    def begin(submission: Coroutine[object, object, list[Verdict]]) -> asyncio.Task[list[Verdict]]:
        tasks.append(asyncio.create_task(submission))
        return tasks[-1]

    yield begin
    await settle()
    assert all(task.done() for task in tasks), "a submission hangs"


async def test_nothing_is_settled_at_once(relay: Relay, deliveries: Deliveries) -> None:
    assert await submit(relay, []) == []
    assert deliveries.begun == []


async def test_an_idle_lane_sends_at_once(
    relay: Relay, deliveries: Deliveries, start: Start
) -> None:
    one = point()
    task = start(submit(relay, [one]))
    await settle()
    assert deliveries.begun == [(LANE, [one])]
    assert not task.done()
    deliveries.answer(0)
    assert await task == published([one])


async def test_newcomers_gather_while_a_delivery_is_under_way(
    relay: Relay, deliveries: Deliveries, start: Start
) -> None:
    first = start(submit(relay, [point(1.0)]))
    await settle()
    others = [start(submit(relay, [point(value)])) for value in (2.0, 3.0, 4.0)]
    await settle()
    assert deliveries.values() == [[1.0]]
    deliveries.answer(0)
    await settle()
    assert first.done()
    assert deliveries.values() == [[1.0], [2.0, 3.0, 4.0]]
    late = start(submit(relay, [point(5.0)]))
    await settle()
    assert not any(task.done() for task in others)
    deliveries.answer(1)
    await settle()
    assert [task.result() for task in others] == [
        published([point(value)]) for value in (2.0, 3.0, 4.0)
    ]
    assert deliveries.values()[2:] == [[5.0]]
    deliveries.answer(2)
    await late


async def test_submissions_of_one_moment_go_out_together(
    relay: Relay, deliveries: Deliveries, start: Start
) -> None:
    tasks = [start(submit(relay, [point(value)])) for value in (1.0, 2.0)]
    await settle()
    assert deliveries.values() == [[1.0, 2.0]]
    deliveries.answer(0)
    assert [await task for task in tasks] == [published([point(1.0)]), published([point(2.0)])]


async def test_lanes_do_not_wait_for_each_other(
    relay: Relay, deliveries: Deliveries, start: Start
) -> None:
    tasks = [start(submit(relay, [point(lane=lane)])) for lane in (LANE, OTHER, EASTUS)]
    await settle()
    assert [lane for lane, _ in deliveries.begun] == [LANE, OTHER, EASTUS]
    deliveries.answer(1)
    await settle()
    assert [task.done() for task in tasks] == [False, True, False]
    deliveries.answer(0)
    deliveries.answer(2)


async def test_a_submission_waits_for_all_its_lanes(
    relay: Relay, deliveries: Deliveries, start: Start
) -> None:
    task = start(submit(relay, [point(1.0), point(2.0, lane=OTHER), point(3.0)]))
    await settle()
    assert deliveries.values() == [[1.0, 3.0], [2.0]]
    deliveries.answer(1)
    await settle()
    assert not task.done()
    deliveries.answer(0)
    assert await task == [
        *published([point(1.0), point(3.0)]),
        *published([point(2.0, lane=OTHER)]),
    ]


async def test_resource_ids_compare_without_case(
    relay: Relay, deliveries: Deliveries, start: Start
) -> None:
    upper = Lane(REGION, RESOURCE.upper())
    tasks = [start(submit(relay, [point(lane=lane)])) for lane in (LANE, upper)]
    both = start(submit(relay, [point(1.0, lane=upper), point(2.0)]))
    await settle()
    assert [len(points) for _, points in deliveries.begun] == [4]
    deliveries.answer(0)
    await settle()
    assert [task.result()[0].points[0].lane for task in tasks] == [LANE, upper]
    assert both.result() == [*published([point(1.0, lane=upper)]), *published([point(2.0)])]


async def test_equal_points_of_two_submissions_are_told_apart(
    relay: Relay, deliveries: Deliveries, start: Start
) -> None:
    mine, yours = point(), point()
    assert mine == yours
    first = start(submit(relay, [mine]))
    second = start(submit(relay, [yours]))
    await settle()
    (_, (one, other)) = deliveries.begun[0]
    refused = Verdict(Status.REJECTED, [one], "no", Reason.REJECTED_BY_AZURE)
    deliveries.answer(0, [refused, *published([other])])
    assert await first == [refused]
    assert await second == published([yours])


async def test_each_gets_the_verdicts_on_its_own_points(
    relay: Relay, deliveries: Deliveries, start: Start
) -> None:
    given_points = [point(value) for value in (1.0, 2.0, 3.0, 4.0)]
    first, second = (start(submit(relay, part)) for part in (given_points[:2], given_points[2:]))
    await settle()
    (_, (a, b, c, d)) = deliveries.begun[0]
    deferred = Verdict(Status.DEFERRED, [b, c], "503")
    deliveries.answer(0, [*published([a, d]), deferred])
    assert await first == [*published([a]), Verdict(Status.DEFERRED, [b], "503")]
    assert await second == [Verdict(Status.DEFERRED, [c], "503"), *published([d])]


async def test_one_that_is_cancelled_disturbs_nobody(
    relay: Relay, deliveries: Deliveries, start: Start
) -> None:
    cancelled, other = start(submit(relay, [point(1.0)])), start(submit(relay, [point(2.0)]))
    await settle()
    cancelled.cancel()
    await settle()
    assert cancelled.cancelled()
    assert not other.done()
    next_one = start(submit(relay, [point(3.0)]))
    deliveries.answer(0)
    assert await other == published([point(2.0)])
    await settle()
    deliveries.answer(1)
    assert await next_one == published([point(3.0)])


async def test_one_that_is_cancelled_while_it_waits_its_turn_is_delivered_all_the_same(
    relay: Relay, deliveries: Deliveries, start: Start
) -> None:
    first = start(submit(relay, [point(1.0)]))
    await settle()
    waiting = start(submit(relay, [point(2.0)]))
    await settle()
    waiting.cancel()
    deliveries.answer(0)
    await first
    await settle()
    assert deliveries.values() == [[1.0], [2.0]]
    deliveries.answer(1)


async def test_what_a_broken_delivery_held_is_deferred_and_the_lane_goes_on(
    relay: Relay, deliveries: Deliveries, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    failing = [start(submit(relay, [point(value)])) for value in (1.0, 2.0)]
    await settle()
    next_one = start(submit(relay, [point(3.0)]))
    deliveries.fail(0, OSError("broken"))
    await settle()
    assert [task.result() for task in failing] == [
        deferred([point(value)], "OSError('broken')") for value in (1.0, 2.0)
    ]
    assert deliveries.values() == [[1.0, 2.0], [3.0]]
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("shared.publisher.batcher", "ERROR")
    assert record.message == f"A delivery to {REGION} {RESOURCE} broke"
    assert record.exc_info
    deliveries.answer(1)
    assert await next_one == published([point(3.0)])


async def test_what_one_lane_published_is_not_lost_to_the_exception_of_another(
    relay: Relay, deliveries: Deliveries, start: Start
) -> None:
    good, bad = point(1.0), point(2.0, lane=OTHER)
    task = start(submit(relay, [bad, good]))
    await settle()
    deliveries.fail(0, OSError("broken"))
    await settle()
    assert not task.done()
    deliveries.answer(1)
    assert await task == [*deferred([bad], "OSError('broken')"), *published([good])]


@pytest.mark.parametrize("places", [[], [[], []], [[0]], [[0, 0]], [[0], [0, 1]]], ids=str)
async def test_a_delivery_that_forgets_a_point_leaves_nobody_waiting(
    relay: Relay, deliveries: Deliveries, start: Start, places: list[list[int]]
) -> None:
    tasks = [start(submit(relay, [point()])), start(submit(relay, [point()]))]
    await settle()
    (_, points) = deliveries.begun[0]
    deliveries.answer(0, [Verdict(Status.PUBLISHED, [points[n] for n in each]) for each in places])
    await settle()
    why = "RelayError('a delivery did not judge once each point that it was given')"
    assert [task.result() for task in tasks] == [deferred([point()], why)] * 2
    after = start(submit(relay, [point()]))
    await settle()
    deliveries.answer(1)
    await after


@pytest.mark.parametrize(
    ("judged", "good"),
    [
        ([range(2)], True),
        ([[1, 0]], True),
        ([[1], [0]], True),
        ([range(1)], False),
        ([range(3)], False),
        ([range(1, 3)], False),
        ([[0, 2]], False),
        ([[0], [2]], False),
        ([range(2), [1]], False),
    ],
    ids=str,
)
async def test_each_position_has_to_be_judged_once(judged: list[Sequence[int]], good: bool) -> None:
    async def deliver(batch: Batch) -> list[Judged]:
        assert len(batch) == 2
        return [Judged(Status.PUBLISHED, positions) for positions in judged]

    verdicts = await submit(Relay(deliver), [point(1.0), point(2.0)])
    statuses = {verdict.status for verdict in verdicts}
    assert statuses == {Status.PUBLISHED if good else Status.DEFERRED}
    assert sum(len(verdict.points) for verdict in verdicts) == 2


async def test_a_delivery_that_is_cancelled_leaves_nobody_waiting(
    relay: Relay, deliveries: Deliveries, start: Start
) -> None:
    under_way = start(submit(relay, [point(1.0)]))
    await settle()
    waiting = start(submit(relay, [point(2.0)]))
    await settle()
    deliveries.cancel(0)
    await settle()
    why = "the delivery was cancelled"
    assert under_way.result() == deferred([point(1.0)], why)
    assert waiting.result() == deferred([point(2.0)], why)
    after = start(submit(relay, [point(3.0)]))
    await settle()
    deliveries.answer(1)
    assert await after == published([point(3.0)])


def test_what_stops_the_program_is_not_taken_for_a_broken_delivery() -> None:
    async def deliver(batch: Batch) -> list[Judged]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(submit(Relay(deliver), [point()]))


async def test_a_delivery_is_held_until_it_ends_and_no_longer(start: Start) -> None:
    under_way: list[weakref.ref[asyncio.Task[Any]]] = []
    waits: list[weakref.ref[asyncio.Future[None]]] = []

    async def deliver(batch: Batch) -> list[Judged]:
        wait: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waits.append(weakref.ref(wait))
        current = asyncio.current_task()
        assert current is not None
        under_way.append(weakref.ref(current))
        await wait
        return [Judged(Status.PUBLISHED, range(len(batch)))]

    relay = Relay(deliver)
    task = start(submit(relay, [point()]))
    await settle()
    gc.collect()
    wait = waits[0]()
    assert wait is not None, "the delivery has vanished"
    wait.set_result(None)
    assert await task == published([point()])
    await settle()
    del wait
    gc.collect()
    assert under_way[0]() is None, "the delivery is still held"


async def test_a_submission_waits_for_room(deliveries: Deliveries, start: Start) -> None:
    relay = Relay(deliveries, most_held=3)
    first = start(submit(relay, [point(1.0), point(2.0)]))
    second = start(submit(relay, [point(3.0, lane=OTHER), point(4.0, lane=OTHER)]))
    third = start(submit(relay, [point(5.0, lane=EASTUS)]))
    await settle()
    # The third would fit, but nobody is overtaken.
    assert deliveries.values() == [[1.0, 2.0]]
    deliveries.answer(0)
    await settle()
    assert first.done()
    assert deliveries.values()[1:] == [[3.0, 4.0], [5.0]]
    deliveries.answer(1)
    deliveries.answer(2)
    await asyncio.gather(second, third)


async def test_room_is_made_for_as_many_as_fit(deliveries: Deliveries, start: Start) -> None:
    relay = Relay(deliveries, most_held=2)
    lanes = (LANE, OTHER, EASTUS, Lane("northeurope", RESOURCE))
    for number, lane in enumerate(lanes):
        start(submit(relay, [point(float(number), lane=lane)] * 2))
    for number in range(len(lanes)):
        await settle()
        assert deliveries.values() == [[float(before)] * 2 for before in range(number + 1)]
        deliveries.answer(number)


async def test_more_than_fits_goes_in_alone(deliveries: Deliveries, start: Start) -> None:
    relay = Relay(deliveries, most_held=1)
    many = start(submit(relay, [point(1.0), point(2.0)]))
    one = start(submit(relay, [point(3.0)]))
    await settle()
    assert deliveries.values() == [[1.0, 2.0]]
    deliveries.answer(0)
    await many
    await settle()
    deliveries.answer(1)
    await one


async def test_who_gives_up_waiting_for_room_leaves_it_to_the_next(
    deliveries: Deliveries, start: Start
) -> None:
    relay = Relay(deliveries, most_held=1)
    first, second = (start(submit(relay, [point(value)])) for value in (1.0, 2.0))
    third = start(submit(relay, [point(3.0, lane=OTHER)]))
    await settle()
    second.cancel()
    await settle()
    # It held none: there is no more room than before.
    assert deliveries.values() == [[1.0]]
    deliveries.answer(0)
    await first
    await settle()
    assert deliveries.values() == [[1.0], [3.0]]
    deliveries.answer(1)
    await third


async def test_who_gives_up_at_the_moment_of_its_turn_passes_it_on(
    deliveries: Deliveries, start: Start
) -> None:
    relay = Relay(deliveries, most_held=1)
    _, second, third = (start(submit(relay, [point(value)])) for value in (1.0, 2.0, 3.0))
    await settle()
    deliveries.answer(0)
    await asyncio.sleep(0)  # The delivery makes room for the second one, which has yet to see it.
    second.cancel()
    await settle()
    assert second.cancelled()
    assert deliveries.values() == [[1.0], [3.0]]
    deliveries.answer(1)
    await third


async def test_a_delivery_takes_as_much_as_it_may(deliveries: Deliveries, start: Start) -> None:
    relay = Relay(deliveries, most_at_once=4)
    sizes = {1.0: 1, 2.0: 1, 3.0: 2, 4.0: 1, 5.0: 4}
    tasks = [start(submit(relay, [point(value)] * size)) for value, size in sizes.items()]
    for number in range(3):
        await settle()
        deliveries.answer(number)
    await asyncio.gather(*tasks)
    assert deliveries.values() == [[1.0, 2.0, 3.0, 3.0], [4.0], [5.0] * 4]


async def test_a_delivery_takes_no_more_than_it_may(deliveries: Deliveries, start: Start) -> None:
    relay = Relay(deliveries, most_at_once=3)
    tasks = [start(submit(relay, [point(value), point(value)])) for value in (1.0, 2.0)]
    big = start(submit(relay, [point(3.0)] * 4))
    for number in range(3):
        await settle()
        deliveries.answer(number)
    await asyncio.gather(*tasks, big)
    assert deliveries.values() == [[1.0] * 2, [2.0] * 2, [3.0] * 4]


LANES = (LANE, OTHER, EASTUS, Lane(REGION, RESOURCE.upper()))
submissions = st.lists(st.lists(st.sampled_from(LANES), max_size=4), max_size=6)
events = st.lists(st.sampled_from(["submit", "answer", "fail", "cancel"]), max_size=40)


@given(submissions, events)
def test_every_submission_ends_once_with_all_its_points(
    plan: list[list[Lane]], script: list[str]
) -> None:
    asyncio.run(play(plan, script))


async def play(plan: list[list[Lane]], script: list[str]) -> None:
    """Submit, answer, fail and cancel in the order of the script, then answer what is left."""
    deliveries = Deliveries()
    relay = Relay(deliveries)
    values = itertools.count()  # They tell the points apart.
    queue = [[point(next(values), lane=lane) for lane in lanes] for lanes in plan]
    begun: list[tuple[list[Point], asyncio.Task[list[Verdict]]]] = []
    cancelled: set[int] = set()
    answered = 0
    for event in [*script, *["submit"] * len(plan)]:
        if event == "submit" and queue:
            points = queue.pop()
            begun.append((points, asyncio.create_task(submit(relay, points))))
        elif event == "cancel" and begun:
            number = len(begun) // 2
            if begun[number][1].cancel():
                cancelled.add(number)
        elif event in ("answer", "fail") and answered < len(deliveries.begun):
            if event == "fail":
                deliveries.fail(answered, OSError("broken"))
            else:
                deliveries.answer(answered)
            answered += 1
        await settle()
    while answered < len(deliveries.begun):
        deliveries.answer(answered)
        answered += 1
        await settle()
    for number, (points, task) in enumerate(begun):
        check_ended(points, task, cancelled=number in cancelled)
    delivered = [one.sum for _, points in deliveries.begun for one in points]
    assert sorted(delivered) == sorted(one.sum for points, _ in begun for one in points)


def check_ended(points: list[Point], task: asyncio.Task[list[Verdict]], *, cancelled: bool) -> None:
    """With all its points judged once, or cancelled by the script."""
    assert task.done()
    assert task.cancelled() is cancelled
    if not cancelled:
        settled = [one for verdict in task.result() for one in verdict.points]
        assert Counter(settled) == Counter(points)
