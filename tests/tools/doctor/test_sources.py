"""The sources: each is sampled once."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from shared.errors import SourceError
from shared.model import Target
from shared.sources.base import SampleError, SourceDestination
from tools.doctor import sources
from tools.doctor.context import Context
from tools.doctor.sources import check_sources

from .contexts import GROUP, SITE, FakeQueues, account_of, fix_of, grant, ready, results, skip_of

QUEUES = {"kind": "storage_queue", "connection": "MetricsStorage", "queues": ["a"]}
BUS = {"kind": "service_bus", "resourceId": f"{GROUP}/providers/Microsoft.ServiceBus/namespaces/n"}
REST = {"kind": "rest", "url": "https://host.example/stats?code=secret-1"}


class FakeSource:
    name = "METRICS_SOURCES[0]"

    def __init__(self, parts: list[Any]) -> None:
        target = Target("westeurope", SITE)
        self.destination = SourceDestination(target, "Shop", {}, timedelta(seconds=1))
        self.parts = parts
        self.service = SimpleNamespace(account_name="devstoreaccount1", primary_hostname="")

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
    context.storage_account = account_of(FakeQueues({}))
    return context


def test_a_sample_is_described() -> None:
    text = "(storage_queue) returns 1 point of Depth"
    context = context_of(QUEUES, 1.0)
    assert results(check_sources, context) == [("ok", f"METRICS_SOURCES[0] {text}")]
    context = context_of({**QUEUES, "name": "orders"}, 1.0)
    context.sources[0].name = "orders"
    assert results(check_sources, context) == [("ok", f"orders {text}")]


@pytest.mark.parametrize(
    ("entry", "parts", "text", "fix"),
    [
        (
            QUEUES,
            [],
            "finds nothing to measure",
            "# The queues of devstoreaccount1: none, or they cannot be listed",
        ),
        (
            QUEUES,
            [1.0, SampleError("queue b does not exist")],
            "returns 1 point and 1 error: queue b does not exist",
            "# The queues of devstoreaccount1: none, or they cannot be listed",
        ),
        (
            QUEUES,
            [SourceError("This request is not authorized … using this permission.")],
            "using this permission",
            grant(
                "Storage Queue Data Reader",
                '"$(az storage account show --name devstoreaccount1 --query id -o tsv)"',
            ),
        ),
        (
            BUS,
            [SourceError("https://arm: 403 AuthorizationFailed")],
            "403",
            grant("Reader", BUS["resourceId"]),
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


@pytest.mark.parametrize(
    "wrong", [{"kind": "rest", "name": ["x"]}, {"name": "a"}, {**REST, "name": "a"}, 1e999]
)
def test_a_wrong_source_does_not_hide_another(wrong: Any) -> None:
    context = context_of({**QUEUES, "name": "a"}, 1.0)
    entries = json.loads(context.settings.sources)
    text = json.dumps([*entries, wrong]).replace("Infinity", "1e999")
    context.settings = replace(context.settings, sources=f" \ufeff{text}")
    context.sources[0].name = "a"
    assert results(check_sources, context) == [("ok", "a (storage_queue) returns 1 point of Depth")]


def test_a_source_outside_the_allowed_scopes_fails() -> None:
    context = context_of(QUEUES, 1.0, METRICS_ALLOWED_SCOPES="/subscriptions/2")
    assert fix_of(check_sources, context, "is not in METRICS_ALLOWED_SCOPES")[-1] == (
        f"export METRICS_ALLOWED_SCOPES=/subscriptions/2,{SITE}"
    )


def test_what_a_source_needs_comes_first() -> None:
    context = context_of(QUEUES, 1.0)
    del context.storage_account
    assert skip_of(check_sources, context).endswith("needs the storage account")
    context = context_of(BUS, 1.0)
    del context.identity
    assert skip_of(check_sources, context).endswith("needs the identity")
    context.sources = []
    assert skip_of(check_sources, context) == "METRICS_SOURCES has no valid source"
