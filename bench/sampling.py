"""Measure what it costs to sample storage queues by pattern: `python -m bench.sampling`.

A sample of all queues of a real Azurite, beside the same calls of the SDK (one listing, then the
properties and a peek of each queue) made by the same number of threads with nothing around them.
The two take turns; a figure is the median of its rounds.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from statistics import median

import msgspec
from azure.storage.queue import QueueServiceClient

from bench.measuring import Goal, Row, Spread, conclude, interleaved, options, ratios, say
from local.azurite import Azurite
from shared.app import MAX_SOURCE_REQUESTS, build_context
from shared.clients.deadline import Deadline
from shared.clients.rate_limiter import RateLimiter
from shared.clients.storage import open_queue_service, resolve_connection
from shared.publisher.sender import Timing
from shared.settings import Settings
from shared.sources import Source, load_sources
from shared.sources.sampler import Sample

__all__ = ["Result", "main", "measure"]

SIZES = (10, 100, 1_000, 5_000)
# Azurite takes many seconds for a round of thousands.
ROUNDS = {10: 15, 100: 9, 1_000: 5}
FEW_ROUNDS = 3
JUDGED = 1_000
GOAL = 1.3
METRICS = 4
RESOURCE_ID = (
    "/subscriptions/5b2f8c1d-1111-4222-8333-944455566677/resourceGroups/orders"
    "/providers/Microsoft.Storage/storageAccounts/ordersqueues"
)


@dataclass(frozen=True)
class Result:
    """Of one number of queues; times in seconds."""

    queues: int
    rounds: int
    sample: float
    bare: float
    ratio: Spread
    requests_per_queue: float


class _CountingRateLimiter(RateLimiter):
    """The rate limiter of the account; counts the requests of the source."""

    def __init__(self, per_second: float) -> None:
        super().__init__(max_concurrent=MAX_SOURCE_REQUESTS, per_second=per_second)
        self.requests: list[None] = []  # Appending is safe in threads, adding is not.

    @contextmanager
    def acquire(self, deadline: Deadline) -> Iterator[None]:
        self.requests.append(None)
        with super().acquire(deadline):
            yield


def measure(connection_string: str, queues: int, rounds: int) -> Result:
    """Sample existing queues for some rounds."""
    limiters: list[_CountingRateLimiter] = []
    source = _open_source(connection_string, limiters)
    (limiter,) = limiters
    with (
        QueueServiceClient.from_connection_string(connection_string) as service,
        ThreadPoolExecutor(MAX_SOURCE_REQUESTS) as threads,
    ):
        contenders: dict[str, Callable[[], None]] = {
            "sample": lambda: _sample(source, queues),
            "bare": lambda: _bare(service, threads, queues),
        }
        for contender in contenders.values():  # Connections are opened, modules loaded.
            contender()
        limiter.requests.clear()
        seconds = interleaved(
            {name: partial(_seconds, contender) for name, contender in contenders.items()},
            rounds,
            warm_up=0,
        )
    sample, bare = median(seconds["sample"]), median(seconds["bare"])
    per_queue = len(limiter.requests) / rounds / queues
    ratio = ratios(seconds["sample"], seconds["bare"])
    return Result(queues, rounds, sample, bare, ratio, per_queue)


def _seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _open_source(connection_string: str, limiters: list[_CountingRateLimiter]) -> Source:
    """Return a source of all queues with all its metrics, opened as the app does."""

    def rate_limiter(name: str, per_second: float) -> RateLimiter:  # noqa: ARG001 (one account)
        limiters.append(_CountingRateLimiter(per_second))
        return limiters[-1]

    settings = {
        "MetricsStorage": connection_string,
        "METRICS_QUEUE": "metrics",
        "METRICS_SAMPLE_SCHEDULE": "0 0 0 1 1 *",
        "METRICS_NAMESPACE": "Bench",
        "Bench": connection_string,
    }
    context = msgspec.structs.replace(
        build_context(Settings.from_env(settings), Timing()), rate_limiter=rate_limiter
    )
    entry = {
        "kind": "storage_queue",
        "resourceId": RESOURCE_ID,
        "region": "westeurope",
        "connection": "Bench",
        "queues": ["*"],
    }
    (source,), _ = load_sources(json.dumps([entry]), context)
    return source


def _sample(source: Source, queues: int) -> None:
    sample = Sample(source, datetime.now(UTC))
    # As long as it takes: what thousands of queues cost is the question.
    sample.take(Deadline(600))
    if sample.points != queues * METRICS or sample.errors:
        raise SystemExit(f"{sample.points} points of {queues} queues: {sample.errors[:3]}")


def _bare(service: QueueServiceClient, threads: ThreadPoolExecutor, queues: int) -> None:
    def of_queue(name: str) -> None:
        client = service.get_queue_client(name)
        client.get_queue_properties()
        client.peek_messages(32)

    names = [str(queue.name) for queue in service.list_queues()]
    if len(list(threads.map(of_queue, names))) != queues:
        raise SystemExit(f"{len(names)} queues were listed, not {queues}")


def _make_queues(connection_string: str, first: int, end: int) -> None:
    """New queues, a message in each tenth of them."""
    with (
        open_queue_service(resolve_connection({"Bench": connection_string}, "Bench")) as service,
        ThreadPoolExecutor(MAX_SOURCE_REQUESTS) as threads,
    ):

        def make(number: int) -> None:
            client = service.create_queue(f"queue-{number:05}")
            if number % 10 == 0:
                client.send_message("work")

        list(threads.map(make, range(first, end)))


def run(sizes: Sequence[int], rounds: int | None, quick: bool) -> Row:
    """Measure all sizes, and say a line of each."""
    say(f"{MAX_SOURCE_REQUESTS} threads")
    say(f"{'queues':>7} {'rounds':>7} {'sample':>10} {'bare':>10} {'ratio':>6} {'requests':>9}")
    results: list[Result] = []
    made = 0
    with Azurite() as azurite:
        for queues in sorted(sizes):
            _make_queues(azurite.connection_string, made, queues)
            made = queues
            one = measure(
                azurite.connection_string, queues, rounds or ROUNDS.get(queues, FEW_ROUNDS)
            )
            results.append(one)
            say(
                f"{one.queues:7,} {one.rounds:7} {one.sample:8.3f} s {one.bare:8.3f} s "
                f"{one.ratio.median:6.2f} {one.requests_per_queue:9.3f}"
            )
    say("requests: of the source, for each queue and sample")
    judged = max((one for one in results if one.queues <= JUDGED), key=lambda one: one.queues)
    what = f"time of a sample ÷ bare SDK calls, {judged.queues:,} queues"
    goals = (Goal(what, judged.ratio, GOAL),)
    return Row("sampling", goals, tuple(asdict(one) for one in results), quick)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; return the exit status."""
    parser = options(__doc__)
    parser.add_argument("--queues", type=int, nargs="+", help="how many, at least 1")
    parser.add_argument("--rounds", type=int, help="for each number of queues; odd is best")
    given = parser.parse_args(arguments)
    sizes = given.queues or ((10,) if given.quick else SIZES)
    return conclude(run(sizes, given.rounds or (1 if given.quick else None), given.quick), given)


if __name__ == "__main__":
    sys.exit(main())
