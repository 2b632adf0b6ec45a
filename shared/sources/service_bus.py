"""Message counts of Service Bus queues, topics and subscriptions, from Azure Resource Manager.

docs/sources/service_bus.md defines the metrics and counts the requests. If one tick is too short
for all topics, the next tick continues with the rest. A topic holds no messages itself: its counts
are sampled if the service returns any. Names are compared without case, as Service Bus does;
dimensions have the name as it was created.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from msgspec import Meta

from shared.clients.http import Deadline
from shared.clients.json_client import JsonClient
from shared.clients.rate_limiter import RateLimiter
from shared.errors import DeadlineError, SourceError, ValidationError
from shared.messages.schema import Name
from shared.resource_ids import validate_resource_id
from shared.sources.base import (
    Context,
    Kind,
    SampleError,
    SamplePart,
    SourceConfig,
    SourceDestination,
    validate_member,
)
from shared.sources.patterns import SOME_INCLUDED, Patterns, Rotation
from shared.text import quoted

__all__ = ["KIND", "ServiceBusConfig"]

_API_VERSION = "2021-11-01"
# Requests per second: Azure Resource Manager refills 25 reads a second for each subscription and
# principal, and other clients need some. Source: "Understand how Azure Resource Manager throttles
# requests".
MAX_PER_SECOND = 10.0
# Characters: a topic, a slash and a subscription, or a pattern.
MAX_ENTITY_LENGTH = 320
_NAMESPACE = re.compile(r".*/providers/Microsoft\.ServiceBus/namespaces/[^/]+", re.IGNORECASE)

# Member of countDetails -> metric.
_COUNTS = {
    "activeMessageCount": "ActiveMessages",
    "deadLetterMessageCount": "DeadLetterMessages",
    "scheduledMessageCount": "ScheduledMessages",
    "transferDeadLetterMessageCount": "TransferDeadLetterMessages",
}


class ServiceBusConfig(SourceConfig, kw_only=True):
    """Entities of one namespace; the metrics belong to `resourceId`, usually that namespace."""

    service_bus: Annotated[
        str | None, Meta(description="ID of the namespace to sample; resourceId if missing.")
    ] = None
    entities: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=MAX_ENTITY_LENGTH)]],
        Meta(
            description="Names and patterns of queues, topics and topic/subscription; "
            "!pattern excludes. A topic includes its subscriptions."
        ),
        SOME_INCLUDED,
    ] = msgspec.field(default_factory=lambda: ["*"])


class _Entity(msgspec.Struct):
    """What is read of a queue, topic or subscription."""

    name: Name  # Azure Resource Manager writes a slash in it as a tilde.
    properties: dict[str, Any]


@dataclass
class _ServiceBus:
    """Samples the entities of a namespace."""

    name: str
    destination: SourceDestination
    url: str
    client: JsonClient
    rate_limiter: RateLimiter
    patterns: Patterns
    _rotation: Rotation = field(init=False, default_factory=Rotation)

    def sample(self, now: datetime, deadline: Deadline) -> Iterator[SamplePart]:  # noqa: ARG002
        missing = set(self.patterns.expected_names())
        complete = True
        for part in self._read(deadline, missing):
            complete = complete and not isinstance(part, SampleError)
            yield part
        if complete:  # Otherwise, they may be in what could not be read.
            for name in sorted(missing):
                yield SampleError(f"{name}: no such queue, topic or subscription")

    def _read(self, deadline: Deadline, missing: set[str]) -> Iterator[SamplePart]:
        """Read queues, topics and subscriptions; remove those that exist from `missing`."""
        topics: list[str] = []
        for path in ("queues", "topics"):
            try:
                for entity in self._entities(path, deadline):
                    missing.discard(_fold(entity.name))
                    if path == "topics":
                        topics.append(entity.name)
                    # For most topics, the service returns no counts.
                    if path == "queues" or entity.properties.get("countDetails") is not None:
                        yield from self._counts(entity, entity.name)
            except SourceError as exc:
                yield SampleError(str(exc))

        def read(topic: str) -> Iterator[SamplePart]:
            return self._read_topic(topic, deadline, missing)

        ordered = self._rotation.order(filter(self.patterns.may_include_children, topics))
        for result in self.rate_limiter.map(read, ordered, deadline, "topics"):
            if result.complete:
                self._rotation.last = result.item
            yield from result.results

    def _read_topic(
        self, topic: str, deadline: Deadline, missing: set[str]
    ) -> Iterator[SamplePart]:
        path = f"topics/{quote(topic, safe='')}/subscriptions"
        try:
            for entity in self._entities(path, deadline):
                missing.discard(_fold(f"{topic}/{entity.name}"))
                yield from self._counts(entity, topic, entity.name)
        except DeadlineError:
            raise
        except SourceError as exc:
            yield SampleError(f"topic {_real_name(topic)}: {exc}")

    def _entities(self, path: str, deadline: Deadline) -> Iterator[_Entity]:
        url = f"{self.url}/{path}?api-version={_API_VERSION}"
        return self.client.arm_items(url, list[_Entity], deadline)

    def _counts(self, entity: _Entity, name: str, child: str | None = None) -> Iterator[SamplePart]:
        if not self.patterns.includes(name, child):
            return
        name = _real_name(name)
        where = name if child is None else f"{name}/{child}"
        dimensions = {"EntityName": name} | ({} if child is None else {"SubscriptionName": child})
        counts = entity.properties.get("countDetails")
        if not isinstance(counts, dict):
            yield SampleError(f"{where}: the response has no countDetails")
            return
        for member, metric in _COUNTS.items():
            count = counts.get(member)
            if type(count) is int and 0 <= count < 2**63:
                yield self.destination.measurement(metric, float(count), dimensions)
            else:
                found = quoted(msgspec.json.encode(count).decode(), 80)[1:-1]
                yield SampleError(f"{where}: countDetails.{member} is not a count: {found}")


def _real_name(name: str) -> str:
    return name.replace("~", "/")


def _fold(name: str) -> str:
    return _real_name(name).lower()


def _open(name: str, config: ServiceBusConfig, context: Context) -> _ServiceBus:
    destination = SourceDestination.of(config, context, ("EntityName", "SubscriptionName"))
    path, given = "serviceBus", config.service_bus
    if given is None:
        path, given = "resourceId", config.resource_id
    resource_id = validate_member(path, validate_resource_id, given)
    if not _NAMESPACE.fullmatch(resource_id):
        raise ValidationError(path, f"{quoted(resource_id)} is not a Service Bus namespace")
    # Azure Resource Manager counts the requests to a subscription, not to a namespace.
    subscription = "/".join(resource_id.lower().split("/")[:3])
    rate_limiter = context.rate_limiter(f"{context.arm_endpoint}{subscription}", MAX_PER_SECOND)
    client = JsonClient(context.session, rate_limiter, context.tokens(context.arm_audience))
    patterns = Patterns.of("entities", config.entities, _fold)
    url = f"{context.arm_endpoint}{resource_id}"
    return _ServiceBus(name, destination, url, client, rate_limiter, patterns)


KIND = Kind(ServiceBusConfig, _open)
