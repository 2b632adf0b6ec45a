"""A Functions host turned by hand, with a manual clock: nothing waits, nothing runs unseen.

The app is the real one, with its clients; the queues are Azurite's, identity, Resource Manager and
store are the emulator's. The test decides what time it is and when messages are taken.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueMessage

from local.stack import Backend
from shared.app import build_app
from shared.errors import DeferredError
from shared.model import Origin
from shared.publisher.sender import Timing
from shared.settings import Settings

__all__ = ["ManualClock", "ManualHost", "manual_host"]


class ManualClock:
    """The time of the app and of the emulator; `sleep` moves it instead of waiting."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.ahead = timedelta()  # Of the real time.

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def seconds(self) -> float:
        return self.now().timestamp()

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds=seconds)

    def advance(self, **duration: float) -> None:
        """Move the clock forward; the arguments are those of timedelta."""
        self.ahead += timedelta(**duration)
        offset = {"offsetSeconds": self.ahead.total_seconds()}
        self._backend.control("PUT", "clock", json=offset)


class ManualHost:
    """Runs the functions of the app, with an ingress queue of its own."""

    def __init__(self, backend: Backend, queue: str, **app_settings: str) -> None:
        """`app_settings` are added to those that lead the app to the backend."""
        self.backend = backend
        self.queue = queue
        self.clock = ManualClock(backend)
        settings = Settings.from_env({**backend.app_settings(queue), **app_settings})
        timing = Timing(self.clock.now, self.clock.seconds, self.clock.sleep, lambda: 0.5)
        # Azurite has its own clock: what is put back must be visible at once.
        self.app = build_app(replace(settings, retry_delay=timedelta()), timing)
        self._ingress = backend.storage.get_queue_client(queue)
        with suppress(ResourceExistsError):
            self._ingress.create_queue()

    def enqueue(self, *bodies: str) -> None:
        """Put messages into the ingress queue."""
        for body in bodies:
            self._ingress.send_message(body)

    async def process_queue(self) -> list[str]:
        """Process every message once; return why messages were deferred, in any order."""
        messages = list(
            self._ingress.receive_messages(messages_per_page=32, visibility_timeout=600)
        )
        details = await asyncio.gather(*map(self._process, messages))
        return [detail for detail in details if detail is not None]

    async def _process(self, message: QueueMessage) -> str | None:
        origin = Origin(message.id, message.inserted_on)
        try:
            await self.app.processor.process(message.content.encode(), origin)
        except DeferredError as exc:
            self._ingress.update_message(message, visibility_timeout=0)
            return str(exc)
        self._ingress.delete_message(message)
        return None

    async def sample(self) -> None:
        """Sample all sources that are due, as the timer does."""
        await self.app.sampler.sample(self.clock.now())

    def queue_length(self) -> int:
        """Return how many messages are in the ingress queue."""
        return self._ingress.get_queue_properties().approximate_message_count or 0

    def dead_letters(self) -> list[dict[str, Any]]:
        """Return all dead letters and leave them where they are."""
        client = self.backend.storage.get_queue_client(f"{self.queue}-dead-letter")
        try:
            found = list(client.receive_messages(messages_per_page=32, visibility_timeout=600))
        except ResourceNotFoundError:  # Nothing was dead-lettered yet.
            return []
        for dead_letter in found:
            client.update_message(dead_letter, visibility_timeout=0)
        return [json.loads(dead_letter.content) for dead_letter in found]

    def rejections(self) -> list[tuple[str, str]]:
        """Return reason and detail of everything that was dead-lettered."""
        return [
            (dead_letter["reason"], entry["detail"])
            for dead_letter in self.dead_letters()
            for entry in dead_letter["refused"]
        ]

    def stored(self, resource_id: str) -> dict[str, tuple[float, int]]:
        """Return sum and count of each metric over all minutes."""
        totals: dict[str, tuple[float, int]] = {}
        for value in self.backend.metrics(resourceId=resource_id):
            total, count = totals.get(value["metric"], (0.0, 0))
            totals[value["metric"]] = (total + value["sum"], count + value["count"])
        return totals

    def posts(self, resource_id: str) -> list[dict[str, Any]]:
        """Return the requests that the store got for a resource, oldest first."""
        requests = self.backend.control("GET", "requests")["requests"]
        return [request for request in requests if request["resourceId"] == resource_id]

    def add_fault(self, **fault: Any) -> None:
        """Make the emulator fail, as its API of faults has it."""
        self.backend.control("POST", "faults", json=fault)

    def clear_faults(self) -> None:
        """Remove all faults."""
        self.backend.control("DELETE", "faults")


@contextmanager
def manual_host(backend: Backend, queue: str, **app_settings: str) -> Iterator[ManualHost]:
    """Yield a host for a new queue; the emulator is empty before and after."""
    backend.control("DELETE", "state")
    settings = backend.app_settings(queue)
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):  # azure-identity reads these.
                patch.setenv(name, settings[name])
            yield ManualHost(backend, queue, **app_settings)
    finally:
        backend.control("DELETE", "state")
