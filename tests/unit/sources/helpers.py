"""What the tests of sources share: a context, one sample, and its values."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import requests
from azure.core.credentials import AccessToken

from shared.clients.http import Deadline
from shared.clients.rate_limiter import RateLimiter
from shared.clients.sessions import open_session
from shared.clients.storage import resolve_connection
from shared.sources import Context, Source, load_sources
from shared.sources.sampler import Sample
from tests.unit.rollups import NOW
from tests.unit.stubs import ManualClock, StubTokens

__all__ = [
    "LATER",
    "RecordingLimiters",
    "load",
    "make_context",
    "open_source",
    "slow_limiter",
    "take",
    "values",
]

LATER = Deadline(1e6)
ARM = "https://management.azure.com"


class UnusedCredential:
    """A credential that must not be asked for a token."""

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        raise AssertionError(scopes)


def fast_limiter(name: str = "", per_second: float = 0.0) -> RateLimiter:
    """Return a rate limiter without a noticeable rate."""
    return RateLimiter(max_concurrent=8, per_second=1e6)


def slow_limiter(clock: ManualClock) -> Callable[[str, float], RateLimiter]:
    """Return what makes rate limiters of one request per second, on the clock."""
    return lambda _name, _rate: RateLimiter(
        max_concurrent=1, per_second=1.0, clock=clock, sleep=clock.sleep
    )


class RecordingLimiters:
    """Makes rate limiters, and records for which account and rate."""

    def __init__(self) -> None:
        self.made: list[tuple[str, float]] = []

    def __call__(self, name: str, per_second: float) -> RateLimiter:
        self.made.append((name, per_second))
        return fast_limiter()


def make_context(
    environ: Mapping[str, str] | None = None,
    *,
    arm: str = ARM,
    session: requests.Session | None = None,
    rate_limiter: Callable[[str, float], RateLimiter] = fast_limiter,
    credential: Callable[[], Any] = UnusedCredential,
) -> Context:
    """Return a context with connections from `environ` and tokens that name their audience."""
    return Context(
        connection=lambda name: resolve_connection(environ or {}, name),
        credential=credential,
        tokens=StubTokens,
        rate_limiter=rate_limiter,
        session=session or open_session(8),
        arm_endpoint=arm,
        arm_audience=f"{arm}/",
        namespace="QueueProcessing",
    )


def load(*entries: Any, context: Context) -> tuple[list[Source], list[str]]:
    """Load METRICS_SOURCES with these entries."""
    return load_sources(json.dumps(entries), context)


def open_source(entry: Any, context: Context) -> Source:
    """Return the source of a valid entry."""
    sources, errors = load(entry, context=context)
    assert errors == []
    (source,) = sources
    return source


def take(source: Source, now: datetime = NOW, deadline: Deadline = LATER) -> Sample:
    """Return one sample of a source."""
    sample = Sample(source, now)
    sample.take(deadline)
    return sample


def values(sample: Sample, *names: str) -> dict[tuple[str, ...], float]:
    """Return the values of a sample, by dimension values and metric."""
    found: dict[tuple[str, ...], float] = {}
    for group in sample.rollup.minutes.values():
        for series, (value,) in group.items():
            dimensions = series.dimensions
            key = (*(dimensions[name] for name in names if name in dimensions), series.metric)
            assert key not in found
            assert isinstance(value, int | float)
            found[key] = value
    return found
