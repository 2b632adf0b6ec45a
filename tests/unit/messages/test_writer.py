from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.messages.writer import (
    MAX_MESSAGE_BYTES,
    pack,
    queued_size,
    write_messages,
)
from shared.model import MAX_COUNT, Rollup, Series, Target, ValueSet, merge
from tests.unit.builders import parse
from tests.unit.messages.reference import Value, contents
from tests.unit.rollups import (
    MINUTE,
    NOW,
    OTHER,
    REGION,
    RESOURCE,
    TARGET,
    rollup_of,
    series,
)
from tests.unit.strategies import rollups

LONGEST_ID = RESOURCE + f"/a/{'b' * 260}" * 6


def read_back(messages: Iterable[bytes]) -> Counter[Value]:
    """Return the values of messages, parsed again."""
    parsed = [parse(text) for text in messages]
    assert [one.rejections for one in parsed] == [[]] * len(parsed)
    return contents(rollup for one in parsed for rollup in one.rollups)


def value_sets(rollups: Iterable[Rollup]) -> Counter[Value]:
    """Return the values of roll-ups, added up."""
    return contents(
        Rollup(rollup.target, {minute: {of: [one] for of, one in group.items()}})
        for rollup in rollups
        for aggregates in rollup.aggregate_all()
        for minute, group in aggregates.items()
    )


def test_without_rollups_there_is_no_message() -> None:
    assert list(write_messages([])) == []
    assert list(write_messages([Rollup(TARGET)])) == []


def test_a_message_has_the_format_of_producers() -> None:
    rollup = rollup_of(a=7.5, b=[1.0, 3.0])
    rollup.add(NOW, series("c", Kind="é", Queue="x"), ValueSet(1, 3, 4, 2))
    (text,) = write_messages([rollup])
    time = {"time": "2026-11-23T07:25:00Z"}
    assert json.loads(text) == {
        "resourceId": RESOURCE,
        "region": REGION,
        "namespace": "n",
        "points": [
            {"metric": "a", **time, "value": 7.5},
            {"metric": "b", **time, "min": 1, "max": 3, "sum": 4, "count": 2},
            {
                "metric": "c",
                "dimensions": {"Kind": "é", "Queue": "x"},
                **time,
                "min": 1,
                "max": 3,
                "sum": 4,
                "count": 2,
            },
        ],
    }


KEPT: dict[str, tuple[Series, float | ValueSet]] = {
    "value": (series(), 7.0),
    "negative zero": (series(), -0.0),
    "count of one": (series(), ValueSet(1, 1, 1, 1)),
    "rounded sum": (series(), ValueSet(0.1, 0.1, 0.30000000000000004, 3)),
    "rounded sum of one": (series(), ValueSet(0.1, 0.1, 0.10000000000000002, 1)),
    "sum of one that is its max": (series(), ValueSet(1, 3, 3, 1)),
    "zeros": (series(), ValueSet(0, 0, 0, 5)),
    "largest count": (series(), ValueSet(0, 1, 1, MAX_COUNT)),
    "largest value": (series(), 1.7976931348623157e308),
    "escaped characters": (Series("\x7f", '"\\\x00\u2028\ufffe'), 1.0),
    "names of members": (series(dimensions="points", points="data"), 1.0),
}


@pytest.mark.parametrize(("of", "value"), KEPT.values(), ids=KEPT)
def test_a_value_set_reads_back_as_it_was(of: Series, value: float | ValueSet) -> None:
    rollup = Rollup(TARGET, {MINUTE: {of: [value]}})
    assert read_back(write_messages([rollup])) == value_sets([rollup])


def test_values_that_overflow_are_written_one_by_one() -> None:
    full = ValueSet(0, 0, 0, MAX_COUNT)
    rollup = Rollup(TARGET, {MINUTE: {series("a"): [full, full], series("b"): [1.0, 2.0]}})
    (text,) = write_messages([rollup])
    assert [one.get("count") for one in json.loads(text)["points"]] == [MAX_COUNT, 2, MAX_COUNT]


def test_points_of_a_target_and_namespace_share_a_document() -> None:
    own = Rollup(TARGET, {MINUTE: {Series("o", "m"): [3.0]}})
    given = [rollup_of(a=1.0), rollup_of(OTHER, a=2.0), own, rollup_of(b=4.0)]
    (text,) = write_messages(given)
    values = [[one["value"] for one in each["points"]] for each in json.loads(text)]
    assert values == [[1.0, 4.0], [3.0], [2.0]]


@given(st.lists(rollups(), max_size=3, unique_by=lambda rollup: rollup.target))
def test_messages_read_back_with_the_same_values(several: list[Rollup]) -> None:
    messages = list(write_messages(several))
    assert all(queued_size(text) <= MAX_MESSAGE_BYTES for text in messages)
    assert read_back(messages) == value_sets(several)


# --- Sizes --------------------------------------------------------------------------------------

LONG = {"escaped": "\x00", "escaped in a queue": "\uffff", "4 bytes": "\U0001f600", "quote": '"'}


@pytest.mark.parametrize("character", LONG.values(), ids=LONG)
def test_messages_of_the_longest_points_stay_under_the_limit(character: str) -> None:
    pairs = tuple((f"{number}" + character * 255, character * 256) for number in range(10))
    group: dict[Series, list[float | ValueSet]] = {
        Series.of(character * 256, f"{number}" + character * 255, pairs): [1.0]
        for number in range(5)
    }
    rollup = Rollup(Target("a" * 40, LONGEST_ID), {MINUTE: group})
    messages = list(write_messages([rollup]))
    assert all(queued_size(text) <= MAX_MESSAGE_BYTES for text in messages)
    assert read_back(messages) == value_sets([rollup])


def test_a_message_is_filled_up_to_the_limit() -> None:
    rollup = merge(rollup_of(TARGET, NOW - timedelta(minutes=n), m=1.0) for n in range(10))
    (whole,) = write_messages([rollup])
    # With a comma, and brackets for an array of documents.
    assert len(list(write_messages([rollup], len(whole) + 3))) == 1
    assert len(list(write_messages([rollup], len(whole) + 2))) == 2


def test_a_message_of_documents_is_filled_up_to_the_limit() -> None:
    given = [rollup_of(a=1.0), rollup_of(OTHER, a=1.0)]
    (whole,) = write_messages(given)
    assert len(list(write_messages(given, len(whole) + 1))) == 1
    assert len(list(write_messages(given, len(whole)))) == 2


PACKED = {
    "nothing": ([], 10, []),
    "one that fits": (["aaa"], 4, [["aaa"]]),
    "one that is too long": (["aaaa"], 4, [["aaaa"]]),
    "two that fit": (["aaa", "bbb"], 8, [["aaa", "bbb"]]),
    "two that do not": (["aaa", "bbb"], 7, [["aaa"], ["bbb"]]),
    "a long one between": (["a", "b" * 9, "c"], 4, [["a"], ["b" * 9], ["c"]]),
    "escaped in a queue": (["\ufffe", "a"], 9, [["\ufffe", "a"]]),
    "escaped in a queue, one byte less": (["\uffff", "a"], 8, [["\uffff"], ["a"]]),
}


@pytest.mark.parametrize(("values", "limit", "runs"), PACKED.values(), ids=PACKED)
def test_pack(values: list[str], limit: int, runs: list[list[str]]) -> None:
    found = pack((value.encode() for value in values), limit)
    assert [[bytes(value).decode() for value in run] for run in found] == runs


def test_queued_size_counts_the_escapes_of_a_queue() -> None:
    assert queued_size("é".encode()) == 2
    assert queued_size("\ufffd\ufffe\uffff".encode()) == 3 + 6 + 6
