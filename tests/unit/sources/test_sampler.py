"""Sampler: one tick, errors, its own metrics, the cut-off, and how often a source is sampled."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.clients.http import Deadline
from shared.errors import SourceError
from shared.model import Rollup, Target
from shared.sources import Measurement, SampleError, Source
from shared.sources import sampler as module
from shared.sources.base import SourceDestination
from shared.sources.sampler import DEADLINE, MAX_ERROR_LENGTH, MAX_POINTS, Sampler
from tests.unit.rollups import NOW, RESOURCE, TARGET
from tests.unit.stubs import TIMEOUT

Part = Measurement | SampleError | Exception


def measurement(metric: str = "Depth", value: float = 1.0) -> Measurement:
    return Measurement(metric, value, ())


class StubSource:
    """Yields its parts in turn; an exception is raised."""

    def __init__(self, name: str, *parts: Part, every: float = 1) -> None:
        self.name = name
        self.destination = SourceDestination(TARGET, "QP", {}, timedelta(seconds=every))
        self.times: list[datetime] = []
        self.deadlines: list[Deadline] = []
        self._parts = parts

    def sample(self, now: datetime, deadline: Deadline) -> Iterator[Measurement | SampleError]:
        self.times.append(now)
        self.deadlines.append(deadline)
        for part in self._parts:
            if isinstance(part, Exception):
                raise part
            yield part


class HangingSource(StubSource):
    """Yields one measurement and hangs until `go`; then yields another, or raises."""

    def __init__(self, name: str, failure: Exception | None = None) -> None:
        super().__init__(name)
        self.yielded: list[str] = []
        self.hangs = threading.Event()
        self.go = threading.Event()
        self._failure = failure

    def sample(self, now: datetime, deadline: Deadline) -> Iterator[Measurement | SampleError]:
        self.times.append(now)
        self.deadlines.append(deadline)
        for metric in ("Before", "After", "Last"):
            self.yielded.append(metric)
            yield measurement(metric)
            if metric == "Before":
                self.hangs.set()
                assert self.go.wait(TIMEOUT)
                if self._failure is not None:
                    raise self._failure


class HangingExecutor(ThreadPoolExecutor):
    """Returns from `submit` once the source hangs, so that a cut-off needs no time."""

    def __init__(self, source: HangingSource) -> None:
        super().__init__(4)
        self._source = source
        self.futures: list[Future[Any]] = []

    def submit(self, *arguments: Any, **options: Any) -> Future[Any]:
        future = super().submit(*arguments, **options)
        assert self._source.hangs.wait(TIMEOUT)
        self.futures.append(future)
        return future


class Published:
    """What a sampler publishes and reports."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.rollups: list[Rollup] = []
        self.reports: list[Rollup] = []
        self.any = asyncio.Event()
        self._failure = failure

    async def publish(self, rollup: Rollup) -> None:
        self.rollups.append(rollup)
        self.any.set()
        if self._failure is not None:
            raise self._failure

    def values(self) -> list[dict[str, list[Any]]]:
        """Return, for each roll-up, metric -> values."""
        return [
            {series.metric: values for series, values in group.items()}
            for rollup in self.rollups
            for group in rollup.minutes.values()
        ]

    def figures(self) -> dict[str, tuple[Any, ...]]:
        """Return source -> duration, points and errors, of the last tick."""
        found: dict[str, tuple[Any, ...]] = {}
        for report in self.reports:
            (group,) = report.minutes.values()
            assert {series.namespace for series in group} == {"MetricRelay"}
            metrics = [series.metric for series in group]
            assert metrics == ["SampleDuration", "SamplePoints", "SampleErrors"]
            (source,) = {series.dimensions["Source"] for series in group}
            found[source] = tuple(value for (value,) in group.values())
        return found

    def sampler(
        self, sources: Sequence[Source], executor: ThreadPoolExecutor, **options: Any
    ) -> Sampler:
        options = {"own_target": None, "clock": lambda: 0.0, **options}
        return Sampler(sources, self.publish, executor, report=self.reports.append, **options)


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]


# --- One tick -------------------------------------------------------------------------------------


async def test_each_source_is_one_rollup(executor: ThreadPoolExecutor) -> None:
    published = Published()
    sources = [
        StubSource("a", measurement(value=1.0), measurement(value=2.0), measurement("Age", 3.0)),
        StubSource("b"),
        StubSource("c", measurement(value=4.0)),
    ]
    await published.sampler(sources, executor).sample(NOW)
    assert sorted(published.values(), key=len) == [
        {"Depth": [4.0]},
        {"Depth": [1.0, 2.0], "Age": [3.0]},
    ]
    for rollup in published.rollups:
        assert (rollup.target, list(rollup.minutes)) == (TARGET, [NOW.replace(second=0)])
    assert [source.times for source in sources] == [[NOW]] * 3
    assert 0 < sources[0].deadlines[0].left() <= DEADLINE


async def test_a_source_is_published_while_another_hangs(executor: ThreadPoolExecutor) -> None:
    published = Published()
    hanging = HangingSource("hanging")
    sampler = published.sampler([hanging, StubSource("quick", measurement())], executor)
    tick = asyncio.create_task(sampler.sample(NOW))
    await asyncio.wait_for(published.any.wait(), TIMEOUT)
    assert not tick.done()
    hanging.go.set()
    await tick
    assert published.values() == [
        {"Depth": [1.0]},
        {"Before": [1.0], "After": [1.0], "Last": [1.0]},
    ]


async def test_an_error_of_publishing_is_raised_after_all_sources(
    executor: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    published = Published(OSError("broken"))
    sampler = published.sampler([StubSource(name, measurement()) for name in "ab"], executor)
    with pytest.raises(OSError, match="broken"):
        await sampler.sample(NOW)
    assert len(published.rollups) == 2
    assert "Unexpected error while publishing a sample" in caplog.text  # That of the other source.


async def test_a_tick_does_not_wait_for_a_publication_that_outlives_it(
    executor: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_TICK_SECONDS", 0.0)
    accepted = asyncio.Event()
    published = Published()

    async def publish(rollup: Rollup) -> None:
        await published.publish(rollup)
        await accepted.wait()

    sampler = published.sampler([StubSource("a", measurement(), measurement())], executor)
    sampler.publish = publish
    await sampler.sample(NOW)
    await sampler.sample(NOW + timedelta(minutes=1))
    assert "the publication of an earlier tick is still running" in caplog.text
    await published.any.wait()
    accepted.set()
    await asyncio.wait(sampler._publishing.values())
    await sampler.sample(NOW + timedelta(minutes=2))
    assert len(published.rollups) == 2


# --- Errors ---------------------------------------------------------------------------------------

FAILED = "Sampling a failed: "
# Parts of a source, log lines, figures.
FAILURES: dict[str, tuple[list[Part], list[str], tuple[float, ...]]] = {
    "none": ([measurement(), measurement()], [], (0, 2, 0)),
    "errors of parts": (
        [SampleError("x: gone"), measurement(), SampleError("y: gone")],
        [f"{FAILED}x: gone", f"{FAILED}y: gone"],
        (0, 1, 2),
    ),
    "no more": ([measurement(), SourceError("page 2: 500")], [f"{FAILED}page 2: 500"], (0, 1, 1)),
    "unexpected": (
        [measurement(), KeyError("x")],
        ["Unexpected error while sampling a", f"{FAILED}unexpected error"],
        (0, 1, 1),
    ),
    "time-out of the source": (
        [TimeoutError("read")],
        ["Unexpected error while sampling a", f"{FAILED}unexpected error"],
        (0, 0, 1),
    ),
    "11 errors": (
        [SampleError(str(number)) for number in range(11)],
        [
            *(f"{FAILED}{number}" for number in range(10)),
            f"{FAILED}1 more error of the same kind",
        ],
        (0, 0, 11),
    ),
    "1000 errors": (
        [SampleError("x")] * 1000,
        [f"{FAILED}x"] * 10 + [f"{FAILED}990 more errors of the same kind"],
        (0, 0, 1000),
    ),
    "long": (
        [SampleError("x" * 100_000)],
        [f"{FAILED}{'x' * MAX_ERROR_LENGTH}"],
        (0, 0, 1),
    ),
    "points at the limit": ([measurement()] * MAX_POINTS, [], (0, MAX_POINTS, 0)),
    "points over the limit": (
        [measurement()] * (MAX_POINTS + 2),
        [f"{FAILED}more than 50,000 points; the rest is dropped"],
        (0, MAX_POINTS, 1),
    ),
}


@pytest.mark.parametrize(("parts", "lines", "figures"), FAILURES.values(), ids=FAILURES)
async def test_errors_are_logged_and_the_rest_is_published(
    parts: list[Part],
    lines: list[str],
    figures: tuple[float, ...],
    executor: ThreadPoolExecutor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    published = Published()
    sources = [StubSource("a", *parts), StubSource("b", measurement())]
    await published.sampler(sources, executor).sample(NOW)
    assert errors(caplog) == lines
    assert published.figures() == {"a": figures, "b": (0, 1, 0)}
    assert sum(rollup.points for rollup in published.rollups) == 1 + figures[1]


async def test_figures_are_in_seconds_and_for_the_app_itself(
    executor: ThreadPoolExecutor,
) -> None:
    own = Target("uksouth", f"{RESOURCE}app")
    for own_target, expected in ((None, TARGET), (own, own)):
        published, readings = Published(), iter([10.0, 12.5])
        sampler = published.sampler(
            [StubSource("a")], executor, own_target=own_target, clock=lambda r=readings: next(r)
        )
        await sampler.sample(NOW)
        assert published.figures() == {"a": (2.5, 0, 0)}
        assert [report.target for report in published.reports] == [expected]


# --- The cut-off ----------------------------------------------------------------------------------


async def test_a_source_that_hangs_is_cut_off_and_recovers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    published, source = Published(), HangingSource("a")
    with HangingExecutor(source) as executor:
        sampler = published.sampler([source], executor, deadline=0.0, cut_off_after=0.0)
        await sampler.sample(NOW)
        await sampler.sample(NOW + timedelta(minutes=1))
        assert errors(caplog) == [
            f"{FAILED}cut off after 0 s",
            f"{FAILED}the sample of an earlier tick is still running",
        ]
        assert len(source.times) == 1
        source.go.set()
        executor.futures[0].result(TIMEOUT)
        # What came before the cut-off counts, what came later does not, and no more is read.
        assert published.values() == [{"Before": [1.0]}]
        assert source.yielded == ["Before", "After"]
        assert published.figures() == {"a": (0, 0, 1)}
        caplog.clear()
        await published.sampler([source], executor).sample(NOW)
        assert errors(caplog) == []
        assert published.values()[1] == {"Before": [1.0], "After": [1.0], "Last": [1.0]}


async def test_an_error_after_the_cut_off_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    published, source = Published(), HangingSource("a", OSError("too late"))
    with HangingExecutor(source) as executor:
        sampler = published.sampler([source], executor, deadline=0.0, cut_off_after=0.0)
        await sampler.sample(NOW)
        source.go.set()
        with pytest.raises(OSError, match="too late"):
            executor.futures.pop().result(TIMEOUT)
    await asyncio.sleep(0)
    del sampler  # It holds the error, which the loop would log when it is collected.
    gc.collect()
    assert errors(caplog) == [f"{FAILED}cut off after 0 s"]


# --- How often ------------------------------------------------------------------------------------

# `every` in seconds, the ticks in seconds after a full hour, and the times of the samples.
SCHEDULES: dict[str, tuple[float, list[float], list[float]]] = {
    "each tick": (1, [0, 60, 120], [0, 60, 120]),
    "each tick of a fast timer": (1, [0, 1, 2, 3], [0, 1, 2, 3]),
    "early ticks": (60, [0, 59.6, 119.5, 179.9], [0, 60, 120, 180]),
    "late ticks": (60, [0.9, 62, 121, 195, 240], [1, 62, 121, 195, 240]),
    "later and later ticks": (60, [0, 70, 140, 210, 299], [0, 70, 140, 210, 299]),
    "a fast timer": (60, [0, 10, 20, 30, 40, 50, 60, 70], [0, 60]),
    "five minutes": (300, [0, 60, 120, 180, 240, 300, 360, 599.8, 660], [0, 300, 600]),
    "from the middle": (300, [120, 180, 240, 300, 360], [120, 300]),
    "no multiple of the timer": (90, [0, 60, 120, 180, 240, 300], [0, 120, 180, 300]),
    "missed ticks": (300, [0, 60, 3600, 3660, 3900], [0, 3600, 3900]),
    "rounding": (1, [0.499, 1.5, 59.499], [0, 2, 59]),
}
HOUR = NOW.replace(minute=0, second=0, microsecond=0)


@pytest.mark.parametrize(("every", "ticks", "expected"), SCHEDULES.values(), ids=SCHEDULES)
async def test_how_often_a_source_is_sampled(
    every: float, ticks: list[float], expected: list[float], executor: ThreadPoolExecutor
) -> None:
    published = Published()
    source, always = StubSource("a", every=every), StubSource("b")
    sampler = published.sampler([source, always], executor)
    for tick in ticks:
        await sampler.sample(HOUR + timedelta(seconds=tick))
    assert [(time - HOUR).total_seconds() for time in source.times] == expected
    assert len(always.times) == len(ticks)
    assert len(published.reports) == len(expected) + len(ticks)
