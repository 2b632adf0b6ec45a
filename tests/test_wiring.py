"""How the app is put together: what is shared, what is apart, and how much there is of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from builders import REGION, RESOURCE
from requests.adapters import HTTPAdapter

import function_app
from local.stack import ROOT
from shared.settings import Settings

SOURCE = {
    "kind": "rest",
    "resourceId": RESOURCE,
    "region": REGION,
    "url": "https://host.example/",
    "metrics": {"Depth": "depth"},
}
SETTINGS = {
    "MetricsStorage": "UseDevelopmentStorage=true",
    "METRICS_QUEUE": "metrics",
    "METRICS_SAMPLE_SCHEDULE": "0 * * * * *",
}


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The parts of the app; nothing of them is asked for anything."""

    def make(**settings: str) -> function_app.Parts:
        for name, value in {**SETTINGS, **settings}.items():
            monkeypatch.setenv(name, value)
        function_app.parts.cache_clear()
        return function_app.parts()

    yield make
    function_app.parts.cache_clear()


def test_the_parts_are_made_once(parts: Any) -> None:
    assert parts() is function_app.parts()


@pytest.mark.parametrize("sources", [0, 1, 50])
def test_there_is_a_thread_for_each_source(sources: int, parts: Any) -> None:
    """One that hangs must not hold up another."""
    made = parts(METRICS_SOURCES=json.dumps([SOURCE] * sources))
    assert made.sampler._executor._max_workers == max(1, sources)


def test_sources_of_one_account_share_its_gate_and_tokens() -> None:
    context = function_app._context(Settings.from_env(SETTINGS))
    assert context.gate("a", 10.0) is context.gate("a", 10.0)
    assert context.gate("a", 10.0) is not context.gate("b", 10.0)
    assert context.tokens("https://a/") is context.tokens("https://a/")
    assert context.tokens("https://a/") is not context.tokens("https://b/")


def test_an_account_is_asked_by_eight_at_once() -> None:
    gate = function_app._context(Settings.from_env(SETTINGS)).gate("a", 10.0)
    assert gate._at_once == 8


def test_connections_suffice_for_what_shares_a_host() -> None:
    """Those of ARM: sources of four subscriptions, or three and the look-ups."""
    adapter = function_app._context(Settings.from_env(SETTINGS)).session.get_adapter("https://a")
    assert isinstance(adapter, HTTPAdapter)
    pool = adapter.poolmanager.connection_from_host("a", scheme="https").pool
    assert pool is not None
    assert pool.maxsize >= 4 * function_app.SOURCE_REQUESTS


def test_a_source_that_cannot_be_opened_is_said_and_stops_no_other(
    parts: Any, caplog: pytest.LogCaptureFixture
) -> None:
    made = parts(METRICS_SOURCES=json.dumps([{**SOURCE, "url": "ftp://x"}, SOURCE]))
    assert [source.name for source in made.sampler._sources] == ["METRICS_SOURCES[1]"]
    (line,) = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert line.startswith("Not sampled: METRICS_SOURCES[0].url: ")


SLOW = ("azure.identity", "azure.core", "azure.storage.queue", "requests", "urllib3", "jmespath")


def test_what_is_slow_to_import_is_imported_when_it_is_used() -> None:
    """A cold start waits for every import; most instances never put a message into a queue."""
    program = "import function_app, sys; print(*sys.modules)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert set(done.stdout.split()).isdisjoint(SLOW)


def test_the_queues_are_not_opened_before_something_is_put_into_them() -> None:
    settings = "\n".join(f"os.environ[{name!r}] = {value!r}" for name, value in SETTINGS.items())
    program = f"import os, sys\n{settings}\nimport function_app\nfunction_app.parts()"
    command = [sys.executable, "-c", f"{program}\nprint(*sys.modules)"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert "azure.storage.queue" not in done.stdout.split()
