"""Measure the memory that messages in flight take: `python -m bench.memory`.

288 messages of 300 points each, all in flight at once; the peak of the process until they are
settled, beside what it holds after it has settled a few. With a series for each point, which is
printed too, most of it stays: it is what is remembered of each series.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median

from bench.feeder import make_messages, open_app
from bench.measuring import Goal, Spread, in_fresh_process, main_of, progress, resident
from bench.store import run_store

__all__ = ["run"]

MESSAGES, PER_MESSAGE = 288, 300
GOAL_MIB = 64
SERIES = (50, 5_000, MESSAGES * PER_MESSAGE)
JUDGED = 5_000


def run(given: argparse.Namespace) -> list[Goal]:
    """Measure in fresh processes."""
    goals = []
    messages, rounds = (20, 1) if given.quick else (MESSAGES, 3)
    for series in SERIES:
        found = [in_fresh_process(measure, series, messages) for _ in range(rounds)]
        more = Spread.of(*[peak - idle for idle, peak, _ in found])
        after = median(after - idle for idle, _, after in found)
        progress(f"{series:6,} series: {more} MiB more at the peak, {after:.0f} MiB afterwards")
        if series <= JUDGED:
            goals.append(Goal(f"MiB more than idle, {series:,} series", more, GOAL_MIB))
    return goals


def measure(series: int, messages: int) -> tuple[float, float, float]:
    """Return MiB when idle, at the peak and afterwards; call it in a fresh process."""
    # Held before, as the host would hold them.
    given = make_messages(messages, PER_MESSAGE, series=series)
    with run_store() as store, open_app(store, METRICS_MAX_ACTIVE_SERIES="200000") as app:
        app.feed(make_messages(3, PER_MESSAGE, series=50), 3)
        idle = resident()
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # Reset the peak.
        app.feed(given, messages)
        peak, after = resident(peak=True), resident()
        points = store.totals().points
    if points != (messages + 3) * PER_MESSAGE:
        raise SystemExit(f"{points} points were posted")
    return idle, peak, after


if __name__ == "__main__":
    main_of("memory", __doc__, run)
