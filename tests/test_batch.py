"""Batches: points in, the same points out, whatever is picked, moved or joined."""

from __future__ import annotations

from collections import Counter

from builders import LANE, point
from by_points import batch_of, points_of
from hypothesis import given
from hypothesis import strategies as st
from strategies import points

from shared.batch import Batch, batches
from shared.model import Lane, Point

MANY = [point(1.0), point(min=1, max=3, sum=4, count=2), point(3.0, "Age")]


@given(st.lists(points(), max_size=30))
def test_a_batch_for_each_lane_holds_its_points_in_their_order(given_points: list[Point]) -> None:
    found = batches(given_points)
    assert len({batch.lane for batch in found}) == len(found)
    for batch in found:
        assert list(batch) == [one for one in given_points if one.lane == batch.lane]
    assert Counter(points_of(found)) == Counter(given_points)


def test_a_batch_is_a_sequence_of_its_points() -> None:
    batch = batch_of(MANY)
    assert (len(batch), batch[1], batch[-1]) == (3, MANY[1], MANY[2])
    assert list(batch[1:]) == MANY[1:]
    assert list(reversed(batch)) == MANY[::-1]
    assert MANY[2] in batch
    assert not batch_of([])


def test_a_value_alone_is_held_as_it_is() -> None:
    batch = batch_of(
        [point(2.0), point(min=2, max=2, sum=2, count=1), point(min=2, max=2, sum=4, count=2)]
    )
    assert batch.values == [2.0, 2.0, (2, 2, 4, 2)]


def test_some_points_are_picked_in_the_order_they_are_asked_for() -> None:
    assert list(batch_of(MANY).pick([2, 0])) == [MANY[2], MANY[0]]


def test_points_are_moved_to_another_lane() -> None:
    other = Lane("eastus", LANE.resource_id)
    batch = batch_of(MANY)
    assert [one.lane for one in batch.moved(other)] == [other] * 3
    assert [one.lane for one in batch] == [LANE] * 3


def test_parts_are_joined_and_stay_as_they_were() -> None:
    first, second = batch_of(MANY), batch_of(MANY[:1])
    assert list(Batch.joined([first, second])) == [*MANY, MANY[0]]
    assert (list(first), list(second)) == (MANY, MANY[:1])
