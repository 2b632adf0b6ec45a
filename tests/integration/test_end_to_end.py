"""The app in the Functions host: what producers enqueue, what the timer samples, what is stored."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.storage.queue import TextBase64EncodePolicy

from local.processes import Child
from local.stack import Backend, run_app

Eventually = Callable[[Callable[[], Any], Callable[[Any], bool]], Any]

NEVER = "0 0 0 1 1 *"
EACH_SECOND = "* * * * * *"
ARM_AUDIENCE = "https://management.azure.com/"


@pytest.fixture
def app(backend: Backend, queue: str) -> Iterator[Child]:
    """The app on a queue of its own; the timer does not fire."""
    with run_app(backend, {"METRICS_SAMPLE_SCHEDULE": NEVER}, queue=queue) as host:
        yield host
    backend.control("DELETE", "faults")


def enqueue(backend: Backend, queue: str, *bodies: str, base64: bool = False) -> None:
    policy = TextBase64EncodePolicy() if base64 else None
    client = backend.storage.get_queue_client(queue, message_encode_policy=policy)
    for body in bodies:
        client.send_message(body)


def stored(backend: Backend, resource_id: str) -> dict[tuple[str, ...], tuple[float, ...]]:
    """Return min, max, sum and count by region, namespace, metric and dimensions."""
    return {
        (
            value["region"],
            value["namespace"],
            value["metric"],
            *(f"{name}={text}" for name, text in sorted(value["dimensions"].items())),
        ): (value["min"], value["max"], value["sum"], value["count"])
        for value in backend.metrics(resourceId=resource_id)
    }


def is_empty(backend: Backend, queue: str) -> bool:
    """Return whether the queue holds no message, invisible ones included."""
    properties = backend.storage.get_queue_client(queue).get_queue_properties()
    return properties.approximate_message_count == 0


@pytest.mark.parametrize("base64", [False, True], ids=["text", "base64"])
def test_both_shapes_for_two_resources_in_two_regions(
    app: Child, backend: Backend, queue: str, site: str, eventually: Eventually, base64: bool
) -> None:
    other = f"{site}-other"
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    document = {
        "resourceId": site,
        "region": "westeurope",
        "time": now.strftime("%Y-%m-%dT%H:%M:%S"),
        "data": {
            "baseData": {
                "metric": "QueueDepth",
                "namespace": "QueueProcessing",
                "dimNames": ["QueueName", "MessageType"],
                "series": [
                    {"dimValues": ["Images", "JPEG"], "min": 3, "max": 20, "sum": 28, "count": 3},
                    {"dimValues": ["Images", "PNG"], "min": -1.5, "max": 2, "sum": 0.5, "count": 2},
                ],
            }
        },
    }
    point = {"metric": "Orders", "time": now.isoformat(), "dimensions": {"Country": "NL"}}
    points = {
        "resourceId": other,
        "region": "northeurope",
        "namespace": "Shop",
        "points": [
            {**point, "value": 1},
            {**point, "values": [2, 3.25]},
            {**point, "min": 0, "max": 9, "sum": 10, "count": 4},
            {**point, "value": 7, "resourceId": site, "region": "westeurope"},
        ],
    }
    enqueue(backend, queue, json.dumps(document), json.dumps(points), base64=base64)

    first = eventually(lambda: stored(backend, site), lambda found: len(found) == 3)
    second = eventually(lambda: stored(backend, other), bool)

    depth = ("westeurope", "QueueProcessing", "QueueDepth")
    assert first == {
        (*depth, "MessageType=JPEG", "QueueName=Images"): (3, 20, 28, 3),
        (*depth, "MessageType=PNG", "QueueName=Images"): (-1.5, 2, 0.5, 2),
        ("westeurope", "Shop", "Orders", "Country=NL"): (7, 7, 7, 1),
    }
    assert second == {("northeurope", "Shop", "Orders", "Country=NL"): (0, 9, 16.25, 7)}
    assert eventually(lambda: is_empty(backend, queue), bool)
    assert backend.dead_letters(queue) == []


def test_invalid_points_and_bodies_are_dead_lettered_beside_valid_points(
    app: Child, backend: Backend, queue: str, site: str, eventually: Eventually
) -> None:
    old = datetime.now(UTC) - timedelta(minutes=21)
    address = {"resourceId": site, "region": "westeurope"}
    points = [
        {"metric": "Orders", "value": 1},
        {"metric": "Orders", "value": 2, "dimensions": {f"Name{n}": "v" for n in range(11)}},
        {"metric": "Orders", "value": 3, "time": old.isoformat()},
        {"metric": "Orders", "value": 4},
    ]
    enqueue(backend, queue, json.dumps({**address, "points": points}), "QueueDepth=7")

    dead_letters = eventually(lambda: backend.dead_letters(queue), lambda found: len(found) == 3)
    assert eventually(lambda: is_empty(backend, queue), bool)

    assert stored(backend, site) == {("westeurope", "QueueProcessing", "Orders"): (1, 4, 5, 2)}
    entries = {one["refused"][0]["detail"]: one["refused"] for one in dead_letters}
    too_many = "points[1].dimensions: 11 dimensions, at most 10"
    not_json = "body: 'QueueDepth=7' is neither JSON, which starts with { or [, nor base64 of it"
    assert entries.pop(too_many)[0]["message"] == {**address, "points": [points[1]]}
    assert entries.pop(not_json)[0]["body"] == "QueueDepth=7"
    [[expired]] = entries.values()
    assert expired["message"] == {**address, "points": [points[2]]}
    assert sorted(one["reason"] for one in dead_letters) == ["expired", "invalid", "invalid"]
    assert all(one["messageId"] and one["enqueuedTime"] for one in dead_letters)


def test_running_invocations_finish_at_a_stop(
    app: Child, backend: Backend, queue: str, site: str, eventually: Eventually
) -> None:
    backend.control("POST", "faults", json={"latency": 2, "resourceId": site})
    point = {"metric": "Orders", "value": 1}
    body = {"resourceId": site, "region": "westeurope", "points": [point]}
    enqueue(backend, queue, json.dumps(body))
    [fault] = eventually(
        lambda: backend.control("GET", "faults")["faults"], lambda found: found[0]["hits"] > 0
    )
    assert fault["hits"] == 1

    app.signal(signal.SIGTERM)

    assert app.wait() == 0
    assert stored(backend, site) == {("westeurope", "QueueProcessing", "Orders"): (1, 1, 1, 1)}
    assert is_empty(backend, queue)


def test_timer_samples_storage_queues(
    backend: Backend, queue: str, site: str, eventually: Eventually
) -> None:
    for name, backlog in ((f"{queue}-a", 3), (f"{queue}-b", 0)):
        client = backend.storage.create_queue(name)
        for number in range(backlog):
            client.send_message(f"work {number}")
    source = {
        "kind": "storage_queue",
        "resourceId": site,
        "region": "westeurope",
        "connection": "MetricsStorage",
        "queues": [f"{queue}-a", f"{queue}-b", f"{queue}-missing"],
        "dimensions": {"Team": "shop"},
    }
    invalid = {"kind": "storage_queue", "resourceId": site, "region": "westeurope", "queue": ["x"]}
    settings = {
        "METRICS_SOURCES": json.dumps([invalid, source]),
        "METRICS_SAMPLE_SCHEDULE": EACH_SECOND,
    }
    with run_app(backend, settings, queue=queue) as host:
        found = eventually(lambda: stored(backend, site), lambda values: len(values) >= 11)
        output = eventually(lambda: host.output, lambda text: f"queue {queue}-missing" in text)

    sampled = {key[2:4]: value for key, value in found.items() if key[1] == "QueueProcessing"}
    assert {key[4] for key in found if key[1] == "QueueProcessing"} == {"Team=shop"}
    names = ("QueueDepth", "QueueVisibleDepth", "QueueOldestMessageAge", "PoisonQueueDepth")
    first, second = f"QueueName={queue}-a", f"QueueName={queue}-b"
    assert set(sampled) == {(name, one) for name in names for one in (first, second)}
    assert sampled["QueueDepth", first][:2] == (3, 3)
    assert sampled["QueueDepth", second][:2] == (0, 0)
    assert sampled["QueueOldestMessageAge", first][1] > 0
    assert sampled["QueueOldestMessageAge", second][1] == 0
    own = {key[2:]: value[:2] for key, value in found.items() if key[1] == "MetricRelay"}
    assert own["SamplePoints", "Source=METRICS_SOURCES[1]"] == (8, 8)
    assert own["SampleErrors", "Source=METRICS_SOURCES[1]"] == (1, 1)
    assert "METRICS_SOURCES[0]: unknown member 'queue'" in output
    assert f"queue {queue}-missing" in output


def test_timer_samples_service_bus_and_rest(
    backend: Backend, queue: str, site: str, eventually: Eventually
) -> None:
    bus = site.replace("Microsoft.Web/sites", "Microsoft.ServiceBus/namespaces")
    subscriptions = [{"name": f"s{number}", "active": number} for number in range(5)]
    topic = {"name": "orders", "subscriptions": subscriptions}
    invoices = {"name": "invoices", "active": 4, "deadLetter": 1}
    namespace = {"resourceId": bus, "queues": [invoices], "topics": [topic]}
    # With pages of two, the links between pages are followed.
    backend.control("PUT", "service_bus", json={"namespaces": [namespace], "pageSize": 2})
    articles = {"articles": [{"name": "bicycle", "pieces": 12}, {"name": "helmet"}]}
    document = {"path": f"/{queue}", "body": articles, "audience": ARM_AUDIENCE}
    backend.control("PUT", "documents", json=document)
    sources = [
        {
            "kind": "service_bus",
            "resourceId": bus,
            "region": "westeurope",
            "entities": ["*", "!orders/s3"],
        },
        {
            "kind": "rest",
            "resourceId": site,
            "region": "westeurope",
            "url": f"{backend.monitor_url}/_local/documents/{queue}",
            "audience": ARM_AUDIENCE,
            "items": "articles",
            "metrics": {"Stock": "pieces"},
            "itemDimensions": {"Article": "name"},
        },
    ]
    settings = {
        "METRICS_SOURCES": json.dumps(sources),
        "METRICS_SAMPLE_SCHEDULE": EACH_SECOND,
    }

    def active_messages() -> dict[tuple[str, ...], float]:
        values = stored(backend, bus).items()
        return {key[3:]: value[1] for key, value in values if key[2] == "ActiveMessages"}

    with run_app(backend, settings, queue=queue) as host:
        active = eventually(active_messages, lambda found: len(found) == 6)
        stock = eventually(lambda: backend.metrics(resourceId=site, metric="Stock"), bool)
        output = eventually(lambda: host.output, lambda text: "metrics.Stock" in text)

    assert active == {
        ("EntityName=invoices",): 4,
        ("EntityName=orders",): 0,
        ("EntityName=orders", "SubscriptionName=s0"): 0,
        ("EntityName=orders", "SubscriptionName=s1"): 1,
        ("EntityName=orders", "SubscriptionName=s2"): 2,
        ("EntityName=orders", "SubscriptionName=s4"): 4,
    }
    assert {(one["dimensions"]["Article"], one["max"]) for one in stock} == {("bicycle", 12)}
    assert "METRICS_SOURCES[1]" in output
