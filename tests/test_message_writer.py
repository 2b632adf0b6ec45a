"""Messages that are put back: exact bytes, sizes, and what keeps them apart."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from builders import DEFAULTS, LANE, NOW, REGION, RESOURCE, WINDOW, point
from msgspec import Raw

from shared.messages.packing import packed, size_in_queue
from shared.messages.parser import Address, parse
from shared.messages.writer import (
    MAX_MESSAGE_BYTES,
    write_envelope,
    write_messages,
    write_point,
)
from shared.model import MAX_COUNT, Lane, Point

LONGEST_ID = f"{RESOURCE}/a/{'b' * 260}/c/{'d' * 260}/e/{'f' * 260}/g/{'h' * 260}/i/{'j' * 260}"


def back(message: bytes) -> list[Point]:
    """The points of a message, read again."""
    parsed = parse(message, enqueued=NOW, now=NOW, defaults=DEFAULTS, window=WINDOW)
    assert parsed.rejections == []
    return parsed.points


def test_nothing_is_no_message() -> None:
    assert list(write_messages([])) == []


def test_a_message_is_written_in_the_format_that_anybody_uses() -> None:
    value = point(7.5, dimensions=(("Kind", "é"), ("Queue", "a")), time=NOW.replace(microsecond=5))
    aggregate = point(metric="Age", min=1, max=3, sum=4, count=2)
    (message,) = write_messages([value, aggregate])
    assert json.loads(message) == {
        "resourceId": RESOURCE,
        "region": REGION,
        "namespace": "QueueProcessing",
        "points": [
            {
                "metric": "QueueDepth",
                "dimensions": {"Kind": "é", "Queue": "a"},
                "time": "2026-11-23T07:25:30.000005Z",
                "value": 7.5,
            },
            {
                "metric": "Age",
                "time": "2026-11-23T07:25:30Z",
                "min": 1.0,
                "max": 3.0,
                "sum": 4.0,
                "count": 2,
            },
        ],
    }


KEPT = {
    "one value": point(7.0),
    "minus zero": point(-0.0),
    "least count": point(min=1, max=1, sum=1, count=1),
    "sum that was rounded": point(min=0.1, max=0.1, sum=0.30000000000000004, count=3),
    "one value with a rounded sum": point(min=0.1, max=0.1, sum=0.10000000000000002, count=1),
    "one value with a sum rounded down": point(min=0.1, max=0.1, sum=0.09999999999999999, count=1),
    "one value that is the max": point(min=1, max=3, sum=3, count=1),
    "one value that is the min": point(min=1, max=3, sum=1, count=1),
    "several zeros": point(0.0, count=5),
    "largest count": point(min=0, max=1, sum=1, count=MAX_COUNT),
    "largest value": point(1.7976931348623157e308),
    "oldest": point(time=NOW - WINDOW.past),
    "newest": point(time=NOW + WINDOW.future),
    "microseconds": point(time=NOW + timedelta(microseconds=1)),
    "characters that are escaped": point(metric='"\\\x00\u2028\ufffe', namespace="\x7f"),
    "names that are members": point(dimensions=(("dimensions", "points"), ("points", "data"))),
    "another resource": point(lane=Lane("eastus", LONGEST_ID)),
}


@pytest.mark.parametrize("one", KEPT.values(), ids=KEPT)
def test_a_point_reads_back_as_it_was(one: Point) -> None:
    (message,) = write_messages([one])
    assert back(message) == [one]


def test_points_of_one_address_share_a_document() -> None:
    eastus = Lane("eastus", RESOURCE)
    given = [point(1.0), point(2.0, lane=eastus), point(3.0, namespace="n"), point(4.0)]
    (message,) = write_messages(given)
    documents = json.loads(message)
    assert [[one["value"] for one in document["points"]] for document in documents] == [
        [2.0],
        [1.0, 4.0],
        [3.0],
    ]
    assert sorted(one.sum for one in back(message)) == [1.0, 2.0, 3.0, 4.0]
    assert {one.lane for one in back(message)} == {LANE, eastus}


def test_the_order_of_points_is_kept() -> None:
    given = [point(float(number)) for number in range(2000)]
    messages = list(write_messages(given))
    assert len(messages) > 1
    assert [one for message in messages for one in back(message)] == given


BIG = {
    "escaped characters": "\x00",
    "characters that the queue escapes": "\uffff",
    "long characters": "\U0001f600",
    "quotes": '"',
}


@pytest.mark.parametrize("character", BIG.values(), ids=BIG)
def test_the_largest_points_stay_under_the_limit(character: str) -> None:
    pairs = tuple((f"{number}" + character * 255, character * 256) for number in range(10))
    given = [
        point(
            lane=Lane("a" * 40, LONGEST_ID),
            namespace=character * 256,
            metric=f"{number}" + character * 255,
            dimensions=pairs,
        )
        for number in range(5)
    ]
    messages = list(write_messages(given))
    assert all(size_in_queue(message) < MAX_MESSAGE_BYTES for message in messages)
    assert [one for message in messages for one in back(message)] == given


def test_messages_are_filled_up_to_the_limit_and_no_further() -> None:
    (whole,) = write_messages([point(float(number)) for number in range(10, 20)])
    given = [point(float(number)) for number in range(10, 20)]
    # Besides, there is room for a comma and for the brackets of an array of documents.
    assert len(list(write_messages(given, len(whole) + 3))) == 1
    assert len(list(write_messages(given, len(whole) + 2))) == 2


def test_documents_fill_a_message_up_to_the_limit_and_no_further() -> None:
    given = [point(), point(lane=Lane("eastus", RESOURCE))]
    (whole,) = write_messages(given)
    assert len(list(write_messages(given, len(whole) + 1))) == 1
    assert len(list(write_messages(given, len(whole)))) == 2


PACKED = {
    "nothing": ([], 10, []),
    "one that fits": (["aaa"], 4, [["aaa"]]),
    "one that does not": (["aaaa"], 4, [["aaaa"]]),
    "two that fit": (["aaa", "bbb"], 8, [["aaa", "bbb"]]),
    "two that do not": (["aaa", "bbb"], 7, [["aaa"], ["bbb"]]),
    "a long one between": (["a", "b" * 9, "c"], 4, [["a"], ["b" * 9], ["c"]]),
    "what the queue escapes": (["\uffff", "a"], 8, [["\uffff"], ["a"]]),
    "what the queue escapes, and room": (["\uffff", "a"], 9, [["\uffff", "a"]]),
}


@pytest.mark.parametrize(("values", "room", "runs"), PACKED.values(), ids=PACKED)
def test_values_are_packed_with_a_comma_each(
    values: list[str], room: int, runs: list[list[str]]
) -> None:
    found = packed((value.encode() for value in values), room)
    assert [[bytes(value).decode() for value in run] for run in found] == runs


def test_what_is_empty_is_for_the_reader_to_fill_in() -> None:
    written = write_point(point(7.0), timed=False)
    assert json.loads(written) == {"metric": "QueueDepth", "value": 7.0}
    message = write_envelope("", "", "", [Raw(written)])
    assert json.loads(message) == {"points": [{"metric": "QueueDepth", "value": 7.0}]}
    defaults = Address("QueueProcessing", RESOURCE, REGION)
    parsed = parse(message, enqueued=NOW, now=NOW, defaults=defaults, window=WINDOW)
    assert parsed.points == [point(7.0)]
    assert parsed.points[0].time is NOW
