"""Depth and age of storage queues: per queue, which the platform's own metrics are not.

Metrics, with the dimension QueueName; which of them are wanted is for `metrics` to say:

    QueueDepth             messages, those that are being worked on included; approximate
    QueueVisibleDepth      messages that a consumer could take now: exact below 32, from there on
                           the approximate depth, since a peek shows 32 at the most
    QueueOldestMessageAge  seconds since the oldest of the first 32 visible messages was
                           enqueued; 0 when none is visible
    PoisonQueueDepth       messages in <queue>-poison; 0 while there is no such queue

Needs Storage Queue Data Reader on the account. Requests a sample: one to list 5,000 queues where
there are patterns; two for each queue, and for a queue without a pattern one to look for its
poison queue; one for each poison queue that exists.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from shared.address import shown
from shared.connections import Patience, account_client, open_connection
from shared.deadline import Deadline
from shared.errors import LateError, SourceError
from shared.gate import Gate
from shared.refusal import RefusedError
from shared.sources.base import Context, Finding, Kind, Problem, Source, SourceConfig, Target
from shared.sources.patterns import SOME_INCLUDED, Patterns

if TYPE_CHECKING:
    from azure.storage.queue import QueueServiceClient

__all__ = ["STORAGE_QUEUE", "StorageQueueConfig"]

# Source: "Peek Messages": 32 at most.
_MOST_PEEKED = 32
# Requests a second to one account: a twentieth of what an account takes (20,000).
# Source: "Scalability and performance targets for Queue Storage".
_PER_SECOND = 1000.0
# The tick has a deadline; a request that fails is tried once more, within it.
_PATIENCE = Patience(retries=1, read_timeout=10)
_POISON = "-poison"

Metric = Literal["QueueDepth", "QueueVisibleDepth", "QueueOldestMessageAge", "PoisonQueueDepth"]
_ALL: tuple[Metric, ...] = (
    "QueueDepth",
    "QueueVisibleDepth",
    "QueueOldestMessageAge",
    "PoisonQueueDepth",
)
_PATTERN = r"^!?[a-z0-9*?\[\]-][a-z0-9*?\[\]!-]{0,63}$"
# Source: "Naming Queues and Metadata".
_NAME = re.compile(r"(?=.{3,63}\Z)[a-z0-9]+(?:-[a-z0-9]+)*")

# Held to its pattern here, not by msgspec, whose search would let "orders\n" pass.
QueuePattern = Annotated[str, Meta(extra_json_schema={"pattern": _PATTERN})]


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
            description="Address of the account's queues: https://….queue.core.….",
            extra_json_schema={"pattern": "^https://"},
        ),
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
        *,
        patterns: Patterns,
        metrics: frozenset[str],
        target: Target,
        gate: Gate,
    ) -> None:
        self.name = name
        self.target = target
        self._service = service
        self._patterns = patterns
        self._metrics = metrics
        self._gate = gate

    def sample(self, now: datetime, until: Deadline) -> Iterator[Finding]:
        listed = self._list("", until) if self._patterns.globs else None
        queues = self._patterns.wanted_names()
        named = set(queues)
        queues += [
            name
            for name in sorted(listed or ())
            if name not in named and self._patterns.includes(name)
        ]

        def measure(queue: str) -> list[Finding]:
            return list(self._measure(queue, now, until, listed))

        for findings in self._gate.each(measure, queues, until, "queues"):
            yield from findings

    def _measure(
        self, queue: str, now: datetime, until: Deadline, listed: frozenset[str] | None
    ) -> Iterator[Finding]:
        """One queue; what is wrong with it is a problem of its own."""
        try:
            for metric, value in chain(
                self._of_queue(queue, now, until),
                self._of_poison_queue(queue, until, listed),
            ):
                if metric in self._metrics:
                    yield self.target.point(metric, value, now, {"QueueName": queue})
        except LateError:
            raise
        except SourceError as exc:
            yield Problem(f"queue {queue}: {exc}")

    def _of_queue(self, queue: str, now: datetime, until: Deadline) -> Iterator[tuple[str, float]]:
        depth = 0.0
        if self._metrics & {"QueueDepth", "QueueVisibleDepth"}:
            depth = self._depth(queue, until)
            yield "QueueDepth", depth
        if self._metrics & {"QueueVisibleDepth", "QueueOldestMessageAge"}:
            with self._request(until):
                peeked = self._service.get_queue_client(queue).peek_messages(_MOST_PEEKED)
                seen = [message.inserted_on for message in peeked]
            oldest = min((time for time in seen if time is not None), default=now)
            # The service's clock may be ahead of ours.
            yield "QueueOldestMessageAge", max(0.0, (now - oldest).total_seconds())
            full = len(seen) == _MOST_PEEKED
            # The depth was asked for a moment earlier and may be less than was seen.
            yield "QueueVisibleDepth", max(depth if full else 0.0, float(len(seen)))

    def _of_poison_queue(
        self, queue: str, until: Deadline, listed: frozenset[str] | None
    ) -> Iterator[tuple[str, float]]:
        if "PoisonQueueDepth" not in self._metrics or queue.endswith(_POISON):
            return
        poison = f"{queue}{_POISON}"
        depth = 0.0
        # A look at the list, not at the queue: the account's own metrics would count a failed
        # request for each queue that has no poison queue.
        if poison in (self._list(poison, until) if listed is None else listed):
            with suppress(_MissingError):  # Deleted since it was listed.
                depth = self._depth(poison, until)
        yield "PoisonQueueDepth", depth

    def _depth(self, queue: str, until: Deadline) -> float:
        with self._request(until):
            properties = self._service.get_queue_client(queue).get_queue_properties()
        if properties.approximate_message_count is None:
            raise SourceError("no count in the answer")
        return float(properties.approximate_message_count)

    def _list(self, prefix: str, until: Deadline) -> frozenset[str]:
        try:
            with self._request(until):
                return frozenset(self._names(prefix, until))
        except LateError:
            raise
        except SourceError as exc:
            raise SourceError(f"queues cannot be listed: {exc}") from exc

    def _names(self, prefix: str, until: Deadline) -> Iterator[str]:
        for page in self._service.list_queues(name_starts_with=prefix or None).by_page():
            yield from (queue.name for queue in page if queue.name)
            if not until.left():
                raise SourceError("not read in time")

    @contextmanager
    def _request(self, until: Deadline) -> Iterator[None]:
        """Where the SDK is asked, once the gate lets it: its errors are a SourceError."""
        from azure.core.exceptions import AzureError, ResourceNotFoundError

        with self._gate.turn(until):
            try:
                yield
            except ResourceNotFoundError as exc:
                raise _MissingError(_first_line(exc)) from exc
            except AzureError as exc:
                raise SourceError(_first_line(exc)) from exc
            # What it raises for an answer of another server than a queue service.
            except (SyntaxError, ValueError, TypeError, LookupError, AttributeError) as exc:
                raise SourceError(f"no answer of a queue service: {_first_line(exc)}") from exc


class _MissingError(SourceError):
    """There is no such queue."""


def _first_line(exc: Exception) -> str:
    return str(exc).partition("\n")[0]


def _open(name: str, config: StorageQueueConfig, context: Context) -> Source:
    target = Target.of(config, context, own=("QueueName",))
    if (config.account is None) == (config.connection is None):
        raise RefusedError("", "give exactly one of account and connection")
    patterns = _checked_patterns(config.queues)
    if config.connection is not None:
        service = open_connection(context.connection(config.connection), _PATIENCE)
    else:
        assert config.account is not None  # noqa: S101 (exactly one is given)
        service = account_client(_checked_account(config.account), context.credential(), _PATIENCE)
    # Not by its URL, which would hold a shared access signature.
    gate = context.gate(service.primary_hostname, _PER_SECOND)
    return _StorageQueues(
        name,
        service,
        patterns=patterns,
        metrics=frozenset(config.metrics),
        target=target,
        gate=gate,
    )


def _checked_patterns(texts: list[str]) -> Patterns:
    for index, text in enumerate(texts):
        if not re.fullmatch(_PATTERN.rstrip("$"), text):
            raise RefusedError(
                f"queues[{index}]",
                f"{shown(text)} is no name or pattern: 1 to 64 lower-case letters, digits, hyphens "
                "and * ? [ ], a ! before what is excluded",
            )
    patterns = Patterns.of("queues", texts)
    for name in patterns.names:
        if not _NAME.fullmatch(name):
            raise RefusedError(
                f"queues[{texts.index(name)}]",
                f"{shown(name)} is not a queue name: 3 to 63 lower-case letters, digits and single "
                "hyphens between",
            )
    return patterns


def _checked_account(url: str) -> str:
    """A token goes there, so it is an address over TLS and nothing else."""
    wrong = RefusedError("account", f"{shown(url)} is not an address that begins with https://")
    try:
        parts = urlsplit(url)
        good = parts.scheme == "https" and parts.hostname and parts.port != 0
    except ValueError as exc:
        raise wrong from exc
    if not good or re.search(r"[^!-~]|[?#@\\]", url):
        raise wrong
    return url


STORAGE_QUEUE = Kind(StorageQueueConfig, _open)
