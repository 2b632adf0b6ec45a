"""Depth and age of storage queues: per queue, which the platform's own metrics are not.

Metrics, with the dimension QueueName:

    QueueDepth             messages, those that are being worked on included; approximate
    QueueOldestMessageAge  seconds since the oldest of the first 32 visible messages was
                           enqueued; 0 when none is visible

Needs Storage Queue Data Reader on the account. Two requests a queue and sample.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from shared.connections import account_client, open_connection
from shared.model import Point
from shared.refusal import RefusedError
from shared.sources.base import Context, Kind, Sample, Source, SourceConfig, Target

if TYPE_CHECKING:
    from azure.storage.queue import QueueServiceClient

__all__ = ["STORAGE_QUEUE", "StorageQueueConfig"]

# Source: "Peek Messages": 32 at most.
_MOST_PEEKED = 32

QueueName = Annotated[str, Meta(min_length=3, max_length=63)]


class StorageQueueConfig(SourceConfig, kw_only=True):
    """Queues of one storage account; exactly one of account and connection."""

    queues: Annotated[list[QueueName], Meta(min_length=1, description="Names of the queues.")]
    account: Annotated[
        str | None, Meta(description="Address of the account's queues: https://….queue.core.….")
    ] = None
    connection: Annotated[
        str | None, Meta(description="Name of a Functions connection among the app settings.")
    ] = None


class _StorageQueues:
    """Samples the queues of an account one after another."""

    def __init__(
        self, name: str, service: QueueServiceClient, queues: list[str], target: Target
    ) -> None:
        self.name = name
        self._service = service
        self._queues = queues
        self._target = target

    def sample(self, now: datetime) -> Sample:
        from azure.core.exceptions import AzureError

        sample = Sample([], [])
        for queue in self._queues:
            try:
                sample.points.extend(self._measure(queue, now))
            except AzureError as exc:
                first_line = str(exc).partition("\n")[0]
                sample.problems.append(f"{self.name}: queue {queue}: {first_line}")
        return sample

    def _measure(self, queue: str, now: datetime) -> list[Point]:
        client = self._service.get_queue_client(queue)
        depth = client.get_queue_properties().approximate_message_count or 0
        times = [message.inserted_on for message in client.peek_messages(_MOST_PEEKED)]
        oldest = min((time for time in times if time is not None), default=now)
        # The service's clock may be ahead of ours.
        age = max(0.0, (now - oldest).total_seconds())
        own = {"QueueName": queue}
        return [
            self._target.point("QueueDepth", float(depth), now, own),
            self._target.point("QueueOldestMessageAge", age, now, own),
        ]


def _open(name: str, config: StorageQueueConfig, context: Context) -> Source:
    target = Target.of(config, context, own=("QueueName",))
    if (config.account is None) == (config.connection is None):
        raise RefusedError("", "give exactly one of account and connection")
    if config.connection is not None:
        service = open_connection(context.connection(config.connection))
    else:
        assert config.account is not None  # noqa: S101 (exactly one is given)
        service = account_client(_checked_account(config.account), context.credential())
    return _StorageQueues(name, service, config.queues, target)


def _checked_account(url: str) -> str:
    """A token goes there, so it is an address over TLS and nothing else."""
    if not url.startswith("https://"):
        raise RefusedError("account", f"{url!r} is not an address that begins with https://")
    return url


STORAGE_QUEUE = Kind(StorageQueueConfig, _open)
