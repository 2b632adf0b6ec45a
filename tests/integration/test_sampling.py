"""The timer: what a sample does when it cannot be published."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from local.stack import Backend
from tests.manual_host import manual_host


async def test_sample_that_is_not_published_waits_in_the_ingress_queue_with_its_time(
    backend: Backend, queue: str, site: str
) -> None:
    backend.storage.create_queue(f"{queue}-work").send_message("work")
    source = {
        "kind": "storage_queue",
        "resourceId": site,
        "region": "westeurope",
        "connection": "MetricsStorage",
        "queues": [f"{queue}-work"],
    }
    # The relay's metrics on itself go elsewhere: a failed POST gives their target a cooldown.
    settings = {"METRICS_RESOURCE_ID": f"{site}-relay", "METRICS_REGION": "westeurope"}
    with manual_host(backend, queue, METRICS_SOURCES=json.dumps([source]), **settings) as host:
        host.add_fault(status=503)
        start = host.clock.now()
        await host.sample()
        end = host.clock.now()
        assert host.stored(site) == {}
        assert host.queue_length() == 1

        host.clear_faults()
        host.clock.advance(minutes=5)
        assert await host.process_queue() == []

        assert host.stored(site)["QueueDepth"] == (1, 1)
        [value] = backend.metrics(resourceId=site, metric="QueueDepth")
        time = datetime.fromisoformat(value["time"])
        assert start - timedelta(minutes=1) < time <= end
        assert (host.queue_length(), host.rejections()) == (0, [])
