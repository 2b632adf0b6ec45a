"""Rollup: the same sums as a naive model, and every point in exactly one series."""

from __future__ import annotations

import math
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from builders import LANE, NOW, point
from by_points import batch_of, roll_up
from hypothesis import given
from hypothesis import strategies as st
from strategies import points

from shared.model import MAX_COUNT, Family, Point, Series
from shared.publisher.rollup import Aggregate, rollup

MINUTE = NOW.replace(second=0)
ORDERS, INVOICES = (("Queue", "orders"),), (("Queue", "invoices"),)


def sums(*given: Point) -> list[tuple[float, int]]:
    """Sum and count of every series that the points roll up to."""
    return [(one.sum, one.count) for document in roll_up(given) for one in document.series]


def test_nothing_rolls_up_to_nothing() -> None:
    assert roll_up([]) == []


def test_points_of_one_series_and_minute_become_one() -> None:
    a = point(3, dimensions=ORDERS, time=NOW)
    b = point(min=2, max=20, sum=25, count=2, dimensions=ORDERS, time=NOW.replace(second=59))
    (document,) = roll_up([a, b])
    assert document.family == Family("QueueProcessing", "QueueDepth", ("Queue",))
    assert document.minute == MINUTE
    assert document.series == [Aggregate(("orders",), 2, 20, 28, 3)]
    assert document.positions == [[0, 1]]


APART: dict[str, tuple[Point, Point, int]] = {
    "values": (point(dimensions=ORDERS), point(dimensions=INVOICES), 1),
    "names": (point(dimensions=ORDERS), point(dimensions=(("Topic", "orders"),)), 2),
    "name in another case": (point(dimensions=ORDERS), point(dimensions=(("queue", "orders"),)), 2),
    "no dimensions": (point(dimensions=ORDERS), point(), 2),
    "metrics": (point(metric="a"), point(metric="b"), 2),
    "namespaces": (point(namespace="a"), point(namespace="b"), 2),
    "minutes": (point(time=MINUTE), point(time=MINUTE - timedelta(microseconds=1)), 2),
}


@pytest.mark.parametrize(("a", "b", "documents"), APART.values(), ids=APART)
def test_what_differs_stays_apart(a: Point, b: Point, documents: int) -> None:
    rolled = roll_up([a, b])
    assert len(rolled) == documents
    assert sum(len(document.series) for document in rolled) == 2


def test_a_count_is_added_up_to_its_limit_and_no_further() -> None:
    most = point(min=0, max=1, sum=1, count=MAX_COUNT - 1)
    assert sums(most, point()) == [(2, MAX_COUNT)]
    assert sums(most, point(), point()) == [(2, MAX_COUNT), (1, 1)]


def test_a_sum_stays_finite() -> None:
    assert sums(point(1e308), point(1e308), point(1.0)) == [(1e308, 1), (1e308, 2)]
    assert sums(point(-1e308), point(-1e308)) == [(-1e308, 1), (-1e308, 1)]


def test_value_sets_of_one_series_change_no_sum_of_another() -> None:
    values = [point(1e16), point(1.0), point(-1e16)]
    sets = [point(min=1, max=2, sum=3, count=2, dimensions=ORDERS)] * 2
    assert sums(*values, *sets) == [(1.0, 3), (6, 4)]


def series_of(one: Point) -> tuple[object, ...]:
    return one.namespace, one.metric, one.time.strftime("%Y-%m-%d %H:%M"), one.dimensions


few = st.builds(
    point,
    st.integers(-1000, 1000).map(float),
    metric=st.sampled_from(["a", "b"]),
    namespace=st.sampled_from(["n", "m"]),
    dimensions=st.sampled_from([(), ORDERS, INVOICES]),
    time=st.integers(-90, 90).map(lambda seconds: NOW + timedelta(seconds=seconds)),
)
# Values alone, many of a series, and anything.
many = st.lists(few, min_size=20, max_size=60) | st.lists(few | points(st.just(LANE)), max_size=60)


@given(many)
def test_min_max_sum_and_count_are_those_of_a_naive_model(given_points: list[Point]) -> None:
    model: dict[tuple[object, ...], list[Point]] = {}
    for one in given_points:
        model.setdefault(series_of(one), []).append(one)
    rolled: dict[tuple[object, ...], list[Any]] = {}
    for document in roll_up(given_points):
        for series in document.series:
            of = Series(document.family, series.dim_values)
            minute = document.minute.strftime("%Y-%m-%d %H:%M")
            key: tuple[object, ...] = (of.family.namespace, of.family.metric, minute, of.dimensions)
            rolled.setdefault(key, []).append(series)
    assert rolled.keys() == model.keys()
    for key, members in model.items():
        parts = rolled[key]
        assert min(part.min for part in parts) == min(one.min for one in members)
        assert max(part.max for part in parts) == max(one.max for one in members)
        assert sum(part.count for part in parts) == sum(one.count for one in members)
        assert all(1 <= part.count <= MAX_COUNT and math.isfinite(part.sum) for part in parts)
        total = math.fsum(one.sum for one in members)
        slack = 1e-12 * math.fsum(abs(one.sum) for one in members)
        assert math.fsum(part.sum for part in parts) == pytest.approx(total, abs=slack, rel=1e-12)


@given(many)
def test_every_point_is_in_exactly_one_series(given_points: list[Point]) -> None:
    kept = Counter[int]()
    for document in roll_up(given_points):
        for series, positions in zip(document.series, document.positions, strict=True):
            kept.update(positions)
            of = (document.family, series.dim_values)
            members = [given_points[position] for position in positions]
            assert {(one.series.family, one.series.dimension_values) for one in members} == {of}
            assert sum(one.count for one in members) == series.count
    assert kept == Counter(range(len(given_points)))


@given(many, st.data())
def test_some_of_the_points_roll_up_as_if_they_were_all(
    given_points: list[Point], data: st.DataObject
) -> None:
    whether = st.lists(st.booleans(), min_size=len(given_points), max_size=len(given_points))
    some = [position for position, chosen in enumerate(data.draw(whether)) if chosen]
    alone = roll_up([given_points[position] for position in some])
    among = rollup(batch_of(given_points), some)
    assert [(one.family, one.minute, one.series) for one in among] == [
        (one.family, one.minute, one.series) for one in alone
    ]
    assert [one.positions for one in among] == [
        [[some[position] for position in group] for group in one.positions] for one in alone
    ]


def test_a_document_has_the_series_that_share_its_names() -> None:
    documents = roll_up([point(dimensions=ORDERS), point(), point(dimensions=INVOICES), point()])
    assert [(one.family.dimension_names, len(one.series)) for one in documents] == [
        (("Queue",), 2),
        ((), 1),
    ]
