"""What the checks get: settings, environment, clients; and what earlier checks have found."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec
from azure.storage.queue import QueueServiceClient
from requests.utils import get_environ_proxies, select_proxy

from shared.app import build_context
from shared.clients.json_client import JsonClient
from shared.clients.rate_limiter import RateLimiter
from shared.clients.storage import Connection
from shared.publisher.sender import Timing
from shared.settings import Settings
from shared.sources import Context as Clients
from shared.sources import Source
from tools.doctor.claims import Claims
from tools.doctor.findings import SkippedError
from tools.doctor.fixes import Fixes

__all__ = ["Account", "Context", "Options", "is_loopback", "proxy_note", "require"]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the operator asks for."""

    project: Path = Path()
    resource_id: str | None = None
    region: str | None = None
    credential: str | None = None  # In place of METRICS_CREDENTIAL and the identity of storage.
    probe: bool = False
    watch: float = 0.0  # Seconds between two looks at the dead letters.
    site: str | None = None  # The resource ID of the deployed app.


@dataclass(frozen=True, slots=True)
class Account:
    """The storage account of the queues."""

    service: QueueServiceClient
    name: str
    by_key: bool  # A key may do everything; an identity or a signature, what it was granted.
    claims: Claims | None = None  # Of the identity.


def can_connect(url: str) -> bool:
    """Return whether a server listens at the host and port of a URL."""
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 80), 2).close()
    except OSError:
        return False
    return True


@dataclass(kw_only=True)
class Context:
    """Checks fill in the facts as they go; what is None was not found."""

    environ: Mapping[str, str]
    fixes: Fixes = field(default_factory=Fixes)
    options: Options = field(default_factory=Options)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = lambda _: None  # Seconds.
    progress: Callable[[str], None] = lambda _: None  # What is being waited for.
    can_connect: Callable[[str], bool] = can_connect

    settings: Settings | None = None
    sources: list[Source] = field(default_factory=list)
    claims: Claims | None = None  # Of the identity that publishes.
    audience_matches: bool = False
    account: Account | None = None
    queues_readable: bool = False
    resource_id: str | None = None
    region: str | None = None
    endpoint_answers: bool = False
    probed: tuple[datetime, float] | None = None  # Time of the value, and the count before it.
    # Service, and by how many seconds this machine is ahead of it.
    clocks: list[tuple[str, float]] = field(default_factory=list)

    def note_date(self, service: str, date: str | None) -> None:
        """Compare the Date of an answer that has just come with this machine's clock."""
        try:
            theirs = parsedate_to_datetime(date or "")
        except (ValueError, OverflowError):
            return
        if theirs.tzinfo is not None:
            self.clocks.append((service, (self.now() - theirs).total_seconds()))

    def connection(self, name: str) -> Connection:
        """Return a storage connection; --credential replaces its managed identity."""
        found = require(self.settings, "settings").connection(name)
        return replace(found, managed_identity=False) if self.options.credential else found

    @cached_property
    def timing(self) -> Timing:
        """The clocks of the app's parts."""
        return Timing(now=self.now)

    @cached_property
    def clients(self) -> Clients:
        """What sources use, as the app gives it to them."""
        clients = build_context(require(self.settings, "settings"), self.timing)
        return msgspec.structs.replace(clients, connection=self.connection)

    @cached_property
    def arm(self) -> JsonClient:
        """A client for Azure Resource Manager."""
        limiter = RateLimiter(max_concurrent=1, per_second=10)
        tokens = self.clients.tokens(require(self.settings, "settings").arm_audience)
        return JsonClient(self.clients.session, limiter, tokens)


def require(fact: _T | None, check: str) -> _T:
    """Return a fact. Raises SkippedError if the check that finds it did not."""
    if fact is None or fact is False:
        raise SkippedError(f"not checked: needs {check}")
    return fact


def is_loopback(url: str) -> bool:
    """Return whether the host of a URL is this machine."""
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


def proxy_note(url: str) -> str:
    """Return ` through the proxy HOST` if requests to a URL use one, else nothing."""
    proxies = {} if is_loopback(url) else get_environ_proxies(url, no_proxy=None)
    proxy = select_proxy(url, proxies)
    if not proxy:
        return ""
    host = urlsplit(proxy if "://" in proxy else f"//{proxy}").netloc.rpartition("@")[2]
    return f" through the proxy {host} ({urlsplit(url).scheme.upper()}_PROXY)"
