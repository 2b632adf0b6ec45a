"""Depth and age of storage queues, per queue; the platform's own metrics are per account.

Metrics, with the dimension QueueName; `metrics` of an entry chooses among them:

    QueueDepth             messages, including those being processed; approximate
    QueueVisibleDepth      messages that a consumer could receive now: exact below 32, above it
                           the approximate depth, since a peek returns at most 32 messages
    QueueOldestMessageAge  seconds since the oldest of the first 32 visible messages was
                           enqueued; 0 if no message is visible
    PoisonQueueDepth       messages in <queue>-poison; 0 while that queue does not exist

Needs Storage Queue Data Reader on the account. Requests of a sample: one for each 5,000 queues of
a list, if there are patterns or more than ten names; two for each queue, and without a list one
to look for its poison queue; one for each poison queue that exists. If one tick is too short for
all queues, the next tick continues with the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from shared.clients.deadline import Deadline
from shared.clients.rate_limiter import RateLimiter
from shared.clients.storage import (
    QUEUE_NAME,
    QUEUE_NAME_RULE,
    StorageRetry,
    account_client,
    open_queue_service,
)
from shared.errors import DeadlineError, SourceError, ValidationError
from shared.sources.base import (
    Context,
    Kind,
    SampleError,
    SamplePart,
    Source,
    SourceConfig,
    SourceDestination,
    validate_url_member,
)
from shared.sources.patterns import SOME_INCLUDED, Patterns, Rotation
from shared.sources.queue_account import MAX_PEEKED, MissingQueueError, QueueAccount
from shared.text import quoted

__all__ = ["KIND", "StorageQueueConfig"]

# Requests per second to one account: a twentieth of what an account takes (20,000).
# Source: "Scalability and performance targets for Queue Storage".
MAX_PER_SECOND = 1000.0
# Queues given by name whose poison queues are looked up one by one; for more, all are listed.
MAX_LOOKUPS = 10
# A tick has a deadline; a request that fails is retried once within it.
_RETRY = StorageRetry(retries=1, read_timeout=10)
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
        Meta(
            min_length=1,
            description="Names and patterns; !pattern excludes.",
            extra_json_schema=SOME_INCLUDED,
        ),
    ]
    account: Annotated[
        str | None,
        Meta(
            description="URL of the account's queue service: https://….queue.core.….",
            extra_json_schema={"pattern": "^https://"},
        ),
    ] = None
    connection: Annotated[
        str | None, Meta(description="Name of a Functions connection in the app settings.")
    ] = None
    metrics: Annotated[
        list[Metric], Meta(min_length=1, description="Which metrics; all if missing.")
    ] = msgspec.field(default_factory=lambda: list(get_args(Metric)))


class _StorageQueues:
    """Samples the queues of one account, several at a time."""

    def __init__(
        self,
        name: str,
        account: QueueAccount,
        *,
        patterns: Patterns,
        metrics: frozenset[str],
        destination: SourceDestination,
        rate_limiter: RateLimiter,
    ) -> None:
        self.name = name
        self.destination = destination
        self._account = account
        self._patterns = patterns
        self._metrics = metrics
        self._rate_limiter = rate_limiter
        self._rotation = Rotation()

    def sample(self, now: datetime, deadline: Deadline) -> Iterator[SamplePart]:
        self._account.authenticate(deadline)
        queues = set(self._patterns.expected_names())
        # One list costs less than many lookups of poison queues.
        many = len(queues) > MAX_LOOKUPS and "PoisonQueueDepth" in self._metrics
        exists: Exists | None = lambda queue: queue in self._account.names(queue, deadline)  # noqa: E731
        if self._patterns.globs or many:
            try:
                listed = self._account.names("", deadline)
            except SourceError as exc:
                yield SampleError(str(exc))
                exists = None  # Queues given by name can be sampled without the list.
            else:
                queues.update(filter(self._patterns.includes, listed))
                exists = listed.__contains__

        def measure(queue: str) -> Iterator[SamplePart]:
            return self._measure(queue, now, deadline, exists)

        ordered = self._rotation.order(queues)
        for result in self._rate_limiter.map(measure, ordered, deadline, "queues"):
            if result.complete:
                self._rotation.set_last(result.item)
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
                    if metric in self._metrics:
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
        if self._metrics & {"QueueDepth", "QueueVisibleDepth"}:
            depth = self._account.depth(queue, deadline)
            yield "QueueDepth", depth
        if self._metrics & {"QueueVisibleDepth", "QueueOldestMessageAge"}:
            times = self._account.peek(queue, deadline)
            oldest = min((time for time in times if time is not None), default=now)
            # The clock of the service may be ahead.
            yield "QueueOldestMessageAge", max(0.0, (now - oldest).total_seconds())
            full = len(times) == MAX_PEEKED
            # The depth is a moment older than the peek and may be less.
            yield "QueueVisibleDepth", max(depth if full else 0.0, float(len(times)))

    def _poison_values(
        self, queue: str, deadline: Deadline, exists: Exists | None
    ) -> Iterator[tuple[Metric, float]]:
        if "PoisonQueueDepth" not in self._metrics or queue.endswith(_POISON) or exists is None:
            return
        poison = f"{queue}{_POISON}"
        depth = 0.0
        # To look it up in a list leaves no failed request in the metrics of the account.
        if exists(poison):
            with suppress(MissingQueueError):  # Deleted since it was listed.
                depth = self._account.depth(poison, deadline)
        yield "PoisonQueueDepth", depth


def _open(name: str, config: StorageQueueConfig, context: Context) -> Source:
    destination = SourceDestination.of(config, context, ("QueueName",))
    if (config.account is None) == (config.connection is None):
        raise ValidationError("", "give exactly one of account and connection")
    patterns = _parse_patterns(config.queues)
    if config.account is None:
        service = open_queue_service(context.connection(config.connection or ""), _RETRY)
    else:
        _validate_account(config.account)
        service = account_client(config.account, context.credential(), _RETRY)
    # Not by its URL, which may contain a shared access signature.
    rate_limiter = context.rate_limiter(service.primary_hostname, MAX_PER_SECOND)
    return _StorageQueues(
        name,
        QueueAccount(service, rate_limiter),
        patterns=patterns,
        metrics=frozenset(config.metrics),
        destination=destination,
        rate_limiter=rate_limiter,
    )


def _parse_patterns(texts: list[str]) -> Patterns:
    for index, text in enumerate(texts):
        if not re.fullmatch(_PATTERN, text):
            raise ValidationError(
                f"queues[{index}]",
                f"{quoted(text)} is not a name or pattern: 1 to 64 lower-case letters, digits, "
                "hyphens and * ? [ ], after a ! to exclude",
            )
    patterns = Patterns.of("queues", texts)
    for name in patterns.names:
        if not QUEUE_NAME.fullmatch(name):
            raise ValidationError(
                f"queues[{texts.index(name)}]",
                f"{quoted(name)} is not a queue name: {QUEUE_NAME_RULE}",
            )
    return patterns


def _validate_account(url: str) -> None:
    """Check the URL, which gets a token: https:// and nothing but a host, a port and a path."""
    https = validate_url_member("account", url).scheme == "https"
    if not https or re.search(r"[^!-~]|[?#@\\]", url):
        raise ValidationError(
            "account",
            f"{quoted(url.partition('?')[0])}: expected a URL such as "
            "https://….queue.core.windows.net",
        )


KIND = Kind(StorageQueueConfig, _open)
