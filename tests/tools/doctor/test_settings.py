"""Settings and triggers: what is wrong, what is misspelt, and the fix of each."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from local.stack import ROOT
from tests.scripted import serving
from tools.doctor.fixes import Fixes, Home
from tools.doctor.settings import KNOWN, check_settings

from .contexts import SITE, fix_of, make_context, one, results


def test_complete_settings_are_right_and_the_next_checks_get_them() -> None:
    context = make_context()
    assert results(check_settings, context) == [("ok", "All settings are valid, with 0 sources")]
    assert context.has("settings")


def test_the_known_settings_are_those_that_the_code_reads() -> None:
    files = (ROOT / "shared" / "settings.py", ROOT / "function_app.py")
    code = "".join(file.read_text(encoding="utf-8") for file in files)
    assert set(re.findall("METRICS_[A-Z_]+", code)) == KNOWN


@pytest.mark.parametrize(
    ("name", "value", "text", "fix"),
    [
        ("METRICS_QUEUE", "My_Queue", "expected a queue name", "export METRICS_QUEUE=metrics"),
        ("MetricsStorage", None, "not set", "export MetricsStorage=UseDevelopmentStorage=true"),
        ("MetricsStorage", "x", "not a valid", "export MetricsStorage=UseDevelopmentStorage=true"),
        ("METRICS_RESOURCE_ID", "shop", "is 'shop'", 'export METRICS_RESOURCE_ID="$RESOURCE_ID"'),
        ("METRICS_REGION", "west-europe", "is 'west-e", 'export METRICS_REGION="$REGION"'),
        (
            "METRICS_ALLOWED_SCOPES",
            "shop",
            "not a prefix",
            'export METRICS_ALLOWED_SCOPES="/subscriptions/$SUBSCRIPTION/resourceGroups/$GROUP',
        ),
        ("METRICS_PAST_MINUTES", "90", "a whole number from 1 to 30", "unset METRICS_PAST_MINUTES"),
        (
            "MetricsStorage",
            "@Microsoft.KeyVault(S)",
            "Only the platform reads the key vault of MetricsStorage",
            "# In local.settings.json, replace the reference",
        ),
    ],
)
def test_a_wrong_setting_is_reported_with_its_fix(
    name: str, value: str | None, text: str, fix: str
) -> None:
    context = make_context({name: value})
    assert fix_of(check_settings, context, text)[-1].startswith(fix)
    assert not context.has("settings")


def test_every_wrong_setting_is_reported_at_once() -> None:
    wrong = {"METRICS_QUEUE": None, "METRICS_REGION": "west-europe", "METRICS_PAST_MINUTES": "90"}
    messages = [text for _, text in results(check_settings, make_context(wrong))]
    assert [name for name in wrong if name in " ".join(messages)] == list(wrong)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("METRICS_NAMESPCE", "METRICS_NAMESPACE"),
        ("METRIC_NAMESPACE", "METRICS_NAMESPACE"),
        ("metrics_namespace", "METRICS_NAMESPACE"),
        ("METRICS_SOURCE", "METRICS_SOURCES"),
        ("MetricsStorage__acountName", "MetricsStorage__accountName"),
        ("MetricStorage__accountName", "MetricsStorage__accountName"),
    ],
)
def test_a_misspelt_name_is_corrected(name: str, meant: str) -> None:
    fix = fix_of(check_settings, make_context({name: "[]"}), f"did you mean {meant}?", "warning")
    assert fix == [f"unset {name}", f"export {meant}='[]'"]


@pytest.mark.parametrize(
    ("name", "missing", "meant"),
    [
        ("METRICS_QUEU", "METRICS_QUEUE", "METRICS_QUEUE"),
        ("METRICS_SAMPLE_SHEDULE", "METRICS_SAMPLE_SCHEDULE", "METRICS_SAMPLE_SCHEDULE"),
        ("MetricStorage__accountName", "MetricsStorage", "MetricsStorage__accountName"),
    ],
)
def test_a_required_setting_that_is_misspelt_has_one_fix(
    name: str, missing: str, meant: str
) -> None:
    finding = one(check_settings, make_context({name: "given", missing: None}))
    assert finding.status == "failed"
    assert finding.message.startswith(f"{missing} is not set")
    assert finding.message.endswith(f"; did you mean {meant}?")
    assert finding.fix == (f"unset {name}", f"export {meant}=given")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("METRICS_FOO", ""),
        ("MetricsStorage__colour", ""),
        ("METRICS_QUEUES", "; METRICS_QUEUE is set, too"),
    ],
)
def test_a_name_that_is_near_to_none_or_to_one_that_is_set_is_removed(name: str, text: str) -> None:
    finding = one(check_settings, make_context({name: "1"}))
    assert finding.message == f"{name} is not a setting of Metric Relay{text}"
    assert finding.fix == (f"unset {name}",)


@pytest.mark.parametrize("name", ["METRIC_FOO", "MetricsStorage__blobServiceUri", "PATH"])
def test_the_names_of_others_are_left_alone(name: str) -> None:
    assert one(check_settings, make_context({name: "1"})).status == "ok"


@pytest.mark.parametrize("name", ["MetricsStorage2", "MetricsOrders__accountName"])
def test_the_connection_of_a_source_is_a_setting(name: str) -> None:
    queues = {"kind": "storage_queue", "connection": name.partition("__")[0], "queues": ["images"]}
    sources = json.dumps([{**queues, "resourceId": SITE, "region": "westeurope"}])
    value = "orders" if "__" in name else "UseDevelopmentStorage=true"
    context = make_context({name: value, "METRICS_SOURCES": sources})
    assert results(check_settings, context) == [("ok", "All settings are valid, with 1 source")]


def test_a_wrong_member_of_the_storage_that_a_source_uses_is_reported() -> None:
    sources = '[{"kind": "storage_queue", "connection": "MetricsStorage"}]'
    context = make_context({"MetricsStorage__colour": "1", "METRICS_SOURCES": sources})
    assert fix_of(check_settings, context, "MetricsStorage__colour is not a setting")


def test_a_wrong_source_is_named() -> None:
    context = make_context({"METRICS_SOURCES": '[{"kind": "queue"}]'})
    assert fix_of(check_settings, context, "METRICS_SOURCES[0].kind: 'queue'", "failed")
    assert context.has("settings")


def test_without_settings_it_says_where_they_come_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    context = make_context()
    context.environ = {"PATH": "/bin"}
    fix = fix_of(check_settings, context, "have no settings", "failed")
    assert "cp local.settings.sample.json local.settings.json" in fix
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local/run.settings.json").touch()
    fix = fix_of(check_settings, context, "have no settings", "failed")
    assert fix == ["metric-relay doctor --settings .local/run.settings.json"]


def test_settings_of_a_make_run_that_ended_are_noticed() -> None:
    fixes = Fixes(home=Home.RUN, file=".local/run.settings.json")
    context = make_context({"IDENTITY_ENDPOINT": "http://127.0.0.1:1/msi/token"}, fixes=fixes)
    assert fix_of(check_settings, context, "has ended")[-1] == "make run"
    assert not context.has("settings")
    with serving(lambda _: None) as server:
        context = make_context({"IDENTITY_ENDPOINT": server.url}, fixes=fixes)
        assert one(check_settings, context).status == "ok"


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        (None, "the host does not run sample_sources"),
        ("61 * * * * *", "METRICS_SAMPLE_SCHEDULE is '61 * * * * *'"),
        ("every minute", "METRICS_SAMPLE_SCHEDULE is 'every minute'"),
        # Known to crontab, not to NCRONTAB.
        ("0 0 0 L * *", "is '0 0 0 L * *'"),
        ("0 0 0 LW * *", "is '0 0 0 LW * *'"),
        ("0 0 0 * * 5L", "is '0 0 0 * * 5L'"),
        ("0 0 0 * * 1#2", "is '0 0 0 * * 1#2'"),
        ("0 0 0 * * 5-7", "is '0 0 0 * * 5-7'"),
        ("0\t0 * * * *", r"is '0\t0 * * * *'"),
        ("0 0 0 30 2 MON", "no date matches it"),
    ],
)
def test_a_wrong_schedule_is_reported(schedule: str | None, text: str) -> None:
    context = make_context({"METRICS_SAMPLE_SCHEDULE": schedule})
    fix = fix_of(check_settings, context, text)
    assert fix == ["export METRICS_SAMPLE_SCHEDULE='0 * * * * *'"]


@pytest.mark.parametrize(
    "schedule",
    ["*/15 0-30/5,45 * * JAN,jul MON-FRI", " 0 */7 7 * *  */7", "*/5 * * * *", "00:05:00"],
)
def test_a_schedule_is_accepted(schedule: str) -> None:
    context = make_context({"METRICS_SAMPLE_SCHEDULE": schedule})
    assert one(check_settings, context).status == "ok"


def test_the_storage_of_the_host_is_required() -> None:
    text, name = "AzureWebJobsStorage is not set", "AzureWebJobsStorage__accountName"
    context = make_context({"AzureWebJobsStorage": None})
    assert fix_of(check_settings, context, text, "failed")[-1] == (
        "export AzureWebJobsStorage=UseDevelopmentStorage=true"
    )
    assert context.has("settings")
    context.fixes = Fixes(home=Home.APP, app="relay", group="g")
    set_it = "az functionapp config appsettings set --name relay --resource-group g --settings"
    assert fix_of(check_settings, context, text)[-2] == f'{set_it} "{name}=$STORAGE"'
    context = make_context({"AzureWebJobsStorage": None, name: "relay"})
    assert one(check_settings, context).status == "ok"


def test_a_function_that_is_disabled_is_reported() -> None:
    name = "AzureWebJobs_drain_metrics_Disabled"
    context = make_context({name: "true"})
    assert fix_of(check_settings, context, "drain_metrics does not run") == [f"unset {name}"]
