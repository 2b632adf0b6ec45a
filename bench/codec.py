"""Measure what a point costs from message to request body: `python -m bench.codec`.

Parse, merge, aggregate and encode, on one core, beside the floor: msgspec decoding the same
bytes into the same structs, and nothing else. Both take turns; a figure is the median of rounds.
Each point has a time of its own, as from a producer; in the last rows the points share 20 times.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median

import msgspec

from bench.feeder import make_messages
from bench.measuring import Goal, interleaved, main_of, progress, ratios
from shared.messages.parser import MessageParser
from shared.messages.schema import Points, TimedPoint
from shared.messages.validation import Defaults
from shared.model import Rollup, TimeWindow, merge
from shared.publisher.encoder import encode_bodies

__all__ = ["run"]

WINDOW = TimeWindow(timedelta(minutes=20), timedelta(minutes=4))
MAX_BODY_BYTES = 1_000_000
POINTS = 60_000
SERIES = (50, 5_000, 50_000)
# Points in a message and whether each has a time of its own.
INPUTS = ((1, True), (30, True), (300, True), (300, False))
ROUNDS = 7
# Times the floor, for messages of 300 points.
GOAL = 2.5

FLOOR = msgspec.json.Decoder(Points[TimedPoint])


def run(given: argparse.Namespace) -> list[Goal]:
    """Measure all sizes, and print a line for each."""
    points, rounds = (3_000, 1) if given.quick else (POINTS, ROUNDS)
    goals = []
    progress("points/message  times    series    floor µs   ours µs   points/s   ratio")
    for per_message, stamped in INPUTS:
        times = "own" if stamped else "shared"
        for series in SERIES:
            taken = _measure(per_message, series, points, rounds, stamped=stamped)
            ratio = ratios(taken["ours"], taken["floor"])
            ours = median(taken["ours"])
            progress(
                f"{per_message:14}  {times:<6} {series:8,} {median(taken['floor']):11.2f} "
                f"{ours:9.2f} {1e6 / ours:10,.0f}   {ratio}"
            )
            if per_message == 300:
                what = f"time ÷ the floor, {series:,} series, {times} times"
                goals.append(Goal(what, ratio, GOAL))
    return goals


def _measure(
    per_message: int, series: int, points: int, rounds: int, *, stamped: bool
) -> dict[str, list[float]]:
    """Return microseconds a point of each round: the floor's and ours."""
    now = datetime.now(UTC)
    bodies = make_messages(
        points // per_message, per_message, series=series, now=now, stamped=stamped
    )
    parser = MessageParser(Defaults("QueueProcessing"), WINDOW)
    contenders: dict[str, Callable[[], float]] = {
        "floor": lambda: _timed(lambda: _floor(bodies), points),
        "ours": lambda: _timed(lambda: _relay(parser, bodies, now), points),
    }
    return interleaved(contenders, rounds)


def _floor(bodies: Sequence[bytes]) -> int:
    """Decode and nothing else; return the number of points."""
    return sum([len(FLOOR.decode(body).points) for body in bodies])


def _relay(parser: MessageParser, bodies: Sequence[bytes], now: datetime) -> int:
    """Do everything but the network; return the number of points in the request bodies."""
    rollups: list[Rollup] = []
    for body in bodies:
        rollups += parser.parse(body, enqueued=now, now=now).rollups
    encoded = encode_bodies(merge(rollups).aggregate(), MAX_BODY_BYTES)
    return sum(body.samples for body in encoded)


def _timed(work: Callable[[], int], points: int) -> float:
    """Return microseconds a point."""
    started = time.perf_counter()
    count = work()
    spent = time.perf_counter() - started
    if count != points:
        raise SystemExit(f"{count} points, not {points}")
    return spent / points * 1e6


if __name__ == "__main__":
    main_of("codec", __doc__, run)
