"""What every kind of source has in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Generic, Protocol, TypeVar

import msgspec
from msgspec import Meta

from shared.address import checked_region, checked_resource_id
from shared.checks import check_dimension_names
from shared.connections import Connection
from shared.message_types import Name, Region, ResourceId
from shared.model import Dimensions, Lane, Point
from shared.refusal import RefusedError

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

__all__ = ["Context", "Kind", "Sample", "Source", "SourceConfig", "Target"]

_Config = TypeVar("_Config")


class Sample(msgspec.Struct):
    """What a source gave at one tick, and what of it could not be had."""

    points: list[Point]
    problems: list[str]


class Source(Protocol):
    """Something that is sampled; blocking."""

    name: str

    def sample(self, now: datetime) -> Sample:
        """Take one sample; all its points carry the time `now` (UTC)."""


class Context(msgspec.Struct, frozen=True):
    """What a source may use of the app."""

    connection: Callable[[str], Connection]  # By the name of a Functions connection.
    credential: Callable[[], TokenCredential]  # The app's identity.
    namespace: str
    region: str | None


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
        dict[Name, Name], Meta(description="Dimensions that every point of the source gets.")
    ] = {}


class Target(msgspec.Struct, frozen=True):
    """Where the points of a source go and what they share."""

    lane: Lane
    namespace: str
    dimensions: Mapping[str, str]

    @classmethod
    def of(cls, config: SourceConfig, context: Context, own: tuple[str, ...]) -> Target:
        """Check the entry; `own` are the dimension names that the kind itself gives.

        Raises RefusedError with the path in the entry.
        """
        region = config.region or context.region
        if region is None:
            raise RefusedError("region", "missing, and METRICS_REGION is not set")
        try:
            resource_id = checked_resource_id(config.resource_id)
        except ValueError as exc:
            raise RefusedError("resourceId", str(exc)) from exc
        try:
            lane = Lane(checked_region(region), resource_id)
        except ValueError as exc:
            raise RefusedError("region", str(exc)) from exc
        check_dimension_names("dimensions", (*config.dimensions, *own))
        return cls(lane, config.namespace or context.namespace, config.dimensions)

    def point(self, metric: str, value: float, now: datetime, own: Mapping[str, str]) -> Point:
        """One value at one moment, with the kind's own dimensions beside the fixed ones."""
        pairs = {**self.dimensions, **own}.items()
        dimensions: Dimensions = tuple(sorted(pairs, key=lambda pair: pair[0].casefold()))
        return Point(self.lane, self.namespace, metric, dimensions, now, value, value, value, 1)
