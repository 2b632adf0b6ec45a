"""Measure the app from queue to store, beside get and delete alone: `python -m bench.end_to_end`.

Both empty a queue of Azurite that was filled before, in a process of their own, with the same SDK:
one thread takes 32 messages at a time while at most 256 are in work, eight delete, as the host
stand-in does. The rate is that between a tenth and nine tenths of the messages.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import queue
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Semaphore

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient, QueueMessage

from bench.feeder import make_messages
from bench.measuring import Goal, interleaved, main_of, progress, ratios
from local.processes import Child
from local.stack import ROOT, Backend, run_app, run_backend

__all__ = ["empty", "run"]

# More at once and Azurite, which goes through all of them for each answer, is all that is measured.
MESSAGES = 1_000
PER_MESSAGE = 30
ROUNDS = 5
GOAL = 0.85
QUEUE = "bench"
PRODUCERS = 4
# Of host.json and of the stand-in.
BATCH, IN_WORK, DELETERS = 32, 288, 8
# Seconds until messages are seen again whose answer was lost, on a busy machine.
INVISIBLE = 60
# Seconds without a message less, after which it is given up.
PATIENCE = 3 * INVISIBLE
SETTINGS = {
    "METRICS_SAMPLE_SCHEDULE": "0 0 0 1 1 *",
    "LOCAL_CRASH_INVISIBILITY": str(INVISIBLE),
}


def empty() -> None:
    """Get and delete until the queue is empty."""
    client = QueueClient.from_connection_string(os.environ["BENCH_STORAGE"], QUEUE)
    slots = Semaphore(IN_WORK)
    taken: queue.SimpleQueue[QueueMessage | None] = queue.SimpleQueue()

    def delete() -> None:
        while (message := taken.get()) is not None:
            with contextlib.suppress(ResourceNotFoundError):  # It took too long: seen again.
                client.delete_message(message.id, message.pop_receipt)
            slots.release()

    with client, ThreadPoolExecutor(DELETERS) as threads:
        deleters = [threads.submit(delete) for _ in range(DELETERS)]
        print("ready", flush=True)
        # Messages whose answer was lost are seen again later.
        while (messages := list(next(_pages(client), ()))) or _left(client):
            for message in messages:
                slots.acquire()
                taken.put(message)
        for _ in deleters:
            taken.put(None)
        for deleter in deleters:
            deleter.result()


def _pages(client: QueueClient) -> Iterator[Iterator[QueueMessage]]:
    return client.receive_messages(messages_per_page=BATCH, visibility_timeout=INVISIBLE).by_page()


def _fill(client: QueueClient, messages: list[str]) -> None:
    with ThreadPoolExecutor(PRODUCERS) as threads:
        list(threads.map(client.send_message, messages))


def _left(client: QueueClient) -> int:
    return client.get_queue_properties().approximate_message_count or 0


def _rate(client: QueueClient, count: int) -> float:
    """Messages a second, from a tenth of them to nine tenths, as they vanish from the queue."""
    seen: list[tuple[float, int]] = []
    while not seen or seen[-1][1] > 0:
        now, left = time.perf_counter(), _left(client)
        if not seen or left != seen[-1][1]:
            seen.append((now, left))
        elif now - seen[-1][0] > PATIENCE:
            raise SystemExit(f"{left} messages stay in the queue")
        time.sleep(0.05)
    begun = next(one for one in seen if one[1] <= 0.9 * count)
    ended = next(one for one in seen if one[1] <= 0.1 * count)
    if begun is ended:
        raise SystemExit("too few messages to measure a rate")
    return (begun[1] - ended[1]) / (ended[0] - begun[0])


def run(given: argparse.Namespace) -> list[Goal]:
    """Measure in turns."""
    count = 600 if given.quick else MESSAGES
    with run_backend() as backend:
        client = backend.storage.get_queue_client(QUEUE)
        client.create_queue()

        def filled() -> None:
            # Times that are of the window still when the last one is drained.
            _fill(client, [one.decode() for one in make_messages(count, PER_MESSAGE, series=50)])

        def ours() -> float:
            filled()
            with run_app(backend, SETTINGS, queue=QUEUE):
                return _rate(client, count)

        def bare() -> float:
            filled()
            with _bare(backend) as child:
                rate = _rate(client, count)
                child.wait()
                return rate

        contenders: dict[str, Callable[[], float]] = {"ours": ours, "bare": bare}
        taken = interleaved(contenders, 1 if given.quick else ROUNDS, warm_up=0)
        stored = sum(value["count"] for value in backend.metrics(namespace="QueueProcessing"))
    expected = len(taken["ours"]) * count * PER_MESSAGE
    if stored < expected:  # What was seen again was published again.
        raise SystemExit(f"{stored} of {expected} points were stored")
    for name, rates in taken.items():
        progress(f"{name:<5} {min(rates):,.0f}–{max(rates):,.0f} messages/s")
    ratio = ratios(taken["ours"], taken["bare"])
    return [Goal("rate ÷ that of get and delete alone", ratio, GOAL, at_least=True)]


def _bare(backend: Backend) -> Child:
    child = Child(
        "get and delete",
        (sys.executable, "-c", "from bench.end_to_end import empty; empty()"),
        env={**os.environ, "BENCH_STORAGE": backend.azurite.connection_string},
        cwd=ROOT,
    )
    child.wait_for("ready")
    return child


if __name__ == "__main__":
    main_of("end_to_end", __doc__, run)
