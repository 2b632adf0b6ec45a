"""Faults and crashes: every point is published or dead-lettered, none is lost."""

from __future__ import annotations

import json
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from local.stack import HOST, Backend, run_app, run_backend

Eventually = Callable[[Callable[[], Any], Callable[[Any], bool]], Any]

pytestmark = pytest.mark.slow

SEED = 20261123
# Messages in the queue at once: Azurite looks at all of them for each request.
MAX_BACKLOG = 400
RESOURCES = 10
KILLS = 20
# Faults of 30 % of all requests. None of them publishes and loses the answer.
TRANSIENT: list[dict[str, Any]] = [
    {"status": 429, "retryAfter": 1, "share": 0.05},
    {"status": 500, "share": 0.05},
    {"status": 503, "share": 0.05},
    {"status": 408, "share": 0.05},
    {"drop": "before", "share": 0.05},
    {"latency": 0.5, "share": 0.05},
]
LOST_ANSWERS = {"drop": "after", "share": 0.02}
TIME_OUTS = {"latency": 40, "drop": "before", "next": 2}
SETTINGS = {
    "METRICS_SAMPLE_SCHEDULE": "0 0 0 1 1 *",
    "AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:00:01",
    "AzureFunctionsJobHost__extensions__queues__maxDequeueCount": "1000",
    # Seconds for which the messages of a killed host stay invisible; 600 in Azure.
    "LOCAL_CRASH_INVISIBILITY": "4",
}


@pytest.fixture
def own_backend() -> Iterator[Backend]:
    """A backend of its own, so that no other test meets its faults."""
    with run_backend() as running:
        yield running


class Producer:
    """Enqueues numbered points, some of them invalid."""

    def __init__(self, backend: Backend, queue: str, site: str, eventually: Eventually) -> None:
        backend.storage.create_queue(queue)
        self._client = backend.storage.get_queue_client(queue)
        self._site = site
        self._eventually = eventually
        self._chance = random.Random(SEED)
        self.valid = 0
        self.invalid = 0

    def enqueue(self, messages: int) -> None:
        """Enqueue messages of one to five points, and wait where the backlog gets too long."""
        for number in range(messages):
            if number % 50 == 0:
                self._eventually(self.queue_length, lambda length: length <= MAX_BACKLOG)
            points = [self._point() for _ in range(self._chance.randint(1, 5))]
            resource_id = f"{self._site}-{self._chance.randrange(RESOURCES)}"
            message = {"resourceId": resource_id, "region": "westeurope", "points": points}
            self._client.send_message(json.dumps(message))

    def queue_length(self) -> int:
        return self._client.get_queue_properties().approximate_message_count or 0

    def _point(self) -> dict[str, Any]:
        if self._chance.random() < 0.02:
            self.invalid += 1
            return {"metric": "Invalid", "value": "x", "dimensions": {"Id": str(self.invalid)}}
        self.valid += 1
        return {"metric": "Valid", "value": 1, "dimensions": {"Id": str(self.valid)}}


def published(backend: Backend) -> Counter[int]:
    """Return how often the store counted each valid point."""
    counts = Counter[int]()
    for value in backend.metrics(metric="Valid"):
        counts[int(value["dimensions"]["Id"])] += value["count"]
    return counts


def dead_lettered(backend: Backend, queue: str) -> Counter[str]:
    """Return how often each invalid point is in the dead-letter queue."""
    counts = Counter[str]()
    client = backend.storage.get_queue_client(f"{queue}-dead-letter")
    for message in client.receive_messages(messages_per_page=32):
        dead_letter = json.loads(message.content)
        assert dead_letter["reason"] == "invalid"
        for entry in dead_letter["refused"]:
            [point] = entry["message"]["points"]
            counts[point["dimensions"]["Id"]] += 1
    return counts


def test_transient_faults_lose_nothing_and_count_nothing_twice(
    own_backend: Backend, queue: str, site: str, eventually: Eventually
) -> None:
    for fault in TRANSIENT:
        own_backend.control("POST", "faults", json=fault)
    producer = Producer(own_backend, queue, site, eventually)
    with run_app(own_backend, SETTINGS, queue=queue):
        producer.enqueue(1500)
        assert eventually(producer.queue_length, lambda length: length == 0) == 0

    counts = published(own_backend)
    assert sorted(counts) == list(range(1, producer.valid + 1))
    assert set(counts.values()) == {1}
    rejected = dead_lettered(own_backend, queue)
    assert len(rejected) == producer.invalid
    assert set(rejected.values()) == {1}
    totals = own_backend.control("GET", "requests")["totals"]
    print(f"{producer.valid} points, each counted once; requests: {totals}")


def test_crashes_and_lost_answers_lose_nothing(
    own_backend: Backend, queue: str, site: str, eventually: Eventually
) -> None:
    for fault in (*TRANSIENT, LOST_ANSWERS, TIME_OUTS):
        own_backend.control("POST", "faults", json=fault)
    chance = random.Random(SEED)
    producer = Producer(own_backend, queue, site, eventually)
    producing = threading.Thread(target=producer.enqueue, args=(3500,))
    producing.start()

    def posts() -> int:
        return sum(own_backend.control("GET", "requests")["totals"].values())

    def is_due(last: int) -> bool:
        return posts() >= last or not producing.is_alive()

    for _ in range(KILLS):
        last = posts() + chance.randrange(30)
        with run_app(own_backend, SETTINGS, queue=queue) as host:
            eventually(partial(is_due, last), bool)
            host.kill()
    with run_app(own_backend, SETTINGS, queue=queue):
        producing.join()
        assert eventually(producer.queue_length, lambda length: length == 0) == 0

    counts = published(own_backend)
    assert sorted(counts) == list(range(1, producer.valid + 1)), "points were lost"
    assert len(dead_lettered(own_backend, queue)) == producer.invalid, "rejections were lost"
    twice = sum(count - 1 for count in counts.values())
    totals = own_backend.control("GET", "requests")["totals"]
    print(f"{KILLS} kills, {producer.valid} points, {twice} counted again; requests: {totals}")


def test_outage_of_the_queue_service_ends_the_host_and_loses_nothing(
    tmp_path: Path, queue: str, site: str, eventually: Eventually
) -> None:
    with run_backend(tmp_path) as backend:
        producer = Producer(backend, queue, site, eventually)
        producer.enqueue(MAX_BACKLOG)
        impatient = (*HOST, "--storage-patience", "1")
        with run_app(backend, SETTINGS, queue=queue, host=impatient) as host:
            eventually(lambda: len(published(backend)), lambda points: points > 200)
            backend.azurite.stop()
            assert host.wait() == 1
            assert "Host is shutting down." in host.output
        backend.azurite.start()
        with run_app(backend, SETTINGS, queue=queue) as host:
            assert eventually(producer.queue_length, lambda length: length == 0) == 0
            host.signal(signal.SIGTERM)
            assert host.wait() == 0

        counts = published(backend)
        assert sorted(counts) == list(range(1, producer.valid + 1)), "points were lost"
        assert len(dead_lettered(backend, queue)) == producer.invalid, "rejections were lost"
        twice = sum(count - 1 for count in counts.values())
        print(f"{producer.valid} points, {twice} counted again: their deletion was lost")
