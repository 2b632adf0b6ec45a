"""Depth and age of storage queues: per queue, which the platform's own metrics are not.

Metrics, with the dimension QueueName; which of them are wanted is for `metrics` to say:

    QueueDepth             messages, those that are being worked on included; approximate
    QueueVisibleDepth      messages that a consumer could take now: exact below 32, from there on
                           the approximate depth, since a peek shows 32 at the most
    QueueOldestMessageAge  seconds since the oldest of the first 32 visible messages was
                           enqueued; 0 when none is visible
    PoisonQueueDepth       messages in <queue>-poison; 0 while there is no such queue

Needs Storage Queue Data Reader on the account. Requests a sample: one to list 5,000 queues where
there are patterns; two for each queue, and for its poison queue one, or one more if it exists.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from shared.connections import account_client, open_connection
from shared.errors import SourceError
from shared.gate import Gate
from shared.model import Point
from shared.refusal import RefusedError
from shared.sources.base import Context, Kind, Sample, Source, SourceConfig, Target
from shared.sources.patterns import Patterns

if TYPE_CHECKING:
    from azure.storage.queue import QueueServiceClient

__all__ = ["STORAGE_QUEUE", "StorageQueueConfig"]

# Source: "Peek Messages": 32 at most.
_MOST_PEEKED = 32
# Requests a second to one account: a twentieth of what an account takes (20,000).
# Source: "Scalability and performance targets for Queue Storage".
_PER_SECOND = 1000.0
# The tick has a deadline; a request that fails is tried once more.
_RETRIES = 1
_POISON = "-poison"

Metric = Literal["QueueDepth", "QueueVisibleDepth", "QueueOldestMessageAge", "PoisonQueueDepth"]
_ALL: tuple[Metric, ...] = (
    "QueueDepth",
    "QueueVisibleDepth",
    "QueueOldestMessageAge",
    "PoisonQueueDepth",
)
QueuePattern = Annotated[str, Meta(min_length=1, max_length=64)]


class StorageQueueConfig(SourceConfig, kw_only=True):
    """Queues of one storage account; exactly one of account and connection."""

    queues: Annotated[
        list[QueuePattern],
        Meta(min_length=1, description="Names and patterns; !pattern excludes."),
    ]
    account: Annotated[
        str | None, Meta(description="Address of the account's queues: https://….queue.core.….")
    ] = None
    connection: Annotated[
        str | None, Meta(description="Name of a Functions connection among the app settings.")
    ] = None
    metrics: Annotated[
        list[Metric], Meta(min_length=1, description="Which metrics; all if it is missing.")
    ] = msgspec.field(default_factory=lambda: list(_ALL))


class _StorageQueues:
    """Samples the queues of one account, many at once."""

    def __init__(
        self,
        name: str,
        service: QueueServiceClient,
        config: StorageQueueConfig,
        target: Target,
        gate: Gate,
    ) -> None:
        self.name = name
        self.target = target
        self._service = service
        self._patterns = Patterns.of(config.queues)
        self._metrics = frozenset(config.metrics)
        self._gate = gate

    def sample(self, now: datetime) -> Sample:
        listed = self._list("") if self._patterns.globs else None
        queues = [name for name in self._patterns.names if not self._patterns.excludes(name)]
        for name in sorted(listed or ()):
            if self._patterns.includes(name) and name not in queues:
                queues.append(name)

        def measure(queue: str) -> Sample:
            return self._measure(queue, now, listed)

        samples = self._gate.each(measure, queues)
        return Sample(
            [point for one in samples for point in one.points],
            [problem for one in samples for problem in one.problems],
        )

    def _measure(self, queue: str, now: datetime, listed: frozenset[str] | None) -> Sample:
        """One queue; what is wrong with it is a problem of its own."""
        from azure.core.exceptions import AzureError

        own = {"QueueName": queue}
        try:
            values = self._values(queue, now, listed)
        except AzureError as exc:
            return Sample([], [f"{self.name}: queue {queue}: {_first_line(exc)}"])
        points: list[Point] = [
            self.target.point(metric, value, now, own)
            for metric, value in values.items()
            if metric in self._metrics
        ]
        return Sample(points, [])

    def _values(self, queue: str, now: datetime, listed: frozenset[str] | None) -> dict[str, float]:
        client = self._service.get_queue_client(queue)
        values: dict[str, float] = {}
        if self._metrics & {"QueueDepth", "QueueVisibleDepth"}:
            values["QueueDepth"] = self._depth(queue)
        if self._metrics & {"QueueVisibleDepth", "QueueOldestMessageAge"}:
            self._gate.wait()
            seen = [message.inserted_on for message in client.peek_messages(_MOST_PEEKED)]
            oldest = min((time for time in seen if time is not None), default=now)
            # The service's clock may be ahead of ours.
            values["QueueOldestMessageAge"] = max(0.0, (now - oldest).total_seconds())
            full = len(seen) == _MOST_PEEKED
            values["QueueVisibleDepth"] = values.get("QueueDepth", 0.0) if full else len(seen)
        if "PoisonQueueDepth" in self._metrics and not queue.endswith(_POISON):
            poison = f"{queue}{_POISON}"
            # A look at the list, not at the queue: the account's own metrics would count a
            # failed request for each queue that has no poison queue.
            exists = poison in (self._list(poison) if listed is None else listed)
            values["PoisonQueueDepth"] = self._depth(poison) if exists else 0.0
        return values

    def _depth(self, queue: str) -> float:
        self._gate.wait()
        properties = self._service.get_queue_client(queue).get_queue_properties()
        return float(properties.approximate_message_count or 0)

    def _list(self, prefix: str) -> frozenset[str]:
        from azure.core.exceptions import AzureError

        self._gate.wait()
        try:
            found: Iterable[str | None] = [
                queue.name for queue in self._service.list_queues(name_starts_with=prefix or None)
            ]
        except AzureError as exc:
            raise SourceError(f"queues cannot be listed: {_first_line(exc)}") from exc
        return frozenset(name for name in found if name)


def _first_line(exc: Exception) -> str:
    return str(exc).partition("\n")[0]


def _open(name: str, config: StorageQueueConfig, context: Context) -> Source:
    target = Target.of(config, context, own=("QueueName",))
    if (config.account is None) == (config.connection is None):
        raise RefusedError("", "give exactly one of account and connection")
    if all(text.startswith("!") for text in config.queues):
        raise RefusedError("queues", "only exclusions; a name or a pattern to include is missing")
    if config.connection is not None:
        service = open_connection(context.connection(config.connection), _RETRIES)
    else:
        assert config.account is not None  # noqa: S101 (exactly one is given)
        service = account_client(_checked_account(config.account), context.credential(), _RETRIES)
    gate = context.gate(service.url, _PER_SECOND)
    return _StorageQueues(name, service, config, target, gate)


def _checked_account(url: str) -> str:
    """A token goes there, so it is an address over TLS and nothing else."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.username or parts.query:
        raise RefusedError("account", f"{url!r} is not an address that begins with https://")
    return url


STORAGE_QUEUE = Kind(StorageQueueConfig, _open)
