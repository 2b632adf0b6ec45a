from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings

from shared.messages import series_cache
from shared.messages.body import MAX_BODY_BYTES
from shared.messages.parser import MessageParser
from shared.messages.validation import Defaults
from shared.model import (
    MAX_COUNT,
    MAX_DIMENSIONS,
    Reason,
    Rollup,
    Series,
    Target,
    ValueSet,
    minute_of,
)
from tests.unit.builders import (
    DEFAULTS,
    SERIES,
    WINDOW,
    aggregated,
    at,
    document,
    encode,
    message,
    parse,
    point,
)
from tests.unit.messages.reference import assert_accounted, contents
from tests.unit.rollups import (
    MINUTE,
    NOW,
    OTHER,
    REGION,
    RESOURCE,
    TARGET,
    rollup_of,
    series,
    value_of,
)
from tests.unit.strategies import bodies, json_bodies, plain_bodies

CONFIGURED = Defaults("configured", f"{RESOURCE}conf", "eastus")


class PartByPartParser(MessageParser):
    """A parser that reads no message at once."""

    def _parse_whole(self, *_: object) -> None:
        return None


class WholeParser(MessageParser):
    """A parser that has to read every message at once."""

    def _parse_whole(self, text: bytes, enqueued: datetime, now: datetime) -> list[Rollup]:
        rollups = super()._parse_whole(text, enqueued, now)
        assert rollups is not None
        return rollups


def rollups_of(body: Any, **how: Any) -> list[Rollup]:
    """Return the roll-ups of a body without rejections."""
    parsed = parse(body, **how)
    assert parsed.rejections == []
    return parsed.rollups


# --- What a message says ------------------------------------------------------------------------

# As in "Send custom metrics for an Azure resource to the Azure Monitor metrics store by using a
# REST API".
SEED = """{
    "time": "2026-11-23T07:20:20",
    "data": {
        "baseData": {
            "metric": "QueueDepth",
            "namespace": "QueueProcessing",
            "dimNames": ["QueueName", "MessageType"],
            "series": [
                {"dimValues": ["Images", "JPEG"], "min": 3, "max": 20, "sum": 28, "count": 3}
            ]
        }
    }
}"""


def test_the_seed_document() -> None:
    names = ("MessageType", "QueueName")
    seed = Series("QueueProcessing", "QueueDepth", names, ("JPEG", "Images"))
    minute = datetime.fromisoformat("2026-11-23T07:20:00Z")
    assert aggregated(rollups_of(SEED, defaults=Defaults("n", RESOURCE, REGION))) == {
        TARGET: {minute: {seed: ValueSet(3, 20, 28, 3)}}
    }


def test_the_points_of_a_series_and_minute_are_added_up() -> None:
    body = message(
        point(value=1, dimensions={"A": "x", "b": "y"}),
        point(value=2, dimensions={"b": "y", "A": "x"}, time=at(29.9)),
        point(value=None, values=[4, 5], dimensions={"b": "y", "A": "x"}),
        point(value=None, min=1, max=9, sum=10, count=2),
        point(value=7, time=at(-90)),
        point(value=8, metric="é"),
    )
    assert aggregated(rollups_of(body)) == {
        TARGET: {
            MINUTE: {
                series(A="x", b="y"): ValueSet(1, 5, 12, 4),
                series(): ValueSet(1, 9, 10, 2),
                series("é"): value_of(8),
            },
            MINUTE - timedelta(minutes=1): {series(): value_of(7)},
        }
    }


def test_the_order_of_dimensions_of_a_document_does_not_matter() -> None:
    names = {"dimNames": ["b", "A"]}
    values = {"min": 1, "max": 1, "sum": 1, "count": 1}
    body = [
        document({**values, "dimValues": ["y", "x"]}, base=names),
        message(point(dimensions={"A": "x", "b": "y"})),
    ]
    assert aggregated(rollups_of(body)) == {
        TARGET: {MINUTE: {series(A="x", b="y"): ValueSet(1, 1, 2, 2)}}
    }


def test_a_point_without_a_time_has_the_time_of_its_message() -> None:
    enqueued = NOW - timedelta(minutes=5)
    for body in (message(point()), document(SERIES, time=None)):
        (rollup,) = rollups_of(body, enqueued=enqueued)
        assert list(rollup.minutes) == [minute_of(enqueued)]


def test_the_time_of_a_message_expires_too() -> None:
    (rejection,) = parse(message(point()), enqueued=NOW - timedelta(minutes=21)).rejections
    assert rejection.reason is Reason.EXPIRED


TARGETS = {
    "settings": (message(point(), resourceId=None, region=None), "configured", "conf", "eastus"),
    "message": (message(point(), namespace="M"), "M", "", REGION),
    "region of the message": (message(point(), resourceId=None), "configured", "conf", REGION),
    "point": (
        message(point(namespace="P", resourceId=f"{RESOURCE}2", region="UK South"), namespace="M"),
        "P",
        "2",
        "uksouth",
    ),
    "resource of the point": (message(point(resourceId=f"{RESOURCE}2")), "configured", "2", REGION),
    "document": (document(SERIES), "configured", "", REGION),
    "settings for a document": (
        document(SERIES, base={"namespace": "D"}, resourceId=None, region=None),
        "D",
        "conf",
        "eastus",
    ),
}


@pytest.mark.parametrize(("body", "namespace", "suffix", "region"), TARGETS.values(), ids=TARGETS)
def test_the_nearest_target_wins(body: Any, namespace: str, suffix: str, region: str) -> None:
    (rollup,) = rollups_of(body, defaults=CONFIGURED)
    ((one, _),) = rollup.minutes[MINUTE].items()
    assert rollup.target == Target(region, RESOURCE + suffix)
    assert one.namespace == namespace


@pytest.mark.parametrize("body", [message(point(), region=None), document(SERIES, region=None)])
def test_a_region_may_be_missing(body: Any) -> None:
    assert [rollup.target for rollup in rollups_of(body)] == [Target("", RESOURCE)]


MAX_BYTES = {"a queue message": {}, "what the caller says": {"max_bytes": 100_000}}


@pytest.mark.parametrize("limits", MAX_BYTES.values(), ids=MAX_BYTES)
def test_a_body_has_a_maximum_size(limits: dict[str, int]) -> None:
    parser = MessageParser(DEFAULTS, WINDOW, **limits)
    longest = encode(message(point())).ljust(limits.get("max_bytes", MAX_BODY_BYTES))
    assert parser.parse(longest, enqueued=NOW, now=NOW).rejections == []
    (rejection,) = parser.parse(longest + b" ", enqueued=NOW, now=NOW).rejections
    assert rejection.reason is Reason.INVALID
    assert rejection.content == longest + b" "


# --- One message, at once or part by part -------------------------------------------------------

VALUE_SET = {"min": 1, "max": 3, "sum": 4, "count": 2}
AT_ONCE = {
    "values of all forms": [
        point(),
        point(value=None, values=[1, 2]),
        {"metric": "m", **VALUE_SET},
    ],
    "dimensions": [point(), point(dimensions={}), point(dimensions={"Queue": "é"})],
    "times": [point(time=at(seconds / 7)) for seconds in range(-7000, 1600, 100)],
    "times without an offset beside others": [point(time="2026-11-23T07:25:30"), point(time=at())],
    "times beside none": [point(), point(time=at(-60)), point(time=None)],
    "offset of half an hour": [point(time="2026-11-23T12:55:30.5+05:30"), point(time=at())],
    "lower case and space": [point(time="2026-11-23t07:25:30z"), point(time="2026-11-23 07:25:30")],
    "nulls": [{**point(), "time": None, "dimensions": None, "resourceId": None, "values": None}],
    "several targets": [point(), point(resourceId=f"{RESOURCE}2"), point(region="eastus")],
    "several namespaces": [point(), point(namespace="o"), point()],
    "as many nines as no time has": [point(value=0.9999999), point(time=at())],
}


@pytest.mark.parametrize("points", AT_ONCE.values(), ids=AT_ONCE)
def test_a_message_of_valid_points_is_read_at_once(points: list[Any]) -> None:
    found = rollups_of(message(*points), parser=WholeParser)
    assert sum(rollup.points for rollup in found) == len(points)


def test_a_message_without_a_target_is_read_at_once_if_its_points_have_one() -> None:
    points = [point(resourceId=RESOURCE, region=REGION), point(resourceId=f"{RESOURCE}2")]
    found = rollups_of({"points": points}, parser=WholeParser)
    assert {rollup.target for rollup in found} == {TARGET, Target("", OTHER.resource_id)}


BEFORE_THE_MINUTE = {
    "full stop": "2026-11-23T07:25:59.9999999Z",
    "comma": "2026-11-23T07:25:59,9999999Z",
    "another offset": "2026-11-23T12:55:59.9999999+05:30",
    "9 digits": "2026-11-23T07:25:59.999999999",
    "escaped digit": "2026-11-23T07:25:59.99999\\u00399Z",
    "escaped full stop": "2026-11-23T07:25:59\\u002e9999999Z",
    "escaped full stop in upper case": "2026-11-23T07:25:59\\u002E9999999Z",
}


@pytest.mark.parametrize("text", BEFORE_THE_MINUTE.values(), ids=BEFORE_THE_MINUTE)
def test_a_time_is_not_rounded_into_the_next_minute(text: str) -> None:
    body = json.dumps(message(point(time="?"))).replace("?", text)
    (rollup,) = rollups_of(body)
    assert list(rollup.minutes) == [MINUTE]


def times(*texts: str) -> bytes:
    return encode(message(*[point(time=text) for text in texts]))


@settings(max_examples=300)
@given(plain_bodies | bodies)
# The edges of the window, which a seventh digit decides.
@example(times("2026-11-23T07:05:30Z", "2026-11-23T07:29:30Z"))
@example(times("2026-11-23T07:05:29.9999999Z"))
@example(times("2026-11-23T07:05:29.9999994Z"))
@example(times("2026-11-23T07:05:30.0000001Z"))
@example(times("2026-11-23T07:29:30.0000001Z"))
@example(times("2026-11-23T07:29:30.0000009Z"))
@example(times("2026-11-23T07:29:30.000001Z"))
@example(times(f"2026-11-23T07:25:30.{'1' * 44}Z"))
@example(times("2026-11-23T07:20:30", "2026-11-23T08:21:30+01:00"))
@example(times("2026-11-23T12:50:30+05:30", "2026-11-23T12:51:30+05:30"))
@example(times("2026-11-23T07:25:30", "0001-01-01T00:00:00+14:00"))
@example(times("2026-11-23T07:25:30Z", "20261123T0725Z", "2026-11-23T07:25:30,5"))
@example(encode(message(point(), point(resourceId="x"))))
@example(encode({"points": [point(resourceId=RESOURCE), point()]}))
# Members given twice: the last one counts.
@example(b'{"points": [{"metric": "m", "value": 1, "dimensions": {"a": "1"}, "dimensions": {}}]}')
@example(b'{"points": [{"metric": "m", "value": 1, "dimensions": ["a"], "dimensions": {}}]}')
@example(b'{"points": [{"metric": "m", "values": [1], "values": [2]}]}')
@example(b'{"points": [5], "p\\u006fints": [{"metric": "m", "value": 2}]}')
@example(b'{"points": [{"metric": "m", "value": 1, "time": 5, "time": "2026-11-23T07:25:30Z"}]}')
def test_both_readers_agree(body: bytes) -> None:
    defaults = Defaults("n", RESOURCE, REGION)
    found = parse(body, defaults=defaults)
    expected = parse(body, defaults=defaults, parser=PartByPartParser)
    assert found.rejections == expected.rejections
    assert contents(found.rollups) == contents(expected.rollups)


# --- Every part of every body -------------------------------------------------------------------


@given(bodies)
@example(b'{"points": [' + b"[" * 30_000 + b"]" * 30_000 + b"]}")
@example(b"[" * 60_000)
@example(b'{"points": [{"metric": "m", "value": ' + b"9" * 5000 + b"}]}")
@example(b'{"points": [{"metric": "m", "value": 1, "count": ' + b"9" * 5000 + b"}]}")
@example(b'{"points": [{"metric": "m", "value": 1, "dimensions": {"a": ' + b"9" * 5000 + b"}}]}")
@example(b'{"points": [], "points": ' + b"9" * 5000 + b"}")
@example(b'{"NaN": "' + b'\\"' * 30_000)
@example(b'{"data": "\\ud800"}')
@example(b'{"points": [{"metric": "m", "value": 1, "dimensions": {"\\udfff": "x"}}]}')
@example(b"{" + b'"points":1,' * 5_000)
def test_any_bytes_end_in_valid_rollups_and_rejections(body: bytes) -> None:
    parsed = parse(body)
    assert parsed.rollups or parsed.rejections
    for rejection in parsed.rejections:
        assert rejection.detail
        assert rejection.content or not body
    for rollup in parsed.rollups:
        assert_valid(rollup)


def assert_valid(rollup: Rollup) -> None:
    """Assert what the store demands of a roll-up."""
    assert re.fullmatch("[a-z0-9]{2,40}|", rollup.target.region)
    assert re.fullmatch(r"/[-A-Za-z0-9._()~/]{1,1899}", rollup.target.resource_id)
    for minute, group in rollup.minutes.items():
        assert minute == minute_of(minute)
        assert -WINDOW.future <= NOW - minute <= WINDOW.past + timedelta(minutes=1)
        for one in group:
            assert len({name.casefold() for name in one.dimension_names}) <= MAX_DIMENSIONS
            assert one.dimension_names == tuple(sorted(one.dimension_names, key=str.casefold))
            names = one.namespace, one.metric, *one.dimension_names, *one.dimension_values
            assert all(1 <= len(name) <= 256 for name in names)
    for aggregates in rollup.aggregate_all():
        for sets in aggregates.values():
            for values in sets.values():
                assert float("-inf") < values.min <= values.max < float("inf")
                assert float("-inf") < values.sum < float("inf")
                assert 1 <= values.count <= MAX_COUNT


@settings(max_examples=200)
@given(bodies)
def test_every_part_is_accounted_for_exactly_once(body: bytes) -> None:
    assert_accounted(body, parse(body), DEFAULTS, NOW)


@given(json_bodies())
def test_what_is_rejected_is_rejected_again_for_the_same_reason(body: bytes) -> None:
    for rejection in parse(body).rejections:
        again = parse(rejection.content)
        assert not again.rollups
        assert [one.reason for one in again.rejections] == [rejection.reason]
        # The same text, after a path that begins elsewhere.
        assert rejection.detail.endswith(again.rejections[0].detail.rpartition("]")[2])


def test_a_full_cache_is_emptied_before_the_next_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series_cache, "MAX_CACHE_BYTES", 1)
    parser = MessageParser(DEFAULTS, WINDOW)
    for namespace in ("a", "b"):
        parser.parse(encode(message(point(namespace=namespace))), enqueued=NOW, now=NOW)
        assert namespace in parser._cache
    assert "a" not in parser._cache


def test_a_parser_keeps_nothing_of_a_body_but_series() -> None:
    parser = MessageParser(DEFAULTS, WINDOW)
    first, second = (
        parser.parse(encode(message(point(value=value))), enqueued=NOW, now=NOW).rollups
        for value in (1, 2)
    )
    assert (first, second) == ([rollup_of(m=1.0)], [rollup_of(m=2.0)])
