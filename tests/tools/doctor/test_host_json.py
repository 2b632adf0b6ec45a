"""host.json: values that lose points, delay them, or stop the host."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from local.stack import ROOT
from tests.time_spans import TIME_SPANS
from tools.doctor.context import Context
from tools.doctor.findings import Status
from tools.doctor.fixes import Fixes, Home
from tools.doctor.host_json import _OURS, check_host_json, parse_json, parse_time_span, read_options

from .contexts import fix_of, make_context, one, ready, results

OURS: dict[str, Any] = json.loads((ROOT / "host.json").read_text())
PREFIX = "AzureFunctionsJobHost__extensions__queues__"


def context_of(folder: Path, text: str, **facts: Any) -> Context:
    (folder / "host.json").write_text(text)
    return ready(project=folder, **facts)


def with_queues(**values: Any) -> str:
    queues = {**OURS["extensions"]["queues"], **values}
    return json.dumps({**OURS, "extensions": {"queues": queues}})


def test_ours_is_right() -> None:
    assert one(check_host_json, ready()).status is Status.OK


def test_comments_case_and_numbers_as_text_are_taken(tmp_path: Path) -> None:
    text = with_queues(batchSize="16").replace('"batchSize"', '/* a */ "BATCHSIZE"')
    assert one(check_host_json, context_of(tmp_path, text)).status is Status.OK


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"messageEncoding": "base64"}, "messageEncoding is base64"),
        ({"batchSize": 64}, "batchSize is 64: expected a whole number from 1 to 32"),
        ({"batchSize": True}, "batchSize is True"),
        ({"batchSize": 0}, "batchSize is 0"),
        ({"maxDequeueCount": "many"}, "maxDequeueCount is many"),
        ({"maxDequeueCount": 0}, "maxDequeueCount is 0: retries end after 0:00:00"),
        ({"maxDequeueCount": 5}, "maxDequeueCount is 5: retries end after 0:02:30, before"),
        ({"visibilityTimeout": "00:00:01"}, "00:00:01: retries end after 0:01:30"),
        ({"visibilityTimeout": "00:00:00"}, "visibilityTimeout is 00:00:00: expected"),
        ({"visibilityTimeout": "24:00:00"}, "the host reads other forms as days"),
        ({"visibilityTimeout": "30"}, "visibilityTimeout is 30: expected hh:mm:ss"),
        ({"maxPollingInterval": "30"}, "maxPollingInterval is 30: expected hh:mm:ss"),
        ({"maxPollingInterval": "abc"}, "maxPollingInterval is abc: expected hh:mm:ss"),
        ({"maxPollingInterval": "01:00:00"}, "is 01:00:00: points expire unread"),
        ({"newBatchThreshold": -1}, "newBatchThreshold is -1: expected a whole number"),
        ({"newBatchThreshold": "x"}, "newBatchThreshold is x: expected a whole number"),
    ],
)
def test_a_wrong_value_fails_and_its_fix_names_ours(
    tmp_path: Path, values: dict[str, Any], text: str
) -> None:
    fix = fix_of(check_host_json, context_of(tmp_path, with_queues(**values)), text, "failed")
    (name,) = values
    ours = OURS["extensions"]["queues"][name]
    assert fix == [f"# In host.json, set extensions.queues.{name} to {ours}."]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"batchSizes": 8}, "The host ignores batchSizes of extensions.queues; did you mean b"),
        ({"visibilityTimeout": "00:01:00"}, "visibilityTimeout is 00:01:00, but the app hides"),
    ],
)
def test_an_odd_value_is_a_warning(tmp_path: Path, values: dict[str, Any], text: str) -> None:
    context = context_of(tmp_path, with_queues(**values))
    assert fix_of(check_host_json, context, text, "warning")


def test_the_values_of_this_project_are_those_of_its_file(tmp_path: Path) -> None:
    context = context_of(tmp_path, "{}")
    messages = [message for _, message in results(check_host_json, context)]
    assert [message.partition(" ")[0] for message in messages] == [
        "messageEncoding",
        "visibilityTimeout",
    ]
    assert {name: str(value) for name, value in OURS["extensions"]["queues"].items()} == _OURS


def test_options_are_found_without_case_and_app_settings_replace_them(tmp_path: Path) -> None:
    file = tmp_path / "host.json"
    document = {"Extensions": {"Queues": {"BatchSize": 1, "a": None}}, "functions": ["x"]}
    file.write_text(json.dumps(document), encoding="utf-8-sig")
    assert read_options(file, {}) == {"batchsize": ("BatchSize", 1, None)}
    setting = "azureFunctionsJobHost__extensions__queues__batchSize"
    options = read_options(file, {setting: "2", "METRICS_QUEUE": "x"})
    assert options == {"batchsize": ("batchSize", "2", setting)}


def test_json_may_have_comments_and_trailing_commas() -> None:
    text = '{// one\n"a": "// no /* comment */", /* two\n */ "b": [1, 2,], "c": ",]",}'
    assert parse_json(text) == {"a": "// no /* comment */", "b": [1, 2], "c": ",]"}


@pytest.mark.parametrize(("text", "span"), TIME_SPANS.items())
def test_a_time_span_is_read_as_by_net_or_not_at_all(text: str, span: timedelta | None) -> None:
    assert parse_time_span(text) in (span, None)
    if re.fullmatch(r"([01]\d|2[0-3])(:[0-5]\d){2}", text):
        assert parse_time_span(text) is not None


def test_an_app_setting_that_replaces_a_value_is_removed(tmp_path: Path) -> None:
    setting = f"{PREFIX}maxDequeueCount"
    context = context_of(tmp_path, with_queues(), changes={setting: "5"})
    assert fix_of(check_host_json, context, "maxDequeueCount is 5") == [f"unset {setting}"]


def test_an_app_in_azure_gets_an_app_setting(tmp_path: Path) -> None:
    fixes = Fixes(home=Home.APP, app="relay", group="g")
    context = context_of(tmp_path, with_queues(maxDequeueCount=5), fixes=fixes)
    assert fix_of(check_host_json, context, "maxDequeueCount is 5")[-1] == (
        "az functionapp config appsettings set --name relay --resource-group g "
        f"--settings {PREFIX}maxDequeueCount=90"
    )


@pytest.mark.parametrize("text", [None, "{", "[]", "null", '{"extensions": 1}'])
def test_a_file_that_cannot_be_read_fails(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "host.json").write_text(text)
    context = make_context(project=tmp_path)
    found = list(check_host_json(context))
    assert Status.FAILED in {finding.status for finding in found}
    assert all(finding.fix for finding in found)
