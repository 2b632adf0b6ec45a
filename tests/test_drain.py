"""One message: every point published, dead-lettered or put back, in an order that loses nothing."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from builders import (
    ADDRESS,
    DEFAULTS,
    LANE,
    NOW,
    REGION,
    RESOURCE,
    WINDOW,
    at,
    document,
    message,
    point,
    read,
)
from by_points import points_of
from hypothesis import given
from hypothesis import strategies as st
from sourcing import open_gate
from strategies import marked_points
from transport import Reply, Transport, session_with

from shared.batch import Batch
from shared.clients.json_client import JsonClient
from shared.errors import DeferredError
from shared.model import Lane, Point, Reason, Status, Verdict
from shared.pipeline.admission import Intake
from shared.pipeline.dead_letters import Origin
from shared.pipeline.detours import Detours
from shared.pipeline.fence import Fence
from shared.pipeline.processor import Drain
from shared.pipeline.regions import Regions
from shared.pipeline.series_limiter import Guard
from shared.publisher.batcher import Relay
from shared.publisher.client import Publisher
from shared.publisher.sender import Delivery

RETRY = timedelta(seconds=30)
ORIGIN = Origin("5c1f", NOW - timedelta(minutes=2))


class Box:
    """An outbox; what it is given stands in a journal that both boxes share."""

    def __init__(self, name: str, journal: list[str]) -> None:
        self.name = name
        self.sent: list[tuple[bytes, timedelta]] = []
        self._journal = journal

    async def send(self, message: bytes, delay: timedelta = timedelta()) -> None:
        await asyncio.sleep(0)
        self._journal.append(self.name)
        self.sent.append((message, delay))

    def json(self) -> list[Any]:
        """The messages."""
        return [json.loads(message) for message, _ in self.sent]


Submit = Callable[[Sequence[Point]], list[Verdict]]


class Setup:
    """A drain, its boxes, and what was submitted."""

    def __init__(self, submit: Submit) -> None:
        self.journal: list[str] = []
        self.ingress = Box("ingress", self.journal)
        self.letters = Box("letter", self.journal)
        self.submitted: list[Point] = []
        self.recorded: list[tuple[object, ...]] = []
        self.obstacle: str | None = None
        self.asked: list[Lane] = []
        self._script = submit
        self.drain = Drain(
            submit=self._submit,
            obstacle=self._obstacle,
            ingress=self.ingress,
            dead_letters=self.letters,
            defaults=DEFAULTS,
            window=WINDOW,
            retry_delay=RETRY,
            clock=self._clock,
            record=self._record,
        )

    def _record(self, metric: str, value: float, **dimensions: str) -> None:
        self.recorded.append((metric, value, *dimensions.values()))

    def _obstacle(self, lane: Lane) -> str | None:
        self.asked.append(lane)
        return self.obstacle

    def _clock(self) -> datetime:
        return NOW

    async def _submit(self, batches: Sequence[Batch]) -> list[Verdict]:
        points = points_of(batches)
        self.journal.append("submit")
        self.submitted.extend(points)
        return self._script(points)

    async def message(self, body: Any, origin: Origin = ORIGIN) -> None:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        await self.drain.message(text, origin)


def published(points: Sequence[Point]) -> list[Verdict]:
    return [Verdict(Status.PUBLISHED, points)]


def deferred(points: Sequence[Point]) -> list[Verdict]:
    return [Verdict(Status.DEFERRED, points, "503 busy")]


def not_found(points: Sequence[Point]) -> list[Verdict]:
    return [Verdict(Status.DEFERRED, points, "404")]


def rejected(points: Sequence[Point]) -> list[Verdict]:
    return [Verdict(Status.REJECTED, points, "400 BadRequest no", Reason.REJECTED_BY_AZURE)]


def failing(points: Sequence[Point]) -> list[Verdict]:
    raise OSError("broken")


def by_value(**answers: Callable[[Sequence[Point]], list[Verdict]]) -> Submit:
    """Each metric is answered in its own way."""

    def submit(points: Sequence[Point]) -> list[Verdict]:
        return [verdict for one in points for verdict in answers[one.metric]([one])]

    return submit


GOOD = {"metric": "good", "value": 1}
LATER = {"metric": "later", "value": 2}
NEVER = {"metric": "never", "value": 3, "time": at(-10)}
BAD = {"metric": "bad", "value": "x"}
OLD = {**GOOD, "time": at(-1201)}
MIXED = by_value(good=published, later=deferred, never=rejected)


async def test_what_was_published_leaves_nothing_behind() -> None:
    setup = Setup(published)
    await setup.message(message(GOOD, LATER))
    assert setup.journal == ["submit"]
    assert [one.metric for one in setup.submitted] == ["good", "later"]


async def test_points_without_a_time_have_the_one_of_their_message() -> None:
    setup = Setup(published)
    await setup.message(message(GOOD))
    assert setup.submitted[0].time == ORIGIN.enqueued


async def test_a_message_of_which_the_host_knows_no_time_has_the_current_one() -> None:
    setup = Setup(published)
    await setup.message(message(GOOD), Origin("5c1f"))
    assert setup.submitted[0].time == NOW


async def test_what_is_refused_is_dead_lettered_and_the_rest_published() -> None:
    setup = Setup(published)
    await setup.message(message(GOOD, BAD))
    assert setup.journal == ["letter", "submit"]
    assert [one.metric for one in setup.submitted] == ["good"]
    detail = "points[1].value: found text, expected a number"
    assert setup.letters.json() == [
        {
            "reason": "invalid",
            "detail": detail,
            "messageId": "5c1f",
            "enqueuedTime": at(-120),
            "deadLetteredTime": at(),
            "refused": [{"detail": detail, "message": {**ADDRESS, "points": [BAD]}}],
        }
    ]


async def test_a_message_of_nothing_good_is_dead_lettered_and_submits_nothing() -> None:
    setup = Setup(failing)
    await setup.message(b"oops")
    assert setup.journal == ["letter"]
    assert setup.letters.json()[0]["refused"][0]["body"] == "oops"


async def test_when_all_is_deferred_the_host_shows_the_same_message_again() -> None:
    setup = Setup(deferred)
    with pytest.raises(DeferredError, match=r"^503 busy$"):
        await setup.message(message(GOOD, LATER))
    assert setup.journal == ["submit"]


async def test_when_all_is_deferred_in_several_parts_nothing_is_put_back() -> None:
    setup = Setup(by_value(good=deferred, later=not_found))
    with pytest.raises(DeferredError, match=r"^503 busy$"):
        await setup.message(message(GOOD, LATER))
    assert setup.journal == ["submit"]


async def test_what_is_deferred_beside_what_was_published_is_put_back_with_its_time() -> None:
    setup = Setup(MIXED)
    await setup.message(message(GOOD, LATER))
    ((put_back, delay),) = setup.ingress.sent
    assert delay == RETRY
    (again,) = read(put_back).points
    assert (again.metric, again.time, again.lane) == ("later", ORIGIN.enqueued, LANE)
    assert setup.letters.sent == []


async def test_what_is_deferred_beside_what_was_refused_is_put_back() -> None:
    setup = Setup(deferred)
    await setup.message(message(LATER, BAD))
    assert setup.journal == ["letter", "submit", "ingress"]
    assert [one.metric for one in read(setup.ingress.sent[0][0]).points] == ["later"]


async def test_what_azure_refused_is_dead_lettered_in_its_words() -> None:
    setup = Setup(MIXED)
    await setup.message(message(GOOD, NEVER))
    (letter,) = setup.letters.json()
    assert (letter["reason"], letter["detail"]) == ("rejected_by_azure", "400 BadRequest no")
    assert (letter["messageId"], letter["enqueuedTime"]) == ("5c1f", at(-120))
    (entry,) = letter["refused"]
    assert entry == {
        "detail": "400 BadRequest no",
        "message": {
            "resourceId": RESOURCE,
            "region": REGION,
            "namespace": "QueueProcessing",
            "points": [{"metric": "never", "value": 3.0, "time": at(-10)}],
        },
    }


async def test_of_everything_at_once_the_retry_is_safe_before_the_second_letter() -> None:
    setup = Setup(MIXED)
    await setup.message(message(GOOD, LATER, NEVER, BAD))
    assert setup.journal == ["letter", "submit", "ingress", "letter"]
    assert [letter["reason"] for letter in setup.letters.json()] == ["invalid", "rejected_by_azure"]


async def test_lines_tell_of_what_is_put_back_and_of_what_is_dead_lettered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    setup = Setup(MIXED)
    await setup.message(message(GOOD, LATER, NEVER, BAD, {}))
    assert {(record.name, record.levelname) for record in caplog.records} == {
        ("shared.pipeline.processor", "WARNING")
    }
    assert caplog.messages == [
        "2 dead-lettered as invalid: message 5c1f: points[3].value: found text, expected a number",
        "1 put back: 503 busy",
        "1 dead-lettered as rejected_by_azure: message 5c1f: 400 BadRequest no",
    ]


async def test_what_breaks_is_raised_and_the_message_stays() -> None:
    setup = Setup(failing)
    with pytest.raises(OSError, match="broken"):
        await setup.message(message(GOOD))
    assert setup.journal == ["submit"]


async def test_many_points_that_are_put_back_fit_their_messages() -> None:
    setup = Setup(lambda points: [*published(points[:1]), *deferred(points[1:])])
    await setup.message(message(*({"metric": f"m{n}", "value": n} for n in range(1000))))
    assert len(setup.ingress.sent) > 1
    assert all(len(text) < 48 * 1024 for text, _ in setup.ingress.sent)
    again = [one for text, _ in setup.ingress.sent for one in read(text).points]
    assert again == setup.submitted[1:]


async def test_samples_that_are_published_leave_nothing_behind() -> None:
    setup = Setup(published)
    await setup.drain.sample([point()])
    assert setup.journal == ["submit"]


async def test_without_samples_nothing_happens() -> None:
    setup = Setup(failing)
    await setup.drain.sample([])
    assert setup.journal == []


async def test_samples_that_are_deferred_go_into_the_ingress_queue_with_their_time() -> None:
    setup = Setup(MIXED)
    stale = point(metric="later", time=NOW - timedelta(minutes=3))
    await setup.drain.sample([point(metric="good"), stale])
    ((text, delay),) = setup.ingress.sent
    assert (read(text).points, delay) == ([stale], RETRY)


async def test_samples_that_are_all_deferred_go_there_too() -> None:
    setup = Setup(deferred)
    await setup.drain.sample([point()])
    assert read(setup.ingress.sent[0][0]).points == [point()]


async def test_samples_that_are_rejected_are_dead_lettered() -> None:
    setup = Setup(rejected)
    await setup.drain.sample([point()])
    (letter,) = setup.letters.json()
    assert {"messageId", "enqueuedTime"}.isdisjoint(letter)
    assert read(json.dumps(letter["refused"][0]["message"])).points == [point()]


# --- What it records ----------------------------------------------------------------------------

LATENCY = ("PublishLatency", 120.0)  # From two minutes ago to now.
DRAINED = ("MessagesDrained", 1)


async def test_what_was_published_is_counted_and_how_long_it_took() -> None:
    setup = Setup(published)
    await setup.message(message(GOOD, LATER))
    assert setup.recorded == [("PointsPublished", 2), DRAINED, LATENCY]


async def test_each_point_is_counted_as_what_became_of_it() -> None:
    setup = Setup(MIXED)
    await setup.message(message(GOOD, GOOD, LATER, NEVER, NEVER, NEVER, BAD))
    refused = [("PointsRejected", 1, "rejected_by_azure")] * 3
    assert setup.recorded == [
        ("PointsRejected", 1, "invalid"),
        *[("PointsPublished", 1)] * 2,
        ("PointsDeferred", 1),
        *refused,
        DRAINED,
        LATENCY,
    ]


REASONS: dict[str, tuple[Any, Submit, list[str]]] = {
    "unreadable": (b"oops", failing, ["invalid"]),
    "two refused": (message(BAD, BAD), failing, ["invalid", "invalid"]),
    "expired": (message(OLD), failing, ["expired"]),
    "refused by the store": (message(GOOD), rejected, ["rejected_by_azure"]),
    "one of each": (
        message(BAD, OLD, NEVER),
        MIXED,
        ["invalid", "expired", "rejected_by_azure"],
    ),
}


@pytest.mark.parametrize(("body", "submit", "reasons"), REASONS.values(), ids=REASONS)
async def test_what_is_rejected_is_counted_by_reason(
    body: Any, submit: Submit, reasons: list[str]
) -> None:
    setup = Setup(submit)
    await setup.message(body)
    counted = Counter[str]()
    for metric, points, *reason in setup.recorded:
        if metric == "PointsRejected":
            counted[str(*reason)] += int(str(points))
    assert counted == Counter(reasons)
    assert setup.recorded[-1] == DRAINED
    assert sum(len(letter["refused"]) for letter in setup.letters.json()) == len(reasons)


async def test_every_part_that_is_refused_is_counted_also_of_those_that_share_a_dead_letter(
    caplog: pytest.LogCaptureFixture,
) -> None:
    setup = Setup(published)
    await setup.message(message(*[BAD] * 100, *[OLD] * 100))
    for reason in ("invalid", "expired"):
        values = [one[1] for one in setup.recorded if one[2:] == (reason,)]
        assert sum(float(str(value)) for value in values) == 100
    assert [text.partition(":")[0] for text in caplog.messages] == [
        "100 dead-lettered as expired",
        "100 dead-lettered as invalid",
    ]


@pytest.mark.parametrize("reason", Reason)
async def test_every_reason_is_counted_as_it_is_called_in_the_dead_letter(reason: Reason) -> None:
    setup = Setup(lambda points: [Verdict(Status.REJECTED, points, "no", reason)])
    await setup.message(message(GOOD, LATER))
    assert setup.recorded == [("PointsRejected", 2, reason.value), DRAINED]
    assert [letter["reason"] for letter in setup.letters.json()] == [reason.value]


async def test_a_message_that_has_to_wait_is_not_drained_and_its_points_are_deferred() -> None:
    setup = Setup(deferred)
    for _ in range(2):
        with pytest.raises(DeferredError):
            await setup.message(message(GOOD, LATER))
    assert setup.recorded == [("PointsDeferred", 2)] * 2


async def test_of_what_breaks_nothing_is_counted() -> None:
    setup = Setup(failing)
    with pytest.raises(OSError, match="broken"):
        await setup.message(message(GOOD))
    assert setup.recorded == []


LATENCIES = {
    "no time": (None, []),
    "a clock that is behind": (NOW + timedelta(seconds=3), [("PublishLatency", 0.0)]),
    "now": (NOW, [("PublishLatency", 0.0)]),
    "a while ago": (NOW - timedelta(seconds=90.5), [("PublishLatency", 90.5)]),
}


@pytest.mark.parametrize(("enqueued", "expected"), LATENCIES.values(), ids=LATENCIES)
async def test_latency_is_since_the_message_was_enqueued(
    enqueued: datetime | None, expected: list[tuple[str, float]]
) -> None:
    setup = Setup(published)
    await setup.message(message({**GOOD, "time": at()}), Origin("5c1f", enqueued))
    assert setup.recorded == [("PointsPublished", 1), DRAINED, *expected]


async def test_samples_are_counted_by_point_and_are_no_message() -> None:
    setup = Setup(MIXED)
    await setup.drain.sample([point(metric=name) for name in ("good", "later", "never")])
    assert setup.recorded == [
        ("PointsPublished", 1),
        ("PointsDeferred", 1),
        ("PointsRejected", 1, "rejected_by_azure"),
    ]


# --- What held up a point that expired ----------------------------------------------------------


async def test_an_expired_point_says_what_held_it_up() -> None:
    setup = Setup(published)
    setup.obstacle = "403 no; grant Monitoring Metrics Publisher"
    await setup.message(message(OLD, GOOD))
    (letter,) = setup.letters.json()
    assert letter["reason"] == "expired"
    plain, _, why = letter["detail"].partition("; held up by: ")
    assert why == setup.obstacle
    assert plain.startswith("points[0].time: ")
    assert letter["refused"][0]["detail"] == letter["detail"]
    assert letter["refused"][0]["message"] == {**ADDRESS, "points": [OLD]}
    assert setup.asked == [LANE]
    assert [one.metric for one in setup.submitted] == ["good"]


async def test_an_expired_point_that_nothing_is_known_to_have_held_up_was_late_by_itself() -> None:
    setup = Setup(published)
    await setup.message(message(OLD))
    (letter,) = setup.letters.json()
    assert "held up" not in letter["detail"]
    assert setup.asked == [LANE]


async def test_what_is_refused_for_another_reason_was_held_up_by_nothing() -> None:
    setup = Setup(published)
    setup.obstacle = "404"
    await setup.message(message(BAD))
    assert "held up" not in setup.letters.json()[0]["detail"]
    assert setup.asked == []


async def test_an_expired_document_says_what_held_up_its_resource() -> None:
    setup = Setup(published)
    setup.obstacle = "404"
    series = {"dimValues": ["a"], "min": 1, "max": 1, "sum": 1, "count": 1}
    await setup.message(document(series, time=at(-1201)))
    (letter,) = setup.letters.json()
    assert letter["reason"] == "expired"
    assert letter["detail"].endswith("; held up by: 404")
    assert setup.asked == [LANE]


async def test_each_expired_point_says_what_held_up_its_own_resource() -> None:
    other = f"{RESOURCE}2"
    setup = Setup(published)

    def obstacle(lane: Lane) -> str | None:
        return "404" if lane.resource_id == other else None

    setup.drain._obstacle = obstacle
    await setup.message(message(OLD, {**OLD, "resourceId": other}))
    (letter,) = setup.letters.json()
    first, second = (one["detail"] for one in letter["refused"])
    assert "held up" not in first
    assert second.endswith("; held up by: 404")


# --- Through the real relay, delivery and publisher ---------------------------------------------


class OneToken:
    """The only token there is."""

    def get(self) -> str:
        return "secret"

    def discard(self, refused: str) -> None:
        assert refused == "secret"


def run_through(transport: Transport, body: bytes) -> Setup:
    """Drain a message through everything that stands before the network."""
    with ThreadPoolExecutor(2) as pool, session_with(transport) as session:
        publisher = Publisher(
            endpoint="https://{region}.monitoring.azure.com", tokens=OneToken(), session=session
        )
        setup = Setup(published)
        arm = JsonClient(session_with(Transport(Reply(403))), open_gate(), None)
        regions = Regions(arm, "https://arm.example", pool, resource_id=RESOURCE, region=REGION)
        detours = Detours()
        delivery = Delivery(
            publisher,
            max_body_bytes=65_536,
            executor=pool,
            window=WINDOW,
            look_up=regions.find_again,
            detours=detours,
        )
        intake = Intake(
            Relay(delivery).submit,
            fence=Fence(),
            regions=regions,
            detours=detours,
            guard=Guard(50_000),
        )
        drain = Drain(
            submit=intake.submit,
            obstacle=intake.obstacle,
            ingress=setup.ingress,
            dead_letters=setup.letters,
            defaults=DEFAULTS,
            window=WINDOW,
            retry_delay=RETRY,
            clock=lambda: NOW,
        )
        asyncio.run(drain.message(body, ORIGIN))
    return setup


HOSTILE_REGIONS = {
    "another host": "evil.example/#",
    "another host and path": "evil.example/",
    "query": "evil.example?",
    "user information": "westeurope@evil.example",
    "user information and slash": "a:b@evil.example/",
    "port": "evil.example:443/",
    "backslash": "evil.example\\",
    "escaped slash": "evil.example%2f",
    "escaped hash": "evil.example%23",
    "newline": "westeurope\n",
    "newline and header": "westeurope\r\nHost: evil.example",
    "tab": "west\teurope",
    "NUL": "westeurope\x00",
    "space": "west europe",
    "full stop": "a.b",
    "dots": "..",
    "KELVIN SIGN": "\u212aorea",
    "full-width letter": "\uff57esteurope",
    "full-width slash": "evil.example\uff0f",
    "full-width full stop": "evil\uff0eexample\uff0f",
    "upper case": "WestEurope",
    "empty": "",
    "too long": "a" * 41,
    "template": "{region}",
}
HOSTILE_RESOURCES = {
    "another host": f".evil.example{RESOURCE}",
    "user information": f"@evil.example{RESOURCE}",
    "port and host": f":443@evil.example{RESOURCE}",
    "no slash": RESOURCE[1:],
    "two slashes": f"/{RESOURCE}",
    "two slashes within": RESOURCE.replace("/providers/", "//providers/"),
    "up": f"{RESOURCE}/../../../../..",
    "up within": RESOURCE.replace("/orders/", "/../"),
    "here": RESOURCE.replace("/orders/", "/./"),
    "escaped up": RESOURCE.replace("ordersqueues", "%2e%2e"),
    "escaped slash": RESOURCE.replace("ordersqueues", "a%2fb"),
    "escaped NUL": f"{RESOURCE}%00",
    "query": f"{RESOURCE}?x=",
    "fragment": f"{RESOURCE}#",
    "slash last": f"{RESOURCE}/",
    "backslash": RESOURCE.replace("/orders/", "\\orders\\"),
    "newline": f"{RESOURCE}\n",
    "newline within": RESOURCE.replace("orders/", "orders\n/"),
    "header": f"{RESOURCE} HTTP/1.1\r\nHost: evil.example\r\n",
    "tab": f"{RESOURCE}\t",
    "NUL": f"{RESOURCE}\x00",
    "space": RESOURCE.replace("ordersqueues", "orders queues"),
    "KELVIN SIGN": RESOURCE.replace("ordersqueues", "\u212aeys"),
    "full-width slash": RESOURCE.replace("/orders/", "/orders\uff0f"),
    "full-width full stop": RESOURCE.replace("ordersqueues", "\uff0e\uff0e"),
    "full-width letter": RESOURCE.replace("orders/", "\uff4frders/"),
    "subscription": "/subscriptions/5b2f8c1d-1111-4222-8333-944455566677",
    "resource group": "/subscriptions/5b2f8c1d-1111-4222-8333-944455566677/resourceGroups/orders",
    "template": RESOURCE.replace("ordersqueues", "{region}"),
    "too long": f"{RESOURCE}/a/{'b' * 260}" * 8,
}
SERIES = {"min": 1, "max": 1, "sum": 1, "count": 1}
SHAPES: dict[str, Callable[[dict[str, str]], dict[str, Any]]] = {
    "message": lambda bad: {**ADDRESS, **bad, "points": [GOOD]},
    "point": lambda bad: {**ADDRESS, "points": [{**GOOD, **bad}]},
    "document": lambda bad: {
        **ADDRESS,
        **bad,
        "data": {"baseData": {"metric": "m", "series": [SERIES]}},
    },
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("member", ["region", "resourceId"])
def test_no_request_leaves_for_where_a_stranger_would_have_the_token(
    member: str, shape: Callable[[dict[str, str]], dict[str, Any]]
) -> None:
    cases = HOSTILE_REGIONS if member == "region" else HOSTILE_RESOURCES
    for text in cases.values():
        body = json.dumps(shape({member: text})).encode()
        assert read(body).points == []
        transport = Transport(Reply(200))
        setup = run_through(transport, body)
        assert transport.requests == []
        assert [letter["reason"] for letter in setup.letters.json()] == ["invalid"]
        assert setup.ingress.sent == []


def test_what_is_harmless_does_leave() -> None:
    transport = Transport(Reply(200))
    setup = run_through(transport, json.dumps(message(GOOD, {**GOOD, "region": "eastus"})).encode())
    assert sorted(str(request.url) for request in transport.requests) == [
        f"https://eastus.monitoring.azure.com{RESOURCE}/metrics",
        f"https://westeurope.monitoring.azure.com{RESOURCE}/metrics",
    ]
    assert setup.letters.sent == setup.ingress.sent == []


@given(marked_points(), st.sampled_from([200, 400]))
def test_every_point_ends_in_a_request_or_a_dead_letter(
    marked: tuple[list[str], bytes], status: int
) -> None:
    markers, body = marked
    transport = Transport(Reply(status))
    setup = run_through(transport, body)
    sent = b"".join(transport.bodies()).decode()
    letters = "".join(text.decode() for text, _ in setup.letters.sent)
    accepted = good(body)
    for marker in markers:
        assert (marker in sent) == (marker in accepted)
        assert (marker in letters) == (status == 400 or marker not in accepted)
    assert setup.ingress.sent == []


def good(body: bytes) -> set[str]:
    """The markers of the points that are accepted."""
    return {
        text
        for one in read(body).points
        for text in (one.namespace, *(value for _, value in one.dimensions))
    }
