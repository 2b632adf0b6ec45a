"""The wiring: settings reach the parts, and what is shared is shared."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from gzip import decompress
from pathlib import Path
from typing import Any

import pytest

import function_app
from shared.app import App, build_app, build_context
from shared.model import Origin
from shared.publisher.sender import Timing
from shared.settings import Settings
from tests.unit.builders import encode, message, point
from tests.unit.rollups import GROUP, MINUTE, OTHER, REGION, RESOURCE
from tests.unit.stubs import TIMEOUT, Request, Response, StubServer, json_response, serve

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {
    "MetricsStorage": "UseDevelopmentStorage=true",
    "METRICS_QUEUE": "metrics",
    "METRICS_SAMPLE_SCHEDULE": "0 * * * * *",
}
SOURCE = {
    "kind": "rest",
    "resourceId": RESOURCE,
    "region": REGION,
    "url": "https://host.example/",
    "metrics": {"Depth": "depth"},
}
PLATFORM = {
    "WEBSITE_OWNER_NAME": "5b2f8c1d-1111-4222-8333-944455566677+relay-WestEuropewebspace",
    "WEBSITE_RESOURCE_GROUP": "relay",
    "WEBSITE_SITE_NAME": "relay",
    "REGION_NAME": "UK South",
}


def app_of(timing: Timing | None = None, /, **settings: str) -> App:
    return build_app(Settings.from_env({**SETTINGS, **settings}), timing)


# --- What is shared -------------------------------------------------------------------------------


def test_the_functions_share_one_app(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    function_app.parts.cache_clear()
    assert function_app.parts() is function_app.parts()
    function_app.parts.cache_clear()


def test_sources_of_one_account_share_a_rate_limiter_and_a_token() -> None:
    context = build_context(Settings.from_env(SETTINGS), Timing())
    assert context.rate_limiter("a", 10.0) is context.rate_limiter("a", 10.0)
    assert context.rate_limiter("a", 10.0) is not context.rate_limiter("b", 10.0)
    assert context.tokens("https://a/") is context.tokens("https://a/")
    assert context.tokens("https://a/") is not context.tokens("https://b/")


@pytest.mark.parametrize("sources", [0, 1, 50])
def test_there_is_a_thread_for_each_source(sources: int) -> None:
    sampler: Any = app_of(METRICS_SOURCES=json.dumps([SOURCE] * sources)).sampler
    assert len(sampler.sources) == sources
    assert sampler.executor._max_workers == max(1, sources)


def test_an_invalid_source_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    sources = json.dumps([{**SOURCE, "url": "ftp://x"}, SOURCE])
    app = app_of(METRICS_SOURCES=sources, METRICS_RESOURCE_ID=RESOURCE)
    assert [source.name for source in app.sampler.sources] == ["METRICS_SOURCES[1]"]
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert record.message.startswith("Skipping a source: METRICS_SOURCES[0].url: ")


def test_without_a_resource_for_its_own_metrics_it_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app_of(**PLATFORM)
    assert caplog.messages == []
    app_of()
    assert caplog.messages == [
        "METRICS_RESOURCE_ID is not set: the relay publishes no metrics on itself"
    ]


# --- What is imported -----------------------------------------------------------------------------

SLOW = {"azure.identity", "azure.core", "azure.storage.queue", "requests", "urllib3", "jmespath"}
BUILD = f"from shared.settings import Settings; app.build_app(Settings.from_env({SETTINGS}))"


@pytest.mark.parametrize(
    ("code", "slow"),
    [("import function_app", SLOW), (f"from shared import app; {BUILD}", {"azure.storage.queue"})],
    ids=["import", "build"],
)
def test_what_is_slow_to_import_is_imported_when_it_is_used(code: str, slow: set[str]) -> None:
    """A cold start waits for every import; most instances never put a message into a queue."""
    command = [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert slow.isdisjoint(done.stdout.split())


# --- From settings to requests --------------------------------------------------------------------


class StubAzure:
    """Identity, Azure Resource Manager and the store, on one server."""

    def __init__(self) -> None:
        self.received = threading.Event()

    def __call__(self, request: Request) -> Response:
        if request.path == "/identity":
            token = f"for-{request.query['resource']}"
            return json_response({"access_token": token, "expires_on": "9999999999"})
        if request.path.endswith("/resources"):
            return json_response({"value": [{"id": OTHER.resource_id, "location": "eastus"}]})
        if "/sites/relay" in request.path:
            self.received.set()
        return Response(200)


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[StubServer, StubAzure]]:
    handler = StubAzure()
    with serve(handler) as server:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{server.url}/identity")
        monkeypatch.setenv("IDENTITY_HEADER", "local")
        yield server, handler


def posts_to(server: StubServer, resource_id: str) -> list[tuple[str, dict[str, float]]]:
    """Return region, and namespace.metric -> sum, of each POST to a resource."""
    found = []
    for request in server.requests:
        match = re.fullmatch(rf"/(\w+){re.escape(resource_id)}/metrics", request.path)
        if match:
            assert request.headers["Authorization"] == "Bearer for-https://monitoring.example/"
            bases = [
                json.loads(line)["data"]["baseData"]
                for line in decompress(request.body).splitlines()
            ]
            sums = {
                f"{base['namespace']}.{base['metric']}": base["series"][0]["sum"] for base in bases
            }
            found.append((match[1], sums))
    return found


async def test_a_message_is_published_and_measured(azure: tuple[StubServer, StubAzure]) -> None:
    server, handler = azure
    seconds = 59.999

    def now() -> datetime:
        return MINUTE + timedelta(seconds=seconds)

    settings = {
        "METRICS_ENDPOINT": f"{server.url}/{{region}}",
        "METRICS_AUDIENCE": "https://monitoring.example/",
        "METRICS_ARM_ENDPOINT": server.url,
        "METRICS_RESOURCE_ID": RESOURCE,
        "METRICS_REGION": "northeurope",
        "METRICS_NAMESPACE": "ours",
        "METRICS_ALLOWED_SCOPES": GROUP,
        "METRICS_MAX_ACTIVE_SERIES": "1",
    }
    app = app_of(Timing(now=now), **settings, **PLATFORM)
    body = encode(
        message(point(), point(resourceId=OTHER.resource_id), resourceId=None, region=None)
    )
    for number in range(2):
        await app.processor.process(body, Origin(f"5c1f{number}", now()))
        seconds += 0.002  # The minute is over; a timer of a millisecond sends what was recorded.
        assert await asyncio.to_thread(handler.received.wait, TIMEOUT)
        handler.received.clear()
        seconds += 59.998
        assert posts_to(server, RESOURCE) == [("northeurope", {"ours.m": 1.0})] * (number + 1)
        assert posts_to(server, OTHER.resource_id) == [("eastus", {"ours.m": 1.0})] * (number + 1)
    # The app's own metrics: outside the allowed scopes, more series than the limit, not measured.
    relay = f"{GROUP.replace('/orders', '/relay')}/providers/Microsoft.Web/sites/relay"
    for region, sums in posts_to(server, relay):
        assert region == "uksouth"
        assert (
            sums.items()
            >= {
                "MetricRelay.MessagesDrained": 1.0,
                "MetricRelay.PointsPublished": 2.0,
                "MetricRelay.Posts": 2.0,
                "MetricRelay.ActiveSeries": 1.0,
            }.items()
        )
    assert len(posts_to(server, relay)) == 2
