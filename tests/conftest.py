"""What tests share: one Azurite, one Azure Monitor emulator, and a guard on what is logged."""

from __future__ import annotations

import signal
import time
import uuid
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings
from secrets_in_logs import watch, watched

from local.stack import Backend, run_backend

__all__ = ["backend", "eventually", "queue", "site", "watch", "watched"]

T = TypeVar("T")

# Seconds; nothing takes more than a minute, but the machine may be busy.
PATIENCE = 120.0

# For the same reason no property test is judged by its time.
settings.register_profile("timeless", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("timeless")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, lest it run alone at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(autouse=True, scope="session")
def _interruptible() -> Iterator[None]:
    """What tests start can be interrupted, though a shell lets its background jobs ignore that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def backend() -> Iterator[Backend]:
    """Azurite and the emulator, running for the whole session."""
    with run_backend() as running:
        yield running


@pytest.fixture
def queue() -> str:
    """The name of an ingress queue that no other test uses."""
    return f"metrics-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def site() -> str:
    """The ID of a resource that no other test writes to."""
    name = uuid.uuid4().hex[:12]
    group = "/subscriptions/5b1fd1f4-2a3c-4f0e-9d53-0f8b6d3f5a10/resourceGroups/shop"
    return f"{group}/providers/Microsoft.Web/sites/{name}"


@pytest.fixture(scope="session")
def eventually() -> Callable[[Callable[[], T], Callable[[T], bool]], T]:
    """Ask until the answer is good; the last answer, good or not, once patience ends."""

    def ask(question: Callable[[], T], good: Callable[[T], bool]) -> T:
        deadline = time.monotonic() + PATIENCE
        answer = question()
        while not good(answer) and time.monotonic() < deadline:
            time.sleep(0.1)
            answer = question()
        return answer

    return ask
