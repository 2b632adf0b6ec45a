"""Message counts of Service Bus queues, topics and subscriptions, through Azure Resource Manager.

Metrics, with the dimension EntityName, and SubscriptionName for a subscription of a topic:

    ActiveMessages              DeadLetterMessages
    ScheduledMessages           TransferDeadLetterMessages

The platform has the first two per queue and topic, none of them per subscription. Needs Reader
on the namespace. Requests a sample: one for each 100 queues and topics, one for each topic; of
topics that are too many for one tick, the next tick has the rest. A topic holds no messages
itself: it gives what the service says of it, which may be nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, TypeGuard
from urllib.parse import quote

import msgspec
from msgspec import Meta

from shared.clients.deadline import Deadline
from shared.clients.json_client import JsonClient
from shared.clients.rate_limiter import Gate
from shared.errors import LateError, SourceError
from shared.messages.refusal import RefusedError
from shared.model import MAX_NAME_LENGTH
from shared.resource_ids import checked_resource_id, shown
from shared.sources.base import Context, Finding, Kind, Problem, Source, SourceConfig, Target
from shared.sources.patterns import SOME_INCLUDED, Patterns
from shared.sources.rotation import Rotation

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
        self,
        name: str,
        url: str,
        *,
        patterns: Patterns,
        target: Target,
        client: JsonClient,
        gate: Gate,
    ) -> None:
        self.name = name
        self.target = target
        self._url = url
        self._patterns = patterns
        self._client = client
        self._gate = gate
        self._rotation = Rotation()

    def sample(self, now: datetime, until: Deadline) -> Iterator[Finding]:
        unseen = set(self._patterns.wanted_names())
        whole = True
        for finding in self._read(now, until, unseen):
            whole = whole and not isinstance(finding, Problem)
            yield finding
        if whole:  # Else they may be in what could not be read.
            for name in sorted(unseen):
                yield Problem(f"{name}: there is no such queue, topic or subscription")

    def _read(self, now: datetime, until: Deadline, unseen: set[str]) -> Iterator[Finding]:
        """Queues, topics and subscriptions; takes those that are there out of `unseen`."""
        topics: list[str] = []
        for path in ("queues", "topics"):
            try:
                for entity in self._entities(path, until):
                    name: str = entity["name"]
                    unseen.discard(name)
                    if path == "topics":
                        topics.append(name)
                    # A topic holds no messages: mostly nothing is said of it.
                    if path == "queues" or entity["properties"].get("countDetails") is not None:
                        yield from self._counts(entity, now, name)
            except SourceError as exc:
                yield Problem(str(exc))
        yield from self._below(topics, now, until, unseen)

    def _below(
        self, topics: Sequence[str], now: datetime, until: Deadline, unseen: set[str]
    ) -> Iterator[Finding]:
        def of_topic(topic: str) -> Iterator[Finding]:
            return self._subscriptions(topic, now, until, unseen)

        wanted = self._rotation.order(filter(self._patterns.may_include_below, topics))
        for answer in self._gate.each(of_topic, wanted, until, "topics"):
            if answer.whole:
                self._rotation.read(answer.item)
            yield from answer.results

    def _subscriptions(
        self, topic: str, now: datetime, until: Deadline, unseen: set[str]
    ) -> Iterator[Finding]:
        try:
            for entity in self._entities(f"topics/{quote(topic, safe='')}/subscriptions", until):
                unseen.discard(f"{topic}/{entity['name']}")
                yield from self._counts(entity, now, topic, entity["name"])
        except LateError:
            raise
        except SourceError as exc:
            yield Problem(f"topic {topic}: {exc}")

    def _entities(self, path: str, until: Deadline) -> Iterator[dict[str, Any]]:
        """All entities of a kind, over all pages. Raises SourceError."""
        url = f"{self._url}/{path}"
        for page in self._client.pages(f"{url}?api-version={_API_VERSION}", _next_link, until):
            yield from _entities_of(url, page)

    def _counts(
        self, entity: dict[str, Any], now: datetime, name: str, child: str | None = None
    ) -> Iterator[Finding]:
        if not self._patterns.includes(name, child):
            return
        where = name if child is None else f"{name}/{child}"
        own = {"EntityName": name} | ({} if child is None else {"SubscriptionName": child})
        counts = entity["properties"].get("countDetails")
        if not isinstance(counts, dict):
            yield Problem(f"{where}: no countDetails in the answer")
            return
        for member, metric in _COUNTS.items():
            count = counts.get(member)
            if _is_count(count):
                yield self.target.point(metric, float(count), now, own)
            else:
                yield Problem(f"{where}: countDetails.{member} is no count: {count!r}")


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
    # ARM counts what is asked for in a subscription, not what is asked of a namespace.
    subscription = "/".join(resource_id.lower().split("/")[:3])
    gate = context.gate(f"{context.arm_endpoint}{subscription}", _PER_SECOND)
    return _ServiceBus(
        name,
        f"{context.arm_endpoint}{resource_id}",
        patterns=Patterns.of("entities", config.entities),
        target=target,
        client=JsonClient(context.session, gate, context.tokens(context.arm_audience)),
        gate=gate,
    )


SERVICE_BUS = Kind(ServiceBusConfig, _open)
