"""What a flood of invalid messages does to the good ones: `python -m bench.flood`.

The app on the Functions host stand-in, a real Azurite, the emulator of the store. Good messages
alone and good ones among invalid ones take turns; a figure is the median of the rounds. All wait in
one queue, so the question is how fast a message is settled, whatever is beside it; and how many
lines the log has of it.
"""

from __future__ import annotations

import contextlib
import json
import random
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient

from bench.measuring import Goal, Row, conclude, interleaved, options, ratios, say
from local.stack import Backend, run_app, run_backend

__all__ = ["main"]

SITE = "/subscriptions/1/resourceGroups/shop/providers/Microsoft.Web/sites/shop-api"
# Messages in the queue at once: Azurite looks at all of them for each request.
BACKLOG = 400
PRODUCERS = 2
SETTINGS = {
    "METRICS_SAMPLE_SCHEDULE": "0 0 0 1 1 *",
    # Seconds until a message that could not be deleted on a busy machine is seen again.
    "LOCAL_CRASH_INVISIBILITY": "10",
}
QUEUE = "flood"
# A message is to take no more than a quarter longer in the flood.
GOAL = 0.75


def _good(number: int) -> str:
    point = {"metric": "Orders", "value": number, "dimensions": {"Country": "NL"}}
    return json.dumps({"resourceId": SITE, "region": "westeurope", "points": [point]})


def _bad(number: int) -> str:
    point = {"metric": "Orders", "value": f"none {number}"}
    return json.dumps({"resourceId": SITE, "region": "westeurope", "points": [point]})


def _settle(queue: QueueClient, dead_letters: QueueClient, bodies: Sequence[str]) -> float:
    """Enqueue messages, never too many at once, until all are gone; messages a second.

    Dead letters are thrown away as they come: those that lie there make Azurite slow, not Azure.
    """
    lock, rest = threading.Lock(), list(reversed(bodies))

    def produce() -> None:
        while True:
            with lock:
                batch = [rest.pop() for _ in range(min(50, len(rest)))]
            if not batch:
                return
            _clear(dead_letters)
            while _waiting(queue) > BACKLOG:
                time.sleep(0.05)
            for body in batch:
                queue.send_message(body)

    started = time.perf_counter()
    with ThreadPoolExecutor(PRODUCERS) as threads:
        for producer in [threads.submit(produce) for _ in range(PRODUCERS)]:
            producer.result()
    while _waiting(queue):
        _clear(dead_letters)
        time.sleep(0.02)
    return len(bodies) / (time.perf_counter() - started)


def _clear(queue: QueueClient) -> None:
    with contextlib.suppress(ResourceNotFoundError):  # There was none yet.
        queue.clear_messages()


def _waiting(queue: QueueClient) -> int:
    return queue.get_queue_properties().approximate_message_count or 0


def _measure(backend: Backend, good: int, invalid: int, rounds: int) -> dict[str, list[float]]:
    """Messages a second without the flood and in it, and the lines that the log had of it."""
    queue = backend.storage.get_queue_client(QUEUE)
    letters = backend.storage.get_queue_client(f"{QUEUE}-dead-letter")
    chance = random.Random(20261123)  # noqa: S311 (nothing secret)
    lines: list[str] = []
    said: list[float] = []

    def alone() -> float:
        return _settle(queue, letters, [_good(number) for number in range(good)])

    def flooded() -> float:
        mixed = [_good(number) for number in range(good)]
        mixed += [_bad(number) for number in range(invalid)]
        chance.shuffle(mixed)
        before = len(lines)
        rate = _settle(queue, letters, mixed)
        said.append(sum("Dead-lettering as" in line for line in lines[before:]))
        return rate

    with run_app(backend, SETTINGS, queue=QUEUE, on_line=lines.append):
        # Modules are loaded, connections opened.
        _settle(queue, letters, [_good(0)] * min(200, good))
        taken = interleaved({"alone": alone, "flooded": flooded}, rounds, warm_up=0)
    return {**taken, "lines": said}


def run(good: int, invalid: int, rounds: int, quick: bool) -> Row:
    """Measure in turns."""
    with run_backend() as backend:
        taken = _measure(backend, good, invalid // rounds, rounds)
    for alone, flooded, lines in zip(*taken.values(), strict=True):
        say(
            f"alone {alone:6.0f} messages/s   in the flood {flooded:6.0f} messages/s   "
            f"{lines:.0f} lines on {invalid // rounds} refusals"
        )
    ratio = ratios(taken["flooded"], taken["alone"])
    goals = (Goal("rate in a flood of invalid messages ÷ without", ratio, GOAL, at_least=True),)
    return Row("flood", goals, (taken,), quick)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; the exit status."""
    parser = options(__doc__)
    parser.add_argument("--good", type=int, help="good messages a round")
    parser.add_argument("--invalid", type=int, help="invalid messages in all")
    parser.add_argument("--rounds", type=int)
    given = parser.parse_args(arguments)
    good, invalid, rounds = (40, 60, 1) if given.quick else (1_000, 10_000, 3)
    row = run(given.good or good, given.invalid or invalid, given.rounds or rounds, given.quick)
    return conclude(row, given)


if __name__ == "__main__":
    sys.exit(main())
