"""No key anywhere: queues and store with the managed identity alone."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from azure.storage.queue import QueueServiceClient

from local.azurite import Azurite
from local.processes import Child
from local.stack import ROOT, Backend, run_app

Eventually = Callable[[Callable[[], Any], Callable[[Any], bool]], Any]


@pytest.fixture
def secured() -> Iterator[Backend]:
    """Azurite over TLS, where it checks tokens, and the emulator."""
    command = (sys.executable, "-m", "local.monitor", "--port", "0")
    with Azurite(oauth=True) as azurite, Child("emulator", command, cwd=ROOT) as monitor:
        url = monitor.wait_for(r"http://\S+")[0]
        with QueueServiceClient.from_connection_string(
            azurite.connection_string, connection_verify=str(azurite.certificate)
        ) as storage:
            yield Backend(azurite, storage, url)


def test_message_is_published_and_queue_is_sampled(
    secured: Backend, queue: str, site: str, eventually: Eventually
) -> None:
    source = {
        "kind": "storage_queue",
        "resourceId": site,
        "region": "westeurope",
        "account": secured.azurite.queue_endpoint,
        "queues": [f"{queue}-work"],
    }
    secured.storage.create_queue(f"{queue}-work").send_message("work")
    settings = {
        # Host and app take this section before MetricsStorage, which is set as well.
        "AzureWebJobsMetricsStorage__queueServiceUri": secured.azurite.queue_endpoint,
        "AzureWebJobsMetricsStorage__credential": "managedidentity",
        "METRICS_SOURCES": json.dumps([source]),
        "METRICS_SAMPLE_SCHEDULE": "* * * * * *",
        "REQUESTS_CA_BUNDLE": str(secured.azurite.certificate),
    }
    points = [{"metric": "Orders", "value": 7}, {"metric": "Orders", "value": "x"}]
    message = {"resourceId": site, "region": "westeurope", "points": points}
    expected = {"Orders", "QueueDepth", "QueueOldestMessageAge"}
    with run_app(secured, settings, queue=queue):
        secured.storage.get_queue_client(queue).send_message(json.dumps(message))
        stored = eventually(
            lambda: {value["metric"] for value in secured.metrics(resourceId=site)},
            expected.issubset,
        )
        dead_letters = eventually(lambda: secured.dead_letters(queue), bool)

    assert stored >= expected
    assert [one["reason"] for one in dead_letters] == ["invalid"]
    # One token for the queues, one for the store.
    assert secured.control("GET", "requests")["identityTotals"]["200"] >= 2
