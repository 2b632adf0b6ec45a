"""A tick: every source at once, one that fails or hangs stopping none of the others."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from builders import LANE, NOW, REGION, RESOURCE, point
from scripted import Asked, Said, routes, said, serving
from sourcing import load, make_context

from local.stack import Backend
from shared.clients.deadline import Deadline
from shared.clients.http import open_session
from shared.errors import SourceError
from shared.model import MAX_DIMENSIONS, Lane, Point
from shared.publisher.retry import Policy
from shared.sources import Finding, Problem, Source
from shared.sources.base import Target
from shared.sources.sampler import CUT_OFF_AFTER, DEADLINE, MAX_POINTS, Sampler

PATIENCE = 60
TICK = timedelta(minutes=1)
FIGURES = ("SampleDuration", "SamplePoints", "SampleErrors")


def target(every: float = 1, dimensions: Mapping[str, str] | None = None) -> Target:
    return Target(LANE, "QueueProcessing", dimensions or {}, timedelta(seconds=every))


def hang(asked: Asked) -> None:
    asked.ended.wait(PATIENCE)


class Given:
    """A source that gives what it was given, at the time it was given."""

    def __init__(
        self, name: str, points: list[Point], problems: Sequence[str] = (), every: float = 1
    ) -> None:
        self.name = name
        self.target = target(every)
        self.times: list[datetime] = []
        self._points = points
        self._problems = problems

    def sample(self, now: datetime, until: Deadline) -> Iterator[Finding]:  # noqa: ARG002
        self.times.append(now)
        yield from self._points
        yield from map(Problem, self._problems)


class Raising:
    """A source that gives what it has, and raises."""

    def __init__(self, name: str, failure: Exception, points: Sequence[Point] = ()) -> None:
        self.name = name
        self.target = target()
        self._failure = failure
        self._points = points

    def sample(self, now: datetime, until: Deadline) -> Iterator[Finding]:  # noqa: ARG002
        yield from self._points
        raise self._failure


class Together:
    """A source that waits for the others."""

    def __init__(self, name: str, barrier: threading.Barrier) -> None:
        self.name = name
        self.target = target()
        self._barrier = barrier

    def sample(self, now: datetime, until: Deadline) -> Iterator[Finding]:  # noqa: ARG002
        self._barrier.wait(PATIENCE)
        yield point(metric=self.name, time=now)


class Held:
    """A source that gives one point and hangs until it is let go; then it gives more, or raises."""

    def __init__(self, name: str, failure: Exception | None = None) -> None:
        self.name = name
        self.target = target()
        self.calls = 0
        self.given = 0
        self.go = threading.Event()
        self.gone = threading.Event()
        self._failure = failure

    def sample(self, now: datetime, until: Deadline) -> Iterator[Finding]:  # noqa: ARG002
        self.calls += 1
        self.given += 1
        yield point(time=now, metric=f"Before{self.calls}")
        try:
            self.go.wait(PATIENCE)
            if self._failure is not None:
                raise self._failure
            self.given += 1
            yield point(time=now, metric=f"After{self.calls}")
            self.given += 1
        finally:
            self.gone.set()


class Published:
    """Where samples go: what the sources gave, and the figures on sampling itself, after it."""

    def __init__(self, failure: Exception | None = None) -> None:
        self._given: list[list[Point]] = []
        self._figures: list[Point] = []
        self._failure = failure

    async def __call__(self, points: Sequence[Point]) -> None:
        self._given.append([*points, *self._figures])
        if self._failure is not None:
            raise self._failure

    def report(self, points: Sequence[Point]) -> None:
        """The figures come first, and stand behind what is published next."""
        self._figures = list(points)

    @property
    def all(self) -> list[list[Point]]:
        """What each tick published, its sources in the order of their names."""
        ticks: dict[datetime, list[tuple[str, list[Point]]]] = {}
        for points in self._given:
            figure = next(one for one in points if one.namespace == "MetricRelay")
            ((_, source),) = figure.dimensions
            ticks.setdefault(figure.time, []).append((source, points))
        return [
            [one for _, points in sorted(calls, key=lambda call: call[0]) for one in points]
            for calls in ticks.values()
        ]

    @property
    def calls(self) -> list[list[Point]]:
        """What the sources gave, for each tick."""
        return [[one for one in call if one.namespace != "MetricRelay"] for call in self.all]

    @property
    def figures(self) -> list[dict[str, tuple[float, ...]]]:
        """For each tick: source -> seconds, points, problems."""
        found: list[dict[str, tuple[float, ...]]] = []
        for call in self.all:
            of: dict[str, dict[str, float]] = {}
            for one in call:
                if one.namespace == "MetricRelay":
                    ((name, source),) = one.dimensions
                    assert name == "Source"
                    of.setdefault(source, {})[one.metric] = one.sum
            found.append(
                {source: tuple(given[metric] for metric in FIGURES) for source, given in of.items()}
            )
        return found


def sampler_of(
    sources: Sequence[Source], published: Published, executor: Executor, **options: Any
) -> Sampler:
    return Sampler(sources, published, executor, report=published.report, **options)


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]


# --- One tick -------------------------------------------------------------------------------------


async def test_samples_of_all_sources_are_published(executor: ThreadPoolExecutor) -> None:
    published = Published()
    sources = [Given("a", [point(1.0), point(2.0)]), Given("b", []), Given("c", [point(3.0)])]
    await sampler_of(sources, published, executor).sample(NOW)
    assert published.calls == [[point(1.0), point(2.0), point(3.0)]]
    assert [source.times for source in sources] == [[NOW]] * 3


async def test_sources_are_sampled_at_once(executor: ThreadPoolExecutor) -> None:
    published = Published()
    barrier = threading.Barrier(3)
    sources = [Together(name, barrier) for name in "abc"]
    await sampler_of(sources, published, executor).sample(NOW)
    assert [one.metric for one in published.calls[0]] == ["a", "b", "c"]


async def test_a_source_is_published_while_another_hangs(executor: ThreadPoolExecutor) -> None:
    seen = asyncio.Event()

    class Seeing(Published):
        async def __call__(self, points: Sequence[Point]) -> None:
            await super().__call__(points)
            if any(one.metric == "QueueDepth" for one in points):
                seen.set()

    held = Held("held")
    sampler = sampler_of([held, Given("quick", [point(1.0)])], Seeing(), executor)
    tick = asyncio.create_task(sampler.sample(NOW))
    await asyncio.wait_for(seen.wait(), PATIENCE)
    assert not tick.done()
    held.go.set()
    await tick


async def test_without_sources_there_is_nothing_to_publish(executor: ThreadPoolExecutor) -> None:
    published = Published()
    await sampler_of([], published, executor).sample(NOW)
    assert published.all == []


async def test_a_source_that_breaks_stops_no_other(
    executor: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    published = Published()
    broken = Raising("METRICS_SOURCES[1]", ZeroDivisionError(NOW))
    sources: list[Source] = [Given("a", [point(1.0)]), broken, Given("c", [point(3.0)])]
    await sampler_of(sources, published, executor).sample(NOW)
    assert published.calls == [[point(1.0), point(3.0)]]
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("ERROR", "A source broke: METRICS_SOURCES[1]"),
        (
            "ERROR",
            f"Not sampled: METRICS_SOURCES[1]: ZeroDivisionError({NOW!r})",
        ),
    ]


async def test_what_could_not_be_had_is_said_and_the_rest_published(
    executor: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    published = Published()
    sources = [Given("a", [point(1.0)], ["queue x: gone", "queue y: gone"])]
    await sampler_of(sources, published, executor).sample(NOW)
    assert published.calls == [[point(1.0)]]
    assert errors(caplog) == [
        "Not sampled: a: queue x: gone",
        "Not sampled: a: queue y: gone",
    ]


async def test_a_source_that_cannot_be_sampled_is_named(
    executor: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    published = Published()
    sources: list[Source] = [Raising("b", SourceError("403 Forbidden")), Given("a", [point(1.0)])]
    await sampler_of(sources, published, executor).sample(NOW)
    assert published.calls == [[point(1.0)]]
    assert errors(caplog) == ["Not sampled: b: 403 Forbidden"]


async def test_what_came_before_a_source_went_no_further_is_published(
    executor: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    published = Published()
    sources = [
        Raising("a", SourceError("page 2: 500"), [point(1.0)]),
        Raising("b", KeyError("x"), [point(2.0)]),
    ]
    await sampler_of(sources, published, executor).sample(NOW)
    assert published.calls == [[point(1.0), point(2.0)]]
    assert errors(caplog) == [
        "Not sampled: a: page 2: 500",
        "A source broke: b",
        "Not sampled: b: KeyError('x')",
    ]


@pytest.mark.parametrize("more", [0, 1, 1000])
async def test_a_source_gives_so_many_points_a_tick(
    more: int, executor: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    published = Published()
    source = Given("a", [point()] * (MAX_POINTS + more))
    await sampler_of([source], published, executor).sample(NOW)
    assert len(published.calls[0]) == MAX_POINTS
    text = f"Not sampled: a: more than {MAX_POINTS} points; the rest is left out"
    assert errors(caplog) == ([text] if more else [])


async def test_a_time_out_of_the_source_itself_is_not_the_deadline(
    executor: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    source = Raising("a", TimeoutError("the read operation timed out"))
    published = Published()
    await sampler_of([source], published, executor).sample(NOW)
    assert errors(caplog)[-1] == ("Not sampled: a: TimeoutError('the read operation timed out')")


async def test_a_thousand_problems_are_a_few_lines(
    executor: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    published = Published()
    sources = [
        Given("a", [], [f"queue {number}: no" for number in range(1000)]),
        Given("b", [], ["no"]),
    ]
    await sampler_of(sources, published, executor).sample(NOW)
    assert errors(caplog) == [
        *(f"Not sampled: a: queue {number}: no" for number in range(10)),
        "Not sampled: a: and 990 more like these",
        "Not sampled: b: no",
    ]
    assert published.figures[0]["a"][2] == 1000


async def test_a_tick_whose_samples_cannot_be_kept_fails(executor: ThreadPoolExecutor) -> None:
    with pytest.raises(OSError, match="broken"):
        await sampler_of([Given("a", [])], Published(OSError("broken")), executor).sample(NOW)


# --- Figures --------------------------------------------------------------------------------------


async def test_each_source_has_figures_on_its_sampling(executor: ThreadPoolExecutor) -> None:
    published = Published()
    sources: list[Source] = [
        Given("good", [point(1.0), point(2.0)]),
        Given("partly", [point(3.0)], ["x", "y"]),
        Raising("bad", SourceError("403")),
        Raising("broken", KeyError("x")),
        Given("empty", []),
    ]
    await sampler_of(sources, published, executor, clock=lambda: 7.0).sample(NOW)
    assert published.figures == [
        {
            "good": (0, 2, 0),
            "partly": (0, 1, 2),
            "bad": (0, 0, 1),
            "broken": (0, 0, 1),
            "empty": (0, 0, 0),
        }
    ]
    for one in published.all[0]:
        if one.namespace == "MetricRelay":
            assert (one.lane, one.time, one.count) == (LANE, NOW, 1)


async def test_the_duration_is_in_seconds(executor: ThreadPoolExecutor) -> None:
    published = Published()
    readings = iter([10.0, 12.5])
    sampler = sampler_of([Given("a", [])], published, executor, clock=lambda: next(readings))
    await sampler.sample(NOW)
    assert published.figures == [{"a": (2.5, 0, 0)}]


async def test_ten_dimensions_of_the_source_do_not_break_its_figures(
    executor: ThreadPoolExecutor,
) -> None:
    published = Published()
    source = Given("a", [point(1.0)])
    source.target = target(dimensions={f"d{number}": "x" for number in range(MAX_DIMENSIONS)})
    await sampler_of([source], published, executor).sample(NOW)
    figures = [one for one in published.all[0] if one.namespace == "MetricRelay"]
    assert [one.dimensions for one in figures] == [(("Source", "a"),)] * 3


async def test_figures_are_on_the_resource_of_the_app(executor: ThreadPoolExecutor) -> None:
    published = Published()
    own = Lane("uksouth", f"{RESOURCE}app")
    await sampler_of([Given("a", [point(1.0)])], published, executor, own=own).sample(NOW)
    assert {(one.lane, one.namespace) for one in published.all[0]} == {
        (LANE, "QueueProcessing"),
        (own, "MetricRelay"),
    }


# --- The deadline ---------------------------------------------------------------------------------


async def test_a_source_that_hangs_is_cut_off_and_recovers(
    executor: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    published = Published()
    held = Held("slow")
    sources: list[Source] = [held, Given("a", [point(1.0)])]
    sampler = sampler_of(sources, published, executor, deadline=1.8, cut_off_after=0.2)

    await sampler.sample(NOW)
    assert errors(caplog) == ["Not sampled: slow: cut off after 2 s"]
    caplog.clear()

    await sampler.sample(NOW + TICK)
    assert errors(caplog) == ["Not sampled: slow: still busy with an earlier tick"]
    caplog.clear()
    assert held.calls == 1

    held.go.set()
    sampler._running["slow"].result(PATIENCE)
    await sampler.sample(NOW + 2 * TICK)
    assert errors(caplog) == []
    # What it gave too late is nowhere; the other source was there at every tick.
    assert [[one.metric for one in tick] for tick in published.calls] == [
        ["QueueDepth", "Before1"],
        ["QueueDepth"],
        ["QueueDepth", "Before2", "After2"],
    ]
    assert [tick["slow"][1:] for tick in published.figures] == [(1, 1), (0, 1), (2, 0)]
    assert published.figures[0]["slow"][0] >= 2


async def test_a_late_failure_is_dropped_too(
    executor: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    held = Held("slow", OSError("too late"))
    sampler = sampler_of([held], Published(), executor, deadline=0.0, cut_off_after=1.0)
    await sampler.sample(NOW)
    held.go.set()
    assert held.gone.wait(PATIENCE)
    with pytest.raises(OSError, match="too late"):
        sampler._running["slow"].result(PATIENCE)
    await asyncio.sleep(0)
    del sampler  # It holds the failure, which the loop would report once nothing does.
    gc.collect()
    assert errors(caplog) == ["Not sampled: slow: cut off after 1 s"]


async def test_a_source_that_is_cut_off_is_not_read_on(executor: ThreadPoolExecutor) -> None:
    held = Held("slow")
    sampler = sampler_of([held], Published(), executor, deadline=0.0, cut_off_after=1.0)
    await sampler.sample(NOW)
    held.go.set()
    sampler._running["slow"].result(PATIENCE)
    assert held.given == 2  # The second one was seen to be too late.


def test_a_tick_leaves_time_to_publish() -> None:
    """Ticks are a minute apart; what cannot be published in time goes into the queue."""
    assert DEADLINE + CUT_OFF_AFTER + Policy().total <= 60


async def test_what_the_other_side_said_is_cut(
    executor: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    source = Given("a", [], ["x" * 10_000_000])
    await sampler_of([source], Published(), executor).sample(NOW)
    assert errors(caplog) == [f"Not sampled: a: {'x' * 1000}"]


async def test_a_source_is_told_how_long_it_may_ask(executor: ThreadPoolExecutor) -> None:
    left: list[float] = []

    class Asking(Given):
        def sample(self, now: datetime, until: Deadline) -> Iterator[Finding]:
            left.append(until.left())
            yield from super().sample(now, until)

    await sampler_of([Asking("a", [])], Published(), executor).sample(NOW)
    assert DEADLINE - PATIENCE < left[0] <= DEADLINE


# --- How often ------------------------------------------------------------------------------------

# Seconds between samples, seconds of the ticks after a full hour, and at which a sample is taken.
SCHEDULES: dict[str, tuple[float, list[float], list[float]]] = {
    "each tick": (1, [0, 60, 120], [0, 60, 120]),
    "each tick of a fast timer": (1, [0, 1, 2, 3], [0, 1, 2, 3]),
    "a minute": (60, [0, 60, 120], [0, 60, 120]),
    "a minute whose ticks are early": (60, [0, 59.6, 119.5, 179.9], [0, 60, 120, 180]),
    "a minute whose ticks are late": (60, [0.9, 62, 121, 195, 240], [1, 62, 121, 195, 240]),
    "a minute whose ticks are ever later": (60, [0, 70, 140, 210, 299], [0, 70, 140, 210, 299]),
    "a minute of a fast timer": (60, [0, 10, 20, 30, 40, 50, 60, 70], [0, 60]),
    "five minutes": (300, [0, 60, 120, 180, 240, 300, 360, 599.8, 660], [0, 300, 600]),
    "five minutes from the middle of them": (300, [120, 180, 240, 300, 360], [120, 300]),
    "five minutes, the tick late": (300, [0, 305, 365, 600, 660], [0, 305, 600]),
    "what ticks do not divide": (90, [0, 60, 120, 180, 240, 300], [0, 120, 180, 300]),
    "after missed ticks": (300, [0, 60, 3600, 3660, 3900], [0, 3600, 3900]),
}
HOUR = NOW.replace(minute=0, second=0, microsecond=0)


@pytest.mark.parametrize(("every", "ticks", "taken"), SCHEDULES.values(), ids=SCHEDULES)
async def test_how_often_a_source_is_sampled(
    every: float, ticks: list[float], taken: list[float], executor: ThreadPoolExecutor
) -> None:
    published = Published()
    seldom, always = Given("seldom", [], every=every), Given("always", [])
    sampler = sampler_of([seldom, always], published, executor)
    for tick in ticks:
        await sampler.sample(HOUR + timedelta(seconds=tick))
    assert [(time - HOUR).total_seconds() for time in seldom.times] == taken
    assert len(always.times) == len(ticks)
    # Figures are of samples that were taken.
    assert sum("seldom" in tick for tick in published.figures) == len(taken)


@pytest.mark.parametrize(
    ("tick", "time"),
    [(0.003, 0), (0.499, 0), (0.5, 1), (59.98, 60), (59.5, 60), (59.499, 59), (7.0, 7)],
)
async def test_a_tick_that_is_a_moment_early_belongs_to_its_minute(
    tick: float, time: float, executor: ThreadPoolExecutor
) -> None:
    published = Published()
    source = Given("a", [])
    await sampler_of([source], published, executor).sample(HOUR + timedelta(seconds=tick))
    assert source.times == [HOUR + timedelta(seconds=time)]
    assert {one.time for one in published.all[0]} == set(source.times)


# --- The app's own function -----------------------------------------------------------------------


@pytest.mark.parametrize("past_due", [False, True])
async def test_a_tick_that_was_missed_samples_now_and_says_so(
    past_due: bool,
    backend: Backend,
    queue: str,
    site: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    import function_app  # noqa: PLC0415 (it is imported as the host does, when it is needed)

    backend.storage.create_queue(queue).send_message("x")
    entry = {
        "kind": "storage_queue",
        "resourceId": site,
        "region": REGION,
        "connection": "MetricsStorage",
        "queues": [queue],
        "metrics": ["QueueDepth"],
    }
    settings = {**backend.app_settings(queue), "METRICS_SOURCES": json.dumps([entry])}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    function_app.parts.cache_clear()
    declared: Any = function_app.sample_sources
    await declared._function.get_user_function()(SimpleNamespace(past_due=past_due))
    figures = asyncio.all_tasks() - {asyncio.current_task()}  # Which the tick does not wait for.
    await asyncio.wait(figures or {asyncio.create_task(asyncio.sleep(0))}, timeout=PATIENCE)
    function_app.parts.cache_clear()

    said_so = "A tick was missed; sampling now, and as of now" in caplog.messages
    assert said_so == past_due
    assert {value["metric"] for value in backend.metrics(resourceId=site)} == {
        "QueueDepth",
        *FIGURES,
    }


# --- Real sources ---------------------------------------------------------------------------------


async def test_whatever_breaks_the_others_are_published_in_the_same_tick(
    backend: Backend, executor: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    name = f"q{uuid.uuid4().hex[:8]}"
    backend.storage.create_queue(name).send_message("x")

    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 65_536

    answers = routes(
        {
            "/good": said({"depth": 7}),
            "/hangs": hang,
            "/circle": said({"depth": 1, "nextLink": "/circle"}),
            "/huge": lambda _: Said(body=endless()),
            "/refused": said({"error": {"code": "Forbidden", "message": "No."}}, 403),
        }
    )
    with serving(answers) as server, open_session(8) as session:
        context = make_context({"Orders": backend.azurite.connection_string}, session=session)

        def rest(path: str, depth: str = "depth") -> dict[str, Any]:
            url = f"{server.url}{path}"
            return {**address, "kind": "rest", "url": url, "metrics": {"Depth": depth}}

        address = {"resourceId": RESOURCE, "region": REGION}
        storage = {**address, "kind": "storage_queue", "connection": "Orders"}
        sources, problems = load(
            rest("/hangs"),
            rest("/circle"),
            rest("/huge"),
            rest("/refused"),
            rest("/good", "depth["),
            {**storage, "queues": [name, f"{name}-gone"]},
            rest("/good"),
            context=context,
        )
        assert [problem.partition(": ")[0] for problem in problems] == [
            "METRICS_SOURCES[4].metrics.Depth"
        ]
        published = Published()
        await sampler_of(sources, published, executor, deadline=10.0).sample(NOW)

    found = {(one.metric, one.sum) for one in published.calls[0]}
    assert found >= {("Depth", 7.0), ("QueueDepth", 1.0), ("QueueVisibleDepth", 1.0)}
    assert {one.time for one in published.all[0]} == {NOW}
    where = "Not sampled: METRICS_SOURCES"
    hangs, *others = sorted(errors(caplog))
    assert hangs == f"{where}[0]: {server.url}/hangs: not read in time"
    assert others == [
        f"{where}[1]: {server.url}/circle: the pages go round in a circle",
        f"{where}[2]: {server.url}/huge: more than 10000000 bytes",
        f"{where}[3]: {server.url}/refused: 403 Forbidden No.",
        f"{where}[5]: queue {name}-gone: The specified queue does not exist.",
    ]
