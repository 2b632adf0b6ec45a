"""What a producer enqueues and what the store then holds: Azurite, host, app and emulator."""

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

Ask = Callable[[Callable[[], Any], Callable[[Any], bool]], Any]


@pytest.fixture(autouse=True)
def _no_faults(backend: Backend) -> Iterator[None]:
    """What a test breaks is whole again for the next one."""
    yield
    backend.control("DELETE", "faults")


@pytest.fixture
def app(backend: Backend, queue: str) -> Iterator[Child]:
    """The app on a queue of its own; the timer does not fire by itself."""
    settings = {"METRICS_SAMPLE_SCHEDULE": "0 0 0 1 1 *"}
    with run_app(backend, settings, queue=queue) as host:
        yield host


def _send(backend: Backend, queue: str, *bodies: str, base64: bool = False) -> None:
    policy = TextBase64EncodePolicy() if base64 else None
    client = backend.storage.get_queue_client(queue, message_encode_policy=policy)
    for body in bodies:
        client.send_message(body)


def _stored(values: list[dict[str, Any]]) -> dict[tuple[str, ...], tuple[float, ...]]:
    """Series -> min, max, sum, count."""
    return {
        (
            value["region"],
            value["namespace"],
            value["metric"],
            *(f"{name}={text}" for name, text in sorted(value["dimensions"].items())),
        ): (value["min"], value["max"], value["sum"], value["count"])
        for value in values
    }


def _refused(backend: Backend, queue: str) -> list[tuple[str, dict[str, Any]]]:
    """Reason and entry of everything that was dead-lettered, however it was put into letters."""
    letters = backend.dead_letters(queue)
    return [(letter["reason"], one) for letter in letters for one in letter["refused"]]


def _settled(backend: Backend, queue: str) -> bool:
    """Whether the queue is empty, messages in work included."""
    properties = backend.storage.get_queue_client(queue).get_queue_properties()
    return properties.approximate_message_count == 0


@pytest.mark.parametrize("base64", [False, True], ids=["text", "base64"])
def test_both_shapes_and_several_resources_in_two_regions(
    app: Child, backend: Backend, queue: str, site: str, eventually: Ask, base64: bool
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
    _send(backend, queue, json.dumps(document), json.dumps(points), base64=base64)

    here = eventually(lambda: _stored(backend.metrics(resourceId=site)), lambda got: len(got) == 3)
    there = eventually(lambda: _stored(backend.metrics(resourceId=other)), bool)

    depth = ("westeurope", "QueueProcessing", "QueueDepth")
    assert here == {
        (*depth, "MessageType=JPEG", "QueueName=Images"): (3, 20, 28, 3),
        (*depth, "MessageType=PNG", "QueueName=Images"): (-1.5, 2, 0.5, 2),
        ("westeurope", "Shop", "Orders", "Country=NL"): (7, 7, 7, 1),
    }
    assert there == {("northeurope", "Shop", "Orders", "Country=NL"): (0, 9, 16.25, 7)}
    assert backend.dead_letters(queue) == []


def test_refused_points_are_dead_lettered_and_do_not_hold_back_the_good_ones(
    app: Child, backend: Backend, queue: str, site: str, eventually: Ask
) -> None:
    old = datetime.now(UTC) - timedelta(minutes=21)
    address = {"resourceId": site, "region": "westeurope"}
    points = [
        {"metric": "Orders", "value": 1},
        {"metric": "Orders", "value": 2, "dimensions": {f"Name{n}": "v" for n in range(11)}},
        {"metric": "Orders", "value": 3, "time": old.isoformat()},
        {"metric": "Orders", "value": 4},
    ]
    _send(backend, queue, json.dumps({**address, "points": points}))

    letters = eventually(lambda: backend.dead_letters(queue), lambda got: len(got) == 2)
    stored = eventually(lambda: _stored(backend.metrics(resourceId=site)), bool)

    assert stored == {("westeurope", "QueueProcessing", "Orders"): (1, 4, 5, 2)}
    by_reason = {letter["reason"]: letter for letter in letters}
    invalid = by_reason["invalid"]
    assert invalid["detail"] == "points[1].dimensions: 11 dimensions, at most 10"
    assert invalid["refused"][0]["message"] == {**address, "points": [points[1]]}
    assert by_reason["expired"]["refused"][0]["message"] == {**address, "points": [points[2]]}
    assert all(letter["messageId"] and letter["enqueuedTime"] for letter in letters)


def test_what_is_no_message_is_dead_lettered(
    app: Child, backend: Backend, queue: str, eventually: Ask
) -> None:
    _send(backend, queue, "QueueDepth=7", "{", "[1]")

    refused = eventually(lambda: _refused(backend, queue), lambda got: len(got) == 3)

    assert {one.get("body", one.get("message")): one["detail"] for _, one in refused} == {
        "QueueDepth=7": "body: 'QueueDepth=7' is neither JSON, which starts with { or [, "
        "nor base64 of it",
        "{": "not JSON: Input data was truncated",
        1: "[0]: found 1, expected an object",
    }
    assert eventually(lambda: _settled(backend, queue), bool)


HOSTILE_REGIONS = [
    "evil.example/#",
    "evil.example",
    "user@evil.example",
    "westeurope%2f",
    "westeurope/..",
    "westeurope\n",
    "westeurope?",
    "WESTEUROPE",
    "west\u212aeurope",
    "ｗｅｓｔｅｕｒｏｐｅ",
]
HOSTILE_SUFFIXES = [
    "/../../../../..",
    "/metrics?x=",
    "#",
    "%2f..",
    "\n",
    "\\..",
    "@evil.example",
    "//evil.example",
    "/．．",
]


def test_nothing_leaves_for_a_hostile_address(
    app: Child, backend: Backend, queue: str, site: str, eventually: Ask
) -> None:
    before = backend.control("GET", "requests")
    point = {"metric": "Orders", "value": 1}
    messages = [
        {"resourceId": site, "region": region, "points": [point]} for region in HOSTILE_REGIONS
    ] + [
        {"resourceId": f"{site}{suffix}", "region": "westeurope", "points": [point]}
        for suffix in HOSTILE_SUFFIXES
    ]
    _send(backend, queue, *map(json.dumps, messages))

    refused = eventually(lambda: _refused(backend, queue), lambda got: len(got) == len(messages))

    assert [reason for reason, _ in refused] == ["invalid"] * len(messages)
    after = backend.control("GET", "requests")
    # Not even a token was asked for: the app never got as far as publishing.
    assert after["totals"] == before["totals"]
    assert after["identityTotals"] == before["identityTotals"]


def test_a_refused_token_is_replaced(
    app: Child, backend: Backend, queue: str, site: str, eventually: Ask
) -> None:
    point = {"metric": "Orders", "value": 1}
    message = json.dumps({"resourceId": site, "region": "westeurope", "points": [point]})
    fault = {"status": 401, "next": 1, "resourceId": site}
    backend.control("POST", "faults", json=fault)

    _send(backend, queue, message)

    stored = eventually(lambda: _stored(backend.metrics(resourceId=site)), bool)
    assert stored == {("westeurope", "QueueProcessing", "Orders"): (1, 1, 1, 1)}


def test_the_timer_samples_queues(backend: Backend, queue: str, site: str, eventually: Ask) -> None:
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
    bad = {"kind": "storage_queue", "resourceId": site, "region": "westeurope", "queue": ["x"]}
    settings = {
        "METRICS_SOURCES": json.dumps([bad, source]),
        "METRICS_SAMPLE_SCHEDULE": "* * * * * *",
    }
    with run_app(backend, settings, queue=queue) as host:
        stored = eventually(
            lambda: _stored(backend.metrics(resourceId=site)), lambda got: len(got) >= 11
        )
        output = eventually(lambda: host.output, lambda text: "missing" in text)

    address = ("westeurope", "QueueProcessing")
    depths = {
        key[3]: value[:2] for key, value in stored.items() if key[:3] == (*address, "QueueDepth")
    }
    assert depths == {f"QueueName={queue}-a": (3, 3), f"QueueName={queue}-b": (0, 0)}
    ages = {
        key[3]: value
        for key, value in stored.items()
        if key[:3] == (*address, "QueueOldestMessageAge")
    }
    assert ages[f"QueueName={queue}-a"][1] > 0
    assert ages[f"QueueName={queue}-b"][1] == 0
    sampling = ("westeurope", "MetricRelay")
    figures = {key[2:]: value for key, value in stored.items() if key[:2] == sampling}
    source_name = "Source=METRICS_SOURCES[1]"
    assert set(figures) == {
        (name, source_name) for name in ("SampleDuration", "SamplePoints", "SampleErrors")
    }
    assert figures["SamplePoints", source_name][:2] == (8, 8)
    assert figures["SampleErrors", source_name][:2] == (1, 1)
    assert {key[4] for key in stored if key[:2] == address} == {"Team=shop"}
    assert {key[2] for key in stored if key[:2] == address} == {
        "QueueDepth",
        "QueueVisibleDepth",
        "QueueOldestMessageAge",
        "PoisonQueueDepth",
    }
    assert "METRICS_SOURCES[0]: unknown member 'queue'" in output
    assert f"queue {queue}-missing" in output


def test_the_timer_samples_service_bus_and_any_json(
    backend: Backend, queue: str, site: str, eventually: Ask
) -> None:
    bus = site.replace("Microsoft.Web/sites", "Microsoft.ServiceBus/namespaces")
    subscriptions = [{"name": f"s{number}", "active": number} for number in range(5)]
    topic = {"name": "orders", "subscriptions": subscriptions}
    invoices = {"name": "invoices", "active": 4, "deadLetter": 1}
    namespace = {"resourceId": bus, "queues": [invoices], "topics": [topic]}
    # Pages of two, so that the links between them are followed.
    known = {"namespaces": [namespace], "pageSize": 2}
    backend.control("PUT", "service_bus", json=known)
    document = {"articles": [{"name": "bicycle", "pieces": 12}, {"name": "helmet"}]}
    path = f"/{queue}"
    audience = "https://management.azure.com/"
    stock = {"path": path, "body": document, "audience": audience}
    backend.control("PUT", "documents", json=stock)
    west = {"region": "westeurope"}
    sources = [
        {"kind": "service_bus", "resourceId": bus, **west, "entities": ["*", "!orders/s3"]},
        {
            "kind": "rest",
            "resourceId": site,
            **west,
            "url": f"{backend.monitor_url}/_local/documents{path}",
            "audience": audience,
            "items": "articles",
            "metrics": {"Stock": "pieces"},
            "itemDimensions": {"Article": "name"},
        },
    ]
    settings = {"METRICS_SOURCES": json.dumps(sources), "METRICS_SAMPLE_SCHEDULE": "* * * * * *"}
    with run_app(backend, settings, queue=queue) as host:
        counts = eventually(
            lambda: {
                key[3:]: value[:2]
                for key, value in _stored(backend.metrics(resourceId=bus)).items()
                if key[2] == "ActiveMessages"
            },
            lambda got: len(got) == 6,
        )
        articles = eventually(lambda: backend.metrics(resourceId=site, metric="Stock"), bool)
        output = eventually(lambda: host.output, lambda text: "is not a number" in text)

    of_topic: dict[tuple[str, ...], tuple[float, ...]] = {
        ("EntityName=orders", f"SubscriptionName=s{number}"): (number, number)
        for number in (0, 1, 2, 4)
    }
    assert counts == {("EntityName=invoices",): (4, 4), ("EntityName=orders",): (0, 0), **of_topic}
    assert {(value["dimensions"]["Article"], value["max"]) for value in articles} == {
        ("bicycle", 12)
    }
    assert "METRICS_SOURCES[1]: metrics.Stock: null is not a number" in output


def test_what_is_in_work_is_finished_at_a_stop(
    app: Child, backend: Backend, queue: str, site: str, eventually: Ask
) -> None:
    backend.control("POST", "faults", json={"latency": 2, "resourceId": site})
    point = {"metric": "Orders", "value": 1}
    _send(
        backend, queue, json.dumps({"resourceId": site, "region": "westeurope", "points": [point]})
    )
    [fault] = eventually(
        lambda: backend.control("GET", "faults")["faults"], lambda got: got[0]["hits"] > 0
    )
    assert fault["hits"] == 1

    app.signal(signal.SIGTERM)

    assert app.wait(timeout=60) == 0
    assert _stored(backend.metrics(resourceId=site)) == {
        ("westeurope", "QueueProcessing", "Orders"): (1, 1, 1, 1)
    }
    assert _settled(backend, queue)
