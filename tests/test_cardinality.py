"""The guard: how many series are active, which pass, when they are forgotten, what they cost."""

from __future__ import annotations

import itertools
import json
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from builders import LANE, REGION, RESOURCE, point, read
from by_points import admit
from hypothesis import given
from hypothesis import strategies as st
from resource_list import Clock

from shared.model import Lane, Point
from shared.pipeline.series_limiter import Guard

MOST = 50_000  # In a subscription and region, as Azure has it.
HALF_HOUR = 1800.0
TWELVE_HOURS = 12 * 3600.0
OTHER = Lane(REGION, f"{RESOURCE}2")
EASTUS = Lane("eastus", RESOURCE)
ELSEWHERE = Lane(REGION, RESOURCE.replace("/subscriptions/5", "/subscriptions/6"))


def series(number: int, lane: Lane = LANE) -> Point:
    return point(lane=lane, dimensions=(("Number", str(number)),))


def some(first: int, last: int, lane: Lane = LANE) -> list[Point]:
    return [series(number, lane) for number in range(first, last)]


@pytest.fixture(autouse=True)
def _all_gauges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.pipeline.series_limiter._MOST_GAUGES", 10_000)


def active(guard: Guard) -> dict[tuple[str, str], float]:
    """Subscription and region -> series, as the gauges have them."""
    found = {}
    for name, value, dimensions in guard.gauges():
        assert name == "ActiveSeries"
        assert dimensions.keys() == {"Subscription", "Region"}
        found[dimensions["Subscription"], dimensions["Region"]] = value
    return found


def admitted(guard: Guard, points: Sequence[Point]) -> list[Point]:
    """Those of one lane that pass; the rest must be refused."""
    passed, refused = admit(guard, points[0].lane, points)
    assert Counter(passed + refused) == Counter(points)
    return passed


SUBSCRIPTION = RESOURCE.split("/")[2]


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.now = 1000 * HALF_HOUR
    return clock


# --- The limit ------------------------------------------------------------------------------------


def test_fifty_thousand_series_pass_and_one_more_does_not(clock: Clock) -> None:
    guard = Guard(MOST, clock=clock)
    first = some(0, MOST)
    assert admit(guard, LANE, first) == (first, [])
    one_more = series(MOST)
    assert admit(guard, LANE, [one_more]) == ([], [one_more])
    # Those that are known pass, the new one beside them does not.
    known = [series(0), series(MOST - 1)]
    assert admit(guard, LANE, [known[0], one_more, known[1]]) == (known, [one_more])
    assert active(guard) == {(SUBSCRIPTION, REGION): MOST}


def test_the_limit_is_met_within_one_submission() -> None:
    points = [*some(0, 4), *some(0, 4)]
    guard = Guard(3)
    # In their order, and each series once.
    assert admit(guard, LANE, points) == (some(0, 3) * 2, [series(3)] * 2)


def test_points_of_one_series_count_once() -> None:
    guard = Guard(1)
    points = [point(value) for value in (1.0, 2.0, 3.0)]
    assert admit(guard, LANE, points) == (points, [])
    assert active(guard) == {(SUBSCRIPTION, REGION): 1}


OTHERS: dict[str, dict[str, Any]] = {
    "resource": {"lane": OTHER},
    "namespace": {"namespace": "Other"},
    "metric": {"metric": "Other"},
    "dimension value": {"dimensions": (("Queue", "b"),)},
    "dimension name": {"dimensions": (("Kind", "a"),)},
    "one dimension more": {"dimensions": (("Kind", "a"), ("Queue", "a"))},
    "no dimension": {"dimensions": ()},
}


@pytest.mark.parametrize("changes", OTHERS.values(), ids=OTHERS)
def test_what_makes_another_series(changes: dict[str, Any]) -> None:
    guard = Guard(1)
    usual: dict[str, Any] = {"dimensions": (("Queue", "a"),)}
    assert admitted(guard, [point(**usual)])
    assert not admitted(guard, [point(**usual | changes)])


@pytest.mark.parametrize("lane", [EASTUS, ELSEWHERE], ids=["region", "subscription"])
def test_regions_and_subscriptions_are_counted_apart(lane: Lane) -> None:
    guard = Guard(2)
    assert admitted(guard, some(0, 3)) == some(0, 2)
    assert admitted(guard, some(0, 3, lane)) == some(0, 2, lane)
    assert active(guard) == {
        (SUBSCRIPTION, REGION): 2,
        (lane.resource_id.split("/")[2], lane.region): 2,
    }


def test_resources_of_a_subscription_and_region_are_counted_together() -> None:
    guard = Guard(3)
    assert admitted(guard, some(0, 2)) == some(0, 2)
    assert admitted(guard, some(0, 2, OTHER)) == some(0, 1, OTHER)


def test_resource_ids_compare_without_case() -> None:
    guard = Guard(1)
    assert admitted(guard, [point()])
    upper = Lane(REGION, RESOURCE.upper().replace("ORDERSQUEUES", "OrdersQueues"))
    assert admitted(guard, [point(lane=upper)])
    assert active(guard) == {(SUBSCRIPTION, REGION): 1}


def test_the_order_of_dimensions_does_not_matter() -> None:
    pairs = [("Queue", "orders"), ("kind", "JPEG"), ("Äther", "1")]
    orders = [dict(order) for order in itertools.permutations(pairs)]
    bodies = [
        {
            "points": [{"metric": "Depth", "value": 1, "dimensions": order} for order in orders],
            "resourceId": RESOURCE,
            "region": REGION,
        },
        *(
            {
                "resourceId": RESOURCE,
                "region": REGION,
                "data": {
                    "baseData": {
                        "metric": "Depth",
                        "dimNames": list(order),
                        "series": [
                            {"dimValues": list(order.values())}
                            | {"min": 1, "max": 1, "sum": 1, "count": 1}
                        ],
                    }
                },
            }
            for order in orders
        ),
    ]
    parsed = read("\n".join(map(json.dumps, bodies)))
    assert parsed.rejections == []
    assert len(parsed.points) == 2 * len(orders)
    guard = Guard(1)
    assert admit(guard, LANE, parsed.points) == (parsed.points, [])


def test_why_names_what_helps() -> None:
    assert Guard(MOST).why(LANE) == (
        f"a new series, and 50000 are active in subscription {SUBSCRIPTION} and region {REGION} "
        "(METRICS_MAX_ACTIVE_SERIES); one without a value for 12 hours makes room"
    )


# --- Twelve hours ---------------------------------------------------------------------------------


@pytest.mark.parametrize("into", [0.0, HALF_HOUR - 1], ids=["first", "last"])
def test_twelve_hours_without_a_value_make_room(into: float, clock: Clock) -> None:
    guard = Guard(1, clock=clock)
    begun = clock.now
    clock.now = begun + into
    assert admitted(guard, [series(0)])
    # Whichever second of its half hour the value was of, 12 hours have passed since.
    clock.now = begun + TWELVE_HOURS + HALF_HOUR - 1
    assert not admitted(guard, [series(1)])
    assert active(guard) == {(SUBSCRIPTION, REGION): 1}
    clock.now = begun + TWELVE_HOURS + HALF_HOUR
    assert active(guard) == {}
    assert admitted(guard, [series(1)])
    assert not admitted(guard, [series(0)])


def test_a_value_keeps_its_series_active(clock: Clock) -> None:
    guard = Guard(2, clock=clock)
    begun = clock.now
    assert admitted(guard, some(0, 2)) == some(0, 2)
    clock.now = begun + TWELVE_HOURS
    assert admitted(guard, [series(0)])
    clock.now = begun + TWELVE_HOURS + HALF_HOUR
    # One has gone, one has not.
    assert admitted(guard, some(2, 4)) == [series(2)]
    assert admitted(guard, [series(0)])
    assert not admitted(guard, [series(1)])


def test_a_refused_value_does_not_make_its_series_active(clock: Clock) -> None:
    guard = Guard(1, clock=clock)
    assert admitted(guard, [series(0)])
    clock.now += TWELVE_HOURS
    assert not admitted(guard, [series(1)])
    clock.now += HALF_HOUR
    assert admitted(guard, [series(2)])


# --- Memory ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [MOST, 1], ids=["in one submission", "one by one"])
def test_a_series_costs_little(at_once: int, clock: Clock) -> None:
    guard = Guard(MOST, clock=clock)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for first in range(0, MOST, at_once):
            assert len(admitted(guard, some(first, first + at_once))) == at_once
        after, _ = tracemalloc.get_traced_memory()
        assert not admitted(guard, [series(MOST)])
    finally:
        tracemalloc.stop()
    cost = (after - before) / MOST
    print(f"{MOST} series: {after - before} bytes, {cost:.0f} a series")
    assert cost < 200


SIX = [
    Lane(REGION, RESOURCE.replace("/subscriptions/5", f"/subscriptions/{number}"))
    for number in range(6)
]


@pytest.mark.parametrize(("each", "kept"), [(2, 6), (3, 4)], ids=["at the limit", "beyond"])
def test_the_series_of_all_scopes_together_are_bounded(each: int, kept: int) -> None:
    guard = Guard(3, most_series=12)
    for lane in SIX:
        assert len(admitted(guard, some(0, each, lane))) == each
    assert list(active(guard).values()) == [each] * kept


def test_the_smallest_scope_is_forgotten() -> None:
    """However many others a producer makes up, they do not push out the one that fills up."""
    guard = Guard(3, most_series=6)
    first, second, third = SIX[:3]
    for lane in (first, second):
        assert admitted(guard, some(0, 3, lane)) == some(0, 3, lane)
    for start in (0, 3):  # It begins anew each time.
        assert admitted(guard, some(start, start + 2, third)) == some(start, start + 2, third)
    assert not admitted(guard, some(3, 4, first))
    assert not admitted(guard, some(3, 4, second))


def test_one_scope_may_have_as_many_as_it_was_allowed() -> None:
    guard = Guard(4, most_series=3)
    assert admitted(guard, some(0, 5)) == some(0, 4)
    assert not admitted(guard, some(4, 5))
    assert admitted(guard, some(0, 4)) == some(0, 4)


@pytest.mark.parametrize(("scopes", "kept"), [(3, True), (4, False)], ids=["limit", "beyond"])
def test_scopes_are_bounded(scopes: int, kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.pipeline.series_limiter._MOST_SCOPES", 3)
    guard = Guard(1)
    for lane in SIX[:scopes]:
        assert admitted(guard, some(0, 1, lane))
    assert len(active(guard)) == 3
    # Where it was forgotten there is room again.
    assert bool(admitted(guard, some(1, 2, SIX[0]))) is not kept


def test_many_scopes_cost_no_more_than_the_most(clock: Clock) -> None:
    guard = Guard(10, most_series=1000, clock=clock)
    lanes = [
        Lane(f"region{number % 50}", RESOURCE.replace("/subscriptions/5", f"/subscriptions/{b}"))
        for b, number in itertools.product(range(50), range(50))
    ]
    tracemalloc.start()
    try:
        for lane in lanes:
            admitted(guard, some(0, 11, lane))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(active(guard).values()) == 1000
    assert held < 1_000_000


def test_what_has_gone_makes_room_for_other_scopes(clock: Clock) -> None:
    guard = Guard(3, most_series=6, clock=clock)
    first, second, third = SIX[:3]
    for lane in (first, second):
        admitted(guard, some(0, 3, lane))
    clock.now += TWELVE_HOURS + HALF_HOUR
    for lane in (third, second):
        admitted(guard, some(0, 1, lane))
    assert active(guard) == {
        (lane.resource_id.split("/")[2], REGION): 1 for lane in (third, second)
    }
    # The first one's are gone when it is looked at, and were not taken from others.
    assert admitted(guard, some(0, 3, first)) == some(0, 3, first)
    assert sum(active(guard).values()) == 5


def test_what_the_gauges_find_gone_makes_room_too(clock: Clock) -> None:
    guard = Guard(3, most_series=6, clock=clock)
    for lane in SIX[:2]:
        admitted(guard, some(0, 3, lane))
    clock.now += TWELVE_HOURS + HALF_HOUR
    assert active(guard) == {}
    for lane in SIX[:2]:
        admitted(guard, some(3, 6, lane))
    assert list(active(guard).values()) == [3, 3]


def test_there_are_no_gauges_of_nothing() -> None:
    guard = Guard(1)
    assert active(guard) == {}
    assert admit(guard, LANE, []) == ([], [])
    assert active(guard) == {}


# --- Whatever comes -------------------------------------------------------------------------------

_ADMISSIONS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 1.0, HALF_HOUR, TWELVE_HOURS, TWELVE_HOURS + HALF_HOUR]),
        st.sampled_from([LANE, OTHER, EASTUS]),
        st.lists(st.integers(0, 6), max_size=8),
    ),
    max_size=12,
)


@given(_ADMISSIONS, st.integers(1, 5))
def test_known_series_pass_and_new_ones_while_there_is_room(
    admissions: list[tuple[float, Lane, list[int]]], most: int
) -> None:
    clock = Clock()
    guard = Guard(most, clock=clock)
    seen: dict[str, dict[tuple[str, int], float]] = {}  # Region -> series -> the last half hour.
    for passed_time, lane, numbers in admissions:
        clock.now += passed_time
        step = clock.now // HALF_HOUR
        here = {one: last for one, last in seen.get(lane.region, {}).items() if step - last <= 24}
        expected = []
        for number in numbers:
            one = (lane.resource_id, number)
            if one in here or len(here) < most:
                here[one] = step
                expected.append(number)
        seen[lane.region] = here
        points = [series(number, lane) for number in numbers]
        passed, refused = admit(guard, lane, points)
        assert passed == [series(number, lane) for number in expected]
        assert Counter(passed + refused) == Counter(points)
        assert active(guard).get((SUBSCRIPTION, lane.region), 0) == len(here)


@pytest.mark.parametrize(("scopes", "shown"), [(20, 20), (21, 20)], ids=["limit", "beyond"])
def test_regions_that_are_made_up_do_not_become_series(
    scopes: int, shown: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    guard = Guard(50_000)
    admitted(guard, some(0, 5))
    for number in range(scopes - 1):
        admitted(guard, some(0, 1, Lane(f"region{number}", RESOURCE)))
    gauges = active(guard)
    assert len(gauges) == shown
    assert max(gauges.values()) == 5
