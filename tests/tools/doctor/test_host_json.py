"""host.json: values that lose points, delay them, or stop the host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from local.stack import ROOT
from tools.doctor.context import Context, Options
from tools.doctor.findings import Status
from tools.doctor.fixes import Fixes, Home
from tools.doctor.host_json import check_host_json

from .contexts import fix_of, make_context, one, ready, results

OURS: dict[str, Any] = json.loads((ROOT / "host.json").read_text())
PREFIX = "AzureFunctionsJobHost__extensions__queues__"


def context_of(folder: Path, text: str, **facts: Any) -> Context:
    (folder / "host.json").write_text(text)
    return ready(options=Options(project=folder), **facts)


def with_queues(**values: Any) -> str:
    queues = {**OURS["extensions"]["queues"], **values}
    return json.dumps({**OURS, "extensions": {"queues": queues}})


def test_ours_is_right() -> None:
    assert one(check_host_json, ready(options=Options(project=ROOT))).status is Status.OK


def test_comments_case_and_numbers_as_text_are_taken(tmp_path: Path) -> None:
    text = with_queues(batchSize="16").replace('"batchSize"', '/* a */ "BATCHSIZE"')
    assert one(check_host_json, context_of(tmp_path, text)).status is Status.OK


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"messageEncoding": "base64"}, "messageEncoding is base64"),
        ({"batchSize": 64}, "batchSize is 64: expected a whole number from 1 to 32"),
        ({"batchSize": True}, "batchSize is True"),
        ({"newBatchThreshold": -1}, "newBatchThreshold is -1"),
        ({"maxDequeueCount": 0}, "maxDequeueCount is 0"),
        ({"maxDequeueCount": 5}, "maxDequeueCount 5 × visibilityTimeout 0:00:30 is 0:02:30"),
        ({"visibilityTimeout": "00:00:00"}, "× visibilityTimeout 0:00:00 is 0:00:00"),
        ({"visibilityTimeout": "24:00:00"}, "which .NET reads as 24 days"),
        ({"visibilityTimeout": "30"}, "which .NET reads as 30 days"),
        ({"visibilityTimeout": "soon"}, "visibilityTimeout is 'soon'"),
        ({"maxPollingInterval": "00:00:00"}, "maxPollingInterval is '00:00:00'"),
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
        ({"batchSizes": 8}, "the host ignores batchSizes of extensions.queues; did you mean b"),
        ({"maxPollingInterval": "00:05:00"}, "maxPollingInterval is 0:05:00"),
        ({"visibilityTimeout": "00:01:00"}, "visibilityTimeout is 00:01:00 in host.json"),
    ],
)
def test_an_odd_value_is_a_warning(tmp_path: Path, values: dict[str, Any], text: str) -> None:
    context = context_of(tmp_path, with_queues(**values))
    assert fix_of(check_host_json, context, text, "warning")


@pytest.mark.parametrize(
    ("change", "text", "status"),
    [
        ({"version": "1.0"}, 'version is not "2.0"', "failed"),
        ({"functionTimeout": "00:01:00"}, "it ends invocations", "failed"),
        ({"functionTimeout": "x"}, "functionTimeout is 'x'", "failed"),
        ({"functionTimeout": "30"}, "which .NET reads as 30 days", "warning"),
        ({"retry": {"strategy": "fixedDelay"}}, "retry is set", "warning"),
        ({"extensionBundle": {"version": "[2.*, 3.0.0)"}}, "extensionBundle is [2.*", "failed"),
        ({"extensionBundle": None}, "extensionBundle is missing", "failed"),
        ({"functions": ["sample_sources"]}, "does not list drain_metrics", "failed"),
    ],
)
def test_the_rest_of_the_file_is_checked(
    tmp_path: Path, change: dict[str, Any], text: str, status: str
) -> None:
    context = context_of(tmp_path, json.dumps({**OURS, **change}))
    assert fix_of(check_host_json, context, text, status)


@pytest.mark.parametrize("timeout", [None, "-1", "00:10:00", "1.00:00:00"])
def test_a_function_timeout_that_is_long_enough_fails_not(tmp_path: Path, timeout: Any) -> None:
    found = results(
        check_host_json, context_of(tmp_path, json.dumps({**OURS, "functionTimeout": timeout}))
    )
    assert [status for status, _ in found if status == "failed"] == []


def test_the_fixes_of_no_visibility_timeout_do_not_undo_each_other(tmp_path: Path) -> None:
    (finding,) = check_host_json(context_of(tmp_path, with_queues(visibilityTimeout="00:00:00")))
    assert finding.fix == ("# In host.json, set extensions.queues.visibilityTimeout to 00:00:30.",)


def test_an_app_setting_that_replaces_a_value_is_removed(tmp_path: Path) -> None:
    setting = f"{PREFIX}maxDequeueCount"
    context = context_of(tmp_path, with_queues(), changes={setting: "5"})
    assert fix_of(check_host_json, context, "maxDequeueCount 5") == [f"unset {setting}"]


def test_an_app_in_azure_gets_an_app_setting(tmp_path: Path) -> None:
    fixes = Fixes(home=Home.APP, app="relay", group="g")
    context = context_of(tmp_path, with_queues(maxDequeueCount=5), fixes=fixes)
    assert fix_of(check_host_json, context, "maxDequeueCount 5")[-1] == (
        "az functionapp config appsettings set --name relay --resource-group g "
        f"--settings {PREFIX}maxDequeueCount=90"
    )


@pytest.mark.parametrize("text", [None, "{", "[]"])
def test_a_file_that_cannot_be_read_fails(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "host.json").write_text(text)
    context = make_context(options=Options(project=tmp_path))
    found = list(check_host_json(context))
    assert Status.FAILED in {finding.status for finding in found}
    assert all(finding.fix for finding in found)
