"""What all kinds of sources have in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Generic, NamedTuple, Protocol, TypeVar
from urllib.parse import SplitResult

import msgspec
from msgspec import Meta

from shared.clients.http import Deadline, TokenSource, validate_url
from shared.clients.rate_limiter import RateLimiter
from shared.clients.storage import Connection
from shared.errors import ValidationError
from shared.messages.schema import Name, Region, ResourceId
from shared.messages.validation import validate_dimension_names
from shared.model import MAX_DIMENSIONS, Dimensions, Target
from shared.resource_ids import validate_region, validate_resource_id
from shared.text import masked, quoted

if TYPE_CHECKING:
    import requests
    from azure.core.credentials import TokenCredential

__all__ = [
    "SOME_DIMENSIONS",
    "Context",
    "Kind",
    "Measurement",
    "SampleError",
    "SamplePart",
    "Source",
    "SourceConfig",
    "SourceDestination",
    "validate_member",
    "validate_url_member",
]

_T = TypeVar("_T")
_Config = TypeVar("_Config", bound="SourceConfig")
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_EVERY = "[1-9][0-9]{0,3}[smh]"
# Counted by `SourceDestination.of`, together with those of the kind.
SOME_DIMENSIONS = Meta(extra_json_schema={"maxProperties": MAX_DIMENSIONS})


class Measurement(NamedTuple):
    """One value of a sample."""

    metric: str
    value: float
    dimensions: Dimensions


class SampleError(NamedTuple):
    """One error of a sample."""

    text: str


SamplePart = Measurement | SampleError


class Source(Protocol):
    """Something that is sampled; blocking."""

    name: str  # Of the entry, or its position: METRICS_SOURCES[0].
    destination: SourceDestination

    def sample(self, now: datetime, deadline: Deadline) -> Iterable[SamplePart]:
        """Take one sample and yield its parts as they come; no request starts after the deadline.

        `now` is the time of the sample (UTC). Raises SourceError if it cannot continue; what it
        has yielded before counts.
        """


class Context(msgspec.Struct, frozen=True):
    """What a source may use of the app."""

    connection: Callable[[str], Connection]  # By the name of a Functions connection.
    credential: Callable[[], TokenCredential]  # The identity of the app.
    tokens: Callable[[str], TokenSource]  # Of that identity, by audience.
    rate_limiter: Callable[[str, float], RateLimiter]  # By account and requests per second.
    session: requests.Session
    arm_endpoint: str
    arm_audience: str
    namespace: str


class Kind(msgspec.Struct, Generic[_Config], frozen=True):
    """A kind of source: the type of its entries, and the function that opens one."""

    config: type[_Config]
    open: Callable[[str, _Config, Context], Source]


class SourceConfig(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """The members of an entry of any kind."""

    kind: str
    name: Annotated[
        Name | None,
        Meta(
            description="Name of the source in logs and telemetry, unique; its position if missing."
        ),
    ] = None
    resource_id: ResourceId
    region: Region | None = None
    namespace: Name | None = None
    dimensions: Annotated[
        dict[Name, Name],
        Meta(description="Dimensions of every point of the source."),
        SOME_DIMENSIONS,
    ] = msgspec.field(default_factory=dict)
    every: Annotated[
        str,
        Meta(description="How often to sample, at most once a tick of the timer: 30s, 5m, 1h."),
        # Validated here, not by msgspec, which would search the text and accept "5m\n".
        Meta(extra_json_schema={"pattern": f"^{_EVERY}$"}),
    ] = "1s"


class SourceDestination(msgspec.Struct, frozen=True):
    """Where the measurements of a source go, what they share, and how often they are taken."""

    target: Target
    namespace: str
    dimensions: Mapping[str, str]  # Fixed ones, of every measurement.
    every: timedelta

    @classmethod
    def of(
        cls, config: SourceConfig, context: Context, names: Iterable[str] = ()
    ) -> SourceDestination:
        """Validate an entry; `names` are the dimensions that the kind itself adds.

        Raises ValidationError with the path in the entry.
        """
        region = ""  # The relay looks it up.
        if config.region is not None:
            region = validate_member("region", validate_region, config.region)
        validate_dimension_names("dimensions", (*config.dimensions, *names))
        resource_id = validate_member("resourceId", validate_resource_id, config.resource_id)
        every = validate_member("every", _parse_duration, config.every)
        namespace = config.namespace or context.namespace
        return cls(Target(region, resource_id), namespace, config.dimensions, every)

    def measurement(self, metric: str, value: float, dimensions: Mapping[str, str]) -> Measurement:
        """Return a measurement with these dimensions and the fixed ones."""
        pairs = {**self.dimensions, **dimensions}.items()
        return Measurement(metric, value, tuple(sorted(pairs, key=lambda pair: pair[0].casefold())))


def validate_member(path: str, validate: Callable[[str], _T], text: str) -> _T:
    """Return what the function returns; its ValueError becomes a ValidationError of the member."""
    try:
        return validate(text)
    except ValueError as exc:
        raise ValidationError(path, str(exc)) from exc


def validate_url_member(path: str, url: str) -> SplitResult:
    """Return the parts of a URL that may get a token; the error has no query string."""
    try:
        return validate_url(url)
    except ValueError as exc:
        raise ValidationError(path, f"{masked(url)}: {exc}") from exc


def _parse_duration(text: str) -> timedelta:
    if not re.fullmatch(_EVERY, text):
        raise ValueError(f"{quoted(text)} is not a duration such as 30s, 5m or 1h")
    return timedelta(seconds=int(text[:-1]) * _SECONDS[text[-1]])
