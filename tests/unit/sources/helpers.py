"""What the tests of sources share: a context, entries, and how a sample is looked at."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import requests
from azure.core.credentials import AccessToken

from shared.clients.deadline import Deadline
from shared.clients.http import open_session
from shared.clients.rate_limiter import Gate
from shared.clients.storage import resolve_connection
from shared.sources import Context, Source, load_sources
from shared.sources.sampler import Sample, fill

__all__ = [
    "SOON",
    "Named",
    "Nobody",
    "Standing",
    "load",
    "make_context",
    "open_gate",
    "open_one",
    "take",
    "values",
]

ARM = "https://management.azure.com"
SOON = 120.0  # Seconds that nothing in a test takes.


class Nobody:
    """A credential that is never asked."""

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        raise AssertionError(scopes)


class Standing:
    """A clock that only sleep moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Named:
    """Tokens that say what they are for."""

    def __init__(self, audience: str) -> None:
        self.audience = audience
        self.discarded: list[str] = []

    def get(self) -> str:
        return f"for-{self.audience}-{len(self.discarded)}"

    def discard(self, refused: str) -> None:
        self.discarded.append(refused)


def open_gate(name: str = "test", per_second: float = 0.0) -> Gate:
    """A gate that lets any number of requests through, eight at once."""
    return Gate(at_once=8, per_second=1e6)


def make_context(
    environ: Mapping[str, str] | None = None,
    *,
    arm: str = ARM,
    session: requests.Session | None = None,
    gate: Callable[[str, float], Gate] = open_gate,
) -> Context:
    """What a source may use, with connections from `environ` and tokens that name audiences."""
    return Context(
        connection=lambda name: resolve_connection(environ or {}, name),
        credential=Nobody,
        tokens=Named,
        gate=gate,
        session=session or open_session(8),
        arm_endpoint=arm,
        arm_audience=f"{arm}/",
        namespace="QueueProcessing",
    )


def load(*entries: Any, context: Context) -> tuple[list[Source], list[str]]:
    """What METRICS_SOURCES of these entries gives."""
    return load_sources(json.dumps(entries), context)


def open_one(entry: Any, context: Context) -> Source:
    """The source of a good entry."""
    sources, problems = load(entry, context=context)
    assert problems == []
    (source,) = sources
    return source


def take(source: Source, now: datetime, seconds: float = SOON) -> Sample:
    """One sample of a source, which has so many seconds to ask in."""
    sample = Sample()
    fill(sample, source, now, Deadline(seconds))
    return sample


def values(sample: Sample, *names: str) -> dict[tuple[str, ...], float]:
    """Dimension values and metric -> value; each series once."""
    found: dict[tuple[str, ...], float] = {}
    for point in sample.points:
        of = dict(point.dimensions)
        key = (*(of[name] for name in names if name in of), point.metric)
        assert key not in found
        assert point.min == point.max == point.sum
        assert point.count == 1
        found[key] = point.sum
    return found
