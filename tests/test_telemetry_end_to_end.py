"""What the app says of itself to the store, as the store has it: Azurite, host, app, emulator."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.stack import Backend, run_app

Ask = Callable[[Callable[[], Any], Callable[[Any], bool]], Any]

pytestmark = pytest.mark.slow  # A minute has to pass.

MESSAGES = 3
POINTS = 4  # Good ones of each message.


@pytest.fixture(autouse=True)
def _as_it_was(backend: Backend) -> Iterator[None]:
    """Roles are whole again for the next test."""
    yield
    backend.control("DELETE", "state")


@pytest.fixture
def own(site: str) -> str:
    """The resource of the app itself."""
    return f"{site}-relay"


def send(backend: Backend, queue: str, site: str) -> None:
    """Messages of good points, one of them with two bad ones; and one of an old point alone."""
    old = datetime.now(UTC) - timedelta(minutes=21)
    address = {"resourceId": site, "region": "westeurope"}
    good = [{"metric": f"Orders{number}", "value": number} for number in range(POINTS)]
    bad = [{"metric": "Orders", "value": "x"}, {"metric": "", "value": 1}]
    expired = [{"metric": "Orders", "value": 1, "time": old.isoformat()}]
    client = backend.storage.get_queue_client(queue)
    for points in (*[good] * (MESSAGES - 1), [*good, *bad], expired):
        client.send_message(json.dumps({**address, "points": points}))


def rarely() -> str:
    """A time between samples; the next one is due hours later, though midnight may be near."""
    now = time.time()
    return f"{max((23, 24), key=lambda hours: -now % (hours * 3600))}h"


def settings(backend: Backend, queue: str, site: str, own: str) -> dict[str, str]:
    """The app's own resource, and a source that is sampled once."""
    source = {
        "kind": "storage_queue",
        "resourceId": site,
        "region": "westeurope",
        "connection": "MetricsStorage",
        "queues": [queue, f"{queue}-missing"],
        "every": rarely(),
    }
    return {
        "METRICS_RESOURCE_ID": own,
        "METRICS_REGION": "northeurope",
        "METRICS_SOURCES": json.dumps([source]),
        "METRICS_SAMPLE_SCHEDULE": "* * * * * *",
    }


def totals(backend: Backend, own: str) -> dict[tuple[str, ...], tuple[float, int]]:
    """Metric and values of its dimensions -> sum and count, over all minutes."""
    found: dict[tuple[str, ...], tuple[float, int]] = {}
    for value in backend.metrics(resourceId=own):
        assert (value["region"], value["namespace"]) == ("northeurope", "MetricRelay")
        key = (value["metric"], *(text for _, text in sorted(value["dimensions"].items())))
        total, count = found.get(key, (0.0, 0))
        found[key] = (total + value["sum"], count + value["count"])
    return found


def a_minute_passes(eventually: Ask) -> None:
    """Until what is recorded now is of a minute that is over."""
    over = datetime.now(UTC).replace(second=0) + timedelta(minutes=1)
    assert eventually(lambda: datetime.now(UTC), lambda now: now > over) > over


def published(backend: Backend, site: str) -> int:
    """How many points the store holds of a resource."""
    return sum(value["count"] for value in backend.metrics(resourceId=site))


def check(backend: Backend, site: str, own: str, got: dict[tuple[str, ...], Any]) -> None:
    """What the app says of itself is what the store and the queues know of it."""
    subscription = site.split("/")[2]
    source = "METRICS_SOURCES[0]"
    (samples, ticks) = got["SamplePoints", source]
    assert (samples, ticks) == (4, 1)
    assert got["SampleErrors", source] == (1, 1)  # The queue that is missing.
    assert got["SampleDuration", source][1] == 1

    points = MESSAGES * POINTS + samples
    assert published(backend, site) == points
    assert got["MessagesDrained",] == (MESSAGES + 1, MESSAGES + 1)
    assert got["PointsPublished",][0] == points
    assert got["PointsRejected", "invalid"][0] == 2
    assert got["PointsRejected", "expired"] == (1, 1)
    assert ("PointsDeferred",) not in got

    requests = backend.control("GET", "requests")["requests"]
    posts = sum(request["resourceId"] == site for request in requests)
    assert got["Posts", "200"] == (posts, posts)
    assert ("Posts", "403") not in got  # Of what it says of itself it says nothing.
    seconds, durations = got["PostDuration", "200"]
    assert durations == posts
    assert 0 < seconds < 600
    assert got["BatchSize",] == (points, posts)

    waited, messages = got["PublishLatency",]
    assert messages == MESSAGES
    assert 0 <= waited < 600
    # Metrics of the messages and of the sample; what is refused is no series, nor are these.
    active = backend.metrics(resourceId=own, metric="ActiveSeries")
    assert max(value["max"] for value in active) == POINTS + samples
    assert ("ActiveSeries", "westeurope", subscription) in got
    assert {key[0] for key in got} == {
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


def complete(got: dict[tuple[str, ...], tuple[float, int]]) -> bool:
    """Whether everything that was sent has been accounted for."""
    drained, _ = got.get(("MessagesDrained",), (0, 0))
    published, _ = got.get(("PointsPublished",), (0, 0))
    return (drained, published) == (MESSAGES + 1, MESSAGES * POINTS + 4)


def test_what_the_app_says_of_itself_is_right_and_a_role_missing_for_it_harms_nothing(
    backend: Backend, queue: str, site: str, own: str, eventually: Ask
) -> None:
    only_there = [{"scope": site}]
    backend.control("PUT", "roles", json={"assignments": only_there})

    def refused() -> int:
        requests = backend.control("GET", "requests")["requests"]
        return sum(one["resourceId"] == own and one["status"] == 403 for one in requests)

    with run_app(backend, settings(backend, queue, site, own), queue=queue) as host:
        send(backend, queue, site)
        expected = MESSAGES * POINTS + 4
        assert eventually(lambda: published(backend, site), expected.__eq__) == expected
        assert eventually(refused, bool)  # The figures on sampling, which go at once.
        a_minute_passes(eventually)
        assert totals(backend, own) == {}
        assert f"grant Monitoring Metrics Publisher on {own}" in host.output

        backend.control("PUT", "roles", json={"assignments": [*only_there, {"scope": own}]})
        a_minute_passes(eventually)
        got = eventually(lambda: totals(backend, own), complete)
        check(backend, site, own, got)
        assert "(Failed" not in host.output
    letters = backend.dead_letters(queue)
    assert sorted(letter["reason"] for letter in letters) == ["expired", "invalid"]
    client = backend.storage.get_queue_client(queue)
    assert client.get_queue_properties().approximate_message_count == 0
