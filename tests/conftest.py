"""What tests share: one Azurite, one Azure Monitor emulator, and the check of logs for secrets."""

from __future__ import annotations

import signal
import time
import uuid
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings

from local.stack import Backend, run_backend
from tests.secrets_in_logs import fail_on_secrets, secret_finder

__all__ = ["backend", "eventually", "fail_on_secrets", "queue", "secret_finder", "site"]

T = TypeVar("T")

# Seconds without a change until `eventually` gives up, and in all. The relay sends its own metrics
# once a minute, and a busy machine may be slow.
PATIENCE = 120.0
MAX_PATIENCE = 900.0

# `make test` tries a few examples of each property, the same ones each time; `make test-slow` many,
# and others each time. The machine may be busy, so no test fails because of its duration.
UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", UNTIMED, max_examples=30, derandomize=True)
settings.register_profile("thorough", UNTIMED, max_examples=300, derandomize=False)
settings.load_profile("quick")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the slow tests, so that none of them runs alone at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(autouse=True, scope="session")
def _interruptible() -> Iterator[None]:
    """Let tests interrupt what they start, even from a shell whose background jobs ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def backend() -> Iterator[Backend]:
    """Azurite and the emulator, for the whole session."""
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
    """Call a function until a condition holds; return its last result, even if it does not."""

    def call(function: Callable[[], T], condition: Callable[[T], bool]) -> T:
        started = changed = time.monotonic()
        result = function()
        while not condition(result) and time.monotonic() - changed < PATIENCE:
            time.sleep(0.1)
            latest = function()
            if latest != result and time.monotonic() - started < MAX_PATIENCE:
                changed = time.monotonic()
            result = latest
        return result

    return call
