"""The app in Azure, by a stub of Azure Resource Manager."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scripted import Said, routes, said, serving
from tools.doctor.app import check_app
from tools.doctor.context import Context, Options
from tools.doctor.fixes import Fixes, Home

from .contexts import GROUP, SITE, fix_of, ready, results, skip_of

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


def found(site: Any, listed: Said, last: Said | None = None) -> Any:
    """What the check finds; with an answer of the metrics API, there is a source."""
    answers = {SITE: site, f"{SITE}/functions": listed}
    if last is not None:
        answers[f"{SITE}/providers/Microsoft.Insights/metrics"] = last
    with serving(routes(answers)) as server:
        context = context_of(server.url)
        context.sources = [] if last is None else [None]  # type: ignore[list-item]
        return list(check_app(context))


def context_of(arm: str) -> Context:
    return ready({"METRICS_ARM_ENDPOINT": arm}, options=Options(site=SITE), fixes=FIXES)


def test_an_app_is_checked_only_if_it_is_named() -> None:
    assert "--app, --group and --subscription" in skip_of(check_app, ready())


def test_an_app_that_runs_and_samples_is_right() -> None:
    last = metrics("2026-11-30T11:58:00Z", "2026-11-30T11:57:00Z")
    assert [(one.status, one.message) for one in found(said(RUNNING), functions(*BOTH), last)] == [
        ("ok", "running, with drain_metrics and sample_sources"),
        ("ok", "the last sample was at 2026-11-30T11:58:00Z"),
    ]


@pytest.mark.parametrize(
    ("site", "listed", "text", "fix"),
    [
        (
            said({"properties": {"state": "Stopped"}}),
            functions(*BOTH),
            "its state is Stopped",
            "az functionapp start --name shop-api --resource-group shop",
        ),
        (
            said(RUNNING),
            functions("drain_metrics"),
            "sample_sources not found",
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
            (
                f"az role assignment create --role Reader --scope {SITE} "
                "--assignee-object-id object-1 --assignee-principal-type ServicePrincipal"
            ),
        ),
    ],
)
def test_an_app_that_does_not_work_fails(site: Said, listed: Said, text: str, fix: str) -> None:
    (finding,) = found(site, listed)
    assert finding.status == "failed"
    assert text in finding.message
    assert fix in finding.fix


@pytest.mark.parametrize(
    ("last", "text"),
    [
        (metrics(), "no sample is visible in the last 2:00:00"),
        (metrics("2026-11-30T11:00:00Z"), "the last sample was at 2026-11-30T11:00:00Z"),
        (said({}, 403), "the last sample is not known"),
    ],
)
def test_an_app_that_does_not_sample_is_a_warning(last: Said, text: str) -> None:
    findings = found(said(RUNNING), functions(*BOTH), last)
    assert [one.status for one in findings] == ["ok", "warning"]
    assert text in findings[1].message


def test_an_app_that_does_not_exist_fails() -> None:
    with serving(routes({})) as server:
        assert results(check_app, context_of(server.url))[0][0] == "failed"
        assert fix_of(check_app, context_of(server.url), "404 NotFound") == []
    assert SITE.startswith(GROUP)
