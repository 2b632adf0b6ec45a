"""The sources: each is sampled once."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from shared.errors import SourceError
from shared.model import Target
from shared.sources.base import SampleError, SourceDestination
from tools.doctor import sources
from tools.doctor.context import Context
from tools.doctor.sources import check_sources

from .contexts import GROUP, SITE, FakeQueues, account_of, fix_of, ready, results, skip_of

QUEUES = {"kind": "storage_queue", "connection": "MetricsStorage", "queues": ["a"]}
BUS = {"kind": "service_bus", "resourceId": f"{GROUP}/providers/Microsoft.ServiceBus/namespaces/n"}
REST = {"kind": "rest", "url": "https://host.example/stats?code=secret-1"}


class FakeSource:
    name = "METRICS_SOURCES[0]"

    def __init__(self, parts: list[Any]) -> None:
        target = Target("westeurope", SITE)
        self.destination = SourceDestination(target, "Shop", {}, timedelta(seconds=1))
        self.parts = parts

    def sample(self, *_: Any) -> Any:
        for part in self.parts:
            if isinstance(part, Exception):
                raise part
            yield self.destination.measurement("Depth", part, {}) if part == 1.0 else part


@pytest.fixture(autouse=True)
def _no_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "queue_names", lambda _: [])


def context_of(entry: dict[str, Any], *parts: Any, **changes: str) -> Context:
    context = ready({"METRICS_SOURCES": json.dumps([entry]), **changes})
    context.sources = [FakeSource(list(parts))]
    context.account = account_of(FakeQueues({}))
    context.can_connect = lambda _: True
    return context


def test_a_sample_is_described() -> None:
    assert results(check_sources, context_of(QUEUES, 1.0)) == [
        ("ok", "METRICS_SOURCES[0] (storage_queue): 1 point of Depth")
    ]


def test_a_source_may_have_a_name() -> None:
    context = context_of({**QUEUES, "name": "orders"}, 1.0)
    context.sources[0].name = "orders"
    assert results(check_sources, context) == [("ok", "orders (storage_queue): 1 point of Depth")]


@pytest.mark.parametrize(
    ("entry", "parts", "text", "fix"),
    [
        (
            QUEUES,
            [],
            "nothing to measure",
            "# The queues of devstoreaccount1: none, or they cannot be listed",
        ),
        (
            QUEUES,
            [1.0, SampleError("queue b does not exist")],
            "1 point, 1 error: queue b does not exist",
            "# The queues of devstoreaccount1: none, or they cannot be listed",
        ),
        (
            QUEUES,
            [SourceError("This request is not authorized … using this permission.")],
            "using this permission",
            (
                "az role assignment create --role 'Storage Queue Data Reader' --scope "
                '"$(az storage account show --name devstoreaccount1 --query id -o tsv)" '
                "--assignee-object-id object-1 --assignee-principal-type ServicePrincipal"
            ),
        ),
        (
            QUEUES,
            [SourceError("This request is not authorized to perform this operation.")],
            "0 points, 1 error",
            (
                "az storage account network-rule add --account-name devstoreaccount1 "
                '--ip-address "$(curl -s https://api.ipify.org)"'
            ),
        ),
        (
            BUS,
            [SourceError("https://arm: 403 AuthorizationFailed")],
            "403",
            (
                f"az role assignment create --role Reader --scope {BUS['resourceId']} "
                "--assignee-object-id object-1 --assignee-principal-type ServicePrincipal"
            ),
        ),
        (
            BUS,
            [SourceError("404")],
            "404",
            f"az resource show --ids {BUS['resourceId']} --query properties.status",
        ),
        (
            REST,
            [SourceError("500")],
            "500",
            "curl -sS -o /dev/null -w '%{http_code}' https://host.example/stats",
        ),
    ],
)
def test_a_source_that_fails_has_a_fix(
    entry: dict[str, Any], parts: list[Any], text: str, fix: str
) -> None:
    assert fix in fix_of(check_sources, context_of(entry, *parts), text)


def test_a_source_outside_the_allowed_scopes_fails() -> None:
    context = context_of(QUEUES, 1.0, METRICS_ALLOWED_SCOPES="/subscriptions/2")
    assert fix_of(check_sources, context, "is not in METRICS_ALLOWED_SCOPES")[-1] == (
        f"export METRICS_ALLOWED_SCOPES=/subscriptions/2,{SITE}"
    )


def test_an_account_on_this_machine_that_does_not_listen_is_found_at_once() -> None:
    other = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;QueueEndpoint=http://127.0.0.1:1/a"
    context = context_of({**QUEUES, "connection": "Other"}, 1.0, Other=other)
    context.can_connect = lambda _: False
    fix = fix_of(check_sources, context, "nothing listens at 127.0.0.1:1")
    assert fix[-1] == "npx azurite --skipApiVersionCheck --queuePort 1"


def test_what_a_source_needs_comes_first() -> None:
    context = context_of(QUEUES, 1.0)
    context.account = None
    assert "needs storage" in skip_of(check_sources, context)
    context = context_of(BUS, 1.0)
    context.claims = None
    assert "needs identity" in skip_of(check_sources, context)
    context.sources = []
    assert skip_of(check_sources, context) == "no sources"
