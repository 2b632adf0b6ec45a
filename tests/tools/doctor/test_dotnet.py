"""What .NET reads: time spans, JSON with comments, schedules."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from tests.time_spans import TIME_SPANS
from tools.doctor.dotnet import check_schedule, parse_json, parse_time_span, read_host_json


@pytest.mark.parametrize(("text", "span"), TIME_SPANS.items())
def test_a_time_span_is_read_as_by_net(text: str, span: timedelta | None) -> None:
    assert parse_time_span(text) == span


def test_a_number_is_days_and_nothing_else_is_a_time_span() -> None:
    assert parse_time_span(30) == timedelta(days=30)
    others: tuple[object, ...] = (None, [], {}, 1.5)
    assert [parse_time_span(value) for value in others] == [None] * 4


def test_json_may_have_comments_and_trailing_commas() -> None:
    text = '{// one\n"a": "// no /* comment */", /* two\n */ "b": [1, 2,], "c": ",]",}'
    assert parse_json(text) == {"a": "// no /* comment */", "b": [1, 2], "c": ",]"}


def test_values_are_found_without_case_and_app_settings_replace_them(tmp_path: Path) -> None:
    file = tmp_path / "host.json"
    document = {"Extensions": {"Queues": {"BatchSize": 1, "a": None}}, "functions": ["x"]}
    file.write_text(json.dumps(document), encoding="utf-8-sig")
    setting = "azureFunctionsJobHost__extensions__queues__batchSize"
    assert read_host_json(file, {})["extensions:queues:batchsize"].value == 1
    values = read_host_json(file, {setting: "2", "METRICS_QUEUE": "x"})
    assert values["extensions:queues:batchsize"] == ("batchSize", "2", setting)
    assert values.keys() == {"extensions:queues:batchsize", "functions:0"}


@pytest.mark.parametrize("text", ["{", "1", '"x"', "null"])
def test_what_is_not_an_object_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "host.json").write_text(text)
    with pytest.raises(ValueError, match=r"[Ee]xpect"):
        read_host_json(tmp_path / "host.json", {})


@pytest.mark.parametrize(
    "text",
    [
        "0 * * * * *",
        "*/15 0-30/5,45 * * JAN,jul MON-FRI",
        "*/5 * * * *",
        "0  0 0 1 1 0",
        "00:05:00",
        "0 0 0 * * wed",
    ],
)
def test_a_schedule_is_taken(text: str) -> None:
    check_schedule(text)


@pytest.mark.parametrize(
    "text",
    [
        "* * * *",
        "61 * * * * *",
        "0 * * * * 7",
        "0 0 0 L * *",
        "0 0 0 * * FRI#2",
        "0\t* * * * *",
        "0 0 0 30 2 *",
        "00:00:00",
        "every minute",
    ],
)
def test_a_schedule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        check_schedule(text)
