"""What holds for every message: no exception, nothing lost, nothing made up."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import chain
from unittest.mock import patch

import pytest
from builders import DEFAULTS, NOW, REGION, RESOURCE, WINDOW, message, read
from by_points import points_of
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import bodies, marked_points, points

from shared.messages.message_at_once import read_at_once
from shared.messages.packing import size_in_queue
from shared.messages.parser import Address, parse
from shared.messages.validation import Times
from shared.messages.writer import MAX_MESSAGE_BYTES, write_messages
from shared.model import MAX_COUNT, MAX_DIMENSIONS, Lane, Point

ADDRESSED = Address("n", RESOURCE, REGION)
MARKER = re.compile(r"<\d+>")


@given(bodies)
@example(b'{"points": [' + b"[" * 30_000 + b"]" * 30_000 + b"]}")
@example(b"[" * 60_000)
@example(b'{"points": [{"metric": "m", "value": ' + b"9" * 5000 + b"}]}")
@example(b'{"points": [{"metric": "m", "value": 1, "dimensions": {"a": ' + b"9" * 5000 + b"}}]}")
@example(b'{"points": [], "points": ' + b"9" * 5000 + b"}")
@example(b'{"NaN": "' + b'\\"' * 30_000)
@example(b'{"data": "\\ud800"}')
@example(b'{"points": [{"metric": "m", "value": 1, "dimensions": {"\\udfff": "x"}}]}')
@example(b"{" + b'"points":1,' * 5_000)
def test_any_bytes_end_as_points_and_refusals(body: bytes) -> None:
    parsed = read(body)
    assert parsed.points or parsed.rejections
    for rejection in parsed.rejections:
        assert rejection.detail
        assert rejection.content or not body
    for point in parsed.points:
        check(point)


def check(point: Point) -> None:
    """What the store demands of a point, said in another way."""
    assert re.fullmatch("[a-z0-9]{2,40}", point.lane.region)
    assert re.fullmatch(r"/[-A-Za-z0-9._()~/]{1,1899}", point.lane.resource_id)
    assert len(point.dimensions) <= MAX_DIMENSIONS
    assert len({name.casefold() for name, _ in point.dimensions}) == len(point.dimensions)
    for text in (
        point.namespace,
        point.metric,
        *(part for pair in point.dimensions for part in pair),
    ):
        assert 1 <= len(text) <= 256
    assert -WINDOW.future <= NOW - point.time <= WINDOW.past
    assert float("-inf") < point.min <= point.max < float("inf")
    assert float("-inf") < point.sum < float("inf")
    assert 1 <= point.count <= MAX_COUNT


@given(marked_points())
def test_every_point_is_accounted_for_exactly_once(marked: tuple[list[str], bytes]) -> None:
    markers, body = marked
    parsed = read(body)
    found: Counter[str] = Counter()
    for point in parsed.points:
        found.update(set(MARKER.findall(repr((point.namespace, point.dimensions)))))
    for rejection in parsed.rejections:
        found.update(set(MARKER.findall(rejection.content.decode())))
    assert found == Counter(markers)


@given(bodies | marked_points().map(lambda marked: marked[1]))
@example(b'{"points": [{"metric": "m", "value": 1, "dimensions": {"a": "1"}, "dimensions": {}}]}')
@example(b'{"points": [{"metric": "m", "values": [1], "values": [2]}]}')
@example(
    b'{"points": [{"metric": "m", "value": 1}], "p\\u006fints": [{"metric": "m", "value": 2}]}'
)
@example(b'{"points": [{"metric": "m", "value": 1, "dimensions": {"a": "1", "\\u0061": "2"}}]}')
@example(b'{"points": [{"metric": "m", "value": 1, "dimensions": {"a": "1", "a": "2"}}]}')
@example(b'{"points": [{"metric": "m {[", "values": [2, 1], "time": "2026-11-23T07:25:00Z"}]}')
@example(b'{"points": [{"metric": "m", "value": 1, "dimensions": ["a"], "dimensions": {}}]}')
@example(b'{"points": [{"metric": "m", "values": [1], "dimensions": ["a"], "dimensions": {}}]}')
@example(
    b'{"points": [{"metric": "m", "value": 1, "dimensions": {}}, {"metric": "m", "value": 2}]}'
)
def test_reading_at_once_changes_nothing(body: bytes) -> None:
    at_once = read(body, defaults=ADDRESSED)
    with patch("shared.messages.parser.read_at_once", return_value=None):
        by_parts = read(body, defaults=ADDRESSED)
    assert (by_parts.points, by_parts.rejections) == (at_once.points, at_once.rejections)


@pytest.mark.parametrize("dimensions", [{}, {"dimensions": {}}, {"dimensions": {"Queue": "a"}}])
@pytest.mark.parametrize("form", [{"value": 1}, {"values": [1, 2]}])
def test_points_with_and_without_dimensions_are_read_at_once(
    dimensions: dict[str, object], form: dict[str, object]
) -> None:
    given_points = [{"metric": "m", **form, **dimensions}, {"metric": "m", **form}]
    text = json.dumps(message(*given_points)).encode()
    assert len(points_of(read_at_once(text, Times(NOW, NOW, WINDOW), DEFAULTS) or [])) == 2


def test_points_of_several_resources_are_read_at_once() -> None:
    two, upper = f"{RESOURCE}2", RESOURCE.upper().replace("/SUBSCRIPTIONS/", "/subscriptions/")
    own = [{}, {"resourceId": two}, {}, {"region": "eastus"}, {"resourceId": upper}, {}]
    given_points = [{"metric": "m", "value": n, **each} for n, each in enumerate(own)]
    text = json.dumps(message(*given_points)).encode()
    found = read_at_once(text, Times(NOW, NOW, WINDOW), DEFAULTS)
    assert {batch.lane: batch.values for batch in found or []} == {
        Lane(REGION, RESOURCE): [0, 2, 5],
        Lane(REGION, two): [1],
        Lane("eastus", RESOURCE): [3],
        Lane(REGION, upper): [4],
    }


@given(st.lists(points(), min_size=1, max_size=30))
def test_messages_of_good_points_are_read_at_once(given_points: list[Point]) -> None:
    for one in given_points:  # One of each lane and namespace: a message of one document.
        (text,) = write_messages([one])
        read_back = read_at_once(text, Times(NOW, NOW, WINDOW), DEFAULTS)
        written = [one.namespace, one.metric, *chain(*one.dimensions)]
        assert points_of(read_back or []) == [one] or any(set(text) & set("{[") for text in written)


@given(marked_points())
def test_what_was_refused_is_refused_again_for_the_same_reason(
    marked: tuple[list[str], bytes],
) -> None:
    _, body = marked
    for rejection in read(body).rejections:
        again = read(rejection.content)
        assert not again.points
        assert [one.reason for one in again.rejections] == [rejection.reason]
        # The same words, after a path that begins elsewhere.
        assert rejection.detail.endswith(again.rejections[0].detail.rpartition("]")[2])


@given(st.lists(points(), max_size=30))
def test_written_messages_read_back_as_the_same_points(given_points: list[Point]) -> None:
    messages = list(write_messages(given_points))
    back: list[Point] = []
    for text in messages:
        assert size_in_queue(text) < MAX_MESSAGE_BYTES < 64 * 1024
        parsed = parse(text, enqueued=NOW, now=NOW, defaults=DEFAULTS, window=WINDOW)
        assert not parsed.rejections
        back.extend(parsed.points)
    assert Counter(back) == Counter(given_points)
