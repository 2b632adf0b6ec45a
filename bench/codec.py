"""What a point costs on its way from message to request body: `python -m bench.codec`.

Decode, validate, roll up and encode, on one core, beside the floor: msgspec decoding the same
bytes into the same structs, and nothing else. Both take turns; a figure is the median of rounds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median

import msgspec

from bench.feeder import make_messages
from bench.measuring import Goal, Row, Spread, conclude, interleaved, options, ratios, say
from shared.batch import Batch
from shared.messages.parser import Address, parse
from shared.messages.schema import PlainMessage
from shared.model import Window
from shared.publisher.encoder import write_bodies
from shared.publisher.rollup import rollup

__all__ = ["main"]

DEFAULTS = Address("QueueProcessing")
WINDOW = Window(timedelta(minutes=20), timedelta(minutes=4))
BODY_LIMIT = 1_000_000
POINTS = 60_000
PER_MESSAGE = (1, 30, 300)
SERIES = (50, 5_000, 50_000)
ROUNDS = 7
# Times the floor, for messages of 300 points.
GOAL = 2.5

FLOOR = msgspec.json.Decoder(PlainMessage)


def floor(bodies: Sequence[bytes]) -> int:
    """Decode and nothing else; the number of points."""
    return sum([len(FLOOR.decode(body).points) for body in bodies])


def relay(bodies: Sequence[bytes], now: datetime) -> int:
    """All that a point goes through but the network; the number of points in the bodies."""
    read = []
    for body in bodies:
        read += parse(body, enqueued=now, now=now, defaults=DEFAULTS, window=WINDOW).batches
    written = write_bodies(rollup(Batch.joined(read)), BODY_LIMIT)
    return sum(
        one.count for body in written for document in body.documents for one in document.series
    )


def _timed(work: Callable[[], int], points: int) -> float:
    """Microseconds a point."""
    started = time.perf_counter()
    count = work()
    spent = time.perf_counter() - started
    assert count == points, count  # noqa: S101 (a figure of other work would be no figure)
    return spent / points * 1e6


def measure(per_message: int, series: int, points: int, rounds: int) -> dict[str, list[float]]:
    """Microseconds a point of each round: the floor's and ours."""
    now = datetime.now(UTC)
    bodies = make_messages(points // per_message, per_message, series=series, now=now)
    contenders: dict[str, Callable[[], float]] = {
        "floor": lambda: _timed(lambda: floor(bodies), points),
        "ours": lambda: _timed(lambda: relay(bodies, now), points),
    }
    return interleaved(contenders, rounds)


def run(rounds: int, quick: bool) -> Row:
    """Measure all sizes, and say a line of each."""
    say("points/message  series    floor µs   ours µs   points/s   ratio (median, least–most)")
    points = 3_000 if quick else POINTS
    figures, goals = [], []
    for per_message in PER_MESSAGE:
        for series in SERIES:
            taken = measure(per_message, series, points, rounds)
            ratio = ratios(taken["ours"], taken["floor"])
            ours = median(taken["ours"])
            say(
                f"{per_message:14} {series:7,} {median(taken['floor']):11.2f} {ours:9.2f} "
                f"{1e6 / ours:10,.0f}   {ratio}"
            )
            figures.append(
                {
                    "points_a_message": per_message,
                    "series": series,
                    "floor µs a point": Spread.of(taken["floor"]),
                    "µs a point": Spread.of(taken["ours"]),
                    "ratio": ratio,
                }
            )
            if per_message == max(PER_MESSAGE):
                what = f"time ÷ the floor, {per_message} points, {series:,} series"
                goals.append(Goal(what, ratio, GOAL))
    return Row("codec", tuple(goals), tuple(figures), quick)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each size; the exit status."""
    parser = options(__doc__)
    parser.add_argument("--rounds", type=int, help=f"default: {ROUNDS}; 1 with --quick")
    given = parser.parse_args(arguments)
    return conclude(run(given.rounds or (1 if given.quick else ROUNDS), given.quick), given)


if __name__ == "__main__":
    sys.exit(main())
