"""Messages: both shapes, what they inherit, and every refusal with its exact words."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from builders import ADDRESS, DEFAULTS, NOW, REGION, RESOURCE, SEED, at, document, message, read

from shared.messages.parser import Address
from shared.model import Lane, Point, Reason, Series, utc_text

LONGEST = "é" * 256
LARGEST = 1.7976931348623157e308
TEN = {f"D{number}": "x" for number in range(10)}
ELEVEN = {**TEN, "D10": "x"}
SERIES = {"dimValues": ["orders"], "min": 1, "max": 3, "sum": 4, "count": 2}
FORMS = "give exactly one of value, values, or min with max, sum and count"
TIMES = "is not a time in ISO 8601, such as 2026-11-23T07:25:00Z"
RESOURCES = "/subscriptions/…/resourceGroups/…/providers/Microsoft.Storage/storageAccounts/…"
BELONGS = f"a metric belongs to a resource: {RESOURCES}"
REGIONS = "is not a region: lower-case letters and digits, such as westeurope"
NOT_FINITE = "not a finite number of double precision"


def one(**members: Any) -> dict[str, Any]:
    """A point; a member that is None is left out."""
    whole = {"metric": "QueueDepth", "value": 1, **members}
    return {name: value for name, value in whole.items() if value is not None}


def only(body: Any, **how: Any) -> Point:
    """The single point of a body in which nothing is refused."""
    parsed = read(body, **how)
    assert parsed.rejections == []
    (point,) = parsed.points
    return point


def refusal(body: Any, defaults: Address = DEFAULTS) -> str:
    """The words about a body in which there is one thing, and that is refused."""
    parsed = read(body, defaults=defaults)
    assert parsed.points == []
    (rejection,) = parsed.rejections
    assert rejection.reason is Reason.INVALID
    return rejection.detail


# --- What is accepted ---------------------------------------------------------------------------


def test_the_seed_document_with_an_address_is_accepted_as_it_is() -> None:
    text = SEED.replace("2023-01-03T11:00:20", "2026-11-23T07:20:20")
    head = f'{{ "resourceId": "{RESOURCE}", "region": "{REGION}",'
    assert only(text.replace("{", head, 1)) == Point(
        lane=Lane(REGION, RESOURCE),
        series=Series.of(
            namespace="QueueProcessing",
            metric="QueueDepth",
            dimensions=(("MessageType", "JPEG"), ("QueueName", "ImagesToProcess")),
        ),
        time=datetime(2026, 11, 23, 7, 20, 20, tzinfo=UTC),
        min=3.0,
        max=20.0,
        sum=28.0,
        count=3,
    )


def test_the_seed_document_needs_no_address_when_the_settings_have_one() -> None:
    text = SEED.replace("2023-01-03T11:00:20", at())
    assert only(text, defaults=Address("n", RESOURCE, REGION)).lane == Lane(REGION, RESOURCE)


VALUE_SETS = {
    "value": ({"value": 7}, (7.0, 7.0, 7.0, 1)),
    "negative value": ({"value": -0.5}, (-0.5, -0.5, -0.5, 1)),
    "zero": ({"value": 0}, (0.0, 0.0, 0.0, 1)),
    "largest value": ({"value": LARGEST}, (LARGEST, LARGEST, LARGEST, 1)),
    "smallest value": ({"value": 5e-324}, (5e-324, 5e-324, 5e-324, 1)),
    "values": ({"values": [3, 20, 5]}, (3.0, 20.0, 28.0, 3)),
    "one of values": ({"values": [3]}, (3.0, 3.0, 3.0, 1)),
    "values of which each counts": ({"values": [0.1] * 10}, (0.1, 0.1, 1.0, 10)),
    "set": ({"min": 3, "max": 20, "sum": 28, "count": 3}, (3.0, 20.0, 28.0, 3)),
    "set of zeros": ({"min": 0, "max": 0, "sum": 0, "count": 5}, (0.0, 0.0, 0.0, 5)),
    "least sum": ({"min": 3, "max": 20, "sum": 9, "count": 3}, (3.0, 20.0, 9.0, 3)),
    "largest sum": ({"min": 3, "max": 20, "sum": 60, "count": 3}, (3.0, 20.0, 60.0, 3)),
    "sum of rounded numbers": (
        {"min": 0.1, "max": 0.1, "sum": 0.30000000000000004, "count": 3},
        (0.1, 0.1, 0.30000000000000004, 3),
    ),
    "rounded sum of what is up to max": (
        {"min": 0, "max": 0.1, "sum": 0.30000000000000004, "count": 3},
        (0.0, 0.1, 0.30000000000000004, 3),
    ),
    "rounded sum of what is down to min": (
        {"min": -0.1, "max": 0, "sum": -0.30000000000000004, "count": 3},
        (-0.1, 0.0, -0.30000000000000004, 3),
    ),
    "sum in single precision": (
        {"min": 0.1, "max": 0.1, "sum": 99999.99, "count": 1_000_000},
        (0.1, 0.1, 99999.99, 1_000_000),
    ),
    "largest count": (
        {"min": 0, "max": 1, "sum": 5, "count": 2**31 - 1},
        (0.0, 1.0, 5.0, 2**31 - 1),
    ),
    "count times max is no double": (
        {"min": -1e308, "max": 1e308, "sum": 1e307, "count": 1000},
        (-1e308, 1e308, 1e307, 1000),
    ),
}


@pytest.mark.parametrize(("given", "expected"), VALUE_SETS.values(), ids=VALUE_SETS)
def test_a_value_set_is_what_was_given(
    given: dict[str, Any], expected: tuple[float, float, float, int]
) -> None:
    point = only(message({"metric": "QueueDepth", **given}))
    assert (point.min, point.max, point.sum, point.count) == expected


ACCEPTED = {
    "longest metric": one(metric=LONGEST),
    "longest namespace": one(namespace=LONGEST),
    "longest dimension name": one(dimensions={LONGEST: "x"}),
    "longest dimension value": one(dimensions={"Queue": LONGEST}),
    "256 characters beyond 16 bits": one(metric="\U0001f600" * 256),
    "ten dimensions": one(dimensions=TEN),
    "no dimensions": one(dimensions={}),
    "characters that are escaped": one(metric='"\\\x00\n'),
}


@pytest.mark.parametrize("given", ACCEPTED.values(), ids=ACCEPTED)
def test_a_point_at_its_limits_is_accepted(given: dict[str, Any]) -> None:
    point = only(message(given))
    assert point.metric == given["metric"]
    assert dict(point.dimensions) == given.get("dimensions", {})


def test_a_document_at_its_limits_is_accepted() -> None:
    base = {"dimNames": list(TEN), "metric": LONGEST, "namespace": LONGEST}
    point = only(document({**SERIES, "dimValues": [LONGEST] * 10}, base=base))
    assert point.dimensions == tuple((name, LONGEST) for name in TEN)
    assert (point.metric, point.namespace) == (LONGEST, LONGEST)


def test_a_document_may_have_no_dimensions() -> None:
    series = {name: value for name, value in SERIES.items() if name != "dimValues"}
    assert only(document(series, base={"dimNames": []})).dimensions == ()
    text = json.dumps(document(series)).replace('"dimNames": ["QueueName"], ', "")
    assert only(text).dimensions == ()


def test_dimension_order_does_not_make_another_series() -> None:
    first = only(message(one(dimensions={"b": "1", "A": "2", "c": "3"})))
    second = only(message(one(dimensions={"c": "3", "A": "2", "b": "1"})))
    assert first.dimensions == second.dimensions == (("A", "2"), ("b", "1"), ("c", "3"))
    third = document({**SERIES, "dimValues": ["3", "1", "2"]}, base={"dimNames": ["c", "b", "A"]})
    assert only(third).dimensions == first.dimensions


def test_every_value_of_a_document_is_a_point() -> None:
    parsed = read(document({**SERIES, "dimValues": ["a"]}, {**SERIES, "dimValues": ["b"]}))
    assert [point.dimensions for point in parsed.points] == [
        (("QueueName", "a"),),
        (("QueueName", "b"),),
    ]


TIMES_GIVEN = {
    "with a Z": ("2026-11-23T07:25:01Z", "2026-11-23T07:25:01+00:00"),
    "without an offset": ("2026-11-23T07:25:01", "2026-11-23T07:25:01+00:00"),
    "in lower case": ("2026-11-23t07:25:01z", "2026-11-23T07:25:01+00:00"),
    "with a space": ("2026-11-23 07:25:01", "2026-11-23T07:25:01+00:00"),
    "of another offset": ("2026-11-23T12:55:01+05:30", "2026-11-23T07:25:01+00:00"),
    "of another day there": ("2026-11-22T23:25:01-08:00", "2026-11-23T07:25:01+00:00"),
    "without seconds": ("2026-11-23T07:25Z", "2026-11-23T07:25:00+00:00"),
    "fraction of 3 digits": ("2026-11-23T07:25:01.123Z", "2026-11-23T07:25:01.123000+00:00"),
    "fraction of 7 digits": ("2026-11-23T07:25:01.1234567Z", "2026-11-23T07:25:01.123456+00:00"),
    "fraction of 9 digits": ("2026-11-23T07:25:01.123456789", "2026-11-23T07:25:01.123456+00:00"),
    "fraction of 43 digits": (
        f"2026-11-23T07:25:01.{'1' * 43}Z",
        "2026-11-23T07:25:01.111111+00:00",
    ),
    "basic format": ("20261123T072501Z", "2026-11-23T07:25:01+00:00"),
}


@pytest.mark.parametrize(("given", "expected"), TIMES_GIVEN.values(), ids=TIMES_GIVEN)
def test_a_time_is_read_as_utc(given: str, expected: str) -> None:
    assert only(message(one(time=given))).time == datetime.fromisoformat(expected)
    assert only(document(SERIES, time=given)).time == datetime.fromisoformat(expected)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lets the machine stand in another time zone."""
    monkeypatch.setenv("TZ", "IST-5:30")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("given", ["2026-11-23T07:25:02", "2026-11-23T08:25:02+01:00"])
def test_a_time_is_utc_wherever_the_machine_stands(given: str) -> None:
    assert utc_text(only(message(one(time=given))).time) == "2026-11-23T07:25:02Z"


def test_a_point_without_a_time_has_the_one_of_its_message() -> None:
    enqueued = NOW - timedelta(minutes=5)
    assert only(message(one()), enqueued=enqueued).time == enqueued
    assert only(document(SERIES, time=None), enqueued=enqueued).time == enqueued


WITHIN = {"oldest": -1200, "newest": 240}
BEYOND = {
    "older": (
        -1200.000001,
        Reason.EXPIRED,
        "2026-11-23T07:05:29.999999Z is 1201 s old, at most 1200 s",
    ),
    "much older": (-86_400, Reason.EXPIRED, "2026-11-22T07:25:30Z is 86400 s old, at most 1200 s"),
    "newer": (
        240.000001,
        Reason.INVALID,
        "2026-11-23T07:29:30.000001Z is 241 s ahead, at most 240 s",
    ),
    "much newer": (3600, Reason.INVALID, "2026-11-23T08:25:30Z is 3600 s ahead, at most 240 s"),
}


@pytest.mark.parametrize("seconds", WITHIN.values(), ids=WITHIN)
def test_a_time_at_the_end_of_the_window_is_accepted(seconds: float) -> None:
    assert only(message(one(time=at(seconds)))).time == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(("seconds", "reason", "text"), BEYOND.values(), ids=BEYOND)
def test_a_time_beyond_the_window_is_refused(seconds: float, reason: Reason, text: str) -> None:
    (rejection,) = read(message(one(time=at(seconds)))).rejections
    assert (rejection.reason, rejection.detail) == (reason, f"points[0].time: {text}")
    (rejection,) = read(document(SERIES, time=at(seconds))).rejections
    assert (rejection.reason, rejection.detail) == (
        reason,
        f"data.baseData.series[0].time: {text}",
    )


def test_the_time_of_a_message_expires_too() -> None:
    (rejection,) = read(message(one()), enqueued=NOW - timedelta(minutes=21)).rejections
    assert rejection.reason is Reason.EXPIRED


OTHER = RESOURCE.replace("ordersqueues", "other")
CONFIGURED = Address("Configured", f"{RESOURCE}conf", "eastus")
INHERITED = {
    "all from the settings": (message(one(), resourceId=None, region=None), CONFIGURED),
    "from the message": (message(one(), namespace="M"), Address("M", RESOURCE, REGION)),
    "region alone from the message": (
        message(one(), resourceId=None),
        Address("Configured", f"{RESOURCE}conf", REGION),
    ),
    "from the point": (
        message(one(namespace="P", resourceId=OTHER, region="uksouth"), namespace="M"),
        Address("P", OTHER, "uksouth"),
    ),
    "resource alone from the point": (
        message(one(resourceId=OTHER), namespace="M"),
        Address("M", OTHER, REGION),
    ),
    "from the document": (document(SERIES), Address("Configured", RESOURCE, REGION)),
    "namespace from the document": (
        document(SERIES, base={"namespace": "D"}, resourceId=None, region=None),
        Address("D", f"{RESOURCE}conf", "eastus"),
    ),
}


@pytest.mark.parametrize(("body", "expected"), INHERITED.values(), ids=INHERITED)
def test_what_is_nearest_to_the_point_wins(body: Any, expected: Address) -> None:
    point = only(body, defaults=CONFIGURED)
    assert Address(point.namespace, point.lane.resource_id, point.lane.region) == expected


# --- What is refused, and in which words --------------------------------------------------------

SET = {"metric": "QueueDepth", "min": 1, "max": 3, "sum": 4, "count": 2}

POINTS: dict[str, tuple[Any, str]] = {
    "number for a point": (1, ": found 1, expected an object"),
    "null for a point": (None, ": found null, expected an object"),
    "array for a point": ([], ": found an array, expected an object"),
    "no metric": ({"value": 1}, ": member metric is missing"),
    "metric that is a number": (one(metric=5), ".metric: found 5, expected text"),
    "empty metric": (one(metric=""), ".metric: 0 characters, at least 1"),
    "long metric": (one(metric=LONGEST + "x"), ".metric: 257 characters, at most 256"),
    "empty namespace": (one(namespace=""), ".namespace: 0 characters, at least 1"),
    "long namespace": (one(namespace=LONGEST + "x"), ".namespace: 257 characters, at most 256"),
    "unknown member": (one(vaule=1), ": unknown member 'vaule'; did you mean value?"),
    "member in another case": (one(Metric="x"), ": unknown member 'Metric'; did you mean metric?"),
    "unknown member with odd characters": (
        one(**{"a`\n\u212a": 1}),
        r": unknown member 'a`\n\u212a'",
    ),
    "member of the trigger": (one(id="x"), ": unknown member 'id'"),
    # Dimensions.
    "dimensions in an array": (
        one(dimensions=[]),
        ".dimensions: found an array, expected an object",
    ),
    "dimensions that are text": (
        one(dimensions="x"),
        ".dimensions: found text, expected an object",
    ),
    "null for dimensions": (
        {**one(), "dimensions": None},
        ".dimensions: found null, expected an object",
    ),
    "eleven dimensions": (one(dimensions=ELEVEN), ".dimensions: 11 dimensions, at most 10"),
    "empty name": (one(dimensions={"": "x"}), ".dimensions: a name of 0 characters, at least 1"),
    "long name": (
        one(dimensions={LONGEST + "x": "x"}),
        ".dimensions: a name of 257 characters, at most 256",
    ),
    "same name in another case": (
        one(dimensions={"Queue": "x", "queUe": "y"}),
        ".dimensions: 'Queue' is given twice, as 'queUe' too",
    ),
    "same name in another script's case": (
        one(dimensions={"Straße": "x", "STRASSE": "y"}),
        r".dimensions: 'Stra\xdfe' is given twice, as 'STRASSE' too",
    ),
    "name that only looks the same": (
        one(dimensions={"k": "x", "\u212a": "y"}),
        r".dimensions: 'k' is given twice, as '\u212a' too",
    ),
    "empty dimension": (
        one(dimensions={"Queue": ""}),
        ".dimensions.Queue: 0 characters, at least 1",
    ),
    "long dimension": (
        one(dimensions={"Queue": LONGEST + "x"}),
        ".dimensions.Queue: 257 characters, at most 256",
    ),
    "null for a dimension": (
        one(dimensions={"Queue": None}),
        ".dimensions.Queue: found null, expected text",
    ),
    "number for a dimension": (
        one(dimensions={"Queue": 5}),
        ".dimensions.Queue: found 5, expected text",
    ),
    "boolean for a dimension": (
        one(dimensions={"Queue": True}),
        ".dimensions.Queue: found true, expected text",
    ),
    "array for a dimension": (
        one(dimensions={"Queue": ["x"]}),
        ".dimensions.Queue: found an array, expected text",
    ),
    "object for a dimension": (
        one(dimensions={"Queue": {}}),
        ".dimensions.Queue: found an object, expected text",
    ),
    "name with odd characters": (
        one(dimensions={"a\n\u212a": 5}),
        r".dimensions.a\n\u212a: found 5, expected text",
    ),
    # Values.
    "no value": ({"metric": "QueueDepth"}, f": no value is given; {FORMS}"),
    "value and values": (one(values=[1]), f": value and values are given; {FORMS}"),
    "value and count": (one(count=1), f": value and count are given; {FORMS}"),
    "values and min": (
        one(value=None, values=[1], min=1),
        f": values and min are given; {FORMS}",
    ),
    "all of them": (
        one(values=[1], min=1, max=1, sum=1, count=1),
        f": value and values and min and max and sum and count are given; {FORMS}",
    ),
    "null for value": ({**one(), "value": None}, ".value: found null, expected a number"),
    "text for value": (one(value="1"), ".value: found text, expected a number"),
    "boolean for value": (one(value=True), ".value: found true, expected a number"),
    "NaN": (one(value=float("nan")), f".value: {NOT_FINITE}"),
    "Infinity": (one(value=float("inf")), f".value: {NOT_FINITE}"),
    "minus Infinity": (one(value=float("-inf")), f".value: {NOT_FINITE}"),
    "400 digits": (one(value=10**400), f".value: {NOT_FINITE}"),
    "no values": (one(value=None, values=[]), ".values: 0 members, at least 1"),
    "number for values": (one(value=None, values=1), ".values: found 1, expected an array"),
    "text in values": (
        one(value=None, values=[1, "x"]),
        ".values[1]: found text, expected a number",
    ),
    "NaN in values": (one(value=None, values=[1, 2, float("nan")]), f".values[2]: {NOT_FINITE}"),
    "values that add up to too much": (
        one(value=None, values=[1e308, 1e308]),
        f".values: their sum is {NOT_FINITE}",
    ),
    "values that add up to too little": (
        one(value=None, values=[-1e308, -1e308]),
        f".values: their sum is {NOT_FINITE}",
    ),
    "NaN for min": ({**SET, "min": float("nan")}, f".min: {NOT_FINITE}"),
    "Infinity for sum": ({**SET, "sum": float("inf")}, f".sum: {NOT_FINITE}"),
    "min above max": ({**SET, "min": 3.5, "max": 3}, ".min: 3.5 is above max 3.0"),
    "sum too small": (
        {**SET, "sum": 1.9},
        ".sum: 1.9 is outside count × [min, max] = [2.0, 6.0]",
    ),
    "sum too large": (
        {**SET, "sum": 6.1},
        ".sum: 6.1 is outside count × [min, max] = [2.0, 6.0]",
    ),
    "sum beyond rounding": (
        {**SET, "min": 1e6, "max": 1e6, "sum": 2e6 + 3},
        ".sum: 2000003.0 is outside count × [min, max] = [2000000.0, 2000000.0]",
    ),
    "sum of one that is another": (
        {**SET, "min": 5, "max": 5, "sum": 6, "count": 1},
        ".sum: 6.0 is outside count × [min, max] = [5.0, 5.0]",
    ),
    "sum of what no double holds": (
        {**SET, "min": 1e308, "max": 1e308, "sum": 1e308, "count": 2},
        ".sum: 1e+308 is outside count × [min, max] = [inf, inf]",
    ),
    "count of nothing": ({**SET, "count": 0}, ".count: 0, at least 1"),
    "negative count": ({**SET, "count": -1}, ".count: -1, at least 1"),
    "count beyond an int32": ({**SET, "count": 2**31}, ".count: 2147483648, at most 2147483647"),
    "count beyond an int64": (
        {**SET, "count": 2**64},
        ".count: 18446744073709551616, at most 2147483647",
    ),
    "count of 5,000 digits": (
        {**SET, "count": "5,000 digits"},
        ".count: a whole number of too many digits",
    ),
    "fraction for count": ({**SET, "count": 1.5}, ".count: found 1.5, expected a whole number"),
    "text for count": ({**SET, "count": "2"}, ".count: found text, expected a whole number"),
    "boolean for count": ({**SET, "count": True}, ".count: found true, expected a whole number"),
    # Times.
    "number for a time": (one(time=1795418730), ".time: found 1795418730, expected text"),
    "empty time": (one(time=""), f".time: '' {TIMES}"),
    "time that is a word": (one(time="now"), f".time: 'now' {TIMES}"),
    "date alone": (one(time="2026-11-23"), f".time: '2026-11-23' {TIMES}"),
    "time alone": (one(time="07:25:30"), f".time: '07:25:30' {TIMES}"),
    "seconds since 1970": (one(time="1795418730"), f".time: '1795418730' {TIMES}"),
    "another separator": (one(time="2026-11-23_07:25:30"), f".time: '2026-11-23_07:25:30' {TIMES}"),
    "no such day": (one(time="2026-02-30T07:25:30Z"), f".time: '2026-02-30T07:25:30Z' {TIMES}"),
    "no such hour": (one(time="2026-11-23T25:25:30Z"), f".time: '2026-11-23T25:25:30Z' {TIMES}"),
    "leap second": (one(time="2026-11-23T07:25:60Z"), f".time: '2026-11-23T07:25:60Z' {TIMES}"),
    "name of a zone": (
        one(time="2026-11-23T07:25:30 CET"),
        f".time: '2026-11-23T07:25:30 CET' {TIMES}",
    ),
    "before the first year": (
        one(time="0001-01-01T00:00:00+14:00"),
        f".time: '0001-01-01T00:00:00+14:00' {TIMES}",
    ),
    "after the last year": (
        one(time="9999-12-31T23:59:59-14:00"),
        f".time: '9999-12-31T23:59:59-14:00' {TIMES}",
    ),
    "full-width digits": (
        one(time="2026-11-23T07:25:3\uff10Z"),
        rf".time: '2026-11-23T07:25:3\uff10Z' {TIMES}",
    ),
    "endless fraction": (
        one(time=f"2026-11-23T07:25:30.{'1' * 44}Z"),
        f".time: '2026-11-23T07:25:30.{'1' * 44}Z' {TIMES}",
    ),
    # Addresses.
    "number for a region": (one(region=5), ".region: found 5, expected text"),
    "region by its display name": (
        one(region="West Europe"),
        f".region: 'West Europe' {REGIONS}",
    ),
    "resource group": (
        one(resourceId="/subscriptions/0/resourceGroups/g"),
        f".resourceId: '/subscriptions/0/resourceGroups/g' is a resource group; {BELONGS}",
    ),
    "null for a resource ID": (
        {**one(), "resourceId": None},
        ".resourceId: found null, expected text",
    ),
    "not a resource ID": (
        one(resourceId="orders"),
        f".resourceId: 'orders' is not a resource ID: {RESOURCES}",
    ),
}


def test_a_dimension_is_refused_however_deep_it_nests() -> None:
    # Where it is too deep for a reader depends on the reader, and on who called it.
    words = {"dimensions.a: found an array, expected text", "dimensions: nested too deeply"}
    for depth in range(700, 1000):
        text = json.dumps(message(one(dimensions={"a": "x"})))
        detail = refusal(text.replace('"x"', "[" * depth + "]" * depth))
        assert detail.removeprefix("points[0].") in words | {"nested too deeply"}


PARTIAL = ("min", "max", "sum", "count")


def as_text(body: Any) -> bytes:
    """The body as JSON, with a number that Python would not write."""
    return json.dumps(body).replace('"5,000 digits"', "9" * 5000).encode()


@pytest.mark.parametrize(("given", "text"), POINTS.values(), ids=POINTS)
def test_a_bad_point_is_refused_and_the_good_ones_beside_it_survive(given: Any, text: str) -> None:
    parsed = read(as_text(message(one(value=10), given, one(value=20))))
    assert [point.sum for point in parsed.points] == [10.0, 20.0]
    (rejection,) = parsed.rejections
    assert (rejection.detail, rejection.reason) == (f"points[1]{text}", Reason.INVALID)


@pytest.mark.parametrize("missing", PARTIAL)
def test_min_max_sum_and_count_go_together(missing: str) -> None:
    given = {name: value for name, value in SET.items() if name != missing}
    text = f"points[0].{missing}: missing; min, max, sum and count go together"
    assert refusal(message(given)) == text


@pytest.mark.parametrize("present", PARTIAL)
def test_one_of_min_max_sum_and_count_is_not_enough(present: str) -> None:
    missing = "max" if present == "min" else "min"
    text = f"points[0].{missing}: missing; min, max, sum and count go together"
    assert refusal(message({"metric": "m", present: 1})) == text


SERIES_REFUSED: dict[str, tuple[Any, str]] = {
    "number for a series": (5, ": found 5, expected an object"),
    "no min": ({"max": 1, "sum": 1, "count": 1}, ": member min is missing"),
    "no count": ({"dimValues": ["x"], "min": 1, "max": 1, "sum": 1}, ": member count is missing"),
    "null for min": ({**SERIES, "min": None}, ".min: found null, expected a number"),
    "NaN": ({**SERIES, "max": float("nan")}, f".max: {NOT_FINITE}"),
    "min above max": ({**SERIES, "min": 4}, ".min: 4.0 is above max 3.0"),
    "sum outside": ({**SERIES, "sum": 7}, ".sum: 7.0 is outside count × [min, max] = [2.0, 6.0]"),
    "count of nothing": ({**SERIES, "count": 0}, ".count: 0, at least 1"),
    "count beyond an int32": ({**SERIES, "count": 2**31}, ".count: 2147483648, at most 2147483647"),
    "value of a point": ({**SERIES, "value": 1}, ": unknown member 'value'"),
    "too few dimValues": ({**SERIES, "dimValues": []}, ".dimValues: 0 values for 1 dimNames"),
    "no dimValues": (
        {"min": 1, "max": 1, "sum": 1, "count": 1},
        ".dimValues: 0 values for 1 dimNames",
    ),
    "too many dimValues": (
        {**SERIES, "dimValues": ["x", "y"]},
        ".dimValues: 2 values for 1 dimNames",
    ),
    "empty value": ({**SERIES, "dimValues": [""]}, ".dimValues[0]: 0 characters, at least 1"),
    "long value": (
        {**SERIES, "dimValues": [LONGEST + "x"]},
        ".dimValues[0]: 257 characters, at most 256",
    ),
    "number for a value": ({**SERIES, "dimValues": [5]}, ".dimValues[0]: found 5, expected text"),
    "null for a value": (
        {**SERIES, "dimValues": [None]},
        ".dimValues[0]: found null, expected text",
    ),
    "text for dimValues": (
        {**SERIES, "dimValues": "x"},
        ".dimValues: found text, expected an array",
    ),
}


@pytest.mark.parametrize(("given", "text"), SERIES_REFUSED.values(), ids=SERIES_REFUSED)
def test_a_bad_series_is_refused_and_the_good_ones_beside_it_survive(given: Any, text: str) -> None:
    parsed = read(document(SERIES, given, SERIES))
    assert len(parsed.points) == 2
    (rejection,) = parsed.rejections
    assert (rejection.detail, rejection.reason) == (
        f"data.baseData.series[1]{text}",
        Reason.INVALID,
    )


def base(**members: Any) -> dict[str, Any]:
    """A document whose baseData has other members."""
    return document(SERIES, base=members)


MESSAGES: dict[str, tuple[Any, str]] = {
    "nothing in it": ({}, "member points is missing"),
    "no points": ({"points": []}, "points: 0 members, at least 1"),
    "object for points": ({"points": {}}, "points: found an object, expected an array"),
    "null for points": ({"points": None}, "points: found null, expected an array"),
    "unknown member": (message(one(), regoin="x"), "unknown member 'regoin'; did you mean region?"),
    "a point by itself": (one(), "unknown member 'metric'"),
    "the host's own name": (message(one(), insertionTime="x"), "unknown member 'insertionTime'"),
    "time of a message": (message(one(), time=at()), "unknown member 'time'"),
    "number for region": (message(one(), region=5), "region: found 5, expected text"),
    "a stranger's region": (
        message(one(), region="evil.example/#"),
        f"region: 'evil.example/#' {REGIONS}",
    ),
    "empty resource ID": (
        message(one(), resourceId=""),
        f"resourceId: '' is not a resource ID: {RESOURCES}",
    ),
    "subscription": (
        message(one(), resourceId="/subscriptions/0"),
        f"resourceId: '/subscriptions/0' is a subscription; {BELONGS}",
    ),
    "empty namespace": (message(one(), namespace=""), "namespace: 0 characters, at least 1"),
    "long namespace": (
        message(one(), namespace="x" * 257),
        "namespace: 257 characters, at most 256",
    ),
    "points and data": ({**document(SERIES), "points": [one()]}, "unknown member 'points'"),
    "number for data": ({"data": 1}, "data: found 1, expected an object"),
    "no baseData": ({"data": {}}, "data: member baseData is missing"),
    "unknown member beside baseData": (
        {"data": {"baseData": {"metric": "m", "series": [SERIES]}, "baseType": "x"}},
        "data: unknown member 'baseType'",
    ),
    "number for baseData": (
        {"data": {"baseData": 1}},
        "data.baseData: found 1, expected an object",
    ),
    "unknown member of baseData": (
        base(dimensions={}),
        "data.baseData: unknown member 'dimensions'",
    ),
    "no metric": (
        {"data": {"baseData": {"series": [SERIES]}}},
        "data.baseData: member metric is missing",
    ),
    "empty metric": (base(metric=""), "data.baseData.metric: 0 characters, at least 1"),
    "long metric": (base(metric="x" * 257), "data.baseData.metric: 257 characters, at most 256"),
    "long namespace of a document": (
        base(namespace="x" * 257),
        "data.baseData.namespace: 257 characters, at most 256",
    ),
    "no series": (document(), "data.baseData.series: 0 members, at least 1"),
    "object for series": (
        base(series={}),
        "data.baseData.series: found an object, expected an array",
    ),
    "text for dimNames": (
        base(dimNames="x"),
        "data.baseData.dimNames: found text, expected an array",
    ),
    "number for a name": (base(dimNames=[5]), "data.baseData.dimNames[0]: found 5, expected text"),
    "empty name": (base(dimNames=[""]), "data.baseData.dimNames[0]: 0 characters, at least 1"),
    "long name": (
        base(dimNames=["x" * 257]),
        "data.baseData.dimNames[0]: 257 characters, at most 256",
    ),
    "eleven dimNames": (
        base(dimNames=list(ELEVEN)),
        "data.baseData.dimNames: 11 dimensions, at most 10",
    ),
    "a name twice": (
        base(dimNames=["Queue", "Queue"]),
        "data.baseData.dimNames: 'Queue' is given twice",
    ),
    "a name in another case": (
        base(dimNames=["Queue", "QUEUE"]),
        "data.baseData.dimNames: 'Queue' is given twice, as 'QUEUE' too",
    ),
    "number for the time": (document(SERIES, time=5), "time: found 5, expected text"),
}


@pytest.mark.parametrize(("given", "text"), MESSAGES.values(), ids=MESSAGES)
def test_a_bad_message_is_refused_as_a_whole(given: Any, text: str) -> None:
    assert refusal(given) == text
    (rejection,) = read(given).rejections
    assert json.loads(rejection.content) == given


def test_a_refusal_says_which_document_of_an_array_it_is_about() -> None:
    bad = [message(one(), 5), document(SERIES, 5), {}]
    assert [one.detail for one in read([message(one()), *bad]).rejections] == [
        "[1].points[1]: found 5, expected an object",
        "[2].data.baseData.series[1]: found 5, expected an object",
        "[3]: member points is missing",
    ]


def test_a_bad_time_of_a_document_is_refused_for_each_series() -> None:
    details = [one.detail for one in read(document(SERIES, SERIES, time="x")).rejections]
    assert details == [f"data.baseData.series[{index}].time: 'x' {TIMES}" for index in (0, 1)]


REPEATED = {
    "points behind an escape": (
        '{"points": [1], "p\\u006fints": [2]}',
        "member points is given twice",
    ),
    "points": ('{"points": [1], "points": [2]}', "member points is given twice"),
    "data": ('{"data": {}, "data": {}}', "member data is given twice"),
    "baseData": ('{"data": {"baseData": 1, "baseData": 2}}', "member baseData is given twice"),
    "series": (
        '{"data": {"baseData": {"metric": "m", "series": [1], "series": [2]}}}',
        "member series is given twice",
    ),
    "dimNames": (
        '{"data": {"baseData": {"metric": "m", "series": [1], "dimNames": [], "dimNames": []}}}',
        "member dimNames is given twice",
    ),
    "dimValues": (
        '{"data": {"baseData": {"metric": "m", "series": [{"dimValues": [], "dimValues": []}]}}}',
        "data.baseData.series[0]: member dimValues is given twice",
    ),
    "dimensions": (
        '{"points": [{"dimensions": {"a": "x"}, "dimensions": {"b": "x"}}]}',
        "points[0]: member dimensions is given twice",
    ),
    "dimensions, an array first": (
        '{"points": [{"metric": "m", "value": 1, "dimensions": ["a"], "dimensions": {"b": "x"}}]}',
        "points[0]: member dimensions is given twice",
    ),
    "dimensions beside values": (
        '{"points": [{"metric": "m", "values": [1], "dimensions": ["a"], "dimensions": {}}]}',
        "points[0]: member dimensions is given twice",
    ),
    "a dimension": (
        '{"points": [{"metric": "m", "value": 1, "dimensions": {"a": "x", "a": "y"}}]}',
        "points[0].dimensions: 'a' is given twice",
    ),
    "a dimension with the same value": (
        '{"points": [{"metric": "m", "value": 1, "dimensions": {"a": "x", "\\u0061": "x"}}]}',
        "points[0].dimensions: 'a' is given twice",
    ),
}


@pytest.mark.parametrize(("text", "detail"), REPEATED.values(), ids=REPEATED)
def test_a_json_key_given_twice_loses_nothing_in_silence(text: str, detail: str) -> None:
    assert refusal(text) == detail
    # With an address it may be read at once.
    assert refusal(text, Address("n", RESOURCE, REGION)) == detail


def test_words_that_are_keys_may_be_values() -> None:
    point = one(dimensions={"points": "points", "data": "dimensions", "dimensions": "data"})
    parsed = read(message(point, point, namespace="points"))
    assert (len(parsed.points), parsed.rejections) == (2, [])


MISSING = {
    "resource ID": (
        message(one(), resourceId=None),
        "points[0].resourceId: missing, and METRICS_RESOURCE_ID is not set",
    ),
    "resource ID of a document": (
        document(SERIES, resourceId=None),
        "data.baseData.series[0].resourceId: missing, and METRICS_RESOURCE_ID is not set",
    ),
}


@pytest.mark.parametrize("given", [message(one(), region=None), document(SERIES, region=None)])
def test_a_region_that_nobody_gave_is_to_be_looked_up(given: Any) -> None:
    assert only(given).lane == Lane("", RESOURCE)


@pytest.mark.parametrize(("given", "text"), MISSING.values(), ids=MISSING)
def test_an_address_that_nobody_gave_is_refused(given: Any, text: str) -> None:
    assert refusal(given) == text


def test_a_refused_point_stands_alone_in_its_rejection() -> None:
    bad = one(vaule=1, dimensions={"b": "x", "a": "y"})
    (rejection,) = read(message(one(), bad, namespace="N")).rejections
    assert json.loads(rejection.content) == {**ADDRESS, "namespace": "N", "points": [bad]}


def test_a_refused_series_stands_alone_in_its_rejection() -> None:
    bad = {**SERIES, "count": 0}
    (rejection,) = read(document(SERIES, bad, base={"namespace": "N"})).rejections
    assert json.loads(rejection.content) == document(bad, base={"namespace": "N"})


def test_what_json_has_no_word_for_spoils_its_own_point_alone() -> None:
    text = (
        '{"points": [{"metric": "NaN and \\"Infinity", "value": NaN}, {"metric": "-Infinity",'
        '"value": 1}, {"metric": "m", "values": [-Infinity]}]}'
    )
    parsed = read(text, defaults=Address("n", RESOURCE, REGION))
    assert [point.metric for point in parsed.points] == ["-Infinity"]
    assert [rejection.detail for rejection in parsed.rejections] == [
        f"points[0].value: {NOT_FINITE}",
        f"points[2].values[0]: {NOT_FINITE}",
    ]
    assert b'"NaN and \\"Infinity"' in parsed.rejections[0].content


def test_defaults_stand_in_for_nothing_but_the_namespace() -> None:
    assert Address("QueueProcessing", None, "") == DEFAULTS
    assert only(message(one())).namespace == "QueueProcessing"


def test_what_shares_a_rejection_is_refused_for_the_same_reason() -> None:
    old = one(time=at(-3600))
    parsed = read(message(*[{}] * 50, {}, old, {"value": 1}))
    assert [(one.reason, one.detail) for one in parsed.rejections[50:]] == [
        (
            Reason.EXPIRED,
            "points[51].time: 2026-11-23T06:25:30Z is 3600 s old, at most 1200 s",
        ),
        (Reason.INVALID, "points[50]: member metric is missing (and 1 more)"),
    ]
    assert [json.loads(one.content)["points"] for one in parsed.rejections[50:]] == [
        [old],
        [{}, {"value": 1}],
    ]


def test_what_is_refused_many_times_over_does_not_grow_many_times_over() -> None:
    long_id = RESOURCE + "x" * 200
    body = json.dumps(message(*[{}] * 15_000, resourceId=long_id)).encode()
    parsed = read(body)
    assert len(parsed.rejections) == 51
    assert parsed.rejections[50].detail == ("points[50]: member metric is missing (and 14949 more)")
    refused = [json.loads(one.content)["points"] for one in parsed.rejections]
    assert sum(map(len, refused)) == 15_000
    assert sum(len(one.content) for one in parsed.rejections) < 2 * len(body)
