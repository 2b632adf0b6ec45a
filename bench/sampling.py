"""Measure what it costs to sample storage queues by pattern: `python -m bench.sampling`.

A sample of all queues of a real Azurite, beside the same calls of the SDK (one listing, then the
properties and a peek of each queue) made by the same number of threads with nothing around them.
The two take turns; a figure is the median of its rounds.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from statistics import median

from azure.storage.queue import QueueServiceClient

from bench.measuring import Goal, interleaved, main_of, progress, ratios
from local.azurite import Azurite
from shared.app import MAX_SOURCE_REQUESTS, build_context
from shared.clients.http import Deadline
from shared.publisher.sender import Timing
from shared.settings import Settings
from shared.sources import Source, load_sources
from shared.sources.sampler import Sample

__all__ = ["run"]

# Queues -> rounds: Azurite takes many seconds for a round of thousands.
ROUNDS = {10: 15, 100: 9, 1_000: 5, 5_000: 3}
JUDGED = 1_000
GOAL = 1.3
METRICS = 4
RESOURCE_ID = (
    "/subscriptions/5b2f8c1d-1111-4222-8333-944455566677/resourceGroups/orders"
    "/providers/Microsoft.Storage/storageAccounts/ordersqueues"
)


def run(given: argparse.Namespace) -> list[Goal]:
    """Measure all sizes, and print a line for each."""
    goals: list[Goal] = []
    made = 0
    with Azurite() as azurite:
        for queues, rounds in ({10: 1} if given.quick else ROUNDS).items():
            _make_queues(azurite.connection_string, made, queues)
            made = queues
            taken = _measure(azurite.connection_string, queues, rounds)
            ratio = ratios(taken["sample"], taken["bare"])
            progress(
                f"{queues:5,} queues: sample {median(taken['sample']):.3f} s, "
                f"bare {median(taken['bare']):.3f} s, ratio {ratio}"
            )
            if given.quick or queues == JUDGED:
                what = f"time of a sample ÷ bare SDK calls, {queues:,} queues"
                goals.append(Goal(what, ratio, GOAL))
    return goals


def _measure(connection_string: str, queues: int, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each round."""
    source = _open_source(connection_string)
    with (
        QueueServiceClient.from_connection_string(connection_string) as service,
        ThreadPoolExecutor(MAX_SOURCE_REQUESTS) as threads,
    ):
        contenders: dict[str, Callable[[], float]] = {
            "sample": partial(_seconds, lambda: _sample(source, queues)),
            "bare": partial(_seconds, lambda: _bare(service, threads, queues)),
        }
        return interleaved(contenders, rounds)


def _seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _open_source(connection_string: str) -> Source:
    """Return a source of all queues with all its metrics, opened as the app does."""
    settings = {
        "MetricsStorage": connection_string,
        "METRICS_QUEUE": "metrics",
        "METRICS_SAMPLE_SCHEDULE": "0 0 0 1 1 *",
        "METRICS_NAMESPACE": "Bench",
        "Bench": connection_string,
    }
    entry = {
        "kind": "storage_queue",
        "resourceId": RESOURCE_ID,
        "region": "westeurope",
        "connection": "Bench",
        "queues": ["*"],
    }
    context = build_context(Settings.from_env(settings), Timing())
    (source,), _ = load_sources(json.dumps([entry]), context)
    return source


def _sample(source: Source, queues: int) -> None:
    sample = Sample(source, datetime.now(UTC))
    # Long enough for thousands of queues, whose cost is the question.
    sample.take(Deadline(600))
    if sample.points != queues * METRICS or sample.errors:
        raise SystemExit(f"{sample.points} points of {queues} queues: {sample.errors[:3]}")


def _bare(service: QueueServiceClient, threads: ThreadPoolExecutor, queues: int) -> None:
    def read(name: str) -> None:
        client = service.get_queue_client(name)
        client.get_queue_properties()
        client.peek_messages(32)

    names = [str(queue.name) for queue in service.list_queues()]
    if len(list(threads.map(read, names))) != queues:
        raise SystemExit(f"{len(names)} queues were listed, not {queues}")


def _make_queues(connection_string: str, first: int, end: int) -> None:
    """Create queues, a tenth of them with a message."""
    with (
        QueueServiceClient.from_connection_string(connection_string) as service,
        ThreadPoolExecutor(MAX_SOURCE_REQUESTS) as threads,
    ):

        def make(number: int) -> None:
            client = service.create_queue(f"queue-{number:05}")
            if number % 10 == 0:
                client.send_message("work")

        list(threads.map(make, range(first, end)))


if __name__ == "__main__":
    main_of("sampling", __doc__, run)
