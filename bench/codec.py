"""What a point costs on its way from message to request body: `python -m bench.codec`.

Decode, validate, roll up and encode, on one core, beside the floor: msgspec decoding the same
bytes into the same structs, and nothing else. Both take turns; a figure is the median of rounds.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median

import msgspec

from shared.message import Address, parse
from shared.message_types import PointsMessage
from shared.model import Window, utc_text
from shared.rollup import rollup
from shared.wire import write_bodies

__all__ = ["main"]

SITE = "/subscriptions/1/resourceGroups/shop/providers/Microsoft.Web/sites/shop-api"
DEFAULTS = Address("QueueProcessing")
WINDOW = Window(timedelta(minutes=20), timedelta(minutes=4))
BODY_LIMIT = 1_000_000
POINTS = 60_000
PER_MESSAGE = (1, 30, 300)
SERIES = (50, 5_000, 50_000)
ROUNDS = 7
# Times the floor, for messages of 300 points.
GOAL = 2.5

FLOOR = msgspec.json.Decoder(PointsMessage)


def messages(per_message: int, series: int, now: datetime) -> list[bytes]:
    """Messages of points with a time and three dimensions, of so many series in turn."""
    numbers = iter(range(POINTS))
    return [
        json.dumps(
            {
                "resourceId": SITE,
                "region": "westeurope",
                "points": [_point(next(numbers), series, now) for _ in range(per_message)],
            }
        ).encode()
        for _ in range(POINTS // per_message)
    ]


def _point(number: int, series: int, now: datetime) -> dict[str, object]:
    which = number % series
    return {
        "metric": "Orders",
        "value": number % 97 + 0.5,
        "time": utc_text(now - timedelta(seconds=number * 20 // POINTS)),
        "dimensions": {"Country": "NL", "Store": f"store-{which}", "Channel": f"c{which % 5}"},
    }


def floor(bodies: Sequence[bytes]) -> int:
    """Decode and nothing else; the number of points."""
    return sum([len(FLOOR.decode(body).points) for body in bodies])


def relay(bodies: Sequence[bytes], now: datetime) -> int:
    """All that a point goes through but the network; the number of points in the bodies."""
    points = []
    for body in bodies:
        parsed = parse(body, enqueued=now, now=now, defaults=DEFAULTS, window=WINDOW)
        points += parsed.points
    written = write_bodies(rollup(points), BODY_LIMIT)
    return sum(
        one.count for body in written for document in body.documents for one in document.series
    )


def _timed(work: Callable[[], int]) -> float:
    """Microseconds a point."""
    started = time.perf_counter()
    count = work()
    spent = time.perf_counter() - started
    assert count == POINTS, count  # noqa: S101 (a figure of other work would be no figure)
    return spent / POINTS * 1e6


def measure(per_message: int, series: int, rounds: int) -> tuple[list[float], list[float]]:
    """Microseconds a point of each round: the floor's and ours."""
    now = datetime.now(UTC)
    bodies = messages(per_message, series, now)
    floors, ours = [], []
    for _ in range(rounds + 1):
        floors.append(_timed(lambda: floor(bodies)))
        ours.append(_timed(lambda: relay(bodies, now)))
    return floors[1:], ours[1:]  # The first round filled caches.


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each size; the exit status, 1 where the goal is missed."""
    parser = argparse.ArgumentParser(description="What a point costs, beside decoding it.")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args(arguments).rounds
    print("points/message  series    floor µs   ours µs   points/s   ratio (median, least–most)")
    status = 0
    for per_message in PER_MESSAGE:
        for series in SERIES:
            floors, ours = measure(per_message, series, rounds)
            ratios = [mine / least for mine, least in zip(ours, floors, strict=True)]
            ratio = median(ratios)
            print(
                f"{per_message:14} {series:7,} {median(floors):11.2f} {median(ours):9.2f} "
                f"{1e6 / median(ours):10,.0f}   {ratio:5.2f} ({min(ratios):.2f}–{max(ratios):.2f})",
                flush=True,
            )
            if per_message == max(PER_MESSAGE) and ratio > GOAL:
                status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
