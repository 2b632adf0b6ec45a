from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.errors import ExpiredError, ValidationError
from shared.messages.schema import PointIn, SeriesIn
from shared.messages.validation import (
    Defaults,
    pair_dimensions,
    parse_dimensions,
    parse_time,
    parse_values,
    validate_dimension_names,
    validate_time,
)
from shared.model import MAX_COUNT, Target, ValueSet
from tests.unit.builders import TEN_DIMENSIONS, WINDOW, encode
from tests.unit.rollups import NOW, REGION, RESOURCE

LONGEST = "é" * 256
ELEVEN = {**TEN_DIMENSIONS, "D10": "x"}


# --- Defaults -----------------------------------------------------------------------------------

CONFIGURED = Defaults("configured", RESOURCE, REGION)
OVERRIDES = {
    "nothing": ({}, CONFIGURED),
    "namespace": ({"namespace": "own"}, Defaults("own", RESOURCE, REGION)),
    "resource ID": (
        {"resource_id": f"{RESOURCE}2"},
        Defaults("configured", f"{RESOURCE}2", REGION),
    ),
    "region": ({"region": "East US"}, Defaults("configured", RESOURCE, "eastus")),
}


@pytest.mark.parametrize(("members", "expected"), OVERRIDES.values(), ids=OVERRIDES)
def test_what_is_given_overrides_the_defaults(members: dict[str, Any], expected: Defaults) -> None:
    given = PointIn(metric="m", **members)
    assert CONFIGURED.override(given, given.namespace) == expected


@pytest.mark.parametrize(("member", "path"), [("resource_id", "resourceId"), ("region", "region")])
@pytest.mark.parametrize("text", ["", "evil.example/#", "/subscriptions/0"])
def test_an_invalid_target_is_an_error(member: str, path: str, text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        CONFIGURED.override(PointIn(metric="m", **{member: text}), None)  # type: ignore[arg-type]
    assert caught.value.path == path


def test_a_target_needs_a_resource_id() -> None:
    assert CONFIGURED.target == Target(REGION, RESOURCE)
    assert Defaults("n", RESOURCE).target == Target("", RESOURCE)
    with pytest.raises(ValidationError) as caught:
        _ = Defaults("n", None, REGION).target
    assert str(caught.value) == "resourceId: missing, and METRICS_RESOURCE_ID is not set"


# --- Dimensions ---------------------------------------------------------------------------------

SORTED = (("a", "2"), ("B", "1"), ("c", "3"))
DIMENSIONS: dict[str, tuple[Any, Any]] = {
    "missing": (b"", ()),
    "null": (None, ()),
    "none": ({}, ()),
    "sorted without case": ({"c": "3", "B": "1", "a": "2"}, SORTED),
    "ten": (TEN_DIMENSIONS, tuple(TEN_DIMENSIONS.items())),
    "longest": ({LONGEST: LONGEST}, ((LONGEST, LONGEST),)),
    "escaped": (b'{"\\u0061\\n": "\\""}', (("a\n", '"'),)),
    "given twice": (b'{"a": "1", "b": "2", "a": "3"}', (("a", "3"), ("b", "2"))),
}


@pytest.mark.parametrize(("given", "expected"), DIMENSIONS.values(), ids=DIMENSIONS)
def test_parse_dimensions(given: Any, expected: Any) -> None:
    assert parse_dimensions(encode(given)) == expected


INVALID_DIMENSIONS: dict[str, tuple[Any, str]] = {
    "eleven": (ELEVEN, "dimensions: 11 dimensions, at most 10"),
    "empty name": ({"": "x"}, "dimensions: a name of 0 characters, at least 1"),
    "long name": ({LONGEST + "x": "x"}, "dimensions: a name of 257 characters, at most 256"),
    "empty value": ({"Queue": ""}, "dimensions.Queue: 0 characters, at least 1"),
    "long value": ({"Queue": LONGEST + "x"}, "dimensions.Queue: 257 characters, at most 256"),
    "null": ({"Queue": None}, "dimensions.Queue: found null, expected text"),
    "number": ({"Queue": 5}, "dimensions.Queue: found 5, expected text"),
    "boolean": ({"Queue": True}, "dimensions.Queue: found true, expected text"),
    "array": ({"Queue": ["x"]}, "dimensions.Queue: found an array, expected text"),
    "object": ({"Queue": {}}, "dimensions.Queue: found an object, expected text"),
    "odd characters": ({"a\n\u212a": 5}, r"dimensions.a\n\u212a: found 5, expected text"),
    "name in another case": (
        {"Queue": "x", "queUe": "y"},
        "dimensions: 'Queue' is given twice, as 'queUe' too",
    ),
    "name in another case of another script": (
        {"Straße": "x", "STRASSE": "y"},
        r"dimensions: 'Stra\xdfe' is given twice, as 'STRASSE' too",
    ),
    "name that only looks the same": (
        {"k": "x", "\u212a": "y"},
        r"dimensions: 'k' is given twice, as '\u212a' too",
    ),
}


@pytest.mark.parametrize(("given", "text"), INVALID_DIMENSIONS.values(), ids=INVALID_DIMENSIONS)
def test_invalid_dimensions_are_an_error(given: Any, text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse_dimensions(encode(given))
    assert str(caught.value) == text


NOT_DIMENSIONS = {
    "array": b"[]",
    "text": b'"x"',
    "not JSON": b'{"a"}',
    "half a surrogate pair": b'{"\\udfff": "x"}',
    "nested too deeply": b'{"a": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "number of many digits": b'{"a": ' + b"9" * 5000 + b"}",
}


@pytest.mark.parametrize("raw", NOT_DIMENSIONS.values(), ids=NOT_DIMENSIONS)
def test_what_is_not_dimensions_is_an_error(raw: bytes) -> None:
    with pytest.raises(ValidationError, match=r"^dimensions"):
        parse_dimensions(raw)


def test_the_dimensions_of_a_document_are_sorted_too() -> None:
    assert pair_dimensions(("c", "B", "a"), ("3", "1", "2")) == SORTED
    assert pair_dimensions((), ()) == ()


@pytest.mark.parametrize("values", [(), ("x", "y")])
def test_each_name_of_a_document_has_a_value(values: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        pair_dimensions(("Queue",), values)
    assert str(caught.value) == f"dimValues: {len(values)} values for 1 dimNames"


def test_names_are_validated_at_the_path_of_the_caller() -> None:
    validate_dimension_names("dimNames", TEN_DIMENSIONS)
    with pytest.raises(ValidationError, match=r"^dimNames: 11 dimensions, at most 10$"):
        validate_dimension_names("dimNames", ELEVEN)
    with pytest.raises(ValidationError, match=r"^dimNames: 'Queue' is given twice$"):
        validate_dimension_names("dimNames", ["Queue", "Queue"])


# --- Values -------------------------------------------------------------------------------------

VALUE_SETS: dict[str, tuple[float, float, float, int]] = {
    "set": (3, 20, 28, 3),
    "zeros": (0, 0, 0, 5),
    "least sum": (3, 20, 9, 3),
    "largest sum": (3, 20, 60, 3),
    "largest count": (0, 1, 5, MAX_COUNT),
    "count × max is not a double": (-1e308, 1e308, 1e307, 1000),
    "rounded sum": (0.1, 0.1, 0.30000000000000004, 3),
    "rounded sum above max": (0, 0.1, 0.30000000000000004, 3),
    "rounded sum below min": (-0.1, 0, -0.30000000000000004, 3),
    "sum in single precision": (0.1, 0.1, 99999.99, 1_000_000),
}


@pytest.mark.parametrize(("low", "high", "total", "count"), VALUE_SETS.values(), ids=VALUE_SETS)
def test_a_value_set_is_returned_as_given(
    low: float, high: float, total: float, count: int
) -> None:
    expected = ValueSet(low, high, total, count)
    assert parse_values(SeriesIn(min=low, max=high, sum=total, count=count)) == expected
    point_in = PointIn(metric="m", min=low, max=high, sum=total, count=count)
    assert parse_values(point_in) == expected


INVALID_VALUE_SETS: dict[str, tuple[tuple[float, float, float, int], str]] = {
    "min above max": ((3.5, 3, 6, 2), "min: 3.5 is above max 3"),
    "sum too small": ((1, 3, 1.9, 2), "sum: 1.9 is outside count × [min, max] = [2, 6]"),
    "sum too large": ((1, 3, 6.1, 2), "sum: 6.1 is outside count × [min, max] = [2, 6]"),
    "sum beyond rounding": (
        (1e6, 1e6, 2e6 + 3, 2),
        "sum: 2000003.0 is outside count × [min, max] = [2000000.0, 2000000.0]",
    ),
    "count × max is not a double": (
        (1e308, 1e308, 1e308, 2),
        "sum: 1e+308 is outside count × [min, max] = [inf, inf]",
    ),
}


@pytest.mark.parametrize(("given", "text"), INVALID_VALUE_SETS.values(), ids=INVALID_VALUE_SETS)
def test_an_invalid_value_set_is_an_error(
    given: tuple[float, float, float, int], text: str
) -> None:
    low, high, total, count = given
    with pytest.raises(ValidationError) as caught:
        parse_values(SeriesIn(min=low, max=high, sum=total, count=count))
    assert str(caught.value) == text


VALUES: dict[str, tuple[dict[str, Any], float | ValueSet]] = {
    "value": ({"value": -0.5}, -0.5),
    "values": ({"values": [3.0, 20.0, 5.0]}, ValueSet(3, 20, 28, 3)),
    "one of values": ({"values": [3.0]}, ValueSet(3, 3, 3, 1)),
    "sum without rounding": ({"values": [0.1] * 10}, ValueSet(0.1, 0.1, 1.0, 10)),
}


@pytest.mark.parametrize(("members", "expected"), VALUES.values(), ids=VALUES)
def test_a_point_has_a_value_or_several(
    members: dict[str, Any], expected: float | ValueSet
) -> None:
    assert parse_values(PointIn(metric="m", **members)) == expected


FORMS = "; give exactly one of value, values, or min with max, sum and count"
MISSING = "missing; min, max, sum and count go together"
INVALID_VALUES: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, f"no value is given{FORMS}"),
    "value and values": ({"value": 1, "values": [1]}, f"value and values are given{FORMS}"),
    "value and count": ({"value": 1, "count": 1}, f"value and count are given{FORMS}"),
    "values and min": ({"values": [1], "min": 1}, f"values and min are given{FORMS}"),
    "no min": ({"max": 1, "sum": 1, "count": 1}, f"min: {MISSING}"),
    "no max": ({"min": 1, "sum": 1, "count": 1}, f"max: {MISSING}"),
    "no sum": ({"min": 1, "max": 1, "count": 1}, f"sum: {MISSING}"),
    "no count": ({"min": 1, "max": 1, "sum": 1}, f"count: {MISSING}"),
    "sum too large": ({"values": [1e308, 1e308]}, "values: their sum is not a finite double"),
    "sum too small": ({"values": [-1e308, -1e308]}, "values: their sum is not a finite double"),
}


@pytest.mark.parametrize(("members", "text"), INVALID_VALUES.values(), ids=INVALID_VALUES)
def test_invalid_values_are_an_error(members: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse_values(PointIn(metric="m", **members))
    assert str(caught.value) == text


# --- Times --------------------------------------------------------------------------------------

TIMES = {
    "Z": ("2026-11-23T07:25:01Z", "2026-11-23T07:25:01Z"),
    "no offset": ("2026-11-23T07:25:01", "2026-11-23T07:25:01Z"),
    "lower case": ("2026-11-23t07:25:01z", "2026-11-23T07:25:01Z"),
    "space": ("2026-11-23 07:25:01", "2026-11-23T07:25:01Z"),
    "offset of half an hour": ("2026-11-23T12:55:01+05:30", "2026-11-23T07:25:01Z"),
    "offset of hours": ("2026-11-23T08:25:01+01", "2026-11-23T07:25:01Z"),
    "another day": ("2026-11-22T23:25:01-08:00", "2026-11-23T07:25:01Z"),
    "no seconds": ("2026-11-23T07:25Z", "2026-11-23T07:25:00Z"),
    "3 digits": ("2026-11-23T07:25:01.123Z", "2026-11-23T07:25:01.123000Z"),
    "comma": ("2026-11-23T07:25:01,5Z", "2026-11-23T07:25:01.500000Z"),
    "7 digits": ("2026-11-23T07:25:01.1234567Z", "2026-11-23T07:25:01.123456Z"),
    "7 digits that would round up": ("2026-11-23T07:25:59.9999999Z", "2026-11-23T07:25:59.999999Z"),
    "60,000 digits": (f"2026-11-23T07:25:01.{'1' * 60_000}Z", "2026-11-23T07:25:01.111111Z"),
    "basic format": ("20261123T072501Z", "2026-11-23T07:25:01Z"),
}


@pytest.mark.parametrize(("text", "expected"), TIMES.values(), ids=TIMES)
def test_a_time_is_returned_in_utc(text: str, expected: str) -> None:
    found = parse_time(text)
    assert (found, found.tzinfo) == (datetime.fromisoformat(expected), UTC)


@pytest.fixture
def _india(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set the time zone of the machine to that of India."""
    monkeypatch.setenv("TZ", "IST-5:30")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_india")
@pytest.mark.parametrize("text", ["2026-11-23T07:25:30", "2026-11-23T08:25:30+01:00"])
def test_the_time_zone_of_the_machine_does_not_matter(text: str) -> None:
    assert parse_time(text) == NOW


INVALID_TIMES = {
    "empty": "",
    "word": "now",
    "date alone": "2026-11-23",
    "time alone": "07:25:30",
    "seconds since 1970": "1795418730",
    "another separator": "2026-11-23_07:25:30",
    "no such day": "2026-02-30T07:25:30Z",
    "no such hour": "2026-11-23T25:25:30Z",
    "leap second": "2026-11-23T07:25:60Z",
    "name of a time zone": "2026-11-23T07:25:30 CET",
    "before the first year": "0001-01-01T00:00:00+14:00",
    "after the last year": "9999-12-31T23:59:59-14:00",
    "full-width digit": "2026-11-23T07:25:3\uff10Z",
}


@pytest.mark.parametrize("text", INVALID_TIMES.values(), ids=INVALID_TIMES)
def test_an_invalid_time_is_an_error(text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse_time(text)
    expected = f"time: {text!a} is not a time in ISO 8601, such as 2026-11-23T07:25:00Z"
    assert str(caught.value) == expected


@pytest.mark.parametrize("seconds", [-1200, 0, 240])
def test_a_time_at_the_edge_of_the_window_is_valid(seconds: float) -> None:
    validate_time(NOW + timedelta(seconds=seconds), NOW, WINDOW)


OUTSIDE = [
    (-1200.000001, ExpiredError, "2026-11-23T07:05:29.999999Z is 1201 s old, at most 1200 s"),
    (-86_400, ExpiredError, "2026-11-22T07:25:30Z is 86400 s old, at most 1200 s"),
    (240.000001, ValidationError, "2026-11-23T07:29:30.000001Z is 241 s ahead, at most 240 s"),
    (3600, ValidationError, "2026-11-23T08:25:30Z is 3600 s ahead, at most 240 s"),
]


@pytest.mark.parametrize(("seconds", "kind", "text"), OUTSIDE)
def test_a_time_outside_the_window_is_an_error(
    seconds: float, kind: type[ValidationError], text: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        validate_time(NOW + timedelta(seconds=seconds), NOW, WINDOW)
    assert (type(caught.value), str(caught.value)) == (kind, f"time: {text}")


HINT = "; a time without an offset is UTC"
OFFSETS = {
    "no offset, an hour ahead": ("2026-11-23T08:24:30", HINT),
    "no offset, five and a half hours ahead": ("2026-11-23T12:55:30", HINT),
    "no offset, eight hours old": ("2026-11-22T23:20:30", HINT),
    "no offset, not about half hours": ("2026-11-23T08:10:30", ""),
    "an offset, an hour ahead": ("2026-11-23t08:24:30z", ""),
}


@pytest.mark.parametrize(("given", "hint"), OFFSETS.values(), ids=OFFSETS)
def test_a_time_that_may_be_local_gets_a_hint(given: str, hint: str) -> None:
    with pytest.raises(ValidationError) as caught:
        validate_time(parse_time(given), NOW, WINDOW, given)
    assert str(caught.value).rpartition(" s")[2] == hint
