"""What the store makes of values of one series and minute, and what one series is."""

from __future__ import annotations

import sys
from functools import reduce
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .client import QUEUE_ACCOUNT, Client, document, series

TIME = "2026-11-23T07:25:00Z"
NUMBER = st.floats(-1e12, 1e12)


@st.composite
def value_sets(draw: st.DrawFn) -> dict[str, Any]:
    low, high = sorted((draw(NUMBER), draw(NUMBER)))
    return {"min": low, "max": high, "sum": draw(NUMBER), "count": draw(st.integers(1, 1000))}


@given(sets=st.lists(value_sets(), min_size=1, max_size=12), data=st.data())
def test_batching_makes_no_difference(
    emulator: Client, sets: list[dict[str, Any]], data: st.DataObject
) -> None:
    emulator.set("DELETE", "state")
    time = document()["time"]
    cuts = data.draw(st.sets(st.integers(1, len(sets))), label="posts end at")
    joins = data.draw(st.sets(st.integers(1, len(sets))), label="documents end at")
    for start, end in pairwise(sorted({0, *cuts, len(sets)})):
        ends = sorted({start, end} | {each for each in joins if start < each < end})
        batch = [
            document(*(series("a", "b", **each) for each in sets[first:last]), time=time)
            for first, last in pairwise(ends)
        ]
        assert emulator.post(batch).ok
    (value,) = emulator.values()
    assert {name: value[name] for name in ("min", "max", "sum", "count")} == {
        "min": min(each["min"] for each in sets),
        "max": max(each["max"] for each in sets),
        "sum": reduce(lambda total, each: total + each, (each["sum"] for each in sets)),
        "count": sum(each["count"] for each in sets),
    }


def test_minutes_are_kept_apart(frozen: Client) -> None:
    times = ["07:24:59.9999999Z", "07:25:00Z", "07:25:59.999Z", "08:26:00+01:00"]
    assert frozen.post([document(time=f"2026-11-23T{time}") for time in times]).ok
    assert [(value["time"], value["count"]) for value in frozen.values()] == [
        ("2026-11-23T07:24:00Z", 3),
        ("2026-11-23T07:25:00Z", 6),
        ("2026-11-23T07:26:00Z", 3),
    ]


def test_names_compare_without_case_and_keep_their_first_spelling(frozen: Client) -> None:
    assert frozen.post(document(time=TIME)).ok
    other = document(
        series("JPEG", "ImagesToProcess"),
        time=TIME,
        metric="QUEUEDEPTH",
        namespace="queueprocessing",
        dimNames=["messagetype", "queuename"],
    )
    assert frozen.post(other, resource=QUEUE_ACCOUNT.lower()).ok
    (value,) = frozen.values()
    assert value["count"] == 6
    assert (value["resourceId"], value["namespace"], value["metric"]) == (
        QUEUE_ACCOUNT,
        "QueueProcessing",
        "QueueDepth",
    )
    assert value["dimensions"] == {"MessageType": "JPEG", "QueueName": "ImagesToProcess"}


def test_a_new_series_takes_the_spelling_of_the_metric_it_belongs_to(frozen: Client) -> None:
    assert frozen.post(document(time=TIME)).ok
    other = document(
        series("A", "B"), time=TIME, metric="queuedepth", dimNames=["QUEUENAME", "Priority"]
    )
    assert frozen.post(other).ok
    assert [(value["metric"], list(value["dimensions"])) for value in frozen.values()] == [
        ("QueueDepth", ["MessageType", "QueueName"]),
        ("QueueDepth", ["Priority", "QueueName"]),
    ]


def test_dimension_values_compare_with_case(frozen: Client) -> None:
    assert frozen.post(document(series("Images", "b"), series("images", "b"), time=TIME)).ok
    assert [value["dimensions"]["QueueName"] for value in frozen.values()] == ["Images", "images"]


def test_reading_back_filters_without_case_and_sorts(frozen: Client) -> None:
    batch = [document(time=TIME, metric=name, namespace=space) for space in "BA" for name in "yx"]
    assert frozen.post(batch).ok
    assert frozen.post(batch[0], resource=QUEUE_ACCOUNT + "2").ok

    def found(**query: str) -> list[str]:
        return [
            value["resourceId"][len(QUEUE_ACCOUNT) :] + value["namespace"] + value["metric"]
            for value in frozen.values(**query)
        ]

    assert found() == ["Ax", "Ay", "Bx", "By", "2By"]
    assert found(resourceId=QUEUE_ACCOUNT.upper()) == ["Ax", "Ay", "Bx", "By"]
    assert found(namespace="a") == ["Ax", "Ay"]
    assert found(namespace="b", metric="Y") == ["By", "2By"]
    assert found(metric="z") == []


@pytest.mark.parametrize("sign", [1, -1])
def test_a_sum_that_no_double_holds_stays_at_the_greatest(frozen: Client, sign: int) -> None:
    huge = {"min": -1.7e308, "max": 1.7e308, "sum": sign * 1.7e308, "count": 1}
    for _ in range(2):
        assert frozen.post(document(series("a", "b", **huge), time=TIME)).ok
    (value,) = frozen.values()
    assert (value["sum"], value["count"]) == (sign * sys.float_info.max, 2)
    assert frozen.post(document(series("c", "d", **huge), time=TIME)).ok
    answer = frozen.arm(
        f"{QUEUE_ACCOUNT}/providers/Microsoft.Insights/metrics?api-version=2024-02-01"
        "&metricnamespace=QueueProcessing&metricnames=QueueDepth&interval=FULL&aggregation=total"
    ).json()
    (data,) = answer["value"][0]["timeseries"][0]["data"]
    assert data["total"] == sign * sys.float_info.max
