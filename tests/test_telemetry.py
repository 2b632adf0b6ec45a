"""What the relay says of itself: merged by the minute, sent once, kept a while, no loop."""

from __future__ import annotations

import ast
import asyncio
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from builders import LANE, NOW, point
from by_points import points_of
from hypothesis import given
from hypothesis import strategies as st

from local.stack import ROOT
from shared.batch import Batch
from shared.model import Lane, Point, Reason, Status, Verdict
from shared.telemetry import METRICS, NAMESPACE, Telemetry, unrecorded

KEEP = timedelta(minutes=20)
MINUTE = NOW.replace(second=0)
OVER = 30.0  # Seconds from NOW to the end of its minute.


class Time:
    """A clock, and the running loop's timers with it, turned by hand from NOW on."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slow = timedelta()  # By which the clock is behind the timers.
        self._loop = asyncio.get_running_loop()
        self._loop.time = lambda: self.seconds  # type: ignore[method-assign]

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds) - self.slow

    async def passes(self, seconds: float) -> None:
        """Second by second, each as long as anything has something to do."""
        end = self.seconds + seconds
        while self.seconds < end:
            self.seconds = min(self.seconds + 1, end)
            await settle()


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


class Store:
    """Takes what is submitted, and judges it as it is told to."""

    def __init__(self, time: Time | None = None) -> None:
        self.got: list[list[Point]] = []
        self.times: list[float] = []
        self.status = Status.PUBLISHED
        self.failure: Exception | None = None
        self.wait: asyncio.Event | None = None
        self._time = time

    async def submit(self, batches: Sequence[Batch]) -> list[Verdict]:
        points = points_of(batches)
        self.got.append(list(points))
        if self._time is not None:
            self.times.append(self._time.seconds)
        status = self.status
        if self.wait is not None:
            await self.wait.wait()
        if self.failure is not None:
            raise self.failure
        reason = Reason.REJECTED_BY_AZURE if status is Status.REJECTED else None
        return [Verdict(status, points, "400 no", reason)]

    @property
    def sums(self) -> list[dict[str, float]]:
        """Metric -> sum, for each submission."""
        return [{one.metric: one.sum for one in points} for points in self.got]


class Gauge:
    """Five series are active; knows how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> Iterator[tuple[str, float, dict[str, str]]]:
        self.asked += 1
        yield "ActiveSeries", 5.0, {"Subscription": "5b2f", "Region": "westeurope"}


class Setup:
    """A telemetry on the app's own lane, in a time turned by hand."""

    def __init__(self, lane: Lane | None = LANE, **named: Any) -> None:
        self.time = Time()
        self.store = Store(self.time)
        named = {"keep": KEEP, "clock": self.time.now, **named}
        self.telemetry = Telemetry(lane, self.store.submit, **named)
        self.record = self.telemetry.record


# --- What is merged -----------------------------------------------------------------------------


async def test_a_metric_a_minute_and_its_dimensions_are_one_value_set() -> None:
    setup = Setup()
    for value in (3, 1.5, 8):
        setup.record("Posts", value, Status="200")
    setup.record("Posts", 2, Status="403")
    setup.record("BatchSize", 7)
    await setup.time.passes(OVER)
    setup.record("BatchSize", 9)
    await setup.time.passes(60)
    first, second = setup.store.got
    own: dict[str, Any] = {"namespace": "MetricRelay", "time": MINUTE}
    status = "Status"
    assert first == [
        point(
            metric="Posts", dimensions=((status, "200"),), min=1.5, max=8, sum=12.5, count=3, **own
        ),
        point(2, "Posts", dimensions=((status, "403"),), **own),
        point(7, "BatchSize", **own),
    ]
    later = MINUTE + timedelta(minutes=1)
    assert second == [point(9, "BatchSize", namespace=NAMESPACE, time=later)]


records = st.lists(
    st.tuples(
        st.integers(0, 200),  # Seconds from NOW.
        st.sampled_from(["Posts", "BatchSize"]),
        st.integers(-(10**9), 10**9).map(lambda quarters: quarters / 4),  # Add up exactly.
        st.sampled_from([(), (("Status", "200"),), (("A", "1"), ("B", "2")), (("A", "2"),)]),
        st.booleans(),  # Whether the dimensions are given the other way round.
    ),
    max_size=40,
)


@given(records)
def test_what_is_merged_is_what_each_value_alone_adds_up_to(
    given_records: list[tuple[int, str, float, tuple[tuple[str, str], ...], bool]],
) -> None:
    given_records = sorted(given_records, key=lambda record: record[0])
    one_by_one: dict[tuple[datetime, str, Any], list[float]] = defaultdict(list)

    async def run() -> list[list[Point]]:
        setup = Setup()
        for second, metric, value, dimensions, backwards in given_records:
            await setup.time.passes(second - setup.time.seconds)
            minute = setup.time.now().replace(second=0)
            one_by_one[minute, metric, dimensions].append(value)
            setup.record(metric, value, **dict(dimensions[:: -1 if backwards else 1]))
        await setup.time.passes(60)
        return setup.store.got

    got = [one for points in asyncio.run(run()) for one in points]
    assert len(got) == len(one_by_one)
    for one in got:
        values = one_by_one[one.time, one.metric, one.dimensions]
        assert (one.min, one.max, one.sum) == (min(values), max(values), sum(values))
        assert (one.count, one.lane, one.namespace) == (len(values), LANE, NAMESPACE)


# --- When it is sent ----------------------------------------------------------------------------


@pytest.mark.parametrize("second", [0, 29, 29.999, 30, 31, 89])
async def test_a_value_is_sent_once_its_minute_is_over_and_within_a_minute(second: float) -> None:
    setup = Setup()
    await setup.time.passes(second)
    setup.record("BatchSize", 1)
    over = OVER if second < OVER else OVER + 60
    await setup.time.passes(over - second - 0.001)
    assert setup.store.got == []
    await setup.time.passes(60)
    assert len(setup.store.got) == 1
    assert over <= setup.store.times[0] <= over + 1


async def test_every_minute_of_an_app_at_work_is_sent_once() -> None:
    setup = Setup()
    for _ in range(600):
        setup.record("MessagesDrained", 1)
        await setup.time.passes(1)
    await setup.time.passes(60)
    assert [sums["MessagesDrained"] for sums in setup.store.sums] == [30] + [60] * 9 + [30]
    times = [points[0].time for points in setup.store.got]
    assert times == [MINUTE + timedelta(minutes=number) for number in range(11)]


async def test_what_others_send_takes_along_what_is_over() -> None:
    setup = Setup()
    setup.record("BatchSize", 1)
    setup.time.seconds = OVER  # The timer has not fired yet.
    setup.record("BatchSize", 2)
    figure = point(3, "SamplePoints", namespace=NAMESPACE)
    await setup.telemetry.send([figure])
    assert setup.store.sums == [{"SamplePoints": 3, "BatchSize": 1}]
    await setup.time.passes(120)
    assert setup.store.sums[1:] == [{"BatchSize": 2}]


async def test_what_others_send_is_sent_at_once_also_where_nothing_is_recorded() -> None:
    setup = Setup(None)
    figure = point(3, "SamplePoints", namespace=NAMESPACE)
    await setup.telemetry.send([figure])
    assert setup.store.got == [[figure]]


async def test_without_a_lane_nothing_is_recorded() -> None:
    setup = Setup(None, gauges=lambda: [("ActiveSeries", 5.0, {})])
    setup.record("BatchSize", 1)
    await setup.time.passes(300)
    await setup.telemetry.send()
    assert setup.store.got == []


def test_what_records_nothing_takes_what_is_recorded() -> None:
    unrecorded("Posts", 1, Status="200")


async def test_an_idle_app_sends_nothing_for_ever() -> None:
    gauge = Gauge()
    setup = Setup(gauges=gauge)
    setup.record("BatchSize", 1)
    await setup.time.passes(24 * 60)
    assert setup.store.sums == [{"BatchSize": 1, "ActiveSeries": 5}]
    assert gauge.asked == 1


async def test_a_gauge_is_of_the_minute_that_is_sent_and_has_its_dimensions_in_order() -> None:
    setup = Setup(gauges=Gauge())
    setup.record("BatchSize", 1)
    await setup.time.passes(OVER)
    ((_, active),) = setup.store.got
    dimensions = (("Region", "westeurope"), ("Subscription", "5b2f"))
    assert active == point(
        5, "ActiveSeries", namespace=NAMESPACE, time=MINUTE, dimensions=dimensions
    )


async def test_a_gauge_is_of_the_newest_of_the_minutes_that_are_sent() -> None:
    setup = Setup(gauges=Gauge())
    setup.record("BatchSize", 1)
    setup.time.seconds = OVER  # No timer fires.
    setup.record("BatchSize", 2)
    setup.time.seconds = OVER + 60
    await setup.telemetry.send()
    (got,) = setup.store.got
    newest = MINUTE + timedelta(minutes=1)
    expected = [("BatchSize", MINUTE), ("BatchSize", newest), ("ActiveSeries", newest)]
    assert [(one.metric, one.time) for one in got] == expected


async def test_a_gauge_goes_once_a_minute_however_often_something_is_sent() -> None:
    gauge = Gauge()
    setup = Setup(gauges=gauge)
    setup.record("BatchSize", 1)
    for _ in range(10):
        await setup.time.passes(10)
        await setup.telemetry.send([point(3, "SamplePoints")])
    assert gauge.asked == 1
    assert sum("ActiveSeries" in sums for sums in setup.store.sums) == 1


async def test_a_timer_that_fires_a_moment_early_leaves_nothing_behind() -> None:
    setup = Setup()
    setup.time.slow = timedelta(milliseconds=20)
    setup.record("BatchSize", 1)
    setup.time.slow = timedelta(milliseconds=50)  # The timer is 30 ms early now.
    setup.time.seconds = OVER + 0.02
    await settle()
    assert setup.store.got == []
    await setup.time.passes(1)
    assert setup.store.sums == [{"BatchSize": 1}]
    await setup.time.passes(600)
    assert len(setup.store.got) == 1


# --- What cannot be sent ------------------------------------------------------------------------


async def test_what_is_deferred_is_sent_again_with_what_is_new() -> None:
    setup = Setup()
    setup.store.status = Status.DEFERRED
    setup.record("BatchSize", 1)
    await setup.time.passes(OVER)
    setup.record("Posts", 2)
    setup.store.status = Status.PUBLISHED
    await setup.time.passes(60)
    assert setup.store.sums == [{"BatchSize": 1}, {"BatchSize": 1, "Posts": 2}]
    assert setup.store.got[1][0] == setup.store.got[0][0]
    await setup.time.passes(600)
    assert len(setup.store.got) == 2


async def test_what_was_published_beside_what_was_deferred_is_not_sent_again() -> None:
    setup = Setup()

    async def submit(batches: Sequence[Batch]) -> list[Verdict]:
        await setup.store.submit(batches)
        points = points_of(batches)
        later = [one for one in points if one.metric == "Later" and len(setup.store.got) == 1]
        now = [one for one in points if one not in later]
        verdicts = [Verdict(Status.DEFERRED, later), Verdict(Status.PUBLISHED, now)]
        return [verdict for verdict in verdicts if verdict.points]

    telemetry = Telemetry(LANE, submit, keep=KEEP, clock=setup.time.now)
    telemetry.record("Now", 1)
    telemetry.record("Later", 2)
    await setup.time.passes(300)
    assert setup.store.sums == [{"Now": 1, "Later": 2}, {"Later": 2}]


async def test_what_is_deferred_is_tried_every_minute_until_it_is_too_old() -> None:
    setup = Setup(keep=timedelta(minutes=3), gauges=Gauge())
    setup.store.status = Status.DEFERRED
    setup.record("BatchSize", 1)
    await setup.time.passes(3600)
    # At the end of its minute, when it is one minute old; then at two, and at three.
    assert setup.store.times == [OVER, OVER + 60, OVER + 120]
    assert setup.store.sums == [{"BatchSize": 1, "ActiveSeries": 5}] * 3


@pytest.mark.parametrize(("age", "kept"), [(19 * 60 + 59.999, True), (20 * 60, False)])
async def test_how_old_a_value_may_become(age: float, kept: bool) -> None:
    setup = Setup()
    setup.store.status = Status.DEFERRED
    await setup.telemetry.send([point(time=NOW - timedelta(seconds=age))])
    await setup.telemetry.send()
    assert len(setup.store.got) == 1 + kept


@pytest.mark.parametrize(("points", "kept"), [(4_999, 4_999), (5_000, 5_000), (5_001, 5_000)])
async def test_what_is_kept_is_bounded_and_the_oldest_goes_first(points: int, kept: int) -> None:
    setup = Setup()
    setup.store.status = Status.DEFERRED
    await setup.telemetry.send([point(number) for number in range(points)])
    await setup.time.passes(60)
    first, again = setup.store.got
    assert (len(first), len(again)) == (points, kept)
    assert again == first[-kept:]


async def test_what_is_refused_is_logged_and_gone(caplog: pytest.LogCaptureFixture) -> None:
    setup = Setup()
    setup.store.status = Status.REJECTED
    setup.record("BatchSize", 1)
    setup.record("Posts", 1)
    await setup.time.passes(600)
    assert len(setup.store.got) == 1
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "2 self-metrics refused: 400 no")
    ]


async def test_what_is_deferred_says_why(caplog: pytest.LogCaptureFixture) -> None:
    setup = Setup()
    setup.store.status = Status.DEFERRED
    setup.record("BatchSize", 1)
    await setup.time.passes(OVER)
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "1 self-metrics deferred: 400 no")
    ]


async def test_a_submission_that_breaks_is_logged_and_fails_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    setup = Setup()
    setup.store.failure = OSError("broken")
    setup.record("BatchSize", 1)
    await setup.telemetry.send([point(3, "SamplePoints")])
    await setup.time.passes(OVER)
    assert len(setup.store.got) == 2
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("ERROR", "Self-metrics were not sent")
    ] * 2
    assert all(record.exc_info for record in caplog.records)
    setup.store.failure = None
    setup.record("BatchSize", 2)
    await setup.time.passes(60)
    assert setup.store.sums[2:] == [{"BatchSize": 2}]


async def test_gauges_that_break_fail_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Iterable[tuple[str, float, dict[str, str]]]:
        raise OSError("broken")

    setup = Setup(gauges=broken)
    setup.record("BatchSize", 1)
    setup.time.seconds = OVER
    await setup.telemetry.send([point(3, "SamplePoints")])
    assert caplog.messages == ["Self-metrics were not sent"]


async def test_sends_at_the_same_time_send_nothing_twice_and_lose_nothing() -> None:
    setup = Setup()
    setup.store.wait = asyncio.Event()
    setup.store.status = Status.DEFERRED
    setup.record("BatchSize", 1)
    setup.time.seconds = OVER
    first = asyncio.create_task(setup.telemetry.send([point(10, "SamplePoints")]))
    await settle()
    setup.record("BatchSize", 2)
    second = asyncio.create_task(setup.telemetry.send([point(20, "SamplePoints")]))
    await settle()
    await setup.time.passes(60)  # What was recorded meanwhile goes alone; nobody waits for it.
    assert setup.store.sums == [
        {"SamplePoints": 10, "BatchSize": 1},
        {"SamplePoints": 20},
        {"BatchSize": 2},
    ]
    setup.store.wait.set()
    await asyncio.gather(first, second)
    await settle()
    setup.store.status = Status.PUBLISHED
    await setup.time.passes(60)
    *_, again = setup.store.got
    assert sorted(one.sum for one in again) == [1, 2, 10, 20]
    assert len(setup.store.got) == 4
    await setup.time.passes(600)
    assert len(setup.store.got) == 4


async def test_a_store_that_hangs_holds_up_nobody_who_records(
    caplog: pytest.LogCaptureFixture,
) -> None:
    setup = Setup()
    setup.store.wait = asyncio.Event()
    for number in range(3):
        setup.record("BatchSize", number)
        await setup.time.passes(60)
    assert setup.store.sums == [{"BatchSize": 0}, {"BatchSize": 1}, {"BatchSize": 2}]
    setup.store.wait.set()
    await settle()
    assert caplog.records == []


# --- What there is ------------------------------------------------------------------------------

PRODUCT = [ROOT / "function_app.py", *sorted((ROOT / "shared").rglob("*.py"))]


def recorded() -> dict[str, set[str]]:
    """Metric -> names of its dimensions, for all that the code records."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in PRODUCT:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Name(id="record" | "_record")
                    | ast.Attribute(attr="record" | "_record"),
                    args=[first, *_],
                    keywords=keywords,
                ):
                    found[ast.literal_eval(first)] |= {str(keyword.arg) for keyword in keywords}
                # The figures on sampling: name -> value; their dimension is put on all of them.
                case ast.Assign(targets=[ast.Name(id="figures")], value=ast.Dict(keys=keys)):
                    for key in keys:
                        assert isinstance(key, ast.Constant)
                        found[str(key.value)] |= {"Source"}
    # A gauge: its dimensions are those of the guard's scopes.
    found["ActiveSeries"] = {"Subscription", "Region"}
    return found


def test_the_code_records_what_there_is_said_to_be() -> None:
    found = recorded()
    assert found.keys() == METRICS.keys()
    for metric, dimensions in found.items():
        _, _, by = METRICS[metric].partition(", by ")
        assert set(by.split(" and ") if by else []) == dimensions, metric


def test_the_documentation_tells_of_every_metric() -> None:
    text = (ROOT / "docs" / "telemetry.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|([^|]+)\|([^|]*)\|[^|]+\|$", text, re.MULTILINE)
    documented = {name: set(re.findall(r"`(\w+)`", dimensions)) for name, _, dimensions in rows}
    assert documented == recorded()
    assert len(rows) == len(METRICS)
    assert {unit.strip() for _, unit, _ in rows} == {"count", "seconds"}
    assert f"`{NAMESPACE}`" in text
