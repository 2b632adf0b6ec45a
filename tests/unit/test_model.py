from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.model import (
    MAX_COUNT,
    PUBLISHED,
    Outcome,
    Reason,
    Rollup,
    Series,
    Status,
    Target,
    ValueSet,
    merge,
    minute_of,
)
from tests.unit.rollups import MINUTE, NOW, RESOURCE, TARGET, rollup_of, series, value_of
from tests.unit.strategies import mixed_values

MAX_DOUBLE = 1.7976931348623157e308
FULL = ValueSet(0, 0, 0, MAX_COUNT)

Values = list[float | ValueSet]


def test_a_target_compares_without_case() -> None:
    assert Target("eastus", RESOURCE.upper()).key == Target("eastus", RESOURCE.lower()).key
    assert Target("eastus", RESOURCE).key != Target("westus", RESOURCE).key


def test_a_series_has_its_dimensions_by_name() -> None:
    assert series(Kind="jpeg", Queue="orders").dimensions == {"Kind": "jpeg", "Queue": "orders"}
    assert series().dimensions == {}


def test_minute_of() -> None:
    assert minute_of(MINUTE + timedelta(seconds=59, microseconds=999_999)) == MINUTE
    assert minute_of(MINUTE) == MINUTE


# --- Add and aggregate --------------------------------------------------------------------------

SEPARATE = {
    "dimension values": (NOW, series(Queue="a"), NOW, series(Queue="b")),
    "dimension names": (NOW, series(Queue="a"), NOW, series(Topic="a")),
    "dimension name in another case": (NOW, series(Queue="a"), NOW, series(queue="a")),
    "no dimensions": (NOW, series(), NOW, series(Queue="a")),
    "metrics": (NOW, series("a"), NOW, series("b")),
    "namespaces": (NOW, Series("a", "m"), NOW, Series("b", "m")),
    "minutes": (MINUTE, series(), MINUTE - timedelta(microseconds=1), series()),
}


@pytest.mark.parametrize(("time", "one", "other_time", "other"), SEPARATE.values(), ids=SEPARATE)
def test_different_series_and_minutes_are_not_added_up(
    time: datetime, one: Series, other_time: datetime, other: Series
) -> None:
    rollup = Rollup(TARGET)
    rollup.add(time, one, 1.0)
    rollup.add(other_time, other, 2.0)
    assert len([sets for group in rollup.aggregate().values() for sets in group]) == 2


AGGREGATES: dict[str, tuple[Values, ValueSet]] = {
    "one value": ([7.5], value_of(7.5)),
    "one value set": ([ValueSet(1, 3, 4, 2)], ValueSet(1, 3, 4, 2)),
    "values": ([3.0, 20.0, 5.0], ValueSet(3, 20, 28, 3)),
    "value and value set": ([3.0, ValueSet(2, 20, 25, 2)], ValueSet(2, 20, 28, 3)),
    "sum without rounding": ([0.1] * 10, ValueSet(0.1, 0.1, 1.0, 10)),
    "sum of small and large values": ([1e16, 1.0, -1e16], ValueSet(-1e16, 1e16, 1.0, 3)),
    "largest count": ([ValueSet(0, 0, 0, MAX_COUNT - 1), 5.0], ValueSet(0, 5, 5, MAX_COUNT)),
    "largest sum": ([MAX_DOUBLE, -1.0], ValueSet(-1, MAX_DOUBLE, MAX_DOUBLE, 2)),
}


@pytest.mark.parametrize(("values", "expected"), AGGREGATES.values(), ids=AGGREGATES)
def test_the_values_of_a_series_and_minute_become_one_value_set(
    values: Values, expected: ValueSet
) -> None:
    rollup = Rollup(TARGET, {MINUTE: {series(): values}})
    assert rollup.aggregate() == {MINUTE: {series(): expected}}
    assert list(rollup.aggregate_all()) == [rollup.aggregate()]
    assert rollup.points == len(values)


def test_an_empty_rollup_has_no_value_sets() -> None:
    assert (Rollup(TARGET).points, list(Rollup(TARGET).aggregate_all())) == (0, [])


# Values, and how many of them are added up each time.
OVERFLOWS: dict[str, tuple[Values, list[int]]] = {
    "count of one more": ([ValueSet(0, 0, 0, MAX_COUNT - 1), 1.0, 1.0], [2, 1]),
    "counts": ([FULL] * 3, [1, 1, 1]),
    "sum": ([1e308, 1e308, 1.0], [1, 2]),
    "negative sum": ([-1e308, -1e308], [1, 1]),
    "sum of value sets": ([ValueSet(1e308, 1e308, 1e308, 1)] * 3, [1, 1, 1]),
    # None of these overflows with the first alone.
    "sum of small values": ([MAX_DOUBLE, *[1e291] * 12], [10, 3]),
    "many before": ([1.0] * 100 + [FULL], [100, 1]),
    "many after": ([FULL] + [1.0] * 100, [1, 100]),
}


@pytest.mark.parametrize(("values", "sizes"), OVERFLOWS.values(), ids=OVERFLOWS)
def test_values_that_overflow_are_kept_for_later(values: Values, sizes: list[int]) -> None:
    other = series("other")
    rollup = Rollup(TARGET, {MINUTE: {series(): values, other: [1e16, 1.0, -1e16]}})
    with pytest.raises(OverflowError):
        rollup.aggregate()
    parts: list[Values] = []
    rest = rollup
    while rest.minutes:
        first, rest = rest.split_overflow()
        first.aggregate()
        parts.append(first.minutes[MINUTE][series()])
        assert other not in rest.minutes.get(MINUTE, {})
    assert [len(part) for part in parts] == sizes
    assert [value for part in parts for value in part] == values
    assert next(rollup.aggregate_all())[MINUTE][other].sum == 1.0


def _value_set(value: float | ValueSet) -> ValueSet:
    return value if isinstance(value, ValueSet) else value_of(value)


@given(mixed_values)
@example([MAX_DOUBLE, *[1e291] * 12])
@example([2.2250738585e-313, 2.2250738585e-313])
def test_value_sets_are_those_of_a_naive_model(values: Values) -> None:
    sets = [_value_set(value) for value in values]
    rollup = Rollup(TARGET, {MINUTE: {series(): values}})
    found = [one[MINUTE][series()] for one in rollup.aggregate_all()]
    assert min(one.min for one in found) == min(one.min for one in sets)
    assert max(one.max for one in found) == max(one.max for one in sets)
    assert sum(one.count for one in found) == sum(one.count for one in sets)
    assert all(1 <= one.count <= MAX_COUNT and math.isfinite(one.sum) for one in found)
    # Scaled, so that the sum of all is a double.
    total = math.fsum(one.sum / 100 for one in sets)
    # A hundredth of a number near 0 has few digits.
    slack = 1e-300 + 1e-12 * math.fsum(abs(one.sum / 100) for one in sets)
    assert math.fsum(one.sum / 100 for one in found) == pytest.approx(total, abs=slack)


# --- Outcomes and merging -----------------------------------------------------------------------


def test_a_rollup_without_exceptions_is_published() -> None:
    rollup = rollup_of(a=1.0)
    assert rollup.by_outcome({}) == [(rollup, PUBLISHED)]


def test_exceptions_are_told_by_series_and_minute() -> None:
    earlier = NOW - timedelta(minutes=1)
    rollup = merge([rollup_of(a=[1.0, 2.0], b=3.0, c=4.0), rollup_of(TARGET, earlier, a=5.0)])
    rejected = Outcome(Status.REJECTED, "400", Reason.REJECTED_BY_AZURE)
    deferred = Outcome(Status.DEFERRED)
    outcomes = {
        (MINUTE, series("a")): rejected,
        (MINUTE, series("b")): deferred,
        (minute_of(earlier), series("a")): rejected,
        (minute_of(earlier), series("unknown")): deferred,
    }
    parts = {outcome: part for part, outcome in rollup.by_outcome(outcomes)}
    assert parts == {
        rejected: merge([rollup_of(a=[1.0, 2.0]), rollup_of(TARGET, earlier, a=5.0)]),
        deferred: rollup_of(b=3.0),
        PUBLISHED: rollup_of(c=4.0),
    }


def test_merging_one_rollup_returns_it() -> None:
    rollup = rollup_of(a=1.0)
    assert merge([rollup]) is rollup


# Minute, metric and value of what is added to a roll-up.
_additions = st.lists(st.tuples(st.integers(0, 1), st.sampled_from("ab"), st.floats(0, 9)))


@given(st.lists(_additions, min_size=1, max_size=5))
@example([[(0, "a", 1.0)], [(0, "a", 2.0)], [(0, "a", 3.0)]])
def test_merging_adds_all_values_and_changes_no_rollup(several: list[list[Any]]) -> None:
    def build(additions: list[Any]) -> Rollup:
        rollup = Rollup(TARGET)
        for minute, metric, value in additions:
            rollup.add(NOW - timedelta(minutes=minute), series(metric), value)
        return rollup

    given_rollups = [build(additions) for additions in several]
    merged = merge(given_rollups)
    assert merged == build([one for additions in several for one in additions])
    assert given_rollups == [build(additions) for additions in several]
