"""The app as Azure runs it from Python 3.13 on: through the library azure-functions-runtime.

The worker's protobuf messages, which are no package of their own, are stood for by plain
objects; everything else is the code that runs in Azure.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from local.stack import ROOT, Backend

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 13), reason="azure-functions-runtime is for Python 3.13 and later"
)

DRIVER = Path(__file__).parent / "runtime_driver.py"


def _drive(backend: Backend, queue: str, body: str, **settings: str) -> dict[str, object]:
    """Index the app, load it and invoke both functions in a process of its own."""
    env = {**os.environ, **backend.app_settings(queue), **settings}
    done = subprocess.run(
        [sys.executable, str(DRIVER), str(ROOT), body],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_the_library_is_the_one_that_azure_uses() -> None:
    assert importlib.util.find_spec("azure_functions_runtime") is not None


def test_index_load_invoke(backend: Backend, queue: str, site: str) -> None:
    backend.storage.create_queue(queue)
    source = {
        "kind": "storage_queue",
        "resourceId": site,
        "region": "westeurope",
        "connection": "MetricsStorage",
        "queues": [queue],
    }
    point = {"metric": "Orders", "value": 7, "dimensions": {"Country": "NL"}}
    body = json.dumps({"resourceId": site, "region": "westeurope", "points": [point]})

    answer = _drive(backend, queue, body, METRICS_SOURCES=json.dumps([source]))

    assert answer["functions"] == {
        "drain_metrics": {
            "type": "queueTrigger",
            "name": "message",
            "queueName": "%METRICS_QUEUE%",
            "connection": "MetricsStorage",
            "direction": "IN",
        },
        "sample_sources": {
            "type": "timerTrigger",
            "name": "timer",
            "schedule": "%METRICS_SAMPLE_SCHEDULE%",
            "direction": "IN",
        },
    }
    assert answer["results"] == {"drain_metrics": "Success", "sample_sources": "Success"}
    stored = {value["metric"]: value for value in backend.metrics(resourceId=site)}
    assert stored["Orders"]["sum"] == 7
    assert stored["Orders"]["dimensions"] == {"Country": "NL"}
    assert stored["QueueDepth"]["dimensions"] == {"QueueName": queue}


def test_a_failure_fails_the_invocation(backend: Backend, queue: str, site: str) -> None:
    point = {"metric": "Orders", "value": 7}
    body = json.dumps({"resourceId": site, "region": "westeurope", "points": [point]})

    answer = _drive(backend, queue, body, METRICS_QUEUE="Not a queue name")

    assert answer["results"] == {
        "drain_metrics": "ConfigurationError: METRICS_QUEUE is 'Not a queue name': expected a "
        "queue name: 3 to 63 lower-case letters, digits and single hyphens between",
        "sample_sources": "ConfigurationError: METRICS_QUEUE is 'Not a queue name': expected a "
        "queue name: 3 to 63 lower-case letters, digits and single hyphens between",
    }
