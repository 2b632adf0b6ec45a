"""Points of a lane -> POSTs -> verdicts: every point in exactly one."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from builders import LANE, RESOURCE, point
from transport import Reply, Transport, session_with

from shared.delivery import Delivery, judge
from shared.model import Lane, Reason, Status, Verdict
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


ROLE = f"403 AuthenticationFailed no; grant Monitoring Metrics Publisher on {RESOURCE}"
DEFERRED, REJECTED = Status.DEFERRED, Status.REJECTED
VERDICTS = {
    "published": (Answer(200), Status.PUBLISHED, "", None),
    "no content": (Answer(204), Status.PUBLISHED, "", None),
    "refused": (
        Answer(400, "BadRequest", "no"),
        REJECTED,
        "400 BadRequest no",
        Reason.REJECTED_BY_AZURE,
    ),
    "refused without words": (Answer(400), REJECTED, "400", Reason.REJECTED_BY_AZURE),
    "another region": (Answer(400, "RegionMismatch", "x"), DEFERRED, "400 RegionMismatch x", None),
    "token": (Answer(401), DEFERRED, "401", None),
    "role": (Answer(403, "AuthenticationFailed", "no"), DEFERRED, ROLE, None),
    "not found": (Answer(404), DEFERRED, "404", None),
    "time out of the service": (Answer(408), DEFERRED, "408", None),
    "too many": (Answer(429, retry_after="5"), DEFERRED, "429", None),
    "broken": (Answer(500, "", "oops"), DEFERRED, "500 oops", None),
    "unavailable": (Answer(503), DEFERRED, "503", None),
    "redirect": (Answer(307), DEFERRED, "307", None),
    "no answer": (Answer(None, "ReadTimeout", "x"), DEFERRED, "no answer ReadTimeout x", None),
    "no token": (Answer(None, "NoToken", "x"), DEFERRED, "no answer NoToken x", None),
}


@pytest.mark.parametrize(("answer", "status", "detail", "reason"), VERDICTS.values(), ids=VERDICTS)
def test_an_answer_means_something_for_the_points(
    answer: Answer, status: Status, detail: str, reason: Reason | None
) -> None:
    points = (point(1.0), point(2.0))
    assert judge(answer, LANE, iter(points)) == Verdict(status, points, detail, reason)


async def test_points_of_one_series_are_posted_as_one(executor: ThreadPoolExecutor) -> None:
    poster = Poster(Answer(200))
    deliver = Delivery(poster, max_body_bytes=65_536, executor=executor)
    points = [point(3.0), point(20.0), point(5.0)]
    (verdict,) = await deliver(LANE, points)
    assert verdict == Verdict(Status.PUBLISHED, tuple(points))
    (body,) = poster.bodies
    (series,) = json.loads(body)["data"]["baseData"]["series"]
    assert series == {"dimValues": [], "min": 3.0, "max": 20.0, "sum": 28.0, "count": 3}


async def test_each_body_has_a_verdict_on_its_own_points(executor: ThreadPoolExecutor) -> None:
    poster = Poster(Answer(200), Answer(503), Answer(200))
    points = [point(metric=name) for name in "abc"]
    one_line = 200
    verdicts = await Delivery(poster, max_body_bytes=one_line, executor=executor)(LANE, points)
    assert [(verdict.status, verdict.points) for verdict in verdicts] == [
        (Status.PUBLISHED, (points[0],)),
        (Status.DEFERRED, (points[1],)),
        (Status.PUBLISHED, (points[2],)),
    ]


async def test_what_breaks_in_a_post_is_raised(executor: ThreadPoolExecutor) -> None:
    deliver = Delivery(Poster(OSError("broken")), max_body_bytes=65_536, executor=executor)
    with pytest.raises(OSError, match="broken"):
        await deliver(LANE, [point()])


class OneToken:
    """The only token there is."""

    def get(self) -> str:
        return "secret"

    def discard(self, refused: str) -> None:
        assert refused == "secret"


LINES = {
    "published": (Reply(200), "INFO", "200"),
    "role": (
        Reply(403, "no"),
        "WARNING",
        f"403 no; grant Monitoring Metrics Publisher on {RESOURCE}",
    ),
    "broken": (Reply(500, "oops"), "WARNING", "500 oops"),
    "token": (Reply(401), "WARNING", "401"),
}


@pytest.mark.parametrize(("reply", "level", "end"), LINES.values(), ids=LINES)
async def test_a_line_tells_of_every_post(
    reply: Reply,
    level: str,
    end: str,
    executor: ThreadPoolExecutor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    publisher = Publisher(
        endpoint="https://{region}.monitoring.azure.com",
        tokens=OneToken(),
        session=session_with(Transport(reply)),
        clock=lambda: 0.0,
    )
    deliver = Delivery(publisher, max_body_bytes=65_536, executor=executor)
    await deliver(LANE, [point(metric="a"), point(metric="b"), point(metric="b")])
    (record,) = [one for one in caplog.records if one.name == "shared.delivery"]
    assert record.levelname == level
    assert record.message.startswith(f"POST westeurope {RESOURCE}: 3 points in 2 documents, ")
    assert record.message.endswith(f" bytes, 0 ms: {end}")
    assert "secret" not in caplog.text
