"""Print the tables of docs/scaling.md: `python -m bench.scaling`.

Azure's published limits and the app's own give queues, accounts and instances for a rate of points.
How many requests to the store that takes depends on which messages share a target: that is
simulated, with a clock of its own.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import random
import sys
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Load", "Plan", "Store", "main", "plan", "points_that_fit", "simulate", "tables"]

ROOT = Path(__file__).parent.parent

# Source: "Scalability and performance targets for Queue Storage"; both for messages of 1 KiB.
QUEUE_MESSAGES = 2_000  # A second, of one queue.
ACCOUNT_REQUESTS = 20_000  # A second, of one storage account.
MESSAGE_BYTES = 65_536
# Put one by one, taken 32 at a time, deleted one by one.
REQUESTS_PER_MESSAGE = 1 + 1 / 32 + 1
# Source: "Custom metrics in Azure Monitor"; of a subscription and region.
ACTIVE_SERIES = 50_000
# POSTs under way at once to one region; in shared.publisher.circuit_breaker.
AT_ONCE_PER_REGION = 8
GOAL = 1_000_000  # Points a second.
POINTS_PER_MESSAGE = (1, 10, 100, 500)


@dataclass(frozen=True)
class Plan:
    """What a rate of points takes."""

    messages: float  # A second.
    queues: int
    accounts: int
    instances: int


@dataclass(frozen=True)
class Load:
    """What comes to one instance."""

    messages: float  # A second.
    points: int  # Of a message.
    targets: int  # Resources, of one region.
    series: int  # Of all targets; each point is of any of them.


@dataclass(frozen=True)
class Store:
    """What becomes of it."""

    posts: float  # A second.
    messages_per_post: float
    series_per_post: float
    settled: float  # Seconds from taking a message to its deletion, on average.
    behind: int  # Messages that wait at the end.


def plan(points: float, points_per_message: int, instance_messages: float) -> Plan:
    """Queues, accounts and instances; an instance is taken to drain so many messages a second."""
    messages = points / points_per_message
    return Plan(
        messages,
        math.ceil(messages / QUEUE_MESSAGES),
        math.ceil(messages * REQUESTS_PER_MESSAGE / ACCOUNT_REQUESTS),
        math.ceil(messages / instance_messages),
    )


def in_work() -> int:
    """Messages that one instance has in work at once, by host.json."""
    queues = json.loads((ROOT / "host.json").read_bytes())["extensions"]["queues"]
    return int(queues["batchSize"]) + int(queues["newBatchThreshold"])


def points_that_fit(point: object) -> int:
    """How many of such a point one message of 64 KiB holds beside its address."""
    site = f"/subscriptions/{'0' * 36}/resourceGroups/shop/providers/Microsoft.Web/sites/shop-api"
    address = {"resourceId": site, "region": "westeurope", "points": []}
    envelope = len(json.dumps(address, separators=(",", ":")))
    size = len(json.dumps(point, separators=(",", ":"))) + 1
    return (MESSAGE_BYTES - envelope + 1) // size


def simulate(load: Load, *, post: float = 0.1, seconds: float = 60.0, seed: int = 1) -> Store:
    """Messages come at random, each for one target; a target's POST takes what gathered before it.

    `post` is how long an answer of the store takes, in seconds. Messages beyond those in work
    wait in the queue. The figures leave out the first tenth of the time.
    """
    chance = random.Random(seed)  # noqa: S311 (nothing secret)
    most = in_work()
    backlog: deque[int] = deque()  # Targets of the messages that wait in the queue.
    waiting: list[list[float]] = [[] for _ in range(load.targets)]  # When they were taken.
    ready: deque[tuple[int, list[float]]] = deque()  # Batches that could go, were there a slot.
    busy = [False] * load.targets
    held, slots, now = 0, AT_ONCE_PER_REGION, 0.0
    arrival = chance.expovariate(load.messages)
    answers: list[tuple[float, int, list[float]]] = []
    posts, carried, series, waited = 0, 0, 0.0, 0.0

    while now < seconds:
        if answers and answers[0][0] <= arrival:
            now, target, batch = heapq.heappop(answers)
            slots, held, busy[target] = slots + 1, held - len(batch), False
            if now > seconds / 10:
                posts, carried = posts + 1, carried + len(batch)
                waited += sum(now - taken for taken in batch)
                series += _distinct(len(batch) * load.points, load.series / load.targets)
            open_targets = [target]
        else:
            now = arrival
            arrival = now + chance.expovariate(load.messages)
            backlog.append(chance.randrange(load.targets))
            open_targets = []
        while backlog and held < most:
            target, held = backlog.popleft(), held + 1
            waiting[target].append(now)
            open_targets.append(target)
        for target in open_targets:
            if waiting[target] and not busy[target]:
                busy[target] = True
                ready.append((target, waiting[target]))
                waiting[target] = []
        while ready and slots:
            target, batch = ready.popleft()
            slots -= 1
            heapq.heappush(answers, (now + post, target, batch))
    measured = seconds * 0.9
    return Store(
        posts / measured, carried / posts, series / posts, waited / max(1, carried), len(backlog)
    )


def _distinct(points: float, series: float) -> float:
    """How many of the series so many points of any of them are of, on average."""
    return series * -math.expm1(points * math.log1p(-1 / series)) if series > 1 else 1.0


FORMS: Sequence[tuple[str, object, int]] = (
    ("a value", {"metric": "Orders", "value": 7}, 1),
    (
        "a value, one dimension",
        {"metric": "Orders", "value": 7, "dimensions": {"Country": "NL"}},
        1,
    ),
    (
        "a value, its time, three dimensions",
        {
            "metric": "Orders",
            "value": 123.45,
            "time": "2026-11-23T07:25:00Z",
            "dimensions": {"Country": "NL", "Channel": "app", "Warehouse": "north-12"},
        },
        1,
    ),
    (
        "100 values of one series",
        {"metric": "Latency", "values": [18.25] * 100, "dimensions": {"Country": "NL"}},
        100,
    ),
)
LOADS = tuple(
    Load(messages, 100, targets, 5_000) for targets in (1, 100) for messages in (1, 10, 100)
)


def tables(instance_messages: float, post: float) -> list[str]:
    """The tables of docs/scaling.md."""
    fits = [
        (form, f"{points_that_fit(point):,}", f"{points_that_fit(point) * values:,}")
        for form, point, values in FORMS
    ]
    plans = []
    for points in POINTS_PER_MESSAGE:
        one = plan(GOAL, points, instance_messages)
        plans.append(
            (points, f"{one.messages:,.0f}", one.queues, one.accounts, f"{one.instances:,}")
        )
    posts = []
    for load in LOADS:
        store = simulate(load, post=post)
        posts.append(
            (
                load.targets,
                f"{load.messages:g}",
                f"{load.messages * load.points:,.0f}",
                f"{store.posts:.1f}",
                f"{store.messages_per_post:.1f}",
                f"{store.series_per_post:,.0f}",
                f"{store.settled:.2f} s",
            )
        )
    return [
        _table(("what stands in a message", "points that fit", "values"), fits),
        _table(("points a message", "messages/s", "queues", "accounts", "instances"), plans),
        _table(
            (
                *("resources", "messages/s", "points/s", "POSTs/s"),
                *("messages a POST", "series a POST", "settled after"),
            ),
            posts,
        ),
    ]


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; return the exit status."""
    parser = argparse.ArgumentParser(description="Print the tables of docs/scaling.md.")
    parser.add_argument(
        "--instance-messages", type=float, default=1_000.0, help="messages a second of an instance"
    )
    parser.add_argument("--post", type=float, default=0.1, help="seconds that a POST takes")
    given = parser.parse_args(arguments)
    print("\n\n".join(tables(given.instance_messages, given.post)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
