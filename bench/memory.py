"""Measure the memory that messages in flight take: `python -m bench.memory`.

288 messages of 300 points each, all in flight at once; the peak of the process until they are
settled, beside what it holds after it has settled a few. With a series for each point, which is
printed too, most of it stays: it is what is remembered of each series.
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median

from bench.feeder import make_messages, open_app
from bench.measuring import Goal, Row, Spread, apart, conclude, options, resident, say
from bench.store import run_store

__all__ = ["main"]

MESSAGES, PER_MESSAGE = 288, 300
LATENCY = 0.1
GOAL_MIB = 64
SERIES = (50, 5_000, MESSAGES * PER_MESSAGE)
JUDGED = 5_000


def measure(series: int, messages: int) -> dict[str, float]:
    """Return MiB when idle, the peak and afterwards; in this process, a fresh one."""
    # Held before, as the host would hold them.
    given = make_messages(messages, PER_MESSAGE, series=series)
    with run_store() as store, open_app(store, METRICS_MAX_ACTIVE_SERIES="200000") as app:
        store.delay(LATENCY)
        app.feed(make_messages(3, PER_MESSAGE, series=50), 3)
        idle = resident()
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # Reset the peak.
        app.feed(given, messages)
        peak, after = resident(peak=True), resident()
        came = store.totals().points
    if came != (messages + 3) * PER_MESSAGE:
        raise SystemExit(f"{came} points came")
    return {"series": series, "idle MiB": idle, "peak MiB": peak, "after MiB": after}


def run(quick: bool) -> Row:
    """Measure in fresh processes."""
    figures: list[dict[str, float]] = []
    goals = []
    messages = 20 if quick else MESSAGES
    for series in SERIES:
        found = [apart(measure, series, messages) for _ in range(1 if quick else 3)]
        figures += found
        more = Spread.of([one["peak MiB"] - one["idle MiB"] for one in found])
        after = median(one["after MiB"] - one["idle MiB"] for one in found)
        say(f"{series:6,} series: {more} MiB more at most, {after:.0f} MiB afterwards")
        if series <= JUDGED:
            goals.append(Goal(f"MiB more than idle, {series:,} series", more, GOAL_MIB))
    return Row("memory", tuple(goals), tuple(figures), quick)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; return the exit status."""
    given = options(__doc__).parse_args(arguments)
    return conclude(run(given.quick), given)


if __name__ == "__main__":
    sys.exit(main())
