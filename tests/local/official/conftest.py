"""The real app publishes once, for all the tests of this folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.identity import ManagedIdentityCredential
from azure.mgmt.monitor import MonitorManagementClient
from azure.monitor.querymetrics import MetricsClient

from local.stack import Backend, run_app

from .published import FACTORS, MINUTE, VALUES, Published


@pytest.fixture(scope="session")
def published(backend: Backend) -> Iterator[Published]:
    """Enqueued for the real app, drained by it and stored."""
    queue = "metrics-official-clients"
    group = "/subscriptions/7d1fd1f4-2a3c-4f0e-9d53-0f8b6d3f5a10/resourceGroups/shop"
    sites = [f"{group}/providers/Microsoft.Web/sites/{name}" for name in ("shop", "outlet")]
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    with (
        pytest.MonkeyPatch.context() as environment,
        run_app(backend, {"METRICS_SAMPLE_SCHEDULE": "0 0 0 1 1 *"}, queue=queue) as host,
    ):
        ingress = backend.storage.get_queue_client(queue)
        for site, factor in zip(sites, FACTORS, strict=True):
            ingress.send_message(json.dumps(_message(site, factor, now)))
        stored = 2 * (sum(map(len, VALUES.values())) + 1)
        _wait(lambda: sum(len(backend.metrics(resourceId=site)) for site in sites) == stored)
        host.stop()
        for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
            environment.setenv(name, backend.app_settings()[name])
        with (
            ManagedIdentityCredential() as credential,
            MetricsClient(f"{backend.monitor_url}/westeurope", credential) as batch,
            MonitorManagementClient(
                credential, sites[0].split("/")[2], base_url=backend.monitor_url
            ) as arm,
        ):
            yield Published(sites, now, batch, arm)


def _message(site: str, factor: int, now: datetime) -> dict[str, Any]:
    orders = [
        {
            "metric": "Orders",
            "values": [value * factor for value in values],
            "time": (now - minute * MINUTE).isoformat(),
            "dimensions": {"Country": country, "Channel": "web"},
        }
        for minute, countries in VALUES.items()
        for country, values in countries.items()
    ]
    stock = {"metric": "Stock", "value": 7, "namespace": "Store/House", "time": now.isoformat()}
    return {
        "resourceId": site,
        "region": "westeurope",
        "namespace": "Shop",
        "points": [*orders, stock],
    }


def _wait(good: Callable[[], bool]) -> None:
    deadline = datetime.now(UTC) + MINUTE
    while not good():
        assert datetime.now(UTC) < deadline, "not stored within a minute"
