"""What every kind of source has in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Generic, Protocol, TypeVar

import msgspec
from msgspec import Meta

from shared.clients.deadline import Deadline
from shared.clients.http import TokenSource
from shared.clients.rate_limiter import Gate
from shared.clients.storage import Connection
from shared.messages.refusal import RefusedError
from shared.messages.schema import Name, Region, ResourceId
from shared.messages.validation import check_dimension_names
from shared.model import MAX_DIMENSIONS, Dimensions, Lane, Point, Series
from shared.resource_ids import checked_region, checked_resource_id, shown

if TYPE_CHECKING:
    import requests
    from azure.core.credentials import TokenCredential

__all__ = ["Context", "Finding", "Kind", "Problem", "Source", "SourceConfig", "Target"]

_Config = TypeVar("_Config", bound="SourceConfig")
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_EVERY = r"^[1-9][0-9]{0,3}[smh]$"


class Problem(msgspec.Struct, frozen=True):
    """What of a sample could not be had, and why."""

    text: str


Finding = Point | Problem


class Source(Protocol):
    """Something that is sampled; blocking."""

    name: str  # Where it stands in METRICS_SOURCES.
    target: Target

    def sample(self, now: datetime, until: Deadline) -> Iterable[Finding]:
        """Take one sample, and give what is found as it comes; asks for nothing after `until`.

        All points carry the time `now` (UTC). Raises SourceError where it goes no further; what
        it gave before stands.
        """


class Context(msgspec.Struct, frozen=True):
    """What a source may use of the app."""

    connection: Callable[[str], Connection]  # By the name of a Functions connection.
    credential: Callable[[], TokenCredential]  # The app's identity.
    tokens: Callable[[str], TokenSource]  # Of that identity, by audience.
    gate: Callable[[str, float], Gate]  # Of an account, by its name and requests a second.
    session: requests.Session
    arm_endpoint: str
    arm_audience: str
    namespace: str


class Kind(msgspec.Struct, Generic[_Config], frozen=True):
    """A kind of source: how its entry is read, and how it is opened."""

    config: type[_Config]
    open: Callable[[str, _Config, Context], Source]


class SourceConfig(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """The members that an entry of any kind has."""

    kind: str
    resource_id: ResourceId
    region: Region | None = None
    namespace: Name | None = None
    dimensions: Annotated[
        dict[Name, Name],
        Meta(
            description="Dimensions that every point of the source gets.",
            extra_json_schema={"maxProperties": MAX_DIMENSIONS},
        ),
    ] = msgspec.field(default_factory=dict)
    every: Annotated[
        str,
        # Held to its pattern here, not by msgspec, whose search would let "5m\n" pass.
        Meta(
            description="How often to sample, each tick of the timer at the most: 30s, 5m, 1h.",
            extra_json_schema={"pattern": _EVERY},
        ),
    ] = "1s"


class Target(msgspec.Struct, frozen=True):
    """Where the points of a source go, what they share, and how often they are taken."""

    lane: Lane
    namespace: str
    dimensions: Mapping[str, str]
    every: timedelta

    @classmethod
    def of(cls, config: SourceConfig, context: Context, own: tuple[str, ...] = ()) -> Target:
        """Check the entry; `own` are the dimension names that the kind itself gives.

        Raises RefusedError with the path in the entry.
        """
        region = "" if config.region is None else _checked("region", checked_region, config.region)
        check_dimension_names("dimensions", (*config.dimensions, *own))
        return cls(
            Lane(
                region,
                _checked("resourceId", checked_resource_id, config.resource_id),
            ),
            config.namespace or context.namespace,
            config.dimensions,
            _duration(config.every),
        )

    def point(self, metric: str, value: float, now: datetime, own: Mapping[str, str]) -> Point:
        """One value at one moment, with the kind's own dimensions beside the fixed ones."""
        pairs = {**self.dimensions, **own}.items()
        dimensions: Dimensions = tuple(sorted(pairs, key=lambda pair: pair[0].casefold()))
        return Point.of_one(self.lane, Series.of(self.namespace, metric, dimensions), now, value)


def _checked(path: str, check: Callable[[str], str], text: str) -> str:
    try:
        return check(text)
    except ValueError as exc:
        raise RefusedError(path, str(exc)) from exc


def _duration(text: str) -> timedelta:
    if not re.fullmatch(_EVERY.rstrip("$"), text):
        raise RefusedError("every", f"{shown(text)} is not a time such as 30s, 5m or 1h")
    return timedelta(seconds=int(text[:-1]) * _SECONDS[text[-1]])
