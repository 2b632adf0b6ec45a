"""The relay's own metrics: merged by the minute, sent once, kept a while; and limited log lines."""

from __future__ import annotations

import ast
import asyncio
import logging
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import telemetry as module
from shared.model import Outcome, Reason, Rollup, Series, Status, Target, ValueSet
from shared.telemetry import LOG_INTERVAL, MAX_LOG_LINES, METRICS, NAMESPACE, LogLimiter, Telemetry
from tests.unit.rollups import MINUTE, NOW, OTHER, TARGET, rollup_of, value_of
from tests.unit.stubs import ManualClock

ROOT = Path(__file__).resolve().parents[2]
LEFT = 30.0  # Seconds from NOW to the end of its minute.


class ManualTime:
    """A clock that starts at NOW, and the timers of the running loop with it."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.behind = timedelta()  # Of the clock, behind the timers.
        loop = asyncio.get_running_loop()
        loop.time = lambda: self.seconds  # type: ignore[method-assign]

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds) - self.behind

    async def passes(self, seconds: float) -> None:
        """Move second by second, and run what is due."""
        end = self.seconds + seconds
        while self.seconds < end:
            self.seconds = min(self.seconds + 1, end)
            await run_tasks()


async def run_tasks() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


class Setup:
    """A telemetry on a manual time; what it submits has one outcome."""

    def __init__(self, target: Target | None = TARGET, **options: Any) -> None:
        self.time = ManualTime()
        self.sent: list[list[Rollup]] = []
        self.times: list[float] = []
        self.status: dict[str, Status] = {}  # Of metrics; published, if it is not given.
        self.error: Exception | None = None
        self.wait = asyncio.Event()
        self.wait.set()
        self.telemetry = Telemetry(target, self._submit, clock=self.time.now, **options)
        self.record = self.telemetry.record

    async def _submit(self, rollups: Sequence[Rollup]) -> list[tuple[Rollup, Outcome]]:
        self.sent.append(list(rollups))
        self.times.append(self.time.seconds)
        status = dict(self.status)
        await self.wait.wait()
        if self.error is not None:
            raise self.error
        results = []
        for rollup in rollups:
            outcomes = {
                (minute, one): Outcome(status[one.metric], "400 no", Reason.REJECTED_BY_AZURE)
                for minute, group in rollup.minutes.items()
                for one in group
                if one.metric in status
            }
            results += rollup.by_outcome(outcomes)
        return results

    def defer(self, *metrics: str) -> None:
        self.status = dict.fromkeys(metrics, Status.DEFERRED)

    def sums(self) -> list[dict[str, float]]:
        """Return metric -> sum of each submission, over all minutes."""
        found = []
        for rollups in self.sent:
            sums: dict[str, float] = defaultdict(float)
            for rollup in rollups:
                for group in rollup.aggregate().values():
                    for one, values in group.items():
                        sums[one.metric] += values.sum
            found.append(dict(sums))
        return found


class Gauge:
    """A gauge of five active series; counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> Iterator[tuple[str, float, dict[str, str]]]:
        self.asked += 1
        yield "ActiveSeries", 5.0, {"Subscription": "5b2f", "Region": "westeurope"}


def own(metric: str, **dimensions: str) -> Series:
    return Series.of(NAMESPACE, metric, tuple(sorted(dimensions.items())))


# --- What is merged -------------------------------------------------------------------------------


async def test_values_of_one_minute_and_series_are_one_value_set() -> None:
    setup = Setup()
    for value in (3, 1.5, 8):
        setup.record("Posts", value, Status="200")
    setup.record("Posts", 2, Status="403")
    await setup.time.passes(LEFT)
    setup.record("Posts", 9, Status="403")
    await setup.time.passes(60)
    group: Any = {
        own("Posts", Status="200"): [ValueSet(1.5, 8, 12.5, 3)],
        own("Posts", Status="403"): [value_of(2)],
    }
    later: Any = {MINUTE + timedelta(minutes=1): {own("Posts", Status="403"): [value_of(9)]}}
    assert setup.sent == [[Rollup(TARGET, {MINUTE: group})], [Rollup(TARGET, later)]]


_RECORDS = st.tuples(
    st.integers(0, 100),  # Seconds from NOW.
    st.sampled_from(["Posts", "BatchSize"]),
    st.integers(-(10**9), 10**9).map(lambda quarters: quarters / 4),  # Add up exactly.
    st.sampled_from([{}, {"Status": "200"}, {"A": "1", "B": "2"}, {"B": "2", "A": "1"}]),
)


@given(st.lists(_RECORDS, max_size=20))
def test_it_merges_as_a_naive_model(records: list[tuple[int, str, float, dict[str, str]]]) -> None:
    model: dict[tuple[datetime, Series], list[float]] = defaultdict(list)

    async def run() -> list[list[Rollup]]:
        setup = Setup()
        for second, metric, value, dimensions in sorted(records, key=lambda record: record[0]):
            await setup.time.passes(second - setup.time.seconds)
            minute = setup.time.now().replace(second=0)
            model[minute, own(metric, **dimensions)].append(value)
            setup.record(metric, value, **dimensions)
        await setup.time.passes(60)
        return setup.sent

    found = [
        (minute, one, values)
        for rollups in asyncio.run(run())
        for rollup in rollups
        for minute, group in rollup.aggregate().items()
        for one, values in group.items()
    ]
    assert len(found) == len(model)
    for minute, one, values in found:
        given_values = model[minute, one]
        least, most, total = min(given_values), max(given_values), sum(given_values)
        assert values == ValueSet(least, most, total, len(given_values))


# --- When it is sent ------------------------------------------------------------------------------


@pytest.mark.parametrize("second", [0, 29.999, 30, 31, 89])
async def test_a_value_is_sent_when_its_minute_is_over(second: float) -> None:
    setup = Setup()
    await setup.time.passes(second)
    setup.record("BatchSize", 1)
    end = LEFT if second < LEFT else LEFT + 60
    await setup.time.passes(end - second - 0.001)
    assert setup.sent == []
    await setup.time.passes(60)
    assert len(setup.sent) == 1
    assert end <= setup.times[0] <= end + 1


async def test_every_minute_is_sent_once() -> None:
    setup = Setup()
    for _ in range(600):
        setup.record("MessagesDrained", 1)
        await setup.time.passes(1)
    await setup.time.passes(60)
    assert [sums["MessagesDrained"] for sums in setup.sums()] == [30] + [60] * 9 + [30]


async def test_what_others_report_is_sent_at_once_with_what_is_finished() -> None:
    setup = Setup()
    setup.record("BatchSize", 1)
    setup.time.seconds = LEFT  # The timer has not fired yet.
    setup.record("BatchSize", 2)
    setup.telemetry.report(rollup_of(SamplePoints=3.0))
    await run_tasks()
    assert setup.sums() == [{"SamplePoints": 3, "BatchSize": 1}]
    await setup.time.passes(120)
    assert setup.sums()[1:] == [{"BatchSize": 2}]


async def test_without_a_target_nothing_is_recorded() -> None:
    setup = Setup(None, gauges=Gauge())
    setup.record("BatchSize", 1)
    await setup.time.passes(300)
    assert setup.sent == []
    await setup.telemetry.send(rollup_of(SamplePoints=3.0))
    assert setup.sums() == [{"SamplePoints": 3}]
    module.ignore("Posts", 1, Status="200")


async def test_an_idle_app_sends_nothing() -> None:
    gauge = Gauge()
    setup = Setup(gauges=gauge)
    setup.record("BatchSize", 1)
    await setup.time.passes(24 * 60)
    assert setup.sums() == [{"BatchSize": 1, "ActiveSeries": 5}]
    assert gauge.asked == 1


async def test_a_gauge_has_the_newest_minute_once() -> None:
    gauge = Gauge()
    setup = Setup(gauges=gauge)
    setup.record("BatchSize", 1)
    setup.time.seconds = LEFT  # The timer has not fired yet.
    setup.record("BatchSize", 2)
    setup.time.seconds = LEFT + 60
    for _ in range(3):
        await setup.telemetry.send(rollup_of(OTHER, SamplePoints=3.0))
    newest = MINUTE + timedelta(minutes=1)
    active = own("ActiveSeries", Region="westeurope", Subscription="5b2f")
    assert setup.sent[0][1].minutes == {
        MINUTE: {own("BatchSize"): [value_of(1)]},
        newest: {own("BatchSize"): [value_of(2)], active: [5.0]},
    }
    assert gauge.asked == 1


async def test_a_timer_that_fires_early_leaves_nothing_behind() -> None:
    setup = Setup()
    setup.time.behind = timedelta(milliseconds=20)
    setup.record("BatchSize", 1)
    setup.time.behind = timedelta(milliseconds=50)
    setup.time.seconds = LEFT + 0.02  # The timer fires, 30 ms early.
    await run_tasks()
    assert setup.sent == []
    await setup.time.passes(600)
    assert setup.sums() == [{"BatchSize": 1}]


# --- What is not published ------------------------------------------------------------------------


async def test_what_is_deferred_is_sent_again_with_what_is_new() -> None:
    setup = Setup()
    setup.defer("Later")
    setup.record("Now", 1)
    setup.record("Later", 2)
    await setup.time.passes(LEFT)
    setup.record("Posts", 3)
    setup.status = {}
    await setup.time.passes(600)
    assert setup.sums() == [{"Now": 1, "Later": 2}, {"Later": 2, "Posts": 3}]


async def test_what_is_deferred_is_tried_every_minute_until_it_is_too_old() -> None:
    setup = Setup(past=timedelta(minutes=3), gauges=Gauge())
    setup.defer("BatchSize", "ActiveSeries")
    setup.record("BatchSize", 1)
    await setup.time.passes(3600)
    assert setup.times == [LEFT, LEFT + 60, LEFT + 120]
    assert setup.sums() == [{"BatchSize": 1, "ActiveSeries": 5}] * 3


@pytest.mark.parametrize(("age", "kept"), [(19 * 60, True), (20 * 60, False)])
async def test_a_value_is_kept_up_to_an_age(age: float, kept: bool) -> None:
    setup = Setup()
    setup.defer("a")
    setup.time.behind = NOW - MINUTE
    await setup.telemetry.send(rollup_of(TARGET, NOW - timedelta(seconds=age), a=1.0))
    await setup.telemetry.send()
    assert len(setup.sent) == 1 + kept


@pytest.mark.parametrize(("rollups", "kept"), [(3, [0, 1, 2]), (4, [1, 2, 3])], ids=["N", "N + 1"])
async def test_what_is_kept_has_a_limit(
    rollups: int, kept: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_KEPT", 3)
    setup = Setup()
    setup.defer("a")
    await setup.telemetry.send(*(rollup_of(a=float(number)) for number in range(rollups)))
    await setup.telemetry.send()
    assert setup.sent[1] == [rollup_of(a=float(number)) for number in kept]


@pytest.mark.parametrize("status", [Status.REJECTED, Status.DEFERRED])
async def test_what_is_not_published_is_logged(
    status: Status, caplog: pytest.LogCaptureFixture
) -> None:
    setup = Setup()
    setup.status = dict.fromkeys(("BatchSize", "Posts"), status)
    setup.record("BatchSize", 1)
    setup.record("Posts", 1)
    await setup.time.passes(LEFT)
    # Nothing runs between two invocations that a log record could belong to.
    assert caplog.records == []
    setup.record("MessagesDrained", 1)
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", f"The relay's own metrics were {status}: 2 values: 400 no")
    ]
    setup.status = {}
    await setup.time.passes(600)
    assert len(setup.sent) == 2


@pytest.mark.parametrize("part", ["submit", "gauges"])
async def test_an_unexpected_error_is_logged(part: str, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Any:
        raise OSError("broken")

    setup = Setup()
    setup.telemetry.gauges = broken if part == "gauges" else tuple
    setup.error = OSError("broken") if part == "submit" else None
    setup.record("BatchSize", 1)
    setup.time.seconds = LEFT
    await setup.telemetry.send(rollup_of(SamplePoints=3.0))
    assert caplog.messages == ["Unexpected error while sending the relay's own metrics"]
    setup.error, setup.telemetry.gauges = None, tuple
    setup.sent.clear()
    setup.record("BatchSize", 2)
    await setup.time.passes(60)
    assert setup.sums() == [{"BatchSize": 2}]


async def test_concurrent_sends_send_nothing_twice_and_lose_nothing() -> None:
    setup = Setup()
    setup.wait.clear()
    setup.defer("BatchSize", "SamplePoints")
    for value in (10.0, 20.0):
        setup.record("BatchSize", value)
        await setup.time.passes(60)
        setup.telemetry.report(rollup_of(SamplePoints=value))
    await run_tasks()
    # A store that hangs holds up nothing that is recorded.
    assert setup.sums() == [
        {"BatchSize": 10},
        {"SamplePoints": 10},
        {"BatchSize": 20},
        {"SamplePoints": 20},
    ]
    setup.wait.set()
    await run_tasks()
    setup.status = {}
    await setup.time.passes(600)
    assert setup.sums()[4:] == [{"BatchSize": 30, "SamplePoints": 30}]


# --- What there is --------------------------------------------------------------------------------


def recorded() -> dict[str, set[str]]:
    """Return metric -> names of its dimensions, for all that the code records."""
    # A gauge, whose dimensions are those of a scope of the series limiter.
    found: dict[str, set[str]] = defaultdict(set, {"ActiveSeries": {"Subscription", "Region"}})
    for path in (ROOT / "shared").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            match node:
                case ast.Call(func=ast.Attribute(attr="record"), args=[ast.Constant(metric), *_]):
                    found[str(metric)] |= {str(keyword.arg) for keyword in node.keywords}
        if path.name == "sampler.py":  # Its own metrics have one dimension.
            found |= {metric: {"Source"} for metric in re.findall(r'"(Sample[A-Z]\w+)"', text)}
    return found


def test_the_code_and_the_documentation_have_the_same_metrics() -> None:
    described = {
        metric: set(text.partition(", by ")[2].split(" and ")) - {""}
        for metric, text in METRICS.items()
    }
    assert recorded() == described
    page = (ROOT / "docs" / "telemetry.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|([^|]+)\|([^|]*)\|[^|]+\|$", page, re.MULTILINE)
    documented = {metric: set(re.findall(r"`(\w+)`", text)) for metric, _, text in rows}
    assert documented == described
    assert {unit.strip() for _, unit, _ in rows} == {"count", "seconds"}
    assert f"`{NAMESPACE}`" in page


# --- Log lines ------------------------------------------------------------------------------------


def test_warnings_of_one_kind_are_limited(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    limiter = LogLimiter(logging.getLogger("test"), clock=clock)

    def warn(count: int, kind: str = "Deferring") -> list[str]:
        caplog.clear()
        for number in range(count):
            limiter.warn(kind, 3, f"message {number}")
        return caplog.messages

    lines = [f"Deferring: message {number}" for number in range(MAX_LOG_LINES)]
    assert warn(MAX_LOG_LINES - 1) == lines[:-1]
    clock.sleep(LOG_INTERVAL - 0.1)
    assert warn(2) == lines[:1]
    assert warn(1, "Dead-lettering") == ["Dead-lettering: message 0"]
    clock.sleep(0.1)
    held = " (and 1 more warning before, of 3 points)"
    assert warn(MAX_LOG_LINES + 2) == [f"{lines[0]}{held}", *lines[1:]]
    clock.sleep(LOG_INTERVAL)
    held = " (and 2 more warnings before, of 6 points)"
    assert warn(1) == [f"{lines[0]}{held}"]
    clock.sleep(LOG_INTERVAL)
    assert warn(1) == lines[:1]
