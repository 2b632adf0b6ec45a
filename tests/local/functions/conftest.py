"""Share one Azurite among the tests of the host; each has a queue and an app folder."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.storage.queue import QueueClient, QueueServiceClient

from local.azurite import Azurite

from .support import RunHost


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """Yield the queue service, in memory."""
    with Azurite() as running:
        yield running


@pytest.fixture(scope="session")
def service(azurite: Azurite) -> Iterator[QueueServiceClient]:
    """Yield a client of the account."""
    with QueueServiceClient.from_connection_string(azurite.connection_string) as client:
        yield client


@pytest.fixture
def queue(service: QueueServiceClient) -> QueueClient:
    """Return an empty queue of the test's own."""
    return service.create_queue(f"queue-{uuid.uuid4().hex}")


@pytest.fixture
def poison(service: QueueServiceClient, queue: QueueClient) -> QueueClient:
    """Return its poison queue, which does not exist yet."""
    return service.get_queue_client(f"{queue.queue_name}-poison")


@pytest.fixture
def run_host(tmp_path: Path, azurite: Azurite, queue: QueueClient) -> Iterator[RunHost]:
    """Yield what runs the host on the test's queue."""
    runner = RunHost(tmp_path, {"STORAGE": azurite.connection_string, "QUEUE": queue.queue_name})
    yield runner
    for host in runner.hosts:
        host.kill()
