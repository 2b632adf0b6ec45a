from __future__ import annotations

import json
from typing import Any

import pytest

from shared.messages.body import split_documents
from shared.messages.part_parser import MAX_SINGLE_BYTES, MAX_SINGLE_REJECTIONS, PartParser
from shared.messages.series_cache import SeriesCache
from shared.model import Reason, Rejection
from tests.unit.builders import (
    DEFAULTS,
    SERIES,
    TEN_DIMENSIONS,
    WINDOW,
    at,
    document,
    encode,
    message,
    point,
)
from tests.unit.rollups import NOW, RESOURCE


def read(body: Any) -> tuple[list[float], list[Rejection]]:
    """Return the sums of the valid parts of a body, and the rejections of the others."""
    parser = PartParser(SeriesCache(), DEFAULTS, WINDOW, NOW, NOW)
    for where, raw in split_documents(encode(body)):
        parser.parse(where, raw)
    sums = [
        value if isinstance(value, float) else value.sum
        for rollup in parser.rollups.values()
        for group in rollup.minutes.values()
        for values in group.values()
        for value in values
    ]
    return sums, parser.rejections()


OLD = at(-3600)
INVALID_POINTS: dict[str, tuple[Any, str]] = {
    "type": (5, ": "),
    "member": (point(value="x"), ".value: "),
    "values": (point(values=[1]), ": value and values are given"),
    "dimensions": (point(dimensions={"Queue": ""}), ".dimensions.Queue: 0 characters, at least 1"),
    "region": (point(region="evil.example/#"), ".region: 'evil.example/#' is not a region"),
    "resource ID": (point(resourceId="x"), ".resourceId: 'x' is not a resource ID"),
    "time": (point(time="now"), ".time: 'now' is not a time in ISO 8601"),
    "NaN": (point(value=float("nan")), ".value: "),
    "Infinity": (point(value=None, values=[1, float("-inf")]), ".values[1]: "),
}


@pytest.mark.parametrize(("given", "text"), INVALID_POINTS.values(), ids=INVALID_POINTS)
def test_an_invalid_point_is_rejected_alone(given: Any, text: str) -> None:
    sums, (rejection,) = read(message(point(value=10), given, point(value=20), namespace="N"))
    assert sums == [10, 20]
    assert rejection.detail.startswith(f"points[1]{text}")
    assert (rejection.reason, rejection.points) == (Reason.INVALID, 1)
    content = json.dumps(message(given, namespace="N")).replace("NaN", "1e999")
    assert json.loads(rejection.content) == json.loads(content.replace("-Infinity", "1e999"))


INVALID_SERIES: dict[str, tuple[Any, str]] = {
    "type": (5, ": "),
    "member": ({**SERIES, "count": 0}, ".count: "),
    "value set": ({**SERIES, "min": 4}, ".min: 4.0 is above max 3.0"),
    "dimValues": ({**SERIES, "dimValues": []}, ".dimValues: 0 values for 1 dimNames"),
}


@pytest.mark.parametrize(("given", "text"), INVALID_SERIES.values(), ids=INVALID_SERIES)
def test_an_invalid_series_is_rejected_alone(given: Any, text: str) -> None:
    base = {"namespace": "N"}
    sums, (rejection,) = read(document(SERIES, given, SERIES, base=base))
    assert sums == [4, 4]
    assert rejection.detail.startswith(f"data.baseData.series[1]{text}")
    assert (rejection.reason, rejection.points) == (Reason.INVALID, 1)
    assert json.loads(rejection.content) == document(given, base=base)


INVALID_MESSAGES: dict[str, tuple[Any, str]] = {
    "empty": ({}, ""),
    "unknown member": (
        message(point(), regoin="x"),
        "unknown member 'regoin'; did you mean region?",
    ),
    "points": ({"points": {}}, "points: "),
    "region": (message(point(), region="evil.example/#"), "region: "),
    "resource ID": (message(point(), resourceId="/subscriptions/0"), "resourceId: "),
    "too many points": (message(*[5] * 101), "points: 101 parts in "),
    "series": (document(), "data.baseData.series: "),
    "too many series": (document(*[5] * 101), "data.baseData.series: 101 parts in "),
    "dimNames": (
        document(SERIES, base={"dimNames": [*TEN_DIMENSIONS, "x"]}),
        "data.baseData.dimNames: 11 dimensions, at most 10",
    ),
    "points and data": ({**document(SERIES), "points": [point()]}, "unknown member 'points'"),
}


def test_the_error_of_a_malformed_array_is_that_it_is_malformed() -> None:
    _, rejections = read(b"{}\n[1,")
    assert rejections[1].detail.startswith("line 2: not valid JSON: ")


@pytest.mark.parametrize(("given", "text"), INVALID_MESSAGES.values(), ids=INVALID_MESSAGES)
def test_an_invalid_message_is_rejected_as_a_whole(given: Any, text: str) -> None:
    sums, (rejection,) = read(given)
    assert (sums, rejection.reason) == ([], Reason.INVALID)
    assert rejection.detail.startswith(text)
    assert json.loads(rejection.content) == given


VALUE_SET = {"min": 1, "max": 3, "sum": 4, "count": 2}
VALID_NAMES: dict[str, tuple[Any, Any]] = {
    "ten": (list(TEN_DIMENSIONS), {**VALUE_SET, "dimValues": ["x"] * 10}),
    "empty": ([], {**VALUE_SET, "dimValues": []}),
    "null": (None, {**VALUE_SET, "dimValues": None}),
    "missing values": ([], VALUE_SET),
}


@pytest.mark.parametrize(("names", "series"), VALID_NAMES.values(), ids=VALID_NAMES)
def test_a_document_may_have_up_to_ten_names(names: Any, series: Any) -> None:
    assert read(document(series, series, base={"dimNames": names})) == ([4, 4], [])


def test_a_value_may_be_the_name_of_a_member() -> None:
    names = {"points": "points", "data": "dimensions", "dimensions": "data"}
    assert read(message(point(metric="data", dimensions=names))) == ([1], [])


def test_the_time_of_a_document_is_that_of_each_series() -> None:
    _, rejections = read(document(SERIES, SERIES, time="now"))
    assert [one.detail.partition(":")[0] for one in rejections] == [
        "data.baseData.series[0].time",
        "data.baseData.series[1].time",
    ]


@pytest.mark.parametrize("body", [message(*[5] * 100), document(*[5] * 100)])
def test_as_many_parts_as_allowed_are_read_one_by_one(body: Any) -> None:
    _, rejections = read(body)
    assert sum(rejection.points for rejection in rejections) == 100


@pytest.mark.parametrize(
    "body", [message(point(), resourceId=None), document(SERIES, resourceId=None)]
)
def test_a_part_without_a_resource_id_is_rejected(body: Any) -> None:
    _, (rejection,) = read(body)
    assert rejection.detail.endswith("].resourceId: missing, and METRICS_RESOURCE_ID is not set")
    assert rejection.resource_id is None


@pytest.mark.parametrize("body", [message(point(time=OLD)), document(SERIES, time=OLD)])
def test_an_expired_part_is_rejected_with_its_resource(body: Any) -> None:
    _, (rejection,) = read(body)
    assert (rejection.reason, rejection.resource_id) == (Reason.EXPIRED, RESOURCE)
    assert rejection.detail.endswith("].time: 2026-11-23T06:25:30Z is 3600 s old, at most 1200 s")


def test_a_point_with_its_own_resource_is_rejected_with_it() -> None:
    _, (rejection,) = read(message(point(time=OLD, resourceId=f"{RESOURCE}2")))
    assert rejection.resource_id == f"{RESOURCE}2"


DOCUMENTS = {
    "array": ([message(point()), message(point(), 5), document(SERIES, 5), {}], "[1].points[1]: "),
    "lines": ("\n".join(map(json.dumps, [message(point()), message(5)])), "line 2: points[0]: "),
    "line that is not JSON": ('{"points": [\n' + json.dumps(message(point())), "line 1: not valid"),
}


@pytest.mark.parametrize(("body", "text"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_rejection_says_which_document_it_is_from(body: Any, text: str) -> None:
    sums, rejections = read(body)
    assert sums[:1] == [1]
    assert rejections[0].detail.startswith(text)


def test_deeply_nested_dimensions_are_rejected_at_any_depth() -> None:
    text = json.dumps(message(point(dimensions={"a": "x"})))
    for depth in range(700, 1100):
        sums, (rejection,) = read(text.replace('"x"', "[" * depth + "]" * depth))
        assert (sums, rejection.reason) == ([], Reason.INVALID)


# --- Many rejections ----------------------------------------------------------------------------

# Rejections of N invalid parts, of which MAX_SINGLE_REJECTIONS stand alone.
MANY = {
    "points": lambda count: message(*[5] * count),
    "series": lambda count: document(*[5] * count),
    "documents": lambda count: [{}] * count,
    "numbers": lambda count: [5] * count,
    "documents of one point": lambda count: [message(5)] * count,
    "documents of two points": lambda count: (
        [message(5, 5)] * (count // 2) + [message(5)] * (count % 2)
    ),
    "lines": lambda count: "{}\n" * count,
    "values that are not documents": lambda count: "{}" + "5 " * (count - 1),
}


@pytest.mark.parametrize("body_of", MANY.values(), ids=MANY)
def test_after_the_first_rejections_the_rest_share_one(body_of: Any) -> None:
    most = MAX_SINGLE_REJECTIONS
    assert [one.points for one in read(body_of(most))[1]] == [1] * most
    assert [one.points for one in read(body_of(most + 1))[1]] == [1] * (most + 1)
    _, rejections = read(body_of(most + 3))
    assert [one.points for one in rejections] == [1] * most + [3]
    assert rejections[-1].detail.endswith(" (and 2 more)")


def test_what_shares_a_rejection_has_the_same_reason() -> None:
    old = point(time=OLD)
    _, rejections = read(message(*[{}] * MAX_SINGLE_REJECTIONS, {}, old, {"value": 1}))
    shared = {one.reason: one for one in rejections[MAX_SINGLE_REJECTIONS:]}
    assert [json.loads(one.content)["points"] for one in shared.values()] == [
        [{}, {"value": 1}],
        [old],
    ]
    assert shared[Reason.INVALID].detail.startswith("points[50]: ")
    assert shared[Reason.EXPIRED].detail.startswith("points[51].time: ")
    assert shared[Reason.EXPIRED].resource_id == RESOURCE


SHARED: dict[str, tuple[Any, bytes]] = {
    "array": ([{}, {"points": 5}, 7], b'[{},{"points": 5},7]'),
    "lines": ('{}\n{"points": 5}\n', b'[{},{"points": 5}]'),
    # One by one, they can still be read.
    "lines that are not all JSON": ('{}\n{"points": [', b'{}\n{"points": ['),
}


@pytest.mark.parametrize(("rest", "content"), SHARED.values(), ids=SHARED)
def test_a_shared_rejection_holds_all_documents(rest: Any, content: bytes) -> None:
    first: list[Any] = [{}] * MAX_SINGLE_REJECTIONS
    _, rejections = read("{}\n" * len(first) + rest if isinstance(rest, str) else first + rest)
    assert rejections[-1].content == content


LONG_NAMES = [f"{number}" + "\x00" * 255 for number in range(10)]
LARGE: dict[str, Any] = {
    "many points with a long resource ID": message(*[{}] * 100, resourceId=RESOURCE + "x" * 200),
    "long names": document(*[{}] * 100, base={"dimNames": LONG_NAMES}),
    "many documents": [message(5)] * 300,
    "large points": message(*[{"x": "y" * 1000}] * 60),
    "both reasons": [message(*[{}, point(time=OLD)] * 5)] * 30,
}


@pytest.mark.parametrize("body", LARGE.values(), ids=LARGE)
def test_the_rejections_of_a_body_do_not_outgrow_it(body: Any) -> None:
    _, rejections = read(body)
    assert len(rejections) <= MAX_SINGLE_REJECTIONS + len(Reason)
    size = sum(len(one.content) for one in rejections)
    assert size < MAX_SINGLE_BYTES + 3 * len(encode(body))
