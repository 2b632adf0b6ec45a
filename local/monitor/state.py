"""All that the emulator knows, and how it was started."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import Response

from .answers import NoAnswer, RefusalError, bad_request, refused
from .documents import Point
from .faults import Faults, Target, respond
from .journal import Journal, ReadRecord, Record
from .limits import MAX_BODY_BYTES
from .resources import Resources
from .roles import EVERYBODY, PUBLISHERS, Assignment, holds
from .sources import Document, ServiceBus
from .store import MetricStore
from .tokens import Tokens

__all__ = ["MonitorState", "Options"]

_LOGGED_CHARACTERS = 1_000  # Of the body of a fault.


@dataclass(frozen=True, slots=True)
class Options:
    """How the emulator behaves; fixed for its life."""

    identity_header: str = "local-identity-header"
    audience: str = "https://monitoring.azure.com/"
    client_ids: frozenset[str] | None = None  # None: every client ID exists.
    token_life_seconds: int = 24 * 60 * 60
    max_body_bytes: int = MAX_BODY_BYTES
    strict: bool = False  # Whether resources that were not registered do not exist.
    seed: int = 0  # Of the faults' random generators.
    data: Path | None = None  # A file that keeps what is stored over a restart.
    dead_letters: str | None = None  # The queue that the explorer shows.
    storage: str | None = None  # The connection string of its account.


class MonitorState:
    """The emulator's state; it belongs to the event loop that serves it."""

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
        """Back to how it was at its first start, except that tokens issued stay good."""
        self.store.clear()
        self._begin()

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    def _begin(self) -> None:
        self.offset_seconds = 0.0
        self.assignments: tuple[Assignment, ...] = EVERYBODY
        self.refused_metrics: frozenset[str] = frozenset()  # In lower case.
        self.resources = Resources(strict=self.options.strict)
        self.service_bus = ServiceBus()
        self.json_documents: dict[str, Document] = {}  # By path.
        self.faults = Faults(self.options.seed)
        self.journal = Journal()

    def now(self) -> float:
        """The emulator's time, in epoch seconds."""
        return self._clock() + self.offset_seconds

    def now_iso(self) -> str:
        """The emulator's time, in ISO 8601 with milliseconds."""
        now = dt.datetime.fromtimestamp(self.now(), dt.UTC)
        return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")

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

        def handled() -> Response:
            # Delayed beyond a reset, it must leave no trace in what came after.
            if self.journal is not journal:
                return NoAnswer()
            try:
                return handle()
            except RefusalError as refusal:
                record.code = refusal.code
                if isinstance(record, Record):
                    record.message = refusal.message
                return refused(refusal)

        response = await respond(fault, latency, handled)
        dropped = isinstance(response, NoAnswer)
        record.status = None if dropped else response.status_code
        if fault is not None:
            record.code = f"Dropped{(fault.drop or '').capitalize()}" if dropped else "Fault"
            if isinstance(record, Record) and not dropped:
                record.message = bytes(response.body).decode(errors="replace")[:_LOGGED_CHARACTERS]
        journal.add(api, record)
        return response

    def accept(self, points: Iterable[Point]) -> None:
        """Raise RefusalError (400) for the first of a metric that is to be refused."""
        for point in points if self.refused_metrics else ():
            if point.shape.metric.lower() in self.refused_metrics:
                raise bad_request(f"The metric '{point.shape.metric}' is not accepted.")

    def authorize(self, principal_id: str, resource_id: str) -> None:
        """Raise RefusalError (403) unless the principal may write the resource's metrics."""
        if holds(self.assignments, principal_id, PUBLISHERS, resource_id):
            return
        raise RefusalError(
            403,
            "AuthenticationFailed",
            f"The Azure AD object '{principal_id}' does not have permissions to perform action"
            f" 'Microsoft.Insights/Metrics/write' over scope '{resource_id}'. ",
        )
