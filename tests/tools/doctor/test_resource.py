"""The resource, its region, and the app in Azure, by a stub of Azure Resource Manager."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from shared.errors import RegionError
from tests.scripted import Said, routes, said, serving
from tools.doctor import resource
from tools.doctor.findings import Finding
from tools.doctor.fixes import Fixes, Home
from tools.doctor.resource import check_app, check_region, check_resource

from .contexts import GROUP, SITE, fix_of, grant, one, ready, results, skip_of

OTHER = "/subscriptions/2/resourceGroups/other/providers/Microsoft.Web/sites/other"


def test_the_resource_is_that_of_the_option_or_the_setting() -> None:
    context = ready()
    assert results(check_resource, context) == [("ok", SITE)]
    context.named_resource_id = OTHER
    assert results(check_resource, context) == [("ok", OTHER)]
    assert context.resource == OTHER


def test_without_a_resource_only_a_probe_fails() -> None:
    context = ready({"METRICS_RESOURCE_ID": None})
    assert "Name a resource" in skip_of(check_resource, context)
    context.probe = True
    fix = fix_of(check_resource, context, "Name a resource", "failed")
    assert fix == ['az resource list --query "[].id" --output tsv']
    context.named_resource_id = GROUP
    assert fix_of(check_resource, context, "is a resource group", "failed") == fix


def test_a_resource_outside_the_allowed_scopes_fails() -> None:
    context = ready({"METRICS_ALLOWED_SCOPES": GROUP}, named_resource_id=OTHER)
    assert fix_of(check_resource, context, "dead-letters its points as forbidden_scope")[-1] == (
        f"export METRICS_ALLOWED_SCOPES={GROUP},{OTHER}"
    )
    assert not context.has("resource")


def look_up(monkeypatch: pytest.MonkeyPatch, answer: str | RegionError) -> None:
    def region(*_: Any) -> str:
        if isinstance(answer, RegionError):
            raise answer
        return answer

    monkeypatch.setattr(resource, "_look_up", region)


def test_the_regions_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    look_up(monkeypatch, "westeurope")
    context = ready(resource=SITE)
    assert results(check_region, context)[0][0] == "ok"
    assert context.region == "westeurope"
    context = ready({"METRICS_REGION": "eastus"}, resource=SITE)
    fix = fix_of(check_region, context, "is in westeurope, but METRICS_REGION is eastus", "failed")
    assert fix == ["export METRICS_REGION=westeurope"]
    assert not context.has("region")
    context.named_region = "eastus"
    assert fix_of(check_region, context, "--region is eastus") == ["# Leave --region out."]
    # METRICS_REGION is not the region of another resource.
    context = ready({"METRICS_REGION": "eastus"}, resource=OTHER)
    assert one(check_region, context).message == "The resource is in westeurope"


@pytest.mark.parametrize(
    ("error", "fix"),
    [
        ("https://arm: 403 AuthorizationFailed", grant("Reader", GROUP.lower())),
        (
            "the location is global",
            "# Messages may name the region, and METRICS_REGION that of METRICS_RESOURCE_ID.",
        ),
    ],
)
def test_a_region_that_is_not_found_fails_unless_it_is_named(
    monkeypatch: pytest.MonkeyPatch, error: str, fix: str
) -> None:
    look_up(monkeypatch, RegionError(error))
    context = ready({"METRICS_REGION": None}, resource=SITE)
    assert fix in fix_of(check_region, context, error, "failed")
    context = ready(resource=SITE)
    assert fix in fix_of(check_region, context, "which cannot be compared", "warning")
    assert context.region == "westeurope"


# --- The app --------------------------------------------------------------------------------------

BOTH = ("drain_metrics", "sample_sources")
FIXES = Fixes(home=Home.APP, app="shop-api", group="shop")
RUNNING = {"properties": {"state": "Running"}}


def functions(*names: str, disabled: str = "") -> Said:
    items = [
        {"name": f"shop-api/{name}", "properties": {"isDisabled": name == disabled}}
        for name in names
    ]
    return said({"value": items})


def metrics(*times: str) -> Said:
    data = [{"timeStamp": time, "count": 1} for time in times]
    return said({"value": [{"timeseries": [{"data": data}]}]})


def found(
    site: Said,
    listed: Said,
    last: Said | None = None,
    own: str = SITE,  # METRICS_RESOURCE_ID.
    schedule: str = "0 * * * * *",
    every: timedelta = timedelta(seconds=1),
    on: str = "",
) -> list[Finding]:
    """What the check finds; with an answer for the metrics of `on`, or `own`, there is a source."""
    answers = {SITE: site, f"{SITE}/functions": listed}
    if last is not None:
        path = "/providers/Microsoft.Insights/metrics"
        answers |= {f"{SITE}{path}": said({}, 400), f"{own}{path}": said({}, 400)}
        answers[f"{on or own}{path}"] = last
    with serving(routes(answers)) as server:
        changes = {"METRICS_ARM_ENDPOINT": server.url, "METRICS_RESOURCE_ID": own}
        changes["METRICS_SAMPLE_SCHEDULE"] = schedule
        context = ready(changes, site=SITE, fixes=FIXES)
        source: Any = SimpleNamespace(destination=SimpleNamespace(every=every))
        context.sources = [] if last is None else [source]
        return check_app(context)


def test_an_app_that_runs_and_samples_is_right() -> None:
    assert "--app, --group and --subscription" in skip_of(check_app, ready())
    last = metrics("2026-11-30T11:58:00Z", "2026-11-30T11:57:00Z")
    assert [(one.status, one.message) for one in found(said(RUNNING), functions(*BOTH), last)] == [
        ("ok", "The app runs, and has drain_metrics and sample_sources"),
        ("ok", "The app last sampled at 2026-11-30T11:58:00Z"),
    ]


@pytest.mark.parametrize(
    ("site", "listed", "text", "fix"),
    [
        (
            said({"properties": {"state": "Stopped"}}),
            functions(*BOTH),
            "The state of the app is Stopped",
            "az functionapp start --name shop-api --resource-group shop",
        ),
        (
            said(RUNNING),
            functions("drain_metrics"),
            "The app has no sample_sources",
            "func azure functionapp publish shop-api --python",
        ),
        (
            said(RUNNING),
            functions(*BOTH, disabled="drain_metrics"),
            "drain_metrics is disabled",
            (
                "az functionapp config appsettings delete --name shop-api --resource-group shop "
                "--setting-names AzureWebJobs.drain_metrics.Disabled"
            ),
        ),
        (
            said({"error": {"code": "AuthorizationFailed", "message": "No."}}, 403),
            functions(*BOTH),
            "403 AuthorizationFailed",
            grant("Reader", SITE),
        ),
        (said({}, 404), functions(*BOTH), "404", None),
    ],
)
def test_an_app_that_does_not_work_fails(
    site: Said, listed: Said, text: str, fix: str | None
) -> None:
    (finding,) = found(site, listed)
    assert finding.status == "failed"
    assert text in finding.message
    assert finding.fix[:1] == (() if fix is None else (fix,))


@pytest.mark.parametrize(
    ("schedule", "last"),
    [
        ("0 0 * * * *", "2026-11-30T11:00:00Z"),
        ("30 0 3 * * *", "2026-11-30T03:00:00Z"),
        ("06:00:00", "2026-11-30T05:46:00Z"),
    ],
)
def test_an_app_samples_as_often_as_its_schedule_says(schedule: str, last: str) -> None:
    answers = said(RUNNING), functions(*BOTH), metrics(last)
    assert found(*answers, OTHER, schedule)[1].status == "ok"
    at = datetime.fromisoformat(last) - timedelta(minutes=5)
    answers = said(RUNNING), functions(*BOTH), metrics(at.isoformat())
    assert found(*answers, OTHER, schedule)[1].status == "warning"


@pytest.mark.parametrize("on", [SITE, OTHER])
def test_the_last_sample_is_found_on_the_app_and_on_the_resource_of_the_settings(on: str) -> None:
    answers = said(RUNNING), functions(*BOTH), metrics("2026-11-30T11:58:00Z")
    assert found(*answers, OTHER, on=on)[1].status == "ok"


def test_an_app_whose_sources_are_sampled_every_hour_is_not_late() -> None:
    answers = said(RUNNING), functions(*BOTH), metrics("2026-11-30T10:46:00Z")
    assert found(*answers, every=timedelta(hours=1))[1].status == "ok"


def test_with_a_wrong_schedule_the_last_sample_is_not_known() -> None:
    findings = found(said(RUNNING), functions(*BOTH), metrics(), schedule="hourly")
    assert findings[1].message.startswith("The time of the last sample is not known")


@pytest.mark.parametrize(
    ("last", "text"),
    [
        (metrics(), "shows no sample since 2026-11-30 09:44"),
        (metrics("2026-11-30T11:00:00Z"), "The app last sampled at 2026-11-30T11:00:00Z"),
        (said({}, 403), "The time of the last sample is not known"),
    ],
)
def test_an_app_that_does_not_sample_is_a_warning(last: Said, text: str) -> None:
    findings = found(said(RUNNING), functions(*BOTH), last)
    assert [one.status for one in findings] == ["ok", "warning"]
    assert text in findings[1].message
