"""What an operator sees of the app in the Functions host, which drops much of what is logged."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local.processes import Child
from local.stack import Backend, run_app

Eventually = Callable[[Callable[[], Any], Callable[[Any], bool]], Any]


@pytest.fixture
def app(backend: Backend, queue: str) -> Iterator[Child]:
    """The app on a queue of its own; the timer does not fire."""
    with run_app(backend, {"METRICS_SAMPLE_SCHEDULE": "0 0 0 1 1 *"}, queue=queue) as host:
        yield host
    backend.control("DELETE", "faults")


def enqueue(backend: Backend, queue: str, site: str, *others: str) -> None:
    points = [{"metric": "Orders", "value": 1, "resourceId": each} for each in (site, *others)]
    body = json.dumps({"resourceId": site, "region": "westeurope", "points": points})
    backend.storage.get_queue_client(queue).send_message(body)


def test_failed_posts_and_deferred_points_are_shown(
    app: Child, backend: Backend, queue: str, site: str
) -> None:
    backend.control("POST", "faults", json={"status": 403, "resourceId": site})
    enqueue(backend, queue, site, f"{site}-other")
    app.wait_for(rf"WARNING .*Samples not published \(403\): POST to westeurope {site}: 1 sample")
    app.wait_for(r"WARNING .*Deferring: 1 point .*Monitoring Metrics Publisher")


def test_failed_posts_are_shown_after_the_invocation_that_began_the_delivery(
    app: Child, backend: Backend, queue: str, site: str, eventually: Eventually
) -> None:
    slow = {"latency": 3, "resourceId": site, "next": 1}
    backend.control("POST", "faults", json=slow)
    enqueue(backend, queue, site)
    eventually(lambda: backend.control("GET", "faults")["faults"], lambda faults: not faults)

    # The first POST is under way; the delivery goes on with the second message.
    backend.control("POST", "faults", json={"status": 403, "resourceId": site})
    enqueue(backend, queue, site)
    app.wait_for(r"Executed 'Functions.drain_metrics' \(Failed")
    shown = rf"WARNING .*Samples not published \(403\): POST to westeurope {site}: 1 sample"
    assert re.search(shown, app.output)
