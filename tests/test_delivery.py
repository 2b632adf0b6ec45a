"""Points of a lane -> POSTs -> verdicts: every point in exactly one."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from builders import LANE, NOW, RESOURCE, WINDOW, point
from transport import Reply, Transport, session_with

from shared.delivery import Delivery, Timing
from shared.model import Lane, Status, Verdict
from shared.publisher import Answer, Publisher


class Poster:
    """Answers from a script, the last one for ever."""

    def __init__(self, *answers: Answer | Exception) -> None:
        self.bodies: list[bytes] = []
        self._answers = answers

    def post(self, lane: Lane, body: bytes) -> Answer:
        assert lane == LANE
        answer = self._answers[min(len(self.bodies), len(self._answers) - 1)]
        self.bodies.append(body)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


class Time:
    """A time that passes only while somebody sleeps; remembers for how long."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> datetime:
        return NOW + timedelta(seconds=sum(self.slept))

    def clock(self) -> float:
        return sum(self.slept)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def timing(self) -> Timing:
        return Timing(self.now, self.clock, self.sleep, lambda: 0.0)


@pytest.fixture
def time() -> Time:
    return Time()


Deliver = Callable[..., Delivery]


@pytest.fixture
def delivery(executor: ThreadPoolExecutor, time: Time) -> Deliver:
    """Makes a delivery with a poster."""

    def make(poster: Poster | Publisher, max_body_bytes: int = 65_536) -> Delivery:
        return Delivery(
            poster,
            executor=executor,
            max_body_bytes=max_body_bytes,
            window=WINDOW,
            timing=time.timing(),
        )

    return make


async def test_points_of_one_series_are_posted_as_one(delivery: Deliver) -> None:
    poster = Poster(Answer(200))
    points = [point(3.0), point(20.0), point(5.0)]
    (verdict,) = await delivery(poster)(LANE, points)
    assert verdict == Verdict(Status.PUBLISHED, tuple(points))
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


async def test_what_the_service_asks_for_is_waited_for(delivery: Deliver, time: Time) -> None:
    poster = Poster(Answer(429, retry_after="7"), Answer(200))
    (verdict,) = await delivery(poster)(LANE, [point()])
    assert verdict.status is Status.PUBLISHED
    assert time.slept == [7.0]


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


async def test_what_breaks_in_a_post_defers_what_is_not_published(delivery: Deliver) -> None:
    poster = Poster(Answer(200), OSError("broken"))
    points = [point(metric=name) for name in "abc"]
    published, deferred = await delivery(poster, 200)(LANE, points)
    assert (published.status, len(published.points)) == (Status.PUBLISHED, 1)
    assert (deferred.status, len(deferred.points)) == (Status.DEFERRED, 2)
    assert deferred.detail == "no answer OSError broken"


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
    publisher = Publisher(
        endpoint="https://{region}.monitoring.azure.com",
        tokens=OneToken(),
        session=session_with(Transport(reply)),
        clock=lambda: 0.0,
    )
    points = [point(metric="a"), point(metric="b"), point(metric="b")]
    await delivery(publisher)(LANE, points)
    (record,) = [one for one in caplog.records if one.name == "shared.delivery"]
    assert record.levelname == level
    assert record.message.startswith(f"POST westeurope {RESOURCE}: 3 points in 2 documents, ")
    assert record.message.endswith(f" bytes, 0 ms: {end}")
    assert "secret" not in caplog.text
