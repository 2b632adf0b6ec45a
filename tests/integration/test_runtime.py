"""The app as Azure runs it from Python 3.13 on: through the library azure-functions-runtime.

Plain objects replace the worker's protobuf messages, which are not a package of their own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local.stack import ROOT, Backend

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 13), reason="azure-functions-runtime needs Python 3.13"
)

DRIVER = Path(__file__).parent / "runtime_driver.py"


def drive(backend: Backend, queue: str, body: str, **settings: str) -> dict[str, Any]:
    """Index and load the app and invoke both functions, in a process of their own."""
    finished = subprocess.run(
        [sys.executable, str(DRIVER), str(ROOT), body],
        env={**os.environ, **backend.app_settings(queue), **settings},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    answer: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return answer


def message(site: str) -> str:
    point = {"metric": "Orders", "value": 7, "dimensions": {"Country": "NL"}}
    return json.dumps({"resourceId": site, "region": "westeurope", "points": [point]})


def test_both_functions_are_indexed_and_publish(backend: Backend, queue: str, site: str) -> None:
    backend.storage.create_queue(queue)
    source = {
        "kind": "storage_queue",
        "resourceId": site,
        "region": "westeurope",
        "connection": "MetricsStorage",
        "queues": [queue],
    }

    answer = drive(backend, queue, message(site), METRICS_SOURCES=json.dumps([source]))

    assert answer["functions"] == {
        "drain_metrics": {
            "type": "queueTrigger",
            "name": "message",
            "queueName": "%METRICS_QUEUE%",
            "connection": "MetricsStorage",
            "dataType": "BINARY",
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


def test_invalid_setting_fails_the_invocations(backend: Backend, queue: str, site: str) -> None:
    answer = drive(backend, queue, message(site), METRICS_QUEUE="Not a queue name")

    text = (
        "ConfigurationError: METRICS_QUEUE is 'Not a queue name': expected a queue name: "
        "3 to 63 lower-case letters, digits and single hyphens between"
    )
    assert answer["results"] == {"drain_metrics": text, "sample_sources": text}
