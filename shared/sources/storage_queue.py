"""Depth and age of storage queues, per queue; the platform's own metrics are per account.

docs/sources/storage_queue.md defines the metrics and counts the requests. If one tick is too short
for all queues, the next tick continues with the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from shared.clients import storage
from shared.clients.connections import validate_account_url
from shared.clients.credentials import request_token
from shared.clients.http import Deadline, describe_error
from shared.clients.rate_limiter import RateLimiter
from shared.errors import DeadlineError, SourceError, TokenError, ValidationError
from shared.sources.base import (
    Context,
    Kind,
    SampleError,
    SamplePart,
    SourceConfig,
    SourceDestination,
)
from shared.sources.patterns import SOME_INCLUDED, Patterns, Rotation
from shared.text import masked, quoted

if TYPE_CHECKING:
    from azure.storage.queue import QueueServiceClient

__all__ = ["KIND", "StorageQueueConfig"]

# Requests per second to one account: a twentieth of what an account takes (20,000).
# Source: "Scalability and performance targets for Queue Storage".
MAX_PER_SECOND = 1000.0
# Queues given by name whose poison queues are looked up one by one; for more, all are listed.
MAX_LOOKUPS = 10
# Messages. Source: "Peek Messages".
MAX_PEEKED = 32
# A tick has a deadline; a request that fails is retried once within it.
_RETRY = storage.StorageRetry(retries=1, read_timeout=10)
_POISON = "-poison"

Metric = Literal["QueueDepth", "QueueVisibleDepth", "QueueOldestMessageAge", "PoisonQueueDepth"]
_PATTERN = r"!?[a-z0-9*?\[\]-][a-z0-9*?\[\]!-]{0,63}"
# Validated here, not by msgspec, which would search the text and accept "orders\n".
QueuePattern = Annotated[str, Meta(extra_json_schema={"pattern": f"^{_PATTERN}$"})]

# Returns whether a queue exists; raises SourceError if that is unknown.
Exists = Callable[[str], bool]


class StorageQueueConfig(SourceConfig, kw_only=True):
    """Queues of one storage account; exactly one of account and connection."""

    queues: Annotated[
        list[QueuePattern],
        Meta(description="Names and patterns; !pattern excludes."),
        SOME_INCLUDED,
    ]
    account: Annotated[
        str | None,
        Meta(description="URL of the account's queue service: https://….queue.core.…."),
        Meta(extra_json_schema={"pattern": "^https://"}),
    ] = None
    connection: Annotated[
        str | None, Meta(description="Name of a Functions connection in the app settings.")
    ] = None
    metrics: Annotated[
        list[Metric], Meta(min_length=1, description="Which metrics; all if missing.")
    ] = msgspec.field(default_factory=lambda: list(get_args(Metric)))


class _MissingQueueError(SourceError):
    """A queue does not exist."""


@dataclass(repr=False)
class _StorageQueues:
    """Samples the queues of one account, several at a time."""

    name: str
    destination: SourceDestination
    service: QueueServiceClient
    rate_limiter: RateLimiter
    patterns: Patterns
    metrics: frozenset[str]
    _rotation: Rotation = field(init=False, default_factory=Rotation)

    def sample(self, now: datetime, deadline: Deadline) -> Iterator[SamplePart]:
        self._authenticate(deadline)
        queues = set(self.patterns.expected_names())
        # One list costs less than many lookups of poison queues.
        many = len(queues) > MAX_LOOKUPS and "PoisonQueueDepth" in self.metrics
        exists: Exists | None = lambda queue: queue in self._list(queue, deadline)  # noqa: E731
        if self.patterns.globs or many:
            try:
                listed = self._list("", deadline)
            except SourceError as exc:
                yield SampleError(str(exc))
                exists = None  # Queues given by name can be sampled without the list.
            else:
                queues.update(filter(self.patterns.includes, listed))
                exists = listed.__contains__

        def measure(queue: str) -> Iterator[SamplePart]:
            return self._measure(queue, now, deadline, exists)

        ordered = self._rotation.order(queues)
        for result in self.rate_limiter.map(measure, ordered, deadline, "queues"):
            if result.complete:
                self._rotation.last = result.item
            yield from result.results

    def _measure(
        self, queue: str, now: datetime, deadline: Deadline, exists: Exists | None
    ) -> Iterator[SamplePart]:
        """Measure a queue, and its poison queue unless the queue itself cannot be read."""
        readable = False
        for values in (
            self._queue_values(queue, now, deadline),
            self._poison_values(queue, deadline, exists),
        ):
            try:
                for metric, value in values:
                    readable = True
                    if metric in self.metrics:
                        yield self.destination.measurement(metric, value, {"QueueName": queue})
            except DeadlineError:
                raise
            except SourceError as exc:
                yield SampleError(f"queue {queue}: {exc}")
                if not readable:
                    return

    def _queue_values(
        self, queue: str, now: datetime, deadline: Deadline
    ) -> Iterator[tuple[Metric, float]]:
        depth = 0.0
        if self.metrics & {"QueueDepth", "QueueVisibleDepth"}:
            depth = self._depth(queue, deadline)
            yield "QueueDepth", depth
        if self.metrics & {"QueueVisibleDepth", "QueueOldestMessageAge"}:
            times = self._peek(queue, deadline)
            oldest = min((time for time in times if time is not None), default=now)
            # The clock of the service may be ahead.
            yield "QueueOldestMessageAge", max(0.0, (now - oldest).total_seconds())
            full = len(times) == MAX_PEEKED
            # The depth is a moment older than the peek and may be less.
            yield "QueueVisibleDepth", max(depth if full else 0.0, float(len(times)))

    def _poison_values(
        self, queue: str, deadline: Deadline, exists: Exists | None
    ) -> Iterator[tuple[Metric, float]]:
        poison = f"{queue}{_POISON}"
        # For a name that has no room for the suffix, the Functions host has no poison queue.
        possible = not queue.endswith(_POISON) and storage.QUEUE_NAME.fullmatch(poison)
        if "PoisonQueueDepth" not in self.metrics or not possible or exists is None:
            return
        depth = 0.0
        # To look it up in a list leaves no failed request in the metrics of the account.
        if exists(poison):
            with suppress(_MissingQueueError):  # Deleted since it was listed.
                depth = self._depth(poison, deadline)
        yield "PoisonQueueDepth", depth

    def _authenticate(self, deadline: Deadline) -> None:
        """Get a token before many threads need one, so that a failure is one error."""
        if not hasattr(self.service.credential, "get_token"):
            return  # A key or a signature.
        with self.rate_limiter.acquire(deadline):
            try:
                request_token(self.service.credential, storage.STORAGE_SCOPE)
            except TokenError as exc:
                raise SourceError(str(exc)) from exc

    def _depth(self, queue: str, deadline: Deadline) -> float:
        with self._request(deadline):
            properties = self.service.get_queue_client(queue).get_queue_properties()
        count = properties.approximate_message_count
        if count is None or not 0 <= count < 2**63:
            raise SourceError(f"the response has no valid message count: {count}")
        return float(count)

    def _peek(self, queue: str, deadline: Deadline) -> list[datetime | None]:
        """Return the enqueued times of the first visible messages, up to MAX_PEEKED."""
        with self._request(deadline):
            peeked = self.service.get_queue_client(queue).peek_messages(MAX_PEEKED)
            return [message.inserted_on for message in peeked]

    def _list(self, prefix: str, deadline: Deadline) -> set[str]:
        """Return the names of the queues with a prefix."""
        names: set[str] = set()
        with self._request(deadline, "queues cannot be listed: "):
            for page in self.service.list_queues(name_starts_with=prefix or None).by_page():
                names.update(queue.name for queue in page if queue.name)
                if not deadline.left():
                    raise SourceError("the list was not complete before the deadline")
        return names

    @contextmanager
    def _request(self, deadline: Deadline, context: str = "") -> Iterator[None]:
        """Wait for the rate limiter; what the block raises becomes a SourceError with context."""
        from azure.core.exceptions import AzureError, ResourceNotFoundError

        with self.rate_limiter.acquire(deadline):
            try:
                yield
            except ResourceNotFoundError as exc:
                raise _MissingQueueError(f"{context}{describe_error(exc)}") from exc
            except (AzureError, SourceError) as exc:
                raise SourceError(f"{context}{describe_error(exc)}") from exc
            # The SDK raises these for the response of a server that is not a queue service.
            except (SyntaxError, ValueError, TypeError, LookupError, AttributeError) as exc:
                text = f"{context}not a queue service response: {describe_error(exc)}"
                raise SourceError(text) from exc


def _open(name: str, config: StorageQueueConfig, context: Context) -> _StorageQueues:
    destination = SourceDestination.of(config, context, ("QueueName",))
    if (config.account is None) == (config.connection is None):
        raise ValidationError("", "give exactly one of account and connection")
    _validate_patterns(config.queues)
    patterns = Patterns.of("queues", config.queues)
    if config.account is None:
        connection = context.connection(config.connection or "")
        service = storage.open_queue_service(connection, _RETRY)
    else:
        try:
            validate_account_url(config.account)
        except ValueError as exc:
            raise ValidationError("account", f"{masked(config.account)}: {exc}") from exc
        service = storage.account_client(config.account, context.credential(), _RETRY)
    # Not by its URL, which may contain a shared access signature.
    rate_limiter = context.rate_limiter(service.primary_hostname, MAX_PER_SECOND)
    metrics = frozenset(config.metrics)
    return _StorageQueues(name, destination, service, rate_limiter, patterns, metrics)


def _validate_patterns(texts: list[str]) -> None:
    for index, text in enumerate(texts):
        if not re.fullmatch(_PATTERN, text):
            rule = "1 to 64 lower-case letters, digits, hyphens and * ? [ ], after a ! to exclude"
            expected = f"name or pattern: {rule}"
        elif not set(text) & set("!*?[") and not storage.QUEUE_NAME.fullmatch(text):
            expected = f"queue name: {storage.QUEUE_NAME_RULE}"
        else:
            continue
        raise ValidationError(f"queues[{index}]", f"{quoted(text)} is not a {expected}")


KIND = Kind(StorageQueueConfig, _open)
