"""Points of a lane -> POSTs -> verdicts: every point in exactly one."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from builders import LANE, NOW, RESOURCE, WINDOW, point
from by_points import ByPoints
from transport import Reply, Transport, session_with

from shared.model import Lane, Reason, Status, Verdict
from shared.pipeline.detours import Detours
from shared.publisher import sender as module
from shared.publisher.client import Answer, Publisher
from shared.publisher.sender import Delivery, Timing
from shared.telemetry import Record, unrecorded

LATE = "'time' should not be older than 30 minutes and not more than 4 minutes in the future"


class Poster:
    """Answers from a script, the last one for ever."""

    def __init__(self, *answers: Answer | Exception) -> None:
        self.bodies: list[bytes] = []
        self.regions: list[str] = []
        self.threads: set[str] = set()
        self._answers = answers

    def post(self, lane: Lane, body: bytes) -> Answer:
        assert lane.resource_id == LANE.resource_id
        self.regions.append(lane.region)
        answer = self._answers[min(len(self.bodies), len(self._answers) - 1)]
        self.bodies.append(body)
        self.threads.add(threading.current_thread().name)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2, thread_name_prefix="posts") as pool:
        yield pool


class Time:
    """A time that passes only while somebody sleeps; remembers for how long."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.region: str | None = None
        self.looked_up: list[str] = []

    def now(self) -> datetime:
        return NOW + timedelta(seconds=sum(self.slept))

    def clock(self) -> float:
        return sum(self.slept)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def look_up(self, resource_id: str) -> str | None:
        """What the look-up of a region finds: what the test put there, else nothing."""
        self.looked_up.append(resource_id)
        return self.region

    def timing(self) -> Timing:
        return Timing(self.now, self.clock, self.sleep, lambda: 0.0)


@pytest.fixture
def time() -> Time:
    return Time()


Deliver = Callable[..., ByPoints]


@pytest.fixture
def delivery(executor: ThreadPoolExecutor, time: Time) -> Deliver:
    """Makes a delivery with a poster."""

    def make(poster: module.Poster, max_body_bytes: int = 65_536) -> ByPoints:
        return delivery_of(poster, executor, time, max_body_bytes=max_body_bytes)

    return make


def delivery_of(
    poster: module.Poster,
    executor: ThreadPoolExecutor,
    time: Time,
    *,
    max_body_bytes: int = 65_536,
    record: Record = unrecorded,
) -> ByPoints:
    return ByPoints(
        Delivery(
            poster,
            executor=executor,
            max_body_bytes=max_body_bytes,
            window=WINDOW,
            look_up=time.look_up,
            detours=Detours(),
            timing=time.timing(),
            record=record,
        )
    )


async def test_points_of_one_series_are_posted_as_one(delivery: Deliver) -> None:
    poster = Poster(Answer(200))
    points = [point(3.0), point(20.0), point(5.0)]
    (verdict,) = await delivery(poster)(LANE, points)
    assert verdict == Verdict(Status.PUBLISHED, points)
    (body,) = poster.bodies
    (series,) = json.loads(body)["data"]["baseData"]["series"]
    assert series == {"dimValues": [], "min": 3.0, "max": 20.0, "sum": 28.0, "count": 3}


async def test_each_body_has_a_verdict_on_its_own_points(delivery: Deliver) -> None:
    poster = Poster(Answer(200), Answer(400, "BadRequest", "no"), Answer(200))
    points = [point(metric=name) for name in "abc"]
    one_line = 200
    verdicts = await delivery(poster, one_line)(LANE, points)
    by_metric = {one.metric: verdict.status for verdict in verdicts for one in verdict.points}
    posted = [json.loads(body)["data"]["baseData"]["metric"] for body in poster.bodies]
    assert by_metric == {
        posted[0]: Status.PUBLISHED,
        posted[1]: Status.REJECTED,
        posted[2]: Status.PUBLISHED,
    }


class Refusing:
    """Refuses every body that holds a metric of these."""

    def __init__(self, answer: Answer, *metrics: str) -> None:
        self.posted: list[str] = []
        self._answer = answer
        self._metrics = set(metrics)

    def post(self, lane: Lane, body: bytes) -> Answer:
        assert lane == LANE
        documents = [json.loads(line) for line in body.splitlines()]
        metrics = [document["data"]["baseData"]["metric"] for document in documents]
        self.posted.append("".join(metrics))
        return self._answer if self._metrics & set(metrics) else Answer(200)


REFUSALS = {
    "refused": (Answer(400, "BadRequest", "no"), "400 BadRequest no", Reason.REJECTED_BY_AZURE),
    "too large": (Answer(413), "413", Reason.TOO_LARGE),
    "too old by the clock of the store alone": (
        Answer(400, "", LATE),
        f"400 {LATE}",
        Reason.EXPIRED,
    ),
}


@pytest.mark.parametrize(("answer", "detail", "reason"), REFUSALS.values(), ids=REFUSALS)
async def test_what_is_refused_is_halved_until_the_culprit_stands_alone(
    delivery: Deliver, answer: Answer, detail: str, reason: Reason
) -> None:
    poster = Refusing(answer, "c")
    a, b, c, d, e = (point(metric=name) for name in "abcde")
    verdicts = await delivery(poster)(LANE, [a, b, c, d, e])
    assert poster.posted == ["abcde", "cde", "de", "c", "ab"]
    assert verdicts == [
        Verdict(Status.PUBLISHED, [d, e]),
        Verdict(Status.REJECTED, [c], detail, reason),
        Verdict(Status.PUBLISHED, [a, b]),
    ]


async def test_points_that_expired_on_the_way_are_rejected_and_the_rest_is_sent_again(
    delivery: Deliver,
) -> None:
    # What shared a series with a point that is too late is added up anew.
    start = NOW - WINDOW.past
    oldest, older = point(1.0, time=start), point(2.0, time=start - timedelta(microseconds=1))
    late, new = point(4.0, time=start - timedelta(seconds=1)), point(8.0)
    poster = Poster(Answer(400, "BadRequest", LATE), Answer(200))
    rejected, *published = await delivery(poster)(LANE, [oldest, older, late, new])
    assert rejected == Verdict(
        Status.REJECTED, [older, late], f"400 BadRequest {LATE}", Reason.EXPIRED
    )
    assert published == [Verdict(Status.PUBLISHED, [oldest, new])]
    assert len(poster.bodies) == 2
    lines = [json.loads(line) for body in poster.bodies for line in body.splitlines()]
    sums = [line["data"]["baseData"]["series"][0]["sum"] for line in lines]
    assert sums == [7.0, 8.0, 1.0, 8.0]


async def test_only_points_of_the_body_that_was_late_are_sent_again(delivery: Deliver) -> None:
    start = NOW - WINDOW.past
    first, second = (point(number, name) for number, name in ((1.0, "a"), (2.0, "b")))
    late = point(4.0, "b", time=start - timedelta(seconds=1))
    poster = Late()
    verdicts = await delivery(poster, 200)(LANE, [first, second, late])
    assert sorted((one.status, [each.sum for each in one.points]) for one in verdicts) == [
        (Status.PUBLISHED, [1.0]),
        (Status.PUBLISHED, [2.0]),
        (Status.REJECTED, [4.0]),
    ]
    assert sorted(poster.taken) == [1.0, 2.0]


class Late:
    """Refuses a body with a value that is too late; remembers the sums that it took."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    def post(self, lane: Lane, body: bytes) -> Answer:
        assert lane == LANE
        documents = [json.loads(line) for line in body.splitlines()]
        sums = [one["sum"] for each in documents for one in each["data"]["baseData"]["series"]]
        if 4.0 in sums:
            return Answer(400, "BadRequest", LATE)
        self.taken += sums
        return Answer(200)


# --- The region ---------------------------------------------------------------------------------


class Registry:
    """Takes the points of a resource in the last of the regions, and names them one by one."""

    def __init__(self, *regions: str) -> None:
        self.asked: list[str] = []
        self._regions = regions

    def post(self, lane: Lane, body: bytes) -> Answer:
        assert body
        self.asked.append(lane.region)
        if lane.region == self._regions[-1]:
            return Answer(200)
        known = lane.region in self._regions
        right = self._regions[self._regions.index(lane.region) + 1 if known else 0]
        return Answer(400, "RegionMismatch", f"the resource's region : {right} ")


async def test_the_region_that_the_service_names_is_learnt(delivery: Deliver) -> None:
    poster = Registry("northeurope")
    deliver = delivery(poster, 200)
    points = [point(metric=name) for name in "abc"]
    verdicts = await deliver(LANE, points)
    assert [one.status for one in verdicts] == [Status.PUBLISHED] * 3
    assert poster.asked == ["westeurope"] + ["northeurope"] * 3
    upper = Lane(LANE.region, RESOURCE.upper())
    for lane in (LANE, upper):
        (verdict,) = await deliver(lane, [point(lane=lane)])
        assert verdict.status is Status.PUBLISHED
    assert poster.asked[4:] == ["northeurope"] * 2
    other = Lane(LANE.region, f"{RESOURCE}2")
    await deliver(other, [point(lane=other)])
    assert poster.asked[6:] == ["westeurope", "northeurope"]


async def test_a_region_is_learnt_once_in_a_delivery(delivery: Deliver, time: Time) -> None:
    poster = Registry("northeurope", "eastus")
    deliver = delivery(poster)
    (verdict,) = await deliver(LANE, [point()])
    assert verdict.status is Status.DEFERRED
    assert verdict.detail == "400 RegionMismatch the resource's region : eastus "
    assert poster.asked == ["westeurope", "northeurope"]
    time.slept.append(15)
    (verdict,) = await deliver(LANE, [point()])
    assert verdict.status is Status.PUBLISHED
    assert poster.asked[2:] == ["eastus"]


async def test_a_region_that_is_in_use_already_is_no_reason_to_go_on(delivery: Deliver) -> None:
    poster = Poster(Answer(400, "RegionMismatch", "the resource's region : westeurope"))
    (verdict,) = await delivery(poster)(LANE, [point()])
    assert verdict.status is Status.DEFERRED
    assert len(poster.bodies) == 1


async def test_a_region_that_the_service_does_not_name_is_looked_up(
    delivery: Deliver, time: Time
) -> None:
    poster = Poster(Answer(400, "RegionMismatch", "no"), Answer(200))
    time.region = "northeurope"
    (verdict,) = await delivery(poster)(LANE, [point()])
    assert verdict.status is Status.PUBLISHED
    assert poster.regions == ["westeurope", "northeurope"]
    assert time.looked_up == [RESOURCE]


@pytest.mark.parametrize("found", [None, "westeurope", "northeurope"])
async def test_a_region_is_looked_up_once_in_a_delivery(
    found: str | None, delivery: Deliver, time: Time
) -> None:
    poster = Poster(Answer(400, "RegionMismatch", "no"))
    time.region = found
    (verdict,) = await delivery(poster)(LANE, [point()])
    assert (verdict.status, verdict.detail) == (Status.DEFERRED, "400 RegionMismatch no")
    assert len(poster.bodies) == (2 if found == "northeurope" else 1)
    assert time.looked_up == [RESOURCE]


async def test_of_too_many_regions_the_oldest_is_forgotten(
    delivery: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.pipeline.detours._MOST_REGIONS", 2)
    poster = Registry("northeurope")
    deliver = delivery(poster)
    lanes = [Lane(LANE.region, f"{RESOURCE}{number}") for number in range(3)]
    for lane in lanes:
        await deliver(lane, [point(lane=lane)])
    assert poster.asked == ["westeurope", "northeurope"] * 3
    for lane in reversed(lanes):
        await deliver(lane, [point(lane=lane)])
    assert poster.asked[6:] == ["northeurope", "northeurope", "westeurope", "northeurope"]


# --- What may pass ------------------------------------------------------------------------------


async def test_what_follows_a_deferred_body_is_not_tried(delivery: Deliver) -> None:
    poster = Poster(Answer(200), Answer(404), Answer(200))
    points = [point(metric=name) for name in "abc"]
    published, deferred = await delivery(poster, 200)(LANE, points)
    assert len(poster.bodies) == 2
    assert (published.status, len(published.points)) == (Status.PUBLISHED, 1)
    assert (deferred.status, len(deferred.points)) == (Status.DEFERRED, 2)


async def test_retries_stop_at_their_deadline(delivery: Deliver, time: Time) -> None:
    poster = Poster(Answer(503))
    (verdict,) = await delivery(poster)(LANE, [point()])
    assert verdict == Verdict(Status.DEFERRED, [point()], "503")
    assert time.slept == [0.25, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0, 4.0]
    assert len(poster.bodies) == 9


async def test_a_busy_lane_is_left_alone_for_a_moment(delivery: Deliver, time: Time) -> None:
    poster = Poster(*[Answer(503)] * 9, Answer(200))
    deliver = delivery(poster)
    await deliver(LANE, [point()])
    time.slept.append(4.75)
    (verdict,) = await deliver(LANE, [point()])
    assert (verdict, len(poster.bodies)) == (Verdict(Status.DEFERRED, [point()], "503"), 9)
    time.slept.append(0.25)
    (verdict,) = await deliver(LANE, [point()])
    assert (verdict.status, len(poster.bodies)) == (Status.PUBLISHED, 10)


async def test_what_the_service_asks_for_is_waited_for(delivery: Deliver, time: Time) -> None:
    poster = Poster(Answer(429, retry_after="7"), Answer(200))
    (verdict,) = await delivery(poster)(LANE, [point()])
    assert verdict.status is Status.PUBLISHED
    assert time.slept == [7.0]


async def test_what_the_service_asks_for_may_be_a_date(delivery: Deliver, time: Time) -> None:
    poster = Poster(Answer(503, retry_after="Mon, 23 Nov 2026 07:25:37 GMT"), Answer(200))
    (verdict,) = await delivery(poster)(LANE, [point()])
    assert verdict.status is Status.PUBLISHED
    assert time.slept == [7.0]


@pytest.mark.parametrize(("seconds", "slept"), [("20", [20.0]), ("21", [])])
async def test_a_wait_may_last_until_the_deadline_and_no_longer(
    delivery: Deliver, time: Time, seconds: str, slept: list[float]
) -> None:
    poster = Poster(Answer(429, retry_after=seconds), Answer(200))
    await delivery(poster)(LANE, [point()])
    assert time.slept == slept


PAUSES = {
    "role": (Answer(403), 15),
    "not found": (Answer(404), 15),
    "token": (Answer(401), 15),
    "no token": (Answer(None, "NoToken", "x"), 15),
    "busy for a minute": (Answer(429, retry_after="60"), 60),
    "another region, not said which": (Answer(400, "RegionMismatch"), 15),
}


@pytest.mark.parametrize(("answer", "seconds"), PAUSES.values(), ids=PAUSES)
async def test_a_lane_is_left_alone_for_a_while(
    delivery: Deliver, time: Time, answer: Answer, seconds: float
) -> None:
    poster = Poster(answer, Answer(200))
    deliver = delivery(poster)
    (first,) = await deliver(LANE, [point()])
    (second,) = await deliver(LANE, [point()])
    assert len(poster.bodies) == 1
    assert first == second
    assert first.status is Status.DEFERRED
    time.slept.append(seconds - 0.1)
    await deliver(LANE, [point()])
    assert len(poster.bodies) == 1
    time.slept.append(0.1)
    (verdict,) = await deliver(LANE, [point()])
    assert verdict.status is Status.PUBLISHED


async def test_a_lane_that_nobody_asked_for_is_free_again_all_the_same(
    delivery: Deliver, time: Time
) -> None:
    poster = Poster(Answer(404), Answer(200))
    deliver = delivery(poster)
    await deliver(LANE, [point()])
    time.slept.append(1000)
    (verdict,) = await deliver(LANE, [point()])
    assert verdict.status is Status.PUBLISHED


async def test_a_missing_role_is_named_with_its_scope(delivery: Deliver) -> None:
    poster = Poster(Answer(403, "AuthenticationFailed", "no"))
    (verdict,) = await delivery(poster)(LANE, [point()])
    hint = f"grant Monitoring Metrics Publisher on {RESOURCE}"
    assert verdict.detail == f"403 AuthenticationFailed no; {hint}"


async def test_halving_does_not_go_on_for_ever(delivery: Deliver, time: Time) -> None:
    class Slow(Poster):
        def post(self, lane: Lane, body: bytes) -> Answer:
            time.slept.append(1.0)
            return super().post(lane, body)

    points = [point(metric=f"m{number}") for number in range(64)]
    poster = Slow(Answer(400, "BadRequest", "no"))
    verdicts = await delivery(poster)(LANE, points)
    assert len(poster.bodies) == 21
    assert verdicts[-1].status is Status.DEFERRED
    assert verdicts[-1].detail == "not reached in time"
    assert {verdict.status for verdict in verdicts[:-1]} == {Status.REJECTED}
    assert sum(len(verdict.points) for verdict in verdicts) == 64
    # The lane is not paused for it.
    await delivery(poster)(LANE, [point()])


async def test_a_region_that_hangs_leaves_threads_to_the_others(time: Time) -> None:
    class Hanging(Poster):
        def __init__(self) -> None:
            super().__init__(Answer(200))
            self.let_go = threading.Event()
            self.held = 0

        def post(self, lane: Lane, body: bytes) -> Answer:
            self.bodies.append(body)
            if lane.region == "westeurope":
                self.held += 1
                self.let_go.wait(60)
            return Answer(200)

    poster = Hanging()
    with ThreadPoolExecutor(9) as pool:
        deliver = delivery_of(poster, pool, time)
        lanes = [Lane("westeurope", f"{RESOURCE}{number}") for number in range(40)]
        stuck = [asyncio.create_task(deliver(lane, [point(lane=lane)])) for lane in lanes]
        await asyncio.sleep(0)
        other = Lane("northeurope", RESOURCE)
        (verdict,) = await asyncio.wait_for(deliver(other, [point(lane=other)]), 60)
        assert verdict.status is Status.PUBLISHED
        assert poster.held <= 8
        poster.let_go.set()
        verdicts = [one for verdicts in await asyncio.gather(*stuck) for one in verdicts]
    assert {one.status for one in verdicts} == {Status.PUBLISHED}


PAUSED_FOR = {"0": 5, "4": 5, "100": 100, "86400": 300, "Sat, 01 Jan 9999 00:00:00 GMT": 300}


@pytest.mark.parametrize(("header", "seconds"), PAUSED_FOR.items())
async def test_a_pause_is_neither_nothing_nor_for_ever(
    delivery: Deliver, time: Time, header: str, seconds: float
) -> None:
    poster = Poster(Answer(503, retry_after=header))
    deliver = delivery(poster)
    await deliver(LANE, [point()])
    posts = len(poster.bodies)
    time.slept.append(seconds - 0.1)
    await deliver(LANE, [point()])
    assert len(poster.bodies) == posts
    time.slept.append(0.1)
    await deliver(LANE, [point()])
    assert len(poster.bodies) > posts


async def test_a_learnt_region_is_forgotten_when_it_does_not_help(
    delivery: Deliver, time: Time
) -> None:
    regions: list[str] = []

    class Noting(Poster):
        def post(self, lane: Lane, body: bytes) -> Answer:
            regions.append(lane.region)
            return super().post(LANE, body)

    mismatch = Answer(400, "RegionMismatch", "the resource's region : northeurope ")
    deliver = delivery(Noting(mismatch, Answer(404), Answer(200)))
    (deferred,) = await deliver(LANE, [point()])
    assert deferred.status is Status.DEFERRED
    time.slept.append(15)
    (published,) = await deliver(LANE, [point()])
    assert published.status is Status.PUBLISHED
    assert regions == ["westeurope", "northeurope", "westeurope"]


async def test_what_breaks_in_a_post_defers_what_is_not_published(
    delivery: Deliver, caplog: pytest.LogCaptureFixture
) -> None:
    poster = Poster(Answer(200), OSError("broken"), Answer(200))
    points = [point(metric=name) for name in "abc"]
    deliver = delivery(poster, 200)
    published, deferred = await deliver(LANE, points)
    assert (published.status, len(published.points)) == (Status.PUBLISHED, 1)
    assert (deferred.status, len(deferred.points)) == (Status.DEFERRED, 2)
    assert deferred.detail == "no answer OSError broken"
    (record,) = [one for one in caplog.records if one.levelname == "ERROR"]
    assert record.message == f"A POST to westeurope {RESOURCE} broke"
    assert record.exc_info
    # It says nothing of the lane, which is not left alone for it.
    (again,) = await deliver(LANE, points[:1])
    assert again.status is Status.PUBLISHED


async def test_posts_run_in_the_threads_that_are_meant_for_them(delivery: Deliver) -> None:
    poster = Poster(Answer(200))
    await delivery(poster)(LANE, [point()])
    assert poster.threads == {"posts_0"}


def test_the_time_that_passes_outside_of_tests_has_a_zone() -> None:
    assert Timing().now().utcoffset() == timedelta(0)


class OneToken:
    """The only token there is."""

    def get(self) -> str:
        return "secret"

    def discard(self, refused: str) -> None:
        assert refused == "secret"


LINES = {
    "published": (Reply(200), "INFO", "200"),
    "role": (Reply(403, "no"), "WARNING", "403 no"),
    "gone": (Reply(410, "oops"), "WARNING", "410 oops"),
    "token": (Reply(401), "WARNING", "401"),
}


@pytest.mark.parametrize(("reply", "level", "end"), LINES.values(), ids=LINES)
async def test_a_line_tells_of_every_post(
    reply: Reply, level: str, end: str, delivery: Deliver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    times = iter([10.0, 22.5])
    transport = Transport(reply)
    publisher = Publisher(
        endpoint="https://{region}.monitoring.azure.com",
        tokens=OneToken(),
        session=session_with(transport),
        clock=lambda: next(times),
    )
    points = [point(metric="a"), point(metric="b"), point(metric="b")]
    await delivery(publisher)(LANE, points)
    (record,) = [one for one in caplog.records if one.name == "shared.publisher.sender"]
    assert record.levelname == level
    what = f"3 points in 2 documents, {len(transport.bodies()[0])} bytes"
    kind = "" if level == "INFO" else f"3 points not taken ({end[:3]}): "
    assert record.message == f"{kind}POST westeurope {RESOURCE}: {what}, 12500 ms: {end}"
    assert "secret" not in caplog.text


async def test_a_thousand_refusals_are_a_few_lines(
    delivery: Deliver, caplog: pytest.LogCaptureFixture
) -> None:
    poster = Poster(Answer(400, "BadRequest", "no"))
    await delivery(poster)(LANE, [point(metric=f"m{number}") for number in range(100)])
    assert len(poster.bodies) == 199
    assert len(caplog.records) == 10


# --- What it records ----------------------------------------------------------------------------


class Recorded:
    """What was recorded, in order."""

    def __init__(self) -> None:
        self.all: list[tuple[object, ...]] = []

    def __call__(self, metric: str, value: float, **dimensions: str) -> None:
        self.all.append((metric, value, dimensions))

    def of(self, metric: str) -> list[tuple[object, ...]]:
        return [(value, dimensions) for name, value, dimensions in self.all if name == metric]


ANSWERED = {
    "published": (Answer(200, seconds=0.25), "200", Status.PUBLISHED),
    "refused": (Answer(400, "BadRequest", "no", seconds=0.25), "400", Status.REJECTED),
    "no role": (Answer(403, "Forbidden", seconds=0.25), "403", Status.DEFERRED),
    "no token": (Answer(None, "NoToken", "x", seconds=0.25), "NoToken", Status.DEFERRED),
}


@pytest.mark.parametrize(("answer", "status", "verdict"), ANSWERED.values(), ids=ANSWERED)
async def test_a_post_is_counted_by_what_came_of_it(
    answer: Answer, status: str, verdict: Status, executor: ThreadPoolExecutor, time: Time
) -> None:
    recorded = Recorded()
    deliver = delivery_of(Poster(answer), executor, time, record=recorded)
    # Points, not what they are rolled up to.
    (judged,) = await deliver(LANE, [point(1.0), point(2.0), point(3.0)])
    assert judged.status is verdict
    assert recorded.all == [
        ("Posts", 1, {"Status": status}),
        ("PostDuration", 0.25, {"Status": status}),
        ("BatchSize", 3, {}),
    ]


async def test_every_post_is_counted_also_the_one_that_is_tried_again(
    executor: ThreadPoolExecutor, time: Time
) -> None:
    recorded = Recorded()
    answers = (
        Answer(503, seconds=2.0),
        Answer(None, "ReadTimeout", seconds=30.0),
        Answer(200, seconds=0.5),
    )
    await delivery_of(Poster(*answers), executor, time, record=recorded)(LANE, [point()])
    statuses = ["503", "ReadTimeout", "200"]
    assert recorded.of("Posts") == [(1, {"Status": status}) for status in statuses]
    assert recorded.of("PostDuration") == [
        (seconds, {"Status": status})
        for seconds, status in zip((2.0, 30.0, 0.5), statuses, strict=True)
    ]
    assert recorded.of("BatchSize") == [(1, {})] * 3


async def test_the_size_of_a_batch_is_that_of_each_post(
    executor: ThreadPoolExecutor, time: Time
) -> None:
    recorded = Recorded()
    poster = Refusing(Answer(400, "BadRequest", "no"), "c")
    deliver = delivery_of(poster, executor, time, record=recorded)
    await deliver(LANE, [point(metric=name) for name in "abcde"])
    assert poster.posted == ["abcde", "cde", "de", "c", "ab"]
    assert recorded.of("BatchSize") == [(size, {}) for size in (5, 3, 2, 1, 2)]


async def test_where_nothing_is_posted_nothing_is_counted(
    executor: ThreadPoolExecutor, time: Time
) -> None:
    recorded = Recorded()
    deliver = delivery_of(Poster(Answer(404)), executor, time, record=recorded)
    await deliver(LANE, [point()])
    await deliver(LANE, [point()])  # The lane is left alone.
    assert len(recorded.of("Posts")) == 1
