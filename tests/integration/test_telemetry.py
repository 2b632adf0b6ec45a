"""The relay's metrics on itself, as the store has them after messages and a sample."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.stack import Backend, run_app

Eventually = Callable[[Callable[[], Any], Callable[[Any], bool]], Any]

pytestmark = pytest.mark.slow  # A minute has to pass.

MESSAGES = 3
VALID_POINTS = 4  # Of each message.
SAMPLE_POINTS = 4
SOURCE = "METRICS_SOURCES[0]"


@pytest.fixture(autouse=True)
def _reset(backend: Backend) -> Iterator[None]:
    yield
    backend.control("DELETE", "state")


def enqueue(backend: Backend, queue: str, site: str) -> None:
    """Enqueue valid points, two invalid ones beside some of them, and one that has expired."""
    old = datetime.now(UTC) - timedelta(minutes=21)
    valid = [{"metric": f"Orders{number}", "value": number} for number in range(VALID_POINTS)]
    invalid = [{"metric": "Orders", "value": "x"}, {"metric": "", "value": 1}]
    expired = [{"metric": "Orders", "value": 1, "time": old.isoformat()}]
    client = backend.storage.get_queue_client(queue)
    for points in (*[valid] * (MESSAGES - 1), [*valid, *invalid], expired):
        message = {"resourceId": site, "region": "westeurope", "points": points}
        client.send_message(json.dumps(message))


def once() -> str:
    """Return an interval that does not begin soon: the source is sampled at the first tick only."""
    now = time.time()
    return f"{max((23, 24), key=lambda hours: -now % (hours * 3600))}h"


def settings(queue: str, site: str, own: str) -> dict[str, str]:
    source = {
        "kind": "storage_queue",
        "resourceId": site,
        "region": "westeurope",
        "connection": "MetricsStorage",
        "queues": [queue, f"{queue}-missing"],
        "every": once(),
    }
    return {
        "METRICS_RESOURCE_ID": own,
        "METRICS_REGION": "northeurope",
        "METRICS_SOURCES": json.dumps([source]),
        "METRICS_SAMPLE_SCHEDULE": "* * * * * *",
    }


def totals(backend: Backend, own: str) -> dict[tuple[str, ...], tuple[float, int]]:
    """Return sum and count over all minutes, by metric and dimension values."""
    found: dict[tuple[str, ...], tuple[float, int]] = {}
    for value in backend.metrics(resourceId=own):
        assert (value["region"], value["namespace"]) == ("northeurope", "MetricRelay")
        key = (value["metric"], *(text for _, text in sorted(value["dimensions"].items())))
        total, count = found.get(key, (0.0, 0))
        found[key] = (total + value["sum"], count + value["count"])
    return found


def is_complete(found: dict[tuple[str, ...], tuple[float, int]]) -> bool:
    """Return whether everything that was enqueued and sampled is accounted for."""
    messages, _ = found.get(("MessagesDrained",), (0, 0))
    points, _ = found.get(("PointsPublished",), (0, 0))
    samples, _ = found.get(("SamplePoints", SOURCE), (0, 0))
    expected = (MESSAGES + 1, MESSAGES * VALID_POINTS + SAMPLE_POINTS, SAMPLE_POINTS)
    return (messages, points, samples) == expected


def published(backend: Backend, site: str) -> int:
    return sum(value["count"] for value in backend.metrics(resourceId=site))


def test_own_metrics_agree_with_the_store_after_a_missing_role_is_granted(
    backend: Backend, queue: str, site: str, eventually: Eventually
) -> None:
    own = f"{site}-relay"
    assignments = [{"scope": site}]
    backend.control("PUT", "roles", json={"assignments": assignments})

    def forbidden() -> int:
        requests = backend.control("GET", "requests")["requests"]
        return sum(one["resourceId"] == own and one["status"] == 403 for one in requests)

    with run_app(backend, settings(queue, site, own), queue=queue) as host:
        enqueue(backend, queue, site)
        points = MESSAGES * VALID_POINTS + SAMPLE_POINTS
        # Missing own metrics hold back nothing else.
        assert eventually(lambda: published(backend, site), points.__eq__) == points
        assert eventually(forbidden, bool)  # The metrics on the sample, which are sent at once.
        assert totals(backend, own) == {}

        assignments.append({"scope": own})
        backend.control("PUT", "roles", json={"assignments": assignments})
        found = eventually(lambda: totals(backend, own), is_complete)
        assert "(Failed" not in host.output

    assert found["MessagesDrained",] == (MESSAGES + 1, MESSAGES + 1)
    assert found["PointsPublished",][0] == points
    assert found["PointsRejected", "invalid"][0] == 2
    assert found["PointsRejected", "expired"] == (1, 1)
    assert ("PointsDeferred",) not in found
    assert sorted(one["reason"] for one in backend.dead_letters(queue)) == ["expired", "invalid"]

    assert found["SamplePoints", SOURCE] == (SAMPLE_POINTS, 1)
    assert found["SampleErrors", SOURCE] == (1, 1)  # The missing queue.
    assert found["SampleDuration", SOURCE][1] == 1

    requests = backend.control("GET", "requests")["requests"]
    posts = sum(request["resourceId"] == site for request in requests)
    assert found["Posts", "200"] == (posts, posts)
    assert ("Posts", "403") not in found  # POSTs of own metrics are not measured.
    assert found["PostDuration", "200"][1] == posts
    assert found["BatchSize",] == (points, posts)
    assert found["PublishLatency",][1] == MESSAGES

    active = backend.metrics(resourceId=own, metric="ActiveSeries")
    assert max(value["max"] for value in active) == VALID_POINTS + SAMPLE_POINTS
    assert ("ActiveSeries", "westeurope", site.split("/")[2]) in found
    assert {key[0] for key in found} == {
        "MessagesDrained",
        "PointsPublished",
        "PointsRejected",
        "PublishLatency",
        "Posts",
        "PostDuration",
        "BatchSize",
        "ActiveSeries",
        "SampleDuration",
        "SamplePoints",
        "SampleErrors",
    }
