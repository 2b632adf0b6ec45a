"""The arithmetic of docs/scaling.md, and its plot: `python -m bench.scaling`.

What Azure publishes as limits, and what the app does at once, give queues, accounts and instances
for a rate of points. How many requests to the store come of it depends on who meets whom in a
lane: that is simulated, with a clock of its own.
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

from bench.scaling_plot import Curve, Panel, plot

__all__ = ["Load", "Plan", "Store", "main", "plan", "points_that_fit", "simulate", "tables"]

ROOT = Path(__file__).parent.parent
PLOT = ROOT / "docs" / "scaling.svg"

# Source: "Scalability and performance targets for Queue Storage"; both for messages of 1 KiB.
QUEUE_MESSAGES = 2_000  # A second, of one queue.
ACCOUNT_REQUESTS = 20_000  # A second, of one storage account.
MESSAGE_BYTES = 65_536
# Put one by one, taken 32 at a time, deleted one by one.
REQUESTS_PER_MESSAGE = 1 + 1 / 32 + 1
# Source: "Custom metrics in Azure Monitor"; of a subscription and region.
ACTIVE_SERIES = 50_000
# POSTs under way at once to one region; in shared.publisher.sender.
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
    lanes: int  # Resources, of one region.
    series: int  # Over all lanes; each point is of any of them.


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
    """Messages come at random, each for one lane; a lane's POST takes what gathered meanwhile.

    `post` is how long an answer of the store takes, in seconds. Messages beyond those in work
    wait in the queue. The figures leave out the first tenth of the time.
    """
    chance = random.Random(seed)  # noqa: S311 (nothing secret)
    most = in_work()
    backlog: deque[int] = deque()  # Lanes of the messages that wait in the queue.
    waiting: list[list[float]] = [[] for _ in range(load.lanes)]  # When they were taken.
    ready: deque[tuple[int, list[float]]] = deque()  # Batches that could go, were there a slot.
    busy = [False] * load.lanes
    held, slots, now = 0, AT_ONCE_PER_REGION, 0.0
    arrival = chance.expovariate(load.messages)
    answers: list[tuple[float, int, list[float]]] = []
    posts, carried, series, waited = 0, 0, 0.0, 0.0

    while now < seconds:
        if answers and answers[0][0] <= arrival:
            now, lane, batch = heapq.heappop(answers)
            slots, held, busy[lane] = slots + 1, held - len(batch), False
            if now > seconds / 10:
                posts, carried = posts + 1, carried + len(batch)
                waited += sum(now - taken for taken in batch)
                series += _distinct(len(batch) * load.points, load.series / load.lanes)
            open_lanes = [lane]
        else:
            now = arrival
            arrival = now + chance.expovariate(load.messages)
            backlog.append(chance.randrange(load.lanes))
            open_lanes = []
        while backlog and held < most:
            lane, held = backlog.popleft(), held + 1
            waiting[lane].append(now)
            open_lanes.append(lane)
        for lane in open_lanes:
            if waiting[lane] and not busy[lane]:
                busy[lane] = True
                ready.append((lane, waiting[lane]))
                waiting[lane] = []
        while ready and slots:
            lane, batch = ready.popleft()
            slots -= 1
            heapq.heappush(answers, (now + post, lane, batch))
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
LOADS = tuple(Load(messages, 100, lanes, 5_000) for lanes in (1, 100) for messages in (1, 10, 100))


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
                load.lanes,
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


def _panels(instance_messages: float, post: float) -> list[Panel]:
    points = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
    account = ACCOUNT_REQUESTS / REQUESTS_PER_MESSAGE
    ways = {
        "one account": account,
        "one queue": QUEUE_MESSAGES,
        f"one instance ({instance_messages:g} messages/s)": instance_messages,
    }
    rates = [1, 2, 5, 10, 20, 50, 100, 200, 500]
    return [
        Panel(
            "Points a second that pass, by points in a message",
            "points in a message",
            [Curve(name, [(x, x * rate) for x in points]) for name, rate in ways.items()],
            mark=("a million points a second", GOAL),
        ),
        Panel(
            f"POSTs a second of one instance, a POST taking {post:g} s",
            "messages a second",
            [
                Curve(
                    f"{lanes} resource{'s' if lanes > 1 else ''}",
                    [
                        (x, simulate(Load(x, 100, lanes, 5_000), post=post, seconds=30).posts)
                        for x in rates
                    ],
                )
                for lanes in (100, 10, 1)
            ],
            mark=("dashed: a POST for each message", None),
        ),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables and write the plot."""
    parser = argparse.ArgumentParser(description="The arithmetic of docs/scaling.md.")
    parser.add_argument(
        "--instance-messages", type=float, default=100.0, help="messages a second of an instance"
    )
    parser.add_argument("--post", type=float, default=0.1, help="seconds that a POST takes")
    parser.add_argument("--plot", type=Path, default=PLOT, help="where the plot goes")
    given = parser.parse_args(arguments)
    print("\n\n".join(tables(given.instance_messages, given.post)))
    svg = plot(_panels(given.instance_messages, given.post))
    given.plot.write_text(svg, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
