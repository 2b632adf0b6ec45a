"""What it costs to sample storage queues by pattern: `python -m bench.sampling`.

A sample of all queues of a real Azurite, beside the same calls of the SDK (one listing, then the
properties and a peek of each queue) made by the same number of threads with nothing around them.
The two take turns; a figure is the median of its rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median

from azure.storage.queue import QueueServiceClient

from function_app import SOURCE_REQUESTS
from local.azurite import Azurite
from shared.connections import open_connection, resolve_connection
from shared.deadline import Deadline
from shared.gate import Gate
from shared.http import open_session
from shared.identity import Tokens, make_credential
from shared.sampling import Sample, fill
from shared.sources import Context, Source, load_sources

__all__ = ["Result", "main", "measure"]

SIZES = (10, 100, 1_000, 5_000)
# Azurite takes many seconds for a round of thousands.
ROUNDS = {10: 15, 100: 9, 1_000: 5}
FEW_ROUNDS = 3
OUTPUT = Path(".local") / "bench-sampling.json"
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
    ratio: float
    requests_per_queue: float


class _Counted(Gate):
    """The gate of the account; every request of the source goes through it."""

    def __init__(self, per_second: float) -> None:
        super().__init__(at_once=SOURCE_REQUESTS, per_second=per_second)
        self.requests: list[None] = []  # Appending is safe in threads, adding is not.

    @contextmanager
    def turn(self, until: Deadline) -> Iterator[None]:
        self.requests.append(None)
        with super().turn(until):
            yield


def measure(connection_string: str, queues: int, rounds: int) -> Result:
    """Sample so many queues, which are there, so many times."""
    gates: list[_Counted] = []
    source = _open_source(connection_string, gates)
    (gate,) = gates
    with (
        QueueServiceClient.from_connection_string(connection_string) as service,
        ThreadPoolExecutor(SOURCE_REQUESTS) as threads,
    ):
        contenders: dict[str, Callable[[], None]] = {
            "sample": lambda: _sample(source, queues),
            "bare": lambda: _bare(service, threads, queues),
        }
        for run in contenders.values():  # Connections are opened, modules loaded.
            run()
        gate.requests.clear()
        seconds: dict[str, list[float]] = {name: [] for name in contenders}
        for number in range(rounds):
            # Neither always comes second.
            for name, run in sorted(contenders.items(), reverse=number % 2 == 1):
                started = time.perf_counter()
                run()
                seconds[name].append(time.perf_counter() - started)
    sample, bare = median(seconds["sample"]), median(seconds["bare"])
    per_queue = len(gate.requests) / rounds / queues
    return Result(queues, rounds, sample, bare, sample / bare, per_queue)


def _open_source(connection_string: str, gates: list[_Counted]) -> Source:
    """A source of all queues with all its metrics, put together as the app does."""

    def gate(name: str, per_second: float) -> Gate:  # noqa: ARG001 (there is one account)
        gates.append(_Counted(per_second))
        return gates[-1]

    new_credential = partial(make_credential, "managed_identity", None)
    context = Context(
        connection=partial(resolve_connection, {"Bench": connection_string}),
        credential=new_credential,
        tokens=partial(Tokens, new_credential),
        gate=gate,
        session=open_session(SOURCE_REQUESTS),
        arm_endpoint="https://management.azure.com",
        arm_audience="https://management.azure.com/",
        namespace="Bench",
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
    sample = Sample()
    # As long as it takes: what thousands of queues cost is the question.
    fill(sample, source, datetime.now(UTC), Deadline(600))
    if len(sample.points) != queues * METRICS or sample.problems:
        raise SystemExit(f"{len(sample.points)} points of {queues} queues: {sample.problems[:3]}")


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
        open_connection(resolve_connection({"Bench": connection_string}, "Bench")) as service,
        ThreadPoolExecutor(SOURCE_REQUESTS) as threads,
    ):

        def make(number: int) -> None:
            client = service.create_queue(f"queue-{number:05}")
            if number % 10 == 0:
                client.send_message("work")

        list(threads.map(make, range(first, end)))


def main(arguments: list[str] | None = None) -> int:
    """Measure, print a table, write it as JSON."""
    parser = argparse.ArgumentParser(description="What it costs to sample storage queues.")
    parser.add_argument("--queues", type=int, nargs="+", default=SIZES, help="how many, at least 1")
    parser.add_argument("--rounds", type=int, help="for each number of queues; odd is best")
    parser.add_argument("--json", type=Path, default=OUTPUT, help=f"where to, {OUTPUT}")
    given = parser.parse_args(arguments)

    print(f"{SOURCE_REQUESTS} threads, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{'queues':>7} {'rounds':>7} {'sample':>10} {'bare':>10} {'ratio':>6} {'requests':>9}")
    results: list[Result] = []
    made = 0
    with Azurite() as azurite:
        for queues in sorted(given.queues):
            _make_queues(azurite.connection_string, made, queues)
            made = queues
            rounds = given.rounds or ROUNDS.get(queues, FEW_ROUNDS)
            one = measure(azurite.connection_string, queues, rounds)
            results.append(one)
            print(
                f"{one.queues:7,} {one.rounds:7} {one.sample:8.3f} s {one.bare:8.3f} s "
                f"{one.ratio:6.2f} {one.requests_per_queue:9.3f}",
                flush=True,
            )
    given.json.parent.mkdir(parents=True, exist_ok=True)
    about = {
        "threads": SOURCE_REQUESTS,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    document = {**about, "results": [asdict(one) for one in results]}
    given.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print(f"requests: of the source, for each queue and sample. Written to {given.json}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
