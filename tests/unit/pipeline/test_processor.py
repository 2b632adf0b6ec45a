"""A message or a sample: every point ends published, dead-lettered, or in the ingress queue."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import DeferredError, SourceError
from shared.messages.parser import MessageParser
from shared.model import (
    PUBLISHED,
    Origin,
    Outcome,
    Reason,
    Results,
    Rollup,
    Status,
    Target,
    ValueSet,
)
from shared.pipeline import processor as module
from shared.pipeline.admission import Admission
from shared.pipeline.processor import Processor
from shared.pipeline.regions import Regions
from shared.pipeline.series_limiter import SeriesLimiter
from tests.unit import builders
from tests.unit.builders import DEFAULTS, WINDOW, encode, message
from tests.unit.pipeline.stubs import StubArm, StubQueue, make_regions
from tests.unit.rollups import MINUTE, NOW, OTHER, REGION, RESOURCE, TARGET, rollup_of, values_in

DELAY = timedelta(seconds=30)
ORIGIN = Origin("5c1f", NOW - timedelta(minutes=2))
ENQUEUED = MINUTE - timedelta(minutes=2)
FORBIDDEN = "/subscriptions/0/resourceGroups/g/providers/A.B/c/d"

GOOD = {"metric": "good", "value": 1}
LATER = {"metric": "later", "value": 2}
NEVER = {"metric": "never", "value": 3}
BAD = {"metric": "bad", "value": "x"}
OLD = {**GOOD, "time": "2026-11-23T07:05:29Z"}  # 20 min and 1 s.

DEFERRED = Outcome(Status.DEFERRED, "503 busy")
REJECTED = Outcome(Status.REJECTED, "400 no", Reason.REJECTED_BY_AZURE)
OUTCOMES = {"later": DEFERRED, "never": REJECTED}


def parse(body: bytes) -> list[Rollup]:
    """Return the roll-ups of a valid message."""
    parsed = builders.parse(body)
    assert parsed.rejections == []
    return parsed.rollups


class Pipeline:
    """A processor between two queues; what it submits has outcomes by metric."""

    def __init__(self, regions: Regions, **admission: Any) -> None:
        self.processed = 0
        self.journal: list[str] = []
        self.ingress = StubQueue("ingress", self.journal)
        self.dead_letter_queue = StubQueue("dead letter", self.journal)
        self.outcomes = dict(OUTCOMES)
        self.error: Exception | None = None
        self.submitted: list[Rollup] = []
        self.recorded: list[tuple[object, ...]] = []
        self.processor = Processor(
            parser=MessageParser(DEFAULTS, WINDOW),
            admission=Admission(
                regions, ("/subscriptions/5b2f8c1d-1111-4222-8333-944455566677/",), **admission
            ),
            submit=self._submit,
            ingress=self.ingress,
            dead_letters=self.dead_letter_queue,
            retry_delay=DELAY,
            clock=lambda: NOW,
            record=lambda metric, value, **named: self.recorded.append(
                (metric, value, *named.values())
            ),
        )

    async def _submit(self, rollups: Sequence[Rollup]) -> Results:
        self.journal.append("submit")
        if self.error is not None:
            raise self.error
        self.submitted += rollups
        return [
            result
            for rollup in rollups
            for result in rollup.by_outcome(
                {
                    (minute, one): self.outcomes.get(one.metric, PUBLISHED)
                    for minute, group in rollup.minutes.items()
                    for one in group
                }
            )
        ]

    async def process(self, *points: Any, origin: Origin | None = None, **members: Any) -> None:
        """Process a message; each has an ID of its own, the first that of ORIGIN."""
        if origin is None:
            suffix = str(self.processed or "")
            origin = Origin(f"{ORIGIN.message_id}{suffix}", ORIGIN.enqueued)
            self.processed += 1
        await self.processor.process(encode(message(*points, **members)), origin)

    def dead_lettered(self) -> list[tuple[str, str]]:
        """Return reason and detail of every entry."""
        return [
            (dead_letter["reason"], entry["detail"])
            for dead_letter in self.dead_letter_queue.documents()
            for entry in dead_letter["refused"]
        ]


@pytest.fixture
def arm() -> StubArm:
    return StubArm()


@pytest.fixture
def regions(arm: StubArm) -> Iterator[Regions]:
    with make_regions(arm) as made:
        yield made


@pytest.fixture
def pipeline(regions: Regions) -> Pipeline:
    return Pipeline(regions)


# --- One message ----------------------------------------------------------------------------------


async def test_what_is_published_leaves_nothing_behind(pipeline: Pipeline) -> None:
    await pipeline.process(GOOD, {**GOOD, "time": "2026-11-23T07:20:59Z"})
    assert pipeline.journal == ["submit"]
    # A point without a time has that of its message.
    minutes = [ENQUEUED, MINUTE.replace(minute=20)]
    assert values_in(pipeline.submitted) == [(minute, "good", 1.0) for minute in sorted(minutes)]


async def test_a_message_of_unknown_time_has_the_current_time(pipeline: Pipeline) -> None:
    await pipeline.process(GOOD, origin=Origin("5c1f"))
    assert values_in(pipeline.submitted) == [(MINUTE, "good", 1.0)]


async def test_what_is_invalid_is_dead_lettered_and_the_rest_published(
    pipeline: Pipeline,
) -> None:
    await pipeline.process(GOOD, BAD)
    assert pipeline.journal == ["submit", "dead letter"]
    assert values_in(pipeline.submitted) == [(ENQUEUED, "good", 1.0)]
    (dead_letter,) = pipeline.dead_letter_queue.documents()
    assert (dead_letter["reason"], dead_letter["messageId"]) == ("invalid", "5c1f")
    assert dead_letter["enqueuedTime"] == "2026-11-23T07:23:30Z"
    assert dead_letter["deadLetteredTime"] == "2026-11-23T07:25:30Z"
    assert dead_letter["refused"][0]["message"]["points"] == [BAD]


async def test_a_message_of_which_nothing_is_valid_is_dead_lettered(pipeline: Pipeline) -> None:
    await pipeline.processor.process(b"oops", ORIGIN)
    assert pipeline.journal == ["dead letter"]
    assert pipeline.dead_letter_queue.documents()[0]["refused"][0]["body"] == "oops"


async def test_what_is_not_admitted_is_dead_lettered(regions: Regions) -> None:
    pipeline = Pipeline(regions, series_limiter=SeriesLimiter(1))
    await pipeline.process(GOOD, {**GOOD, "resourceId": FORBIDDEN})
    assert pipeline.dead_lettered() == [
        ("forbidden_scope", f"{FORBIDDEN} is outside METRICS_ALLOWED_SCOPES")
    ]
    await pipeline.process(GOOD, NEVER)
    assert [reason for reason, _ in pipeline.dead_lettered()[1:]] == ["cardinality"]
    assert pipeline.journal == ["submit", "dead letter"] * 2


async def test_a_message_of_which_nothing_is_valid_waits_for_the_dead_letter_queue(
    pipeline: Pipeline,
) -> None:
    pipeline.dead_letter_queue.error = OSError("full")
    for _ in range(2):  # Each delivery holds it for one try.
        with pytest.raises(DeferredError, match=r"the dead-letter queue does not accept .*: full"):
            await pipeline.process(BAD, OLD, origin=ORIGIN)
    assert (pipeline.journal, pipeline.recorded) == ([], [])
    pipeline.dead_letter_queue.error = None
    await pipeline.process(BAD, OLD, origin=ORIGIN)
    assert pipeline.journal == ["dead letter", "dead letter"]


@pytest.mark.parametrize(
    ("points", "journal"),
    [((BAD, OLD), ["dead letter"]), ((BAD, NEVER), ["submit", "dead letter"])],
    ids=["invalid", "rejected"],
)
async def test_no_dead_letter_is_put_twice(
    points: tuple[Any, ...], journal: list[str], pipeline: Pipeline
) -> None:
    async def sleep(_: float) -> None: ...

    pipeline.processor.sleep = sleep
    pipeline.dead_letter_queue.fails_after = 1
    with pytest.raises(DeferredError):
        await pipeline.process(*points, origin=ORIGIN)
    with pytest.raises(DeferredError):
        await pipeline.process(*points, origin=ORIGIN)
    assert pipeline.journal == journal
    pipeline.dead_letter_queue.fails_after = None
    await pipeline.process(*points, origin=ORIGIN)
    assert pipeline.journal == [*journal, "dead letter"]


async def test_an_unexpected_error_is_raised(pipeline: Pipeline) -> None:
    pipeline.error = OSError("broken")
    with pytest.raises(OSError, match="broken"):
        await pipeline.process(GOOD)
    assert (pipeline.journal, pipeline.recorded) == (["submit"], [])


# --- Deferred -------------------------------------------------------------------------------------


async def test_a_message_of_which_all_is_deferred_stays(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline.outcomes["good"] = Outcome(Status.DEFERRED, "404")
    with pytest.raises(DeferredError, match=r"^503 busy$"):
        await pipeline.process(LATER, GOOD, {**LATER, "resourceId": OTHER.resource_id})
    assert (pipeline.journal, pipeline.ingress.sent) == (["submit"], [])
    assert pipeline.recorded == [("PointsDeferred", 1)] * 3  # Not drained.
    parts = [message.partition(" will be retried: ") for message in caplog.messages]
    assert {beginning for beginning, _, _ in parts} == {"Deferring: 1 point"}
    assert sorted(reason for _, _, reason in parts) == ["404", "503 busy", "503 busy"]


async def test_a_message_without_any_region_stays(arm: StubArm, pipeline: Pipeline) -> None:
    arm.error = SourceError("403")
    with pytest.raises(DeferredError, match="403; name the region"):
        await pipeline.process(GOOD, region=None)
    assert pipeline.journal == []


@pytest.mark.parametrize(
    ("beside", "journal"),
    [
        (GOOD, ["submit", "ingress"]),
        (NEVER, ["submit", "ingress", "dead letter"]),
        (BAD, ["submit", "ingress", "dead letter"]),
        (OLD, ["submit", "ingress", "dead letter"]),
    ],
    ids=["published", "rejected", "invalid", "expired"],
)
async def test_what_is_deferred_beside_others_is_put_back_with_its_minute(
    beside: Any, journal: list[str], pipeline: Pipeline
) -> None:
    await pipeline.process(LATER, beside, {**LATER, "value": 5})
    assert pipeline.journal == journal
    ((body, delay),) = pipeline.ingress.sent
    (rollup,) = parse(body)
    assert (rollup.target, delay) == (TARGET, DELAY)
    assert values_in([rollup]) == [(ENQUEUED, "later", ValueSet(2.0, 5.0, 7.0, 2))]


async def test_a_rollup_without_a_region_is_put_back_without_one(
    arm: StubArm, pipeline: Pipeline
) -> None:
    arm.error = SourceError("403")
    await pipeline.process({**GOOD, "region": REGION}, LATER, region=None)
    ((body, _),) = pipeline.ingress.sent
    assert [rollup.target for rollup in parse(body)] == [Target("", RESOURCE)]


@pytest.mark.parametrize("queue", ["ingress", "dead_letter_queue"])
async def test_what_a_queue_does_not_accept_is_put_again_not_published_again(
    queue: str, pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    stub: StubQueue = getattr(pipeline, queue)
    stub.error = OSError("full\nof\x1b[31m messages")
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 7:
            stub.error = None

    pipeline.processor.sleep = sleep
    await pipeline.process(GOOD, LATER, NEVER, BAD)
    assert waits == [1, 2, 4, 8, 16, 30, 30]
    assert pipeline.journal == ["submit", "ingress", "dead letter", "dead letter"]
    assert (
        "A queue does not accept a message: retrying in 1 s: full of [31m messages" in caplog.text
    )


@pytest.mark.parametrize("queue", ["ingress", "dead_letter_queue"])
async def test_a_queue_that_accepts_nothing_for_minutes_gives_the_message_back(
    queue: str, pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    stub: StubQueue = getattr(pipeline, queue)
    stub.error = OSError("403 no role")
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def process() -> None:
        await pipeline.process(GOOD, LATER, NEVER, origin=ORIGIN)

    pipeline.processor.sleep = sleep
    with pytest.raises(DeferredError, match=r"queue does not accept .* 5c1f .*: 403 no role"):
        await process()
    assert 240 < sum(waits) <= 360
    (error,) = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert "Storage Queue Data Contributor" in error
    # A later delivery holds the message for one try only, publishes nothing, and repeats no put.
    waits.clear()
    with pytest.raises(DeferredError, match="403 no role"):
        await process()
    stub.error = None
    await process()
    await process()
    assert waits == []
    assert pipeline.journal == ["submit", "ingress", "dead letter"]
    assert pipeline.recorded.count(DRAINED) == 1


@pytest.mark.parametrize(("others", "submitted"), [(1, 2), (2, 4)], ids=["N", "N + 1"])
async def test_messages_that_are_remembered_have_a_limit(
    others: int, submitted: int, regions: Regions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_REMEMBERED_BYTES", 2 * module.REMEMBERED_BYTES)
    pipeline = Pipeline(regions)
    for number in (*range(1 + others), 0):
        await pipeline.process(GOOD, origin=Origin(f"{number}"))
    assert len(pipeline.submitted) == submitted


async def test_what_is_longer_than_the_limit_is_remembered_alone(
    regions: Regions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_REMEMBERED_BYTES", module.REMEMBERED_BYTES)
    pipeline = Pipeline(regions)
    pipeline.dead_letter_queue.error = OSError("full")

    async def sleep(_: float) -> None: ...

    pipeline.processor.sleep = sleep
    with pytest.raises(DeferredError):
        await pipeline.process(GOOD, NEVER, origin=ORIGIN)
    pipeline.dead_letter_queue.error = None
    await pipeline.process(GOOD, NEVER, origin=ORIGIN)
    assert pipeline.journal == ["submit", "dead letter"]


async def test_a_sample_is_published_while_the_dead_letter_queue_accepts_nothing(
    pipeline: Pipeline,
) -> None:
    pipeline.dead_letter_queue.error = OSError("full")

    async def sleep(_: float) -> None:
        pipeline.dead_letter_queue.error = None

    pipeline.processor.sleep = sleep
    forbidden = rollup_of(Target(REGION, FORBIDDEN), good=1.0)
    await pipeline.processor.process_sample(forbidden)
    await pipeline.processor.process_sample(rollup_of(good=1.0))
    assert pipeline.journal == ["dead letter", "submit"]


async def test_a_message_that_is_shown_again_is_not_published_again(pipeline: Pipeline) -> None:
    stuck, accepted = asyncio.Event(), asyncio.Event()

    async def sleep(_: float) -> None:
        stuck.set()
        await accepted.wait()
        pipeline.ingress.error = None

    pipeline.processor.sleep = sleep
    pipeline.ingress.error = OSError("full")
    first = asyncio.create_task(pipeline.process(GOOD, LATER, origin=ORIGIN))
    await stuck.wait()
    # The host lost its hold on the message while it is still being settled.
    second = asyncio.create_task(pipeline.process(GOOD, LATER, origin=ORIGIN))
    await asyncio.sleep(0)
    accepted.set()
    await asyncio.gather(first, second)
    # The host could not delete the message.
    await pipeline.process(GOOD, LATER, origin=ORIGIN)
    assert pipeline.journal == ["submit", "ingress"]


async def test_a_deferred_message_that_is_shown_again_is_published(pipeline: Pipeline) -> None:
    with pytest.raises(DeferredError):
        await pipeline.process(LATER, origin=ORIGIN)
    pipeline.outcomes = {}
    await pipeline.process(LATER, origin=ORIGIN)
    assert pipeline.journal == ["submit", "submit"]


async def test_what_azure_rejects_is_dead_lettered_in_its_words(pipeline: Pipeline) -> None:
    await pipeline.process(GOOD, NEVER)
    (dead_letter,) = pipeline.dead_letter_queue.documents()
    assert (dead_letter["reason"], dead_letter["detail"]) == ("rejected_by_azure", "400 no")
    assert dead_letter["refused"] == [
        {
            "detail": "400 no",
            "message": {
                "resourceId": RESOURCE,
                "region": REGION,
                "namespace": "n",
                "points": [{"metric": "never", "value": 3.0, "time": "2026-11-23T07:23:00Z"}],
            },
        }
    ]


# --- Samples --------------------------------------------------------------------------------------


async def test_a_sample_is_published_put_back_or_dead_lettered(pipeline: Pipeline) -> None:
    await pipeline.processor.process_sample(rollup_of(good=1.0))
    assert pipeline.journal == ["submit"]
    await pipeline.processor.process_sample(rollup_of(good=1.0, later=2.0, never=3.0))
    ((body, delay),) = pipeline.ingress.sent
    assert (values_in(parse(body)), delay) == ([(MINUTE, "later", 2.0)], DELAY)
    (dead_letter,) = pipeline.dead_letter_queue.documents()
    assert dead_letter.keys().isdisjoint({"messageId", "enqueuedTime"})
    assert pipeline.recorded == [
        ("PointsPublished", 1),
        ("PointsPublished", 1),
        ("PointsDeferred", 1),
        ("PointsRejected", 1, "rejected_by_azure"),
    ]


@pytest.mark.parametrize("target", [TARGET, Target("", RESOURCE)], ids=["POST", "region"])
async def test_a_sample_of_which_all_is_deferred_is_not_lost(
    target: Target, arm: StubArm, pipeline: Pipeline
) -> None:
    arm.error = SourceError("403")
    await pipeline.processor.process_sample(rollup_of(target, later=2.0))
    ((body, _),) = pipeline.ingress.sent
    assert [rollup.target for rollup in parse(body)] == [target]
    assert values_in(parse(body)) == [(MINUTE, "later", 2.0)]


# --- What it records and logs ---------------------------------------------------------------------

LATENCY = ("PublishLatency", 120.0)
DRAINED = ("MessagesDrained", 1)
RECORDED: dict[str, tuple[list[Any], list[tuple[object, ...]]]] = {
    "rejected": ([NEVER], [("PointsRejected", 1, "rejected_by_azure"), DRAINED]),
    "everything": (
        [GOOD, GOOD, LATER, NEVER, NEVER, BAD, BAD, OLD, {**GOOD, "resourceId": FORBIDDEN}],
        [
            ("PointsPublished", 2),
            ("PointsDeferred", 1),
            LATENCY,
            ("PointsRejected", 1, "expired"),
            ("PointsRejected", 1, "forbidden_scope"),
            ("PointsRejected", 2, "invalid"),
            ("PointsRejected", 2, "rejected_by_azure"),
            DRAINED,
        ],
    ),
}


@pytest.mark.parametrize(("points", "recorded"), RECORDED.values(), ids=RECORDED)
async def test_every_point_is_recorded(
    points: list[Any], recorded: list[tuple[object, ...]], pipeline: Pipeline
) -> None:
    await pipeline.process(*points)
    assert pipeline.recorded == recorded


LATENCIES: dict[str, tuple[datetime | None, list[Any]]] = {
    "unknown": (None, []),
    "a clock that is behind": (NOW + timedelta(seconds=3), [("PublishLatency", 0.0)]),
    "a while ago": (NOW - timedelta(seconds=90.5), [("PublishLatency", 90.5)]),
}


@pytest.mark.parametrize(("enqueued", "latency"), LATENCIES.values(), ids=LATENCIES)
async def test_the_latency_is_that_of_the_message(
    enqueued: datetime | None, latency: list[Any], pipeline: Pipeline
) -> None:
    await pipeline.process(GOOD, origin=Origin("5c1f", enqueued))
    assert [one for one in pipeline.recorded if one[0] == "PublishLatency"] == latency


async def test_what_is_not_published_is_logged(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    await pipeline.process(GOOD, LATER, NEVER, BAD)
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    invalid = pipeline.dead_lettered()[0][1]
    assert caplog.messages == [
        "Deferring: 1 point will be retried: 503 busy",
        f"Dead-lettering as invalid: 1 point of message 5c1f: {invalid}",
        "Dead-lettering as rejected_by_azure: 1 point of message 5c1f: 400 no",
    ]


# --- Why a point expired --------------------------------------------------------------------------


async def why_expired(pipeline: Pipeline, resource_id: str = RESOURCE) -> str:
    """Return what an expired point is said to have been deferred because of."""
    before = len(pipeline.dead_lettered())
    await pipeline.process(OLD, resourceId=resource_id)
    ((reason, detail),) = pipeline.dead_lettered()[before:]
    assert reason == "expired"
    plain, _, why = detail.partition("; this resource was last deferred because of: ")
    assert plain.endswith("old, at most 1200 s")
    return why


async def test_an_expired_point_says_why_its_resource_was_deferred(pipeline: Pipeline) -> None:
    assert await why_expired(pipeline) == ""
    # Beside what is published or rejected, too.
    await pipeline.process(LATER, GOOD, NEVER)
    for resource_id in (RESOURCE, RESOURCE.replace("ordersqueues", "OrdersQueues")):
        assert await why_expired(pipeline, resource_id) == "503 busy"
    assert await why_expired(pipeline, OTHER.resource_id) == ""
    pipeline.outcomes["later"] = Outcome(Status.DEFERRED, "403 no role")
    await pipeline.process(LATER, GOOD)
    await pipeline.process(NEVER)
    assert await why_expired(pipeline) == "403 no role"
    await pipeline.process(GOOD)
    assert await why_expired(pipeline) == ""
    await pipeline.process(BAD)
    assert "deferred" not in pipeline.dead_lettered()[-1][1]


async def test_an_unknown_region_is_why_too(arm: StubArm, pipeline: Pipeline) -> None:
    arm.error = SourceError("403")
    with pytest.raises(DeferredError) as caught:
        await pipeline.process(GOOD, region=None)
    assert await why_expired(pipeline) == str(caught.value)


@pytest.mark.parametrize(("others", "why"), [(1, "503 busy"), (2, "")], ids=["N", "N + 1"])
async def test_the_reasons_that_are_kept_have_a_limit(
    others: int, why: str, regions: Regions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_DEFERRALS", 2)
    pipeline = Pipeline(regions)
    for number in range(1 + others):
        await pipeline.process(LATER, NEVER, resourceId=RESOURCE + str(number or ""))
    assert await why_expired(pipeline) == why


# --- Whatever comes -------------------------------------------------------------------------------

_POINTS = st.tuples(
    st.sampled_from([GOOD, LATER, NEVER, BAD, OLD, {**GOOD, "resourceId": FORBIDDEN}]),
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from([{}, {"resourceId": OTHER.resource_id}]),
)


def marks_in(content: Any) -> Counter[str]:
    """Count the points of a message, or of an array of messages, by their dimension."""
    found = Counter[str]()
    for one in content if isinstance(content, list) else [content]:
        for point in one["points"]:
            found[point["dimensions"]["mark"]] += point.get("count", 1)
    return found


def place_of(point: Any) -> str:
    if "time" in point:
        return "expired"
    if point.get("resourceId") == FORBIDDEN:
        return "forbidden_scope"
    places = {"good": "published", "later": "deferred", "never": "rejected_by_azure"}
    return places.get(point["metric"], "invalid")


@given(st.lists(st.lists(_POINTS, min_size=1, max_size=8), min_size=1, max_size=3))
def test_every_point_ends_in_one_place(messages: list[list[Any]]) -> None:
    points = [
        [{**own, **point, "dimensions": {"mark": mark}} for point, mark, own in some]
        for some in messages
    ]
    expected: dict[str, Counter[str]] = defaultdict(Counter)
    for one in (one for some in points for one in some):
        expected[place_of(one)][one["dimensions"]["mark"]] += 1
    found: dict[str, Counter[str]] = defaultdict(Counter)
    with make_regions(StubArm()) as made:
        pipeline = Pipeline(made)
        try:
            body = b"\n".join(encode(message(*some)) for some in points)
            asyncio.run(pipeline.processor.process(body, ORIGIN))
        except DeferredError:
            assert (list(expected), pipeline.journal) == (["deferred"], ["submit"])
            return
    for group in (group for one in pipeline.submitted for group in one.minutes.values()):
        for series, values in group.items():
            if series.metric == "good":
                found["published"][series.dimension_values[0]] += len(values)
    for document in pipeline.ingress.documents():
        found["deferred"] += marks_in(document)
    for dead_letter in pipeline.dead_letter_queue.documents():
        for entry in dead_letter["refused"]:
            found[dead_letter["reason"]] += marks_in(entry["message"])
    assert found == expected
