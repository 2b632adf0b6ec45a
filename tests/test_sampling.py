"""A tick: every source at once, one that fails stopping none of the others."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
from builders import NOW, point

from shared.model import Point
from shared.sampling import Sampler
from shared.sources import Sample, Source


class Given:
    """A source that gives what it was given."""

    def __init__(self, name: str, points: list[Point], problems: Sequence[str] = ()) -> None:
        self.name = name
        self._sample = Sample(points, list(problems))

    def sample(self, now: datetime) -> Sample:
        assert now == NOW
        return self._sample


class Broken:
    """A source with a fault of its own."""

    name = "METRICS_SOURCES[1]"

    def sample(self, now: datetime) -> Sample:
        raise ZeroDivisionError(now)


class Together:
    """A source that waits for the others."""

    def __init__(self, name: str, barrier: threading.Barrier) -> None:
        self.name = name
        self._barrier = barrier

    def sample(self, now: datetime) -> Sample:
        self._barrier.wait(10)
        return Sample([point(metric=self.name, time=now)], [])


class Published:
    """Where samples go."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.calls: list[list[Point]] = []
        self._failure = failure

    async def __call__(self, points: Sequence[Point]) -> None:
        self.calls.append(list(points))
        if self._failure is not None:
            raise self._failure


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


async def test_samples_of_all_sources_are_published_together(executor: ThreadPoolExecutor) -> None:
    published = Published()
    sources = [Given("a", [point(1.0), point(2.0)]), Given("b", []), Given("c", [point(3.0)])]
    await Sampler(sources, published, executor).sample(NOW)
    assert published.calls == [[point(1.0), point(2.0), point(3.0)]]


async def test_sources_are_sampled_at_once(executor: ThreadPoolExecutor) -> None:
    published = Published()
    barrier = threading.Barrier(3)
    sources = [Together(name, barrier) for name in "abc"]
    await Sampler(sources, published, executor).sample(NOW)
    assert [one.metric for one in published.calls[0]] == ["a", "b", "c"]


async def test_without_sources_there_is_nothing_to_publish(executor: ThreadPoolExecutor) -> None:
    published = Published()
    await Sampler([], published, executor).sample(NOW)
    assert published.calls == [[]]


async def test_a_source_that_breaks_stops_no_other(
    executor: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    published = Published()
    sources: list[Source] = [Given("a", [point(1.0)]), Broken(), Given("c", [point(3.0)])]
    await Sampler(sources, published, executor).sample(NOW)
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
    sources = [Given("a", [point(1.0)], ["a: queue x: gone", "a: queue y: gone"])]
    await Sampler(sources, published, executor).sample(NOW)
    assert published.calls == [[point(1.0)]]
    assert [
        record.getMessage() for record in caplog.records if record.levelno == logging.ERROR
    ] == [
        "Not sampled: a: queue x: gone",
        "Not sampled: a: queue y: gone",
    ]


async def test_a_tick_whose_samples_cannot_be_kept_fails(executor: ThreadPoolExecutor) -> None:
    with pytest.raises(OSError, match="broken"):
        await Sampler([], Published(OSError("broken")), executor).sample(NOW)
