"""Request bodies: exact bytes, the byte limit, and nothing left out."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from builders import LANE, NOW, point
from by_points import roll_up
from hypothesis import given
from hypothesis import strategies as st
from strategies import points

from shared.model import MAX_COUNT, Point, Series
from shared.publisher.encoder import Body, halved, write_bodies

LIMIT = 65_536


def write(given_points: list[Point], limit: int = LIMIT) -> list[Body]:
    return list(write_bodies(roll_up(given_points), limit))


def test_nothing_is_no_body() -> None:
    assert write([]) == []


def test_a_body_is_one_document_a_line() -> None:
    orders = point(
        min=3.0, max=20.0, sum=28.0, count=3, dimensions=(("Kind", "é\n"), ("Queue", "a")), time=NOW
    )
    (body,) = write([orders, point(0.5, "Age")])
    assert body.data == (
        b'{"time":"2026-11-23T07:25:00Z","data":{"baseData":{"metric":"QueueDepth","namespace":'
        b'"QueueProcessing","dimNames":["Kind","Queue"],"series":[{"dimValues":["\xc3\xa9\\n","a"],'
        b'"min":3.0,"max":20.0,"sum":28.0,"count":3}]}}}\n'
        b'{"time":"2026-11-23T07:25:00Z","data":{"baseData":{"metric":"Age","namespace":'
        b'"QueueProcessing","dimNames":[],"series":[{"dimValues":[],'
        b'"min":0.5,"max":0.5,"sum":0.5,"count":1}]}}}\n'
    )
    assert body.positions() == [0, 1]


def sized(limit: int) -> list[Body]:
    """Four documents of equal length."""
    return write([point(metric=name) for name in "abcd"], limit)


def test_documents_fill_a_body_up_to_the_limit() -> None:
    line = len(write([point(metric="a")])[0].data)
    assert [len(body.data) for body in sized(4 * line)] == [4 * line]
    assert [len(body.data) for body in sized(4 * line - 1)] == [3 * line, line]
    assert [len(body.data) for body in sized(2 * line)] == [2 * line] * 2
    assert [len(body.data) for body in sized(2 * line - 1)] == [line] * 4
    assert [len(body.data) for body in sized(line)] == [line] * 4


def series_counts(body: Body) -> list[int]:
    """How many series each document of the body has."""
    return [len(document.series) for document in body.documents]


def test_a_document_that_is_too_long_is_cut_between_its_series() -> None:
    many = [point(dimensions=(("Queue", f"{number:03}"),)) for number in range(100)]
    whole = write(many)
    assert len(whole) == 1
    assert len(whole[0].documents) == 1
    length = len(whole[0].data)
    assert len(write(many, length)) == 1
    halves = write(many, length - 1)
    assert [series_counts(body) for body in halves] == [[50], [50]]
    assert [one for body in halves for one in body.positions()] == list(range(100))


@pytest.mark.parametrize(
    ("total", "counts"), [(500, [500]), (501, [500, 1]), (1001, [500, 500, 1])]
)
def test_a_line_has_at_most_five_hundred_series(total: int, counts: list[int]) -> None:
    many = [point(float(n), dimensions=(("Queue", f"{n:04}"),)) for n in range(total)]
    (body,) = write(many, 1_000_000)
    assert series_counts(body) == counts
    assert body.positions() == list(range(total))
    values = [one["sum"] for line in body.data.splitlines() for one in series_of(line)]
    assert values == [float(number) for number in range(total)]


def series_of(line: bytes) -> list[dict[str, Any]]:
    series: list[dict[str, Any]] = json.loads(line)["data"]["baseData"]["series"]
    return series


def test_a_series_that_is_too_long_is_a_body_of_its_own() -> None:
    (body,) = write([point()], 10)
    assert body.positions() == [0]
    assert len(write([point(metric="a"), point(metric="b")], 10)) == 2


HALVED = {
    "one series": ([1], []),
    "two of a document": ([2], [[1], [1]]),
    "two documents": ([1, 1], [[1], [1]]),
    "an odd number": ([5], [[2], [3]]),
    "between two documents": ([3, 1, 4], [[3, 1], [4]]),
    "within a document": ([2, 3, 1], [[2, 1], [2, 1]]),
    "within the first": ([4, 2], [[3], [1, 2]]),
    "within the last": ([1, 1, 6], [[1, 1, 2], [4]]),
}


@pytest.mark.parametrize(("counts", "halves"), HALVED.values(), ids=HALVED)
def test_a_body_is_halved_by_its_series(counts: list[int], halves: list[list[int]]) -> None:
    given_points = [
        point(metric=f"M{document}", dimensions=(("Queue", f"{series}"),))
        for document, count in enumerate(counts)
        for series in range(count)
    ]
    (body,) = write(given_points)
    assert series_counts(body) == counts
    parts = halved(body)
    assert [series_counts(part) for part in parts] == halves
    positions = [one for part in parts for one in part.positions()]
    assert positions == (list(range(len(given_points))) if parts else [])
    for part in parts:
        (alone,) = write([given_points[position] for position in part.positions()])
        assert part.data == alone.data


def test_the_longest_series_fits_the_least_limit() -> None:
    pairs = tuple((f"{number}" + "\x00" * 255, "\x00" * 256) for number in range(10))
    longest = point(
        min=-1.2345678901234567e-300,
        max=1.2345678901234567e-300,
        sum=1.2345678901234567e-300,
        count=MAX_COUNT,
        metric="\x00" * 256,
        namespace="\x00" * 256,
        dimensions=pairs,
    )
    (body,) = write([longest])
    assert LIMIT / 2 < len(body.data) < LIMIT


def check(document: Any) -> None:
    """The form that the ingestion API's OpenAPI document gives."""
    assert document.keys() == {"time", "data"}
    assert datetime.fromisoformat(document["time"]).utcoffset() == timedelta(0)
    assert document["data"].keys() == {"baseData"}
    base = document["data"]["baseData"]
    assert base.keys() == {"metric", "namespace", "dimNames", "series"}
    assert base["series"]
    for series in base["series"]:
        assert series.keys() == {"dimValues", "min", "max", "sum", "count"}
        assert len(series["dimValues"]) == len(base["dimNames"]) <= 10
        assert type(series["count"]) is int
        assert series["min"] <= series["max"]


def series_in(data: bytes) -> Counter[tuple[Any, ...]]:
    """Every series of a body, read by another reader."""
    found: Counter[tuple[Any, ...]] = Counter()
    for line in data.decode().removesuffix("\n").split("\n"):
        document = json.loads(line)
        check(document)
        base = document["data"]["baseData"]
        for one in base["series"]:
            pairs = tuple(zip(base["dimNames"], one["dimValues"], strict=True))
            values = (one["min"], one["max"], one["sum"], one["count"])
            found[base["namespace"], base["metric"], document["time"], pairs, values] += 1
    return found


@given(
    st.lists(points(st.just(LANE)), max_size=40),
    st.sampled_from([1000, 5000, 20_000, LIMIT, 1_000_000]),
)
def test_bodies_hold_every_series_within_the_limit(given_points: list[Point], limit: int) -> None:
    documents = roll_up(given_points)
    expected = Counter(
        (
            document.family.namespace,
            document.family.metric,
            document.minute.strftime("%Y-%m-%dT%H:%M:%SZ"),
            Series(document.family, one.dim_values).dimensions,
            (one.min, one.max, one.sum, one.count),
        )
        for document in documents
        for one in document.series
    )
    found: Counter[tuple[Any, ...]] = Counter()
    for body in write_bodies(documents, limit):
        assert body.data.endswith(b"\n")
        assert len(body.data) <= limit or sum(len(one.series) for one in body.documents) == 1
        found.update(series_in(body.data))
    assert found == expected


@given(st.lists(points(st.just(LANE)), max_size=40), st.sampled_from([1000, 5000, LIMIT]))
def test_every_point_is_in_exactly_one_body(given_points: list[Point], limit: int) -> None:
    bodies = write(given_points, limit)
    positions = [one for body in bodies for one in body.positions()]
    assert sorted(positions) == list(range(len(given_points)))


@pytest.mark.parametrize("value", [1e22, 0.1, 1e-7, 123456789.0, -0.0, 5e-324])
def test_a_number_is_read_back_as_it_was(value: float) -> None:
    (body,) = write([point(value)])
    (series,) = json.loads(body.data)["data"]["baseData"]["series"]
    assert series["sum"] == value
