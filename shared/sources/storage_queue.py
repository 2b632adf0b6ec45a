"""Depth and age of storage queues: per queue, which the platform's own metrics are not.

Metrics, with the dimension QueueName; which of them are wanted is for `metrics` to say:

    QueueDepth             messages, those that are being worked on included; approximate
    QueueVisibleDepth      messages that a consumer could take now: exact below 32, from there on
                           the approximate depth, since a peek shows 32 at the most
    QueueOldestMessageAge  seconds since the oldest of the first 32 visible messages was
                           enqueued; 0 when none is visible
    PoisonQueueDepth       messages in <queue>-poison; 0 while there is no such queue

Needs Storage Queue Data Reader on the account. Requests a sample: one to list 5,000 queues where
there are patterns or more than ten names; two for each queue, and where there is no list one to
look for its poison queue; one for each poison queue that exists. Of queues that are too many for
one tick, the next tick has the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from shared.clients.deadline import Deadline
from shared.clients.rate_limiter import Gate
from shared.clients.storage import Patience, account_client, open_connection
from shared.errors import LateError, SourceError
from shared.messages.refusal import RefusedError
from shared.model import Point
from shared.resource_ids import shown
from shared.sources.base import Context, Finding, Kind, Problem, Source, SourceConfig, Target
from shared.sources.patterns import SOME_INCLUDED, Patterns
from shared.sources.queue_account import MOST_PEEKED, MissingError, QueueAccount
from shared.sources.rotation import Rotation

__all__ = ["STORAGE_QUEUE", "StorageQueueConfig"]

# Requests a second to one account: a twentieth of what an account takes (20,000).
# Source: "Scalability and performance targets for Queue Storage".
_PER_SECOND = 1000.0
# The tick has a deadline; a request that fails is tried once more, within it.
_PATIENCE = Patience(retries=1, read_timeout=10)
_POISON = "-poison"
# Queues given by name whose poison queues are looked for one by one; of more, in a list of all.
_MOST_LOOKED_FOR = 10

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

# Whether there is a queue of that name. Raises SourceError where that cannot be told.
Exists = Callable[[str], bool]

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
        account: QueueAccount,
        *,
        patterns: Patterns,
        metrics: frozenset[str],
        target: Target,
        gate: Gate,
    ) -> None:
        self.name = name
        self.target = target
        self._account = account
        self._patterns = patterns
        self._metrics = metrics
        self._gate = gate
        self._rotation = Rotation()

    def sample(self, now: datetime, until: Deadline) -> Iterator[Finding]:
        self._account.sign_in(until)
        queues = set(self._patterns.wanted_names())
        exists: Exists | None = self._looked_for(until)
        if self._patterns.globs or self._many_poison_queues(queues):
            try:
                listed = self._account.names("", until)
            except SourceError as exc:
                yield Problem(str(exc))
                exists = None  # What is given by name may be read all the same.
            else:
                queues.update(filter(self._patterns.includes, listed))
                exists = listed.__contains__

        def measure(queue: str) -> Iterator[Finding]:
            return self._measure(queue, now, until, exists)

        ordered = self._rotation.order(queues)
        for answer in self._gate.each(measure, ordered, until, "queues"):
            if answer.whole:
                self._rotation.read(answer.item)
            yield from answer.results

    def _looked_for(self, until: Deadline) -> Exists:
        return lambda queue: queue in self._account.names(queue, until)

    def _many_poison_queues(self, queues: Collection[str]) -> bool:
        """Whether to look for poison queues in one list costs less than to look for each."""
        return len(queues) > _MOST_LOOKED_FOR and "PoisonQueueDepth" in self._metrics

    def _measure(
        self, queue: str, now: datetime, until: Deadline, exists: Exists | None
    ) -> Iterator[Finding]:
        """One queue and its poison queue; what is wrong with one is a problem of its own."""
        found = False
        try:
            for metric, value in self._of_queue(queue, now, until):
                found = True
                yield from self._wanted(queue, metric, value, now)
        except LateError:
            raise
        except SourceError as exc:
            yield Problem(f"queue {queue}: {exc}")
            if not found:
                return  # Of a queue that is not there, or an account that refuses.
        try:
            for metric, value in self._of_poison_queue(queue, until, exists):
                yield from self._wanted(queue, metric, value, now)
        except LateError:
            raise
        except SourceError as exc:
            yield Problem(f"queue {queue}: {exc}")

    def _wanted(self, queue: str, metric: str, value: float, now: datetime) -> Iterator[Point]:
        if metric in self._metrics:
            yield self.target.point(metric, value, now, {"QueueName": queue})

    def _of_queue(self, queue: str, now: datetime, until: Deadline) -> Iterator[tuple[str, float]]:
        depth = 0.0
        if self._metrics & {"QueueDepth", "QueueVisibleDepth"}:
            depth = self._account.depth(queue, until)
            yield "QueueDepth", depth
        if self._metrics & {"QueueVisibleDepth", "QueueOldestMessageAge"}:
            seen = self._account.peek(queue, until)
            oldest = min((time for time in seen if time is not None), default=now)
            # The service's clock may be ahead of ours.
            yield "QueueOldestMessageAge", max(0.0, (now - oldest).total_seconds())
            full = len(seen) == MOST_PEEKED
            # The depth was asked for a moment earlier and may be less than was seen.
            yield "QueueVisibleDepth", max(depth if full else 0.0, float(len(seen)))

    def _of_poison_queue(
        self, queue: str, until: Deadline, exists: Exists | None
    ) -> Iterator[tuple[str, float]]:
        if "PoisonQueueDepth" not in self._metrics or queue.endswith(_POISON) or exists is None:
            return
        poison = f"{queue}{_POISON}"
        depth = 0.0
        # A look at the list, not at the queue: the account's own metrics would count a failed
        # request for each queue that has no poison queue.
        if exists(poison):
            with suppress(MissingError):  # Deleted since it was listed.
                depth = self._account.depth(poison, until)
        yield "PoisonQueueDepth", depth


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
        QueueAccount(service, gate),
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
