"""The series limiter: how many series are active, which pass, when they are forgotten."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model import Series, Target
from shared.pipeline.series_limiter import (
    ACTIVE_STEPS,
    MAX_GAUGES,
    SCOPE_SERIES,
    STEP,
    SeriesLimiter,
)
from tests.unit.rollups import OTHER, REGION, RESOURCE, TARGET, series
from tests.unit.stubs import ManualClock

SUBSCRIPTION = RESOURCE.split("/")[2]
EASTUS = Target("eastus", RESOURCE)


def scope(number: int) -> Target:
    """Return a target in a subscription of its own."""
    return Target(REGION, RESOURCE.replace(SUBSCRIPTION, str(number)))


def numbered(first: int, last: int) -> list[Series]:
    return [series(str(number)) for number in range(first, last)]


def admitted(limiter: SeriesLimiter, first: int, last: int, target: Target = TARGET) -> int:
    """Return how many of some series pass."""
    given_series = numbered(first, last)
    excess = limiter.excess(target, given_series)
    assert excess <= set(given_series)
    return len(given_series) - len(excess)


def active(limiter: SeriesLimiter) -> dict[tuple[str, str], float]:
    """Return the gauges, by subscription and region."""
    gauges = {}
    for metric, value, dimensions in limiter.gauges():
        assert metric == "ActiveSeries"
        gauges[dimensions["Subscription"], dimensions["Region"]] = value
    return gauges


# --- The limit ------------------------------------------------------------------------------------


def test_known_series_pass_and_new_ones_up_to_the_limit() -> None:
    limiter = SeriesLimiter(3)
    assert limiter.excess(TARGET, numbered(0, 3)) == set()
    assert limiter.excess(TARGET, numbered(3, 4)) == {series("3")}
    assert limiter.excess(TARGET, numbered(1, 5)) == {series("3"), series("4")}
    assert active(limiter) == {(SUBSCRIPTION, REGION): 3}
    # In the order given.
    assert SeriesLimiter(3).excess(TARGET, numbered(0, 5)) == {series("3"), series("4")}


ANOTHER: dict[str, tuple[Target, Series]] = {
    "resource": (OTHER, series(Queue="a")),
    "namespace": (TARGET, Series.of("other", "m", (("Queue", "a"),))),
    "metric": (TARGET, series("other", Queue="a")),
    "dimension value": (TARGET, series(Queue="b")),
    "dimension name": (TARGET, series(Topic="a")),
    "one more dimension": (TARGET, series(Queue="a", Topic="a")),
    "no dimension": (TARGET, series()),
}


@pytest.mark.parametrize(("target", "one"), ANOTHER.values(), ids=ANOTHER)
def test_another_series_counts(target: Target, one: Series) -> None:
    limiter = SeriesLimiter(1)
    assert not limiter.excess(TARGET, [series(Queue="a")])
    assert limiter.excess(target, [one]) == {one}


def test_resource_ids_compare_without_case() -> None:
    limiter = SeriesLimiter(1)
    upper = Target(REGION, RESOURCE.upper())
    assert [admitted(limiter, 0, 1, target) for target in (TARGET, upper)] == [1, 1]
    assert active(limiter) == {(SUBSCRIPTION, REGION): 1}


@pytest.mark.parametrize("target", [EASTUS, scope(6)], ids=["region", "subscription"])
def test_regions_and_subscriptions_have_limits_of_their_own(target: Target) -> None:
    limiter = SeriesLimiter(2)
    assert [admitted(limiter, 0, 3, one) for one in (TARGET, target)] == [2, 2]
    assert list(active(limiter).values()) == [2, 2]


def test_the_description_says_what_helps() -> None:
    assert SeriesLimiter(50_000).describe(TARGET) == (
        f"active series limit reached: 50,000 in subscription {SUBSCRIPTION} and region {REGION} "
        "(METRICS_MAX_ACTIVE_SERIES); a series frees its slot after 12 hours without a value"
    )


# --- Twelve hours ---------------------------------------------------------------------------------

TWELVE_HOURS = STEP * ACTIVE_STEPS


@pytest.mark.parametrize("into", [0.0, STEP - 1], ids=["first second", "last second"])
def test_a_series_is_active_for_twelve_hours(into: float) -> None:
    clock = ManualClock()
    clock.now = 0.0
    limiter = SeriesLimiter(1, clock=clock)
    clock.now = into
    assert admitted(limiter, 0, 1) == 1
    clock.now = TWELVE_HOURS + STEP - 1
    assert admitted(limiter, 1, 2) == 0
    assert active(limiter) == {(SUBSCRIPTION, REGION): 1}
    clock.now += 1
    assert active(limiter) == {}
    assert [admitted(limiter, 1, 2), admitted(limiter, 0, 1)] == [1, 0]
    assert TWELVE_HOURS == 12 * 3600


def test_a_value_keeps_its_series_active_and_a_rejected_one_does_not() -> None:
    clock = ManualClock()
    limiter = SeriesLimiter(2, clock=clock)
    assert admitted(limiter, 0, 2) == 2
    clock.sleep(TWELVE_HOURS)
    assert [admitted(limiter, 0, 1), admitted(limiter, 2, 3)] == [1, 0]
    clock.sleep(STEP)
    assert limiter.excess(TARGET, numbered(3, 5)) == {series("4")}
    assert limiter.excess(TARGET, numbered(0, 2)) == {series("1")}


# --- Memory ---------------------------------------------------------------------------------------


def test_a_series_takes_some_hundred_bytes() -> None:
    many = numbered(0, 50_000)
    limiter = SeriesLimiter(len(many))
    tracemalloc.start()
    try:
        assert not limiter.excess(TARGET, many)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used / len(many) < 200


@pytest.mark.parametrize(("each", "kept"), [(2, 4), (3, 3)], ids=["N", "N + 4"])
def test_all_scopes_together_are_bounded(each: int, kept: int) -> None:
    limiter = SeriesLimiter(3, max_total=4 * (SCOPE_SERIES + 2))
    for number in range(4):
        assert admitted(limiter, 0, each, scope(number)) == each
    assert list(active(limiter).values()) == [each] * kept


def test_the_smallest_scope_is_forgotten() -> None:
    """Scopes that a producer invents must not push out one that fills up."""
    limiter = SeriesLimiter(3, max_total=2 * (SCOPE_SERIES + 3))
    for number in range(2):
        assert admitted(limiter, 0, 3, scope(number)) == 3
    for first in (0, 3):
        assert admitted(limiter, first, first + 2, scope(2)) == 2
    assert [admitted(limiter, 3, 4, scope(number)) for number in range(2)] == [0, 0]


def test_invented_scopes_are_bounded() -> None:
    limiter = SeriesLimiter(50_000, max_total=10 * SCOPE_SERIES)
    for number in range(100):
        admitted(limiter, 0, 1, scope(number))
    assert len(active(limiter)) == 9


def test_one_scope_may_hold_its_limit_whatever_the_total() -> None:
    limiter = SeriesLimiter(4, max_total=3)
    assert [admitted(limiter, 0, 5), admitted(limiter, 4, 5)] == [4, 0]


@pytest.mark.parametrize("scopes", [MAX_GAUGES, MAX_GAUGES + 1], ids=["N", "N + 1"])
def test_the_largest_scopes_are_reported(scopes: int) -> None:
    limiter = SeriesLimiter(50_000)
    for number in range(scopes):
        admitted(limiter, 0, 1 + number, scope(number))
    expected = range(scopes, scopes - MAX_GAUGES, -1)
    assert list(active(limiter).values()) == list(expected)


# --- Whatever comes -------------------------------------------------------------------------------

_CALLS = st.tuples(
    st.sampled_from([0.0, 1.0, STEP, TWELVE_HOURS, TWELVE_HOURS + STEP]),
    st.sampled_from([TARGET, OTHER, EASTUS]),
    st.lists(st.integers(0, 6), max_size=8, unique=True),
)


@given(st.lists(_CALLS, max_size=12), st.integers(1, 5))
def test_it_admits_as_a_naive_model(
    calls: list[tuple[float, Target, list[int]]], limit: int
) -> None:
    clock = ManualClock()
    limiter = SeriesLimiter(limit, clock=clock)
    model: dict[str, dict[Any, float]] = {}  # Region -> resource and number -> last step.
    for seconds, target, numbers in calls:
        clock.sleep(seconds)
        step = clock.now // STEP
        kept = {
            key: last
            for key, last in model.get(target.region, {}).items()
            if step - last <= ACTIVE_STEPS
        }
        excess = set()
        for number in numbers:
            key = target.resource_id, number
            if key in kept or len(kept) < limit:
                kept[key] = step
            else:
                excess.add(series(str(number)))
        model[target.region] = kept
        given_series = [series(str(number)) for number in numbers]
        assert limiter.excess(target, given_series) == excess
        assert active(limiter).get((SUBSCRIPTION, target.region), 0) == len(kept)
