"""The context of a check: settings, clients, fixes, and the facts that earlier checks found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import NoReturn

import msgspec
from azure.storage.queue import QueueServiceClient

from shared.app import build_context
from shared.clients.json_client import JsonClient
from shared.clients.rate_limiter import RateLimiter
from shared.clients.storage import Connection
from shared.publisher.sender import Timing
from shared.settings import Settings
from shared.sources import Context as Clients
from shared.sources import Source
from tools.doctor.findings import SkippedError
from tools.doctor.fixes import Fixes, Principal

__all__ = ["AZURITE", "CONNECTION", "Account", "Context"]

CONNECTION = "MetricsStorage"
AZURITE = "devstoreaccount1"  # The account of the storage emulator.


@dataclass(frozen=True, slots=True)
class Account:
    """The storage account of the queues."""

    service: QueueServiceClient
    name: str
    by_key: bool  # A key may do everything; an identity or a signature, what it was granted.
    principal: Principal | None = None  # None for a key or a signature.


@dataclass(kw_only=True, repr=False, eq=False)
class Context:
    """Checks add facts as they go; reading a fact that no check found raises SkippedError."""

    environ: Mapping[str, str]
    fixes: Fixes = field(default_factory=Fixes)
    project: Path = Path(__file__).parents[2]  # With host.json.
    # What the operator asks for.
    named_resource_id: str | None = None
    named_region: str | None = None
    credential: str | None = None  # In place of METRICS_CREDENTIAL and the identity of storage.
    probe: bool = False
    site: str | None = None  # The resource ID of the deployed app.

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = lambda _: None  # Seconds.
    progress: Callable[[str], None] = lambda _: None  # What is being waited for.

    sources: list[Source] = field(default_factory=list)
    # Facts.
    settings: Settings = field(init=False)
    identity: Principal = field(init=False)  # That publishes.
    audience: str = field(init=False)  # Which the endpoint accepts.
    storage_account: Account = field(init=False)  # If its queues may be read.
    resource: str = field(init=False)  # Its ID.
    region: str = field(init=False)
    endpoint: str = field(init=False)  # The template, if the endpoint of the region answers.
    published_value: datetime = field(init=False)  # Its time, if it was accepted.

    def __getattr__(self, name: str) -> NoReturn:
        """Raise SkippedError for a fact that no check has found."""
        if name not in Context.__annotations__:
            raise AttributeError(name)
        raise SkippedError(f"This check needs the {name.replace('_', ' ')}")

    def has(self, fact: str) -> bool:
        """Return whether a check has found a fact."""
        return fact in vars(self)

    def connection(self, name: str) -> Connection:
        """Return a storage connection; --credential replaces its managed identity."""
        found = self.settings.connection(name)
        return replace(found, managed_identity=False) if self.credential else found

    @cached_property
    def clients(self) -> Clients:
        """The clients that the app gives to sources."""
        clients = build_context(self.settings, Timing(now=self.now))
        return msgspec.structs.replace(clients, connection=self.connection)

    @cached_property
    def arm(self) -> JsonClient:
        """A client for Azure Resource Manager."""
        limiter = RateLimiter(max_concurrent=1, per_second=10)
        tokens = self.clients.tokens(self.settings.arm_audience)
        return JsonClient(self.clients.session, limiter, tokens)
