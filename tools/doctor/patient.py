"""What is examined: the settings, the options, and the facts that the checks have found so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

import msgspec
from azure.storage.queue import QueueServiceClient

from shared.app import build_context
from shared.clients.storage import Connection
from shared.publisher.sender import Timing
from shared.settings import Settings
from shared.sources import Context, Source
from tools.doctor.claims import Claims
from tools.doctor.commands import Commands
from tools.doctor.findings import SkippedError

__all__ = ["Account", "Options", "Patient", "needed"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the operator asks for."""

    project: Path = Path()
    resource_id: str | None = None
    region: str | None = None
    credential: str | None = None  # Instead of METRICS_CREDENTIAL, and of an identity of storage.
    probe: bool = False
    watch: float = 0.0  # Seconds between two looks at the dead letters.


@dataclass(frozen=True, slots=True)
class Account:
    """The storage account of the queues, reached and signed in to."""

    service: QueueServiceClient
    name: str
    by_key: bool  # The key may do everything; an identity or a signature what it was given.
    claims: Claims | None  # Of the identity.


@dataclass(kw_only=True)
class Patient:
    """Filled in by the checks as they go; what is None was not found."""

    environ: Mapping[str, str]
    options: Options
    commands: Commands
    now: Callable[[], datetime]
    sleep: Callable[[float], None]

    settings: Settings | None = None
    sources: list[Source] = field(default_factory=list)
    claims: Claims | None = None  # Of the identity that publishes.
    audience_is_right: bool | None = None
    account: Account | None = None
    queues_are_readable: bool | None = None
    resource_id: str | None = None
    region: str | None = None
    endpoint_answers: bool | None = None
    # Who gave a time, and by how many seconds this machine is ahead of it.
    clocks: list[tuple[str, float]] = field(default_factory=list)

    def note_date(self, whose: str, date: str | None) -> None:
        """Compare the Date of an answer that has just come with this machine's clock."""
        try:
            theirs = parsedate_to_datetime(date or "")
        except (ValueError, OverflowError):
            return
        if theirs.tzinfo is not None:
            self.clocks.append((whose, (self.now() - theirs).total_seconds()))

    def connection(self, name: str) -> Connection:
        """The storage connection of that name, its managed identity left out where it cannot be."""
        found = needed(self.settings, "settings").connection(name)
        return replace(found, managed_identity=False) if self.options.credential else found

    @property
    def timing(self) -> Timing:
        """The clocks that the parts of the app get."""
        return Timing(now=self.now)

    @cached_property
    def context(self) -> Context:
        """What sources may use, as the app gives it to them, with the identity that is examined."""
        context = build_context(needed(self.settings, "settings"), self.timing)
        return msgspec.structs.replace(context, connection=self.connection)


utc_now = partial(datetime.now, UTC)


def needed(fact: T | None, link: str) -> T:
    """The fact. Raises SkippedError where the link that finds it did not."""
    if fact is None or fact is False:
        raise SkippedError(f"not looked at: {link} comes first")
    return fact
