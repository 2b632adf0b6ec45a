"""Hold the state of the emulator, and the options that it was started with."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .answers import NoAnswer, RefusalError
from .faults import Faults, Target, respond
from .journal import Journal, ReadRecord, Record
from .limits import MAX_BODY_BYTES
from .resources import Resources
from .roles import EVERYBODY, Assignment
from .sources import Document, ServiceBus
from .store import MetricStore
from .tokens import Tokens

__all__ = ["MonitorState", "Options"]

_LOGGED_CHARACTERS = 1_000  # Of the body of a fault.


@dataclass(frozen=True, slots=True)
class Options:
    """Holds the options of the emulator, which do not change while it runs."""

    identity_header: str = "local-identity-header"
    audience: str = "https://monitoring.azure.com/"
    client_ids: Collection[str] | None = None  # None: every client ID exists.
    token_life_seconds: int = 24 * 60 * 60
    max_body_bytes: int = MAX_BODY_BYTES
    strict: bool = False  # Whether resources that were not registered do not exist.
    data: Path | None = None  # A file that keeps the metrics.
    dead_letters: str | None = None  # The queue that the explorer shows.
    storage: str | None = None  # The connection string of its account.


class MonitorState:
    """Holds the state of the emulator; belongs to the event loop that serves it."""

    def __init__(
        self, options: Options | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.options = options or Options()
        self.tokens = Tokens(self.options.token_life_seconds)
        self._clock = clock
        self.store = MetricStore(self.options.data)  # Raises StoreError.
        self._begin()
        self.store.purge(self.now())
        for resource_id in self.store.resources():
            first = self.store.metrics(resource_id)[0][0]
            self.resources.learn(first.resource_id, first.region)

    def reset(self) -> None:
        """Go back to how it was at its first start, except that tokens issued stay good."""
        self.store.clear()
        self._begin()

    def _begin(self) -> None:
        self.offset_seconds = 0.0
        self.assignments: tuple[Assignment, ...] = EVERYBODY
        self.refused_metrics: frozenset[str] = frozenset()  # In lower case.
        self.resources = Resources(strict=self.options.strict)
        self.service_bus = ServiceBus()
        self.json_documents: dict[str, Document] = {}  # By path.
        self.faults = Faults()
        self.journal = Journal()

    def now(self) -> float:
        """Return the emulator's time, in epoch seconds."""
        return self._clock() + self.offset_seconds

    def now_iso(self) -> str:
        """Return the emulator's time, in ISO 8601 with milliseconds."""
        now = dt.datetime.fromtimestamp(self.now(), dt.UTC)
        return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def route(
        self, method: str, path: str, answer: Callable[[MonitorState, Request], Response]
    ) -> Route:
        """Return a route to a function of the state and the request."""

        async def handle(request: Request) -> Response:
            return answer(self, request)

        return Route(path, handle, methods=[method])

    async def answer(
        self,
        api: Target,
        record: Record | ReadRecord,
        handle: Callable[[], Response],
        *,
        region: str = "",
        resource_id: str = "",
    ) -> Response:
        """Return the answer of handle, or of its RefusalError, or a fault's; and log it."""
        latency, fault = self.faults.draw(api, region, resource_id)
        journal = self.journal
        message = ""

        def handled() -> Response:
            nonlocal message
            # A request that was delayed beyond a reset must not change the state after it.
            if self.journal is not journal:
                return NoAnswer()
            try:
                return handle()
            except RefusalError as refusal:
                record.code, message = refusal.code, refusal.message
                return refusal.response()

        response = await respond(fault, latency, handled)
        dropped = isinstance(response, NoAnswer)
        record.status = None if dropped else response.status_code
        if fault is not None:
            record.code = f"Dropped{(fault.drop or '').capitalize()}" if dropped else "Fault"
            if not dropped:
                message = bytes(response.body).decode(errors="replace")[:_LOGGED_CHARACTERS]
        if isinstance(record, Record):
            record.message = message
        journal.add(api, record)
        return response
