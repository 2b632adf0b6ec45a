"""A Functions host turned by hand, in a time of its own: nothing waits, nothing runs unseen.

Queue, publisher, credential and store are the real ones (Azurite, requests, azure-identity, the
emulator); only the clock and the moment at which a message is taken are the test's.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from azure.core.exceptions import ResourceExistsError
from azure.storage.queue import QueueMessage

from local.stack import Backend
from shared.clients.credentials import Tokens, make_credential
from shared.clients.http import open_session
from shared.clients.json_client import JsonClient
from shared.clients.queues import Queue
from shared.clients.rate_limiter import Gate
from shared.clients.storage import open_connection
from shared.errors import DeferredError
from shared.messages.parser import Address
from shared.pipeline.admission import Intake
from shared.pipeline.dead_letters import Origin
from shared.pipeline.detours import Detours
from shared.pipeline.processor import Drain
from shared.pipeline.regions import Regions
from shared.pipeline.series_limiter import Guard
from shared.publisher.batcher import Relay
from shared.publisher.client import Publisher
from shared.publisher.sender import Delivery, Timing
from shared.settings import Settings

__all__ = ["Crank", "cranked"]


@dataclass
class Clock:
    """The app's time and the emulator's; sleeping moves both."""

    backend: Backend
    ahead: timedelta = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def seconds(self) -> float:
        return self.now().timestamp()

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds=seconds)

    def advance(self, **duration: float) -> None:
        self.ahead += timedelta(**duration)
        offset = {"offsetSeconds": self.ahead.total_seconds()}
        self.backend.control("PUT", "clock", json=offset)


class Crank:
    """The app's drain over a real queue."""

    def __init__(
        self, backend: Backend, queue: str, threads: ThreadPoolExecutor, **changed: str
    ) -> None:
        self.backend = backend
        self.queue = queue
        self.clock = Clock(backend)
        settings = Settings.from_env({**backend.app_settings(queue), **changed})
        credential = partial(make_credential, settings.credential, settings.client_id)
        arm = JsonClient(
            open_session(4),
            Gate(at_once=4, per_second=1000.0),
            Tokens(credential, settings.arm_audience, self.clock.seconds),
        )
        regions = Regions(
            arm,
            settings.arm_endpoint,
            threads,
            resource_id=settings.resource_id,
            region=settings.region,
            clock=self.clock.seconds,
        )
        detours = Detours()
        delivery = Delivery(
            Publisher(
                endpoint=settings.endpoint,
                tokens=Tokens(credential, settings.audience, self.clock.seconds),
                session=open_session(4),
            ),
            executor=threads,
            max_body_bytes=settings.max_body_bytes,
            window=settings.window,
            look_up=regions.find_again,
            detours=detours,
            timing=Timing(self.clock.now, self.clock.seconds, self.clock.sleep, lambda: 0.5),
        )
        storage = open_connection(settings.storage)
        self.ingress = storage.get_queue_client(queue)
        with suppress(ResourceExistsError):  # Another crank turned it before.
            self.ingress.create_queue()
        self.intake = Intake(
            Relay(delivery).submit,
            fence=settings.fence,
            regions=regions,
            detours=detours,
            guard=Guard(settings.max_active_series, clock=self.clock.seconds),
        )
        self.drain = Drain(
            submit=self.intake.submit,
            obstacle=self.intake.obstacle,
            ingress=Queue(lambda: self.ingress, threads),
            dead_letters=Queue(
                lambda: storage.get_queue_client(settings.dead_letter_queue), threads
            ),
            defaults=Address(settings.namespace, settings.resource_id),
            window=settings.window,
            # A queue knows no time but its own: what is put back is seen at the next turn.
            retry_delay=timedelta(),
            clock=self.clock.now,
        )

    def send(self, *bodies: str) -> None:
        """Enqueue messages."""
        for body in bodies:
            self.ingress.send_message(body)

    async def turn(self) -> list[str]:
        """Take every message once and settle it; the details of those that were deferred."""
        messages = list(self.ingress.receive_messages(messages_per_page=32, visibility_timeout=600))
        outcomes = await asyncio.gather(*map(self._settle, messages))
        return [outcome for outcome in outcomes if outcome]

    async def _settle(self, message: QueueMessage) -> str:
        origin = Origin(message.id, message.inserted_on)
        try:
            await self.drain.message(message.content.encode(), origin)
        except DeferredError as exc:
            self.ingress.update_message(message, visibility_timeout=0)
            return str(exc)
        self.ingress.delete_message(message)
        return ""

    def waiting(self) -> int:
        """How many messages are in the ingress queue."""
        return self.ingress.get_queue_properties().approximate_message_count or 0

    def stored(self, resource_id: str) -> dict[str, tuple[float, int]]:
        """Metric -> sum and count over all minutes."""
        totals: dict[str, tuple[float, int]] = {}
        for value in self.backend.metrics(resourceId=resource_id):
            total, count = totals.get(value["metric"], (0.0, 0))
            totals[value["metric"]] = (total + value["sum"], count + value["count"])
        return totals

    def refused(self) -> list[tuple[str, str]]:
        """Reason and detail of everything that was dead-lettered."""
        letters = self.backend.dead_letters(self.queue)
        return [
            (letter["reason"], one["detail"]) for letter in letters for one in letter["refused"]
        ]

    def posts(self, resource_id: str) -> list[dict[str, Any]]:
        """The requests that the store got for a resource, oldest first."""
        requests = self.backend.control("GET", "requests")["requests"]
        return [request for request in requests if request["resourceId"] == resource_id]


@contextmanager
def cranked(backend: Backend, queue: str, **changed: str) -> Iterator[Crank]:
    """A crank for a new queue, settings changed; the emulator is empty before and after."""
    backend.control("DELETE", "state")
    before = {name: os.environ.get(name) for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER")}
    settings = backend.app_settings(queue)
    os.environ.update({name: settings[name] for name in before})
    try:
        with ThreadPoolExecutor(8) as threads:
            yield Crank(backend, queue, threads, **changed)
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        backend.control("DELETE", "state")
