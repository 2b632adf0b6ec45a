"""All that the emulator knows, and how it was started."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .answers import RefusalError, bad_request
from .archive import Archive, ArchiveError
from .faults import Faults
from .journal import Journal
from .json_source import Documents
from .limits import MAX_BODY_BYTES
from .resources import Resources
from .roles import EVERYBODY, PUBLISHERS, Assignment, holds
from .service_bus import ServiceBus
from .store import MetricStore
from .tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from .documents import Point

__all__ = ["MonitorState", "Options"]


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
        data = self.options.data
        self._archive = None if data is None else Archive(data)  # Raises ArchiveError.
        self._begin()
        try:
            for series in self.store.restore(self.now()):
                self.resources.learn(series.resource_id, series.region)
        except ArchiveError:
            self.close()
            raise

    def reset(self) -> None:
        """Back to how it was at its first start, except that tokens issued stay good."""
        if self._archive is not None:
            self._archive.clear()
        self._begin()

    def close(self) -> None:
        """Let go of the file that it keeps, if it keeps one."""
        if self._archive is not None:
            self._archive.close()

    def _begin(self) -> None:
        self.offset_seconds = 0.0
        self.assignments: tuple[Assignment, ...] = EVERYBODY
        self.refused_metrics: frozenset[str] = frozenset()  # In lower case.
        self.resources = Resources(strict=self.options.strict)
        self.service_bus = ServiceBus(self.now_iso())
        self.json_documents = Documents()
        self.store = MetricStore(archive=self._archive)
        self.faults = Faults(self.options.seed)
        self.journal = Journal()

    def now(self) -> float:
        """The emulator's time, in epoch seconds."""
        return self._clock() + self.offset_seconds

    def now_iso(self) -> str:
        """The emulator's time, in ISO 8601 with milliseconds."""
        now = dt.datetime.fromtimestamp(self.now(), dt.UTC)
        return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")

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
