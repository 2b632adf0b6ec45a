"""Faults and crashes, end to end: every point is published or dead-lettered, none is lost."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local.stack import Backend, run_app, run_backend

Ask = Callable[[Callable[[], Any], Callable[[Any], bool]], Any]

pytestmark = pytest.mark.slow

SEED = 20261123
# Messages in the queue at once: Azurite looks at all of them for each request.
BACKLOG = 400
RESOURCES = 10
# Faults of 30 % of all requests. Each is transient; none of them loses an answer.
TRANSIENT: list[dict[str, Any]] = [
    {"status": 429, "retryAfter": 1, "share": 0.05},
    {"status": 500, "share": 0.05},
    {"status": 503, "share": 0.05},
    {"status": 408, "share": 0.05},
    {"drop": "before", "share": 0.05},
    {"latency": 0.5, "share": 0.05},
]
SETTINGS = {
    "METRICS_SAMPLE_SCHEDULE": "0 0 0 1 1 *",
    "AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:00:01",
    "AzureFunctionsJobHost__extensions__queues__maxDequeueCount": "1000",
    # Seconds for which the messages of a host that dies stay out of sight; 600 in Azure.
    "LOCAL_CRASH_INVISIBILITY": "4",
}


@pytest.fixture
def own_backend() -> Iterator[Backend]:
    """A backend that no other test sees broken."""
    with run_backend() as running:
        yield running


class Producer:
    """Enqueues numbered points, never more than Azurite is quick with; some are invalid."""

    def __init__(self, backend: Backend, queue: str, site: str, chance: random.Random) -> None:
        self._client = backend.storage.get_queue_client(queue)
        self._site = site
        self._chance = chance
        self.good = 0
        self.bad = 0

    def send(self, messages: int) -> None:
        """Enqueue messages of one to five points each."""
        for number in range(messages):
            while number % 50 == 0 and self.waiting() > BACKLOG:
                time.sleep(0.2)
            points = [self._point() for _ in range(self._chance.randint(1, 5))]
            site = f"{self._site}-{self._chance.randrange(RESOURCES)}"
            address = {"resourceId": site, "region": "westeurope"}
            self._client.send_message(json.dumps({**address, "points": points}))

    def waiting(self) -> int:
        """How many messages are in the queue."""
        return self._client.get_queue_properties().approximate_message_count or 0

    def _point(self) -> dict[str, Any]:
        if self._chance.random() < 0.02:
            self.bad += 1
            return {"metric": "Bad", "value": "none", "dimensions": {"Id": str(self.bad)}}
        self.good += 1
        return {"metric": "Good", "value": 1, "dimensions": {"Id": str(self.good)}}


def _published(backend: Backend) -> Counter[int]:
    """How often each point was counted by the store."""
    counts = Counter[int]()
    for value in backend.metrics(metric="Good"):
        counts[int(value["dimensions"]["Id"])] += value["count"]
    return counts


def _dead_letters(backend: Backend, queue: str) -> Counter[str]:
    """How often each invalid point is in the dead-letter queue, which is emptied."""
    counts = Counter[str]()
    client = backend.storage.get_queue_client(f"{queue}-dead-letter")
    for message in client.receive_messages(messages_per_page=32):
        letter = json.loads(message.content)
        assert letter["reason"] == "invalid"
        for refused in letter["refused"]:
            [point] = refused["message"]["points"]
            counts[point["dimensions"]["Id"]] += 1
        client.delete_message(message)
    return counts


def test_faults_alone_count_nothing_twice(
    own_backend: Backend, queue: str, site: str, eventually: Ask
) -> None:
    for fault in TRANSIENT:
        own_backend.control("POST", "faults", json=fault)
    with run_app(own_backend, SETTINGS, queue=queue):
        producer = Producer(own_backend, queue, site, random.Random(SEED))
        producer.send(1500)
        assert eventually(producer.waiting, lambda waiting: waiting == 0) == 0

    counts = _published(own_backend)
    assert sorted(counts) == list(range(1, producer.good + 1))
    assert set(counts.values()) == {1}
    letters = _dead_letters(own_backend, queue)
    assert len(letters) == producer.bad
    assert set(letters.values()) == {1}
    totals = own_backend.control("GET", "requests")["totals"]
    print(f"1500 messages, {producer.good} points, each counted once; requests: {totals}")


def test_crashes_and_lost_answers_lose_nothing(
    own_backend: Backend, queue: str, site: str, eventually: Ask
) -> None:
    chance = random.Random(SEED)
    lost_answers = {"drop": "after", "share": 0.02}
    time_outs = {"latency": 40, "drop": "before", "next": 2}
    for fault in (*TRANSIENT, lost_answers, time_outs):
        own_backend.control("POST", "faults", json=fault)
    producer = Producer(own_backend, queue, site, chance)
    sending = threading.Thread(target=producer.send, args=(3500,))
    own_backend.storage.create_queue(queue)
    sending.start()
    for _ in range(20):
        with run_app(own_backend, SETTINGS, queue=queue) as host:
            time.sleep(chance.uniform(0.2, 2.0))
            host.kill()
    with run_app(own_backend, SETTINGS, queue=queue):
        sending.join()
        assert eventually(producer.waiting, lambda waiting: waiting == 0) == 0

    counts = _published(own_backend)
    assert sorted(counts) == list(range(1, producer.good + 1)), "points were lost"
    assert len(_dead_letters(own_backend, queue)) == producer.bad, "rejections were lost"
    twice = sum(count - 1 for count in counts.values())
    totals = own_backend.control("GET", "requests")["totals"]
    print(
        f"3500 messages, 20 kills: {producer.good} points, all there; counted again after a kill "
        f"or a lost answer: {twice}; requests: {totals}"
    )


def test_azurite_is_restarted_in_the_middle_of_a_drain(
    tmp_path: Path, queue: str, site: str, eventually: Ask
) -> None:
    with run_backend(tmp_path) as backend:
        backend.storage.create_queue(queue)
        producer = Producer(backend, queue, site, random.Random(SEED))
        producer.send(BACKLOG)
        with run_app(backend, SETTINGS, queue=queue) as host:
            eventually(lambda: len(_published(backend)), lambda points: points > 200)
            backend.azurite.stop()
            time.sleep(2)  # Long enough for requests of every kind to fail.
            backend.azurite.start()
            assert eventually(producer.waiting, lambda waiting: waiting == 0) == 0
            host.signal(signal.SIGTERM)
            assert host.wait(timeout=60) == 0

        counts = _published(backend)
        assert sorted(counts) == list(range(1, producer.good + 1)), "points were lost"
        assert len(_dead_letters(backend, queue)) == producer.bad, "rejections were lost"
        twice = sum(count - 1 for count in counts.values())
        print(f"{producer.good} points, all there; {twice} counted again, their deletion was lost")
