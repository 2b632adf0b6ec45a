"""Message counts of Service Bus queues, topics and subscriptions, through Azure Resource Manager.

Metrics, with the dimension EntityName, and SubscriptionName for a subscription of a topic:

    ActiveMessages              DeadLetterMessages
    ScheduledMessages           TransferDeadLetterMessages

The platform has the first two per queue and topic, none of them per subscription. Needs Reader
on the namespace. Requests a sample: one for each 100 queues and topics, one for each topic. A
topic holds no messages itself: it gives what the service says of it, which may be nothing.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, TypeGuard
from urllib.parse import quote

import msgspec
from msgspec import Meta

from shared.address import checked_resource_id, shown
from shared.errors import SourceError
from shared.json_client import JsonClient
from shared.model import MAX_NAME_LENGTH, Point
from shared.refusal import RefusedError
from shared.sources.base import Context, Kind, Sample, Source, SourceConfig, Target
from shared.sources.patterns import SOME_INCLUDED, Patterns

__all__ = ["SERVICE_BUS", "ServiceBusConfig"]

_API_VERSION = "2021-11-01"
# ARM refills 25 reads a second for each subscription and principal; others live there too.
# Source: "Understand how Azure Resource Manager throttles requests".
_PER_SECOND = 10.0
_NAMESPACE = re.compile(r".*/providers/Microsoft\.ServiceBus/namespaces/[^/]+", re.IGNORECASE)

# Member of countDetails -> metric.
_COUNTS = {
    "activeMessageCount": "ActiveMessages",
    "deadLetterMessageCount": "DeadLetterMessages",
    "scheduledMessageCount": "ScheduledMessages",
    "transferDeadLetterMessageCount": "TransferDeadLetterMessages",
}


class ServiceBusConfig(SourceConfig, kw_only=True):
    """Entities of one namespace; the metrics belong to `resourceId`, mostly that namespace."""

    service_bus: Annotated[
        str | None, Meta(description="ID of the namespace to sample; resourceId if missing.")
    ] = None
    entities: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=320)]],
        Meta(
            min_length=1,
            description="Names and patterns of queues, topics and topic/subscription; "
            "!pattern excludes. A topic stands for its subscriptions too.",
            extra_json_schema=SOME_INCLUDED,
        ),
    ] = msgspec.field(default_factory=lambda: ["*"])


class _ServiceBus:
    """Samples the entities of a namespace."""

    def __init__(
        self, name: str, url: str, patterns: Patterns, target: Target, client: JsonClient
    ) -> None:
        self.name = name
        self.target = target
        self._url = url
        self._patterns = patterns
        self._client = client

    def sample(self, now: datetime) -> Sample:
        sample = Sample([], [])
        for queue in self._entities("queues"):
            self._add(sample, queue, now, queue["name"])
        try:
            topics = self._entities("topics")
        except SourceError as exc:
            sample.problems.append(f"{self.name}: {exc}")
            return sample
        for topic in topics:
            if topic["properties"].get("countDetails") is not None:
                self._add(sample, topic, now, topic["name"])

        def of_topic(topic: dict[str, Any]) -> Sample:
            return self._subscriptions(topic["name"], now)

        wanted = [topic for topic in topics if self._patterns.may_include_below(topic["name"])]
        for one in self._client.each(of_topic, wanted):
            sample.points += one.points
            sample.problems += one.problems
        return sample

    def _subscriptions(self, topic: str, now: datetime) -> Sample:
        sample = Sample([], [])
        try:
            found = self._entities(f"topics/{quote(topic, safe='')}/subscriptions")
        except SourceError as exc:
            return Sample([], [f"{self.name}: topic {topic}: {exc}"])
        for subscription in found:
            self._add(sample, subscription, now, topic, subscription["name"])
        return sample

    def _entities(self, path: str) -> list[dict[str, Any]]:
        """All entities of a kind, over all pages. Raises SourceError."""
        url = f"{self._url}/{path}"
        entities: list[dict[str, Any]] = []
        for page in self._client.pages(f"{url}?api-version={_API_VERSION}", _next_link):
            entities.extend(_entities_of(url, page))
        return entities

    def _add(
        self,
        sample: Sample,
        entity: dict[str, Any],
        now: datetime,
        name: str,
        child: str | None = None,
    ) -> None:
        if not self._patterns.includes(name, child):
            return
        where = f"{self.name}: {name if child is None else f'{name}/{child}'}"
        own = {"EntityName": name} | ({} if child is None else {"SubscriptionName": child})
        counts = entity["properties"].get("countDetails")
        if not isinstance(counts, dict):
            sample.problems.append(f"{where}: no countDetails in the answer")
            return
        points: list[Point] = sample.points
        for member, metric in _COUNTS.items():
            count = counts.get(member)
            if _is_count(count):
                points.append(self.target.point(metric, float(count), now, own))
            else:
                sample.problems.append(f"{where}: countDetails.{member} is no count: {count!r}")


def _next_link(page: Any) -> Any:
    return page.get("nextLink") if isinstance(page, dict) else None


def _entities_of(url: str, page: Any) -> list[dict[str, Any]]:
    """The entities of a page, once it is known to look like one."""
    entities = page.get("value") if isinstance(page, dict) else None
    if not isinstance(entities, list) or not all(map(_is_entity, entities)):
        raise SourceError(f"{url}: not a page of entities with name and properties")
    return entities


def _is_count(count: Any) -> TypeGuard[int]:
    return isinstance(count, int) and not isinstance(count, bool) and 0 <= count < 2**63


def _is_entity(entity: Any) -> bool:
    return (
        isinstance(entity, dict)
        and isinstance(entity.get("name"), str)
        and 0 < len(entity["name"]) <= MAX_NAME_LENGTH
        and isinstance(entity.get("properties"), dict)
    )


def _open(name: str, config: ServiceBusConfig, context: Context) -> Source:
    target = Target.of(config, context, own=("EntityName", "SubscriptionName"))
    path = "resourceId" if config.service_bus is None else "serviceBus"
    try:
        resource_id = checked_resource_id(
            config.resource_id if config.service_bus is None else config.service_bus
        )
    except ValueError as exc:
        raise RefusedError(path, str(exc)) from exc
    if not _NAMESPACE.fullmatch(resource_id):
        raise RefusedError(path, f"{shown(resource_id)} is not a Service Bus namespace")
    gate = context.gate(resource_id.lower(), _PER_SECOND)
    tokens = context.tokens(context.arm_audience)
    client = JsonClient(context.session, gate, tokens)
    url = f"{context.arm_endpoint}{resource_id}"
    return _ServiceBus(name, url, Patterns.of("entities", config.entities), target, client)


SERVICE_BUS = Kind(ServiceBusConfig, _open)
