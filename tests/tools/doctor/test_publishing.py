"""The metrics store: endpoint, probe, and reading it back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from shared.errors import SourceError
from shared.publisher.client import AzureMonitorStore
from shared.publisher.responses import Response
from tests.scripted import Said, serving
from tools.doctor.context import Context
from tools.doctor.publishing import check_endpoint, check_publish, check_visible, read_metric

from .contexts import GROUP, NOW, SITE, fix_of, grant, one, ready, results, skip_of

ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/orders"


class FakeArm:
    """Answers each request with the next count, or error; the last one stays."""

    def __init__(self, *answers: float | str) -> None:
        self.answers = list(answers)
        self.urls: list[str] = []

    def get(self, url: str, _deadline: object) -> Any:
        self.urls.append(url)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, str):
            raise SourceError(answer)
        data = [{"timeStamp": "2026-11-30T12:00:00Z", "count": answer}] if answer else [{}]
        return {"value": [{"timeseries": [{"data": data}]}]}


def probing(*answers: float | str, resource_id: str = SITE, **facts: Any) -> Context:
    """A context that may publish, and what the metrics API answers."""
    context = ready(
        probe=True,
        resource=resource_id,
        region="westeurope",
        endpoint="https://{region}.monitoring.azure.com",
        audience="https://monitoring.azure.com/",
        **facts,
    )
    context.__dict__["arm"] = FakeArm(*answers or (0,))
    return context


def test_an_endpoint_that_answers_is_reached() -> None:
    with serving(lambda _: Said(404)) as server:
        context = ready({"METRICS_ENDPOINT": f"{server.url}/{{region}}"}, region="westeurope")
        assert results(check_endpoint, context) == [("ok", f"{server.url}/westeurope answers")]
    assert context.has("endpoint")


def test_an_endpoint_that_is_refused_fails() -> None:
    context = ready({"METRICS_ENDPOINT": "http://127.0.0.1:1/{region}"}, region="westeurope")
    fix = fix_of(check_endpoint, context, "http://127.0.0.1:1/westeurope cannot be reached")
    assert fix[0] == "unset METRICS_ENDPOINT"
    assert skip_of(check_endpoint, ready()) == "This check needs the region"


def test_nothing_is_published_unasked() -> None:
    assert "--probe" in skip_of(check_publish, ready())
    assert skip_of(check_visible, ready()) == "This check needs the published value"


@pytest.mark.parametrize(
    ("response", "status", "fix"),
    [
        (Response(200), "ok", ""),
        (Response(401), "failed", "az account show --subscription 1 --query tenantId --output tsv"),
        (
            Response(403, "AuthenticationFailed"),
            "failed",
            grant("Monitoring Metrics Publisher", SITE),
        ),
        (Response(404), "failed", f"az resource show --ids {SITE} --query location"),
        (
            Response(400, "RegionMismatch", "… the resource's region : northeurope "),
            "failed",
            "export METRICS_REGION=northeurope",
        ),
        (
            Response(400, "BadRequest", "'time' should not be older than 30 minutes"),
            "failed",
            "sudo timedatectl set-ntp true",
        ),
        (Response(None, "ConnectionError"), "warning", "# Try again in a minute"),
    ],
)
def test_the_answer_to_the_probe_is_explained(
    monkeypatch: pytest.MonkeyPatch, response: Response, status: str, fix: str
) -> None:
    monkeypatch.setattr(AzureMonitorStore, "post", lambda *_: response)
    context = probing()
    finding = one(check_publish, context)
    assert finding.status == status
    assert fix in "\n".join(finding.fix)
    assert context.has("published_value") == (status == "ok")


def test_a_region_of_the_command_line_is_not_fixed_in_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    response = Response(400, "RegionMismatch", "… the resource's region : northeurope ")
    monkeypatch.setattr(AzureMonitorStore, "post", lambda *_: response)
    fix = fix_of(check_publish, probing(named_region="westus"), "in another region", "failed")
    assert fix == ["# Leave --region out, or name northeurope."]


def waiting(context: Context) -> tuple[list[float], list[str]]:
    """Where the context's waits and progress go."""
    slept: list[float] = []
    said: list[str] = []
    context.sleep, context.progress = slept.append, said.append
    return slept, said


def test_a_value_that_appears_is_visible() -> None:
    context = probing("https://arm: 400 BadRequest no such namespace", 0, 1, published_value=NOW)
    slept, said = waiting(context)
    assert results(check_visible, context) == [
        ("ok", "Azure Monitor shows MetricRelayProbe/Probe after 20 s")
    ]
    assert slept == [10, 10]
    assert said == ["visible: waited 10 of 180 s", "visible: waited 20 of 180 s"]


@pytest.mark.parametrize(
    ("resource_id", "text"),
    [(SITE, "try again in some minutes"), (ACCOUNT, "with the account as a dimension")],
)
def test_a_value_that_does_not_appear_fails_after_three_minutes(
    resource_id: str, text: str
) -> None:
    context = probing(0, resource_id=resource_id, published_value=NOW)
    slept, _ = waiting(context)
    fix = fix_of(check_visible, context, f"accepted, but not visible: {resource_id}", "failed")
    assert text in fix[0]
    assert sum(slept) == 180


@pytest.mark.parametrize(("error", "fixed"), [("https://arm: 403 No", True), ("refused", False)])
def test_a_value_that_cannot_be_read_is_a_warning_at_once(error: str, fixed: bool) -> None:
    context = probing(error, published_value=NOW)
    slept, _ = waiting(context)
    fix = fix_of(check_visible, context, "accepted, but the value cannot be read", "warning")
    assert fix[:1] == [grant("Monitoring Reader", SITE)] * fixed
    assert slept == []


def test_the_metrics_api_is_asked_for_a_minute() -> None:
    context = probing(2)
    values = read_metric(context, SITE, ("Shop", "A b"), NOW, NOW + timedelta(minutes=1))
    assert values == [("2026-11-30T12:00:00Z", 2.0)]
    (url,) = context.__dict__["arm"].urls
    assert url == (
        f"https://management.azure.com{SITE}/providers/Microsoft.Insights/metrics"
        "?api-version=2018-01-01&metricnamespace=Shop&metricnames=A%20b&aggregation=count"
        "&interval=PT1M&timespan=2026-11-30T12%3A00%3A00Z/2026-11-30T12%3A01%3A00Z"
    )


def test_an_odd_answer_of_the_metrics_api_is_an_error() -> None:
    context = probing()
    context.__dict__["arm"].get = lambda *_: {"value": 1}
    with pytest.raises(SourceError, match="unexpected answer"):
        read_metric(context, SITE, ("a", "b"), NOW, NOW)
