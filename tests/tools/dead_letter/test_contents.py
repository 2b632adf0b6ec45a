"""What of a content is enqueued: every point once, with its time."""

from __future__ import annotations

import base64
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given

from shared.messages.body import MAX_BODY_BYTES
from shared.messages.parser import MessageParser
from tests.unit.builders import DEFAULTS, SERIES, WINDOW, at, document, encode, message, point
from tests.unit.rollups import NOW, values_in
from tests.unit.strategies import bodies
from tools.dead_letter.contents import count_points, queue_texts

PARSER = MessageParser(DEFAULTS, WINDOW)
EARLIER = NOW - timedelta(minutes=2)


def texts_of(content: Any, *, restamp: bool = False) -> list[str]:
    raw = content if isinstance(content, bytes) else encode(content)
    return queue_texts(raw, EARLIER, NOW if restamp else None)


def enqueued(content: Any, *, restamp: bool = False) -> Any:
    """Return the one message of a content, read as JSON."""
    (text,) = texts_of(content, restamp=restamp)
    return json.loads(text)


def valid_points(body: bytes, time: Any) -> list[Any]:
    return sorted(map(repr, values_in(PARSER.parse(body, enqueued=time, now=NOW).rollups)))


@given(bodies)
def test_what_is_valid_is_the_same_whenever_it_is_replayed(body: bytes) -> None:
    expected = valid_points(body, EARLIER)
    try:
        texts = texts_of(body)
    except ValueError as exc:  # A queue cannot hold it.
        # Such parts are dead-lettered without the valid points beside them.
        if not re.search("not UTF-8|not JSON objects", str(exc)):
            assert expected == []
    else:
        found = [one for text in texts for one in valid_points(text.encode(), NOW)]
        assert sorted(found) == expected


def test_a_point_keeps_its_time_and_gets_that_of_its_message_if_it_has_none() -> None:
    body = enqueued(message(point(), point(time=at(-60)), {**point(), "time": None}))
    assert [one["time"] for one in body["points"]] == [at(-120), at(-60), at(-120)]
    assert enqueued(document(SERIES, time=None))["time"] == at(-120)
    assert enqueued(document(SERIES))["time"] == at()


def test_restamped_every_point_has_the_time_of_the_replay() -> None:
    body = enqueued(message(point(), point(time=at(-1300))), restamp=True)
    assert [one["time"] for one in body["points"]] == [at(), at()]
    assert enqueued(document(SERIES, time=at(-1300)), restamp=True)["time"] == at()


def test_what_a_message_leaves_to_the_settings_is_left_to_them() -> None:
    assert enqueued({"points": [point()]}).keys() == {"points"}


def test_base64_and_lines_become_json() -> None:
    assert len(enqueued(base64.b64encode(encode(message(point()))))["points"]) == 1
    lines = b"\n".join([encode(message(point())), encode(document(SERIES))])
    assert [json.loads(text).keys() for text in texts_of(lines)] == [
        {"resourceId", "region", "points"},
        {"resourceId", "region", "time", "data"},
    ]


UNCHANGED = [b"oops", b"[1, 2]", b'{"points": 7}', b'{"points": [7]}', b"{}", b"[" * 9000]


@pytest.mark.parametrize("content", UNCHANGED, ids=range(len(UNCHANGED)))
def test_what_is_not_a_message_of_points_is_not_changed(content: bytes) -> None:
    (text,) = texts_of(content)
    assert text.replace(" ", "") == content.decode().replace(" ", "")
    assert count_points(content) == 1


def test_numbers_are_not_changed() -> None:
    content = (
        b'{"points":[{"metric":"a","value":1.0000000000000000001},{"metric":"b","value":1e999}]}'
    )
    (text,) = texts_of(content)
    assert '"value":1.0000000000000000001' in text
    assert '"value":1e999' in text


@pytest.mark.parametrize("whole", [message, lambda *points: [message(*points)] * 2])
def test_a_message_that_is_too_long_with_its_times_is_split(whole: Any) -> None:
    points = [point(metric=f"{number}") for number in range(2200)]
    content = encode(whole(*points))
    texts = texts_of(content)
    assert len(texts) > 1
    assert max(len(text.encode()) for text in texts) <= MAX_BODY_BYTES
    documents = [json.loads(text) for text in texts]
    assert all(one.keys() == {"resourceId", "region", "points"} for one in documents)
    names = [one["metric"] for document in documents for one in document["points"]]
    assert names == [one["metric"] for one in points] * (count_points(content) // len(points))


def test_what_a_queue_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="control characters"):
        texts_of(b"oops \x1b")
    with pytest.raises(ValueError, match="not UTF-8"):
        texts_of(b"\x80")
    with pytest.raises(ValueError, match="more than 65,536 bytes"):
        texts_of(message(point(metric="m" * 66_000)))
    assert len(texts_of(b"x" * MAX_BODY_BYTES)) == 1


def test_points_and_series_are_counted() -> None:
    assert count_points(encode(message(point(), point()))) == 2
    assert count_points(encode([document(SERIES, SERIES), message(point())])) == 3
    assert count_points(encode(message())) == 1
