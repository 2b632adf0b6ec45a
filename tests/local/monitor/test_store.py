"""The bounds of the store: what is old or too much is forgotten."""

from __future__ import annotations

import json
from contextlib import closing

from local.monitor.documents import JSON, Point, read
from local.monitor.read_back import MetricValue, portions
from local.monitor.store import MetricStore

from .client import QUEUE_ACCOUNT, REGION, document, iso, series
from .conftest import NOW


def points(now: float, *names: str) -> list[Point]:
    """One value for each dimension value, in the minute of now."""
    entries = [series(name, min=1, max=1, sum=1, count=1) for name in names]
    body = document(*entries, time=iso(since=now), metric="M", namespace="N", dimNames=["D"])
    _, found = read(json.dumps(body).encode(), JSON, now)
    return found


def add(store: MetricStore, now: float, *names: str) -> None:
    store.add(QUEUE_ACCOUNT, REGION, points(now, *names), now)


def stored(store: MetricStore) -> list[MetricValue]:
    return [value for portion in portions(store) for value in portion]


def kept(store: MetricStore) -> list[str]:
    return [f"{value.dimensions['D']} {value.time[8:16]}" for value in stored(store)]


def names(store: MetricStore) -> list[str]:
    return [each.dimensions["D"] for each in store.series(QUEUE_ACCOUNT, "n", "m")]


def test_values_are_kept_for_their_time() -> None:
    with closing(MetricStore(kept_minutes=60)) as store:
        add(store, NOW, "a")
        add(store, NOW + 60 * 60, "b")
        assert kept(store) == ["a 23T07:25", "b 23T08:25"]
        add(store, NOW + 61 * 60, "b")
        assert kept(store) == ["b 23T08:25", "b 23T08:26"]


def test_the_oldest_go_when_there_are_too_many() -> None:
    with closing(MetricStore(max_values=3)) as store:
        add(store, NOW, "a", "b")
        add(store, NOW + 60, "a")
        assert len(kept(store)) == 3
        add(store, NOW + 60, "c")
        assert kept(store) == ["a 23T07:26", "b 23T07:25", "c 23T07:26"]
        add(store, NOW + 120, *"defgh")
        assert kept(store) == ["f 23T07:27", "g 23T07:27", "h 23T07:27"]
        add(store, NOW + 120, "h")
        assert stored(store)[-1].count == 2


def test_names_go_with_the_last_of_their_values() -> None:
    with closing(MetricStore(kept_minutes=60)) as store:
        add(store, NOW, "a", "b")
        add(store, NOW + 60 * 60, "b")
        assert [each.dimensions["D"] for each in store.series(QUEUE_ACCOUNT, "n", "m")] == [
            "a",
            "b",
        ]
        add(store, NOW + 61 * 60, "b")
        assert names(store) == ["b"]
        assert store.resources() == [QUEUE_ACCOUNT.lower()]
        store.add(QUEUE_ACCOUNT + "2", REGION, points(NOW + 200 * 60, "c"), NOW + 200 * 60)
        assert store.resources() == [QUEUE_ACCOUNT.lower() + "2"]
        assert not store.series(QUEUE_ACCOUNT, "n", "m")
        assert not store.metrics(QUEUE_ACCOUNT)


def test_reading_aggregates_groups_of_series_by_steps() -> None:
    with closing(MetricStore()) as store:
        add(store, NOW, *"abc")
        add(store, NOW + 60, "c")
        minute = int(NOW // 60)
        groups = {
            each: each.dimensions["D"] in "ab" for each in store.series(QUEUE_ACCOUNT, "N", "M")
        }

        def found(first: int, end: int, step: int) -> dict[bool, dict[int, int]]:
            read = store.read(groups, minute + first, minute + end, step)
            return {
                key: {n: each.count for n, each in cells.items()} for key, cells in read.items()
            }

        assert found(0, 2, 1) == {True: {0: 2}, False: {0: 1, 1: 1}}
        assert found(-1, 2, 2) == {True: {0: 2}, False: {0: 1, 1: 1}}
        assert found(0, 2, 2) == {True: {0: 2}, False: {0: 2}}
        assert found(1, 2, 1) == {False: {0: 1}}
        assert found(2, 9, 1) == {}


def test_reading_back_is_cut_into_portions() -> None:
    with closing(MetricStore()) as store:
        many = [f"{number:05}" for number in range(12_000)]
        for minute in range(2):
            add(store, NOW + 60 * minute, *many)
        lengths = [len(portion) for portion in portions(store)]
        assert lengths == [10_000, 10_000, 4_000]


def test_a_reset_between_two_portions_ends_the_reading() -> None:
    many = [f"{number:05}" for number in range(12_000)]
    with closing(MetricStore()) as store:
        add(store, NOW, *many)
        reading = portions(store)
        next(reading)
        store.clear()
        add(store, NOW, *(f"new {name}" for name in many))
        assert list(reading) == []
