"""What all benches share: taking turns, medians with their spread, goals.

Figures of a busy machine mean little; the ratio of two sides that took turns on it means much.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import TypeVar

__all__ = [
    "TABLE_HEAD",
    "Goal",
    "Spread",
    "in_fresh_process",
    "interleaved",
    "main_of",
    "progress",
    "ratios",
    "resident",
    "this_machine",
]

T = TypeVar("T")

TABLE_HEAD = "| bench | figure | goal | measured | |\n|---|---|---|---|---|"


@dataclass(frozen=True)
class Spread:
    """The median of some rounds, with the lowest and the highest."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, *values: float) -> Spread:
        """Return the spread of one or more values."""
        return cls(median(values), min(values), max(values))

    def __str__(self) -> str:
        if self.least == self.most:
            return _shown(self.median)
        return f"{_shown(self.median)} ({_shown(self.least)}–{_shown(self.most)})"


@dataclass(frozen=True)
class Goal:
    """A figure, and its limit."""

    what: str
    found: Spread
    limit: float
    at_least: bool = False  # Otherwise at most.

    def row(self, bench: str) -> str:
        """Return a row of the table in docs/performance.md."""
        found = self.found.median
        met = found >= self.limit if self.at_least else found <= self.limit
        sign, verdict = "≥" if self.at_least else "≤", "met" if met else "**missed**"
        return f"| `{bench}` | {self.what} | {sign} {self.limit:,g} | {self.found} | {verdict} |"


def interleaved(
    contenders: Mapping[str, Callable[[], float]], rounds: int, *, warm_up: int = 1
) -> dict[str, list[float]]:
    """Return what each contender returns in each round; they take turns in alternating order.

    The rounds of the warm-up, which open connections and fill caches, are left out.
    """
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(-warm_up, rounds):
        order = list(contenders.items())
        for name, run in order if number % 2 else reversed(order):
            figure = run()
            if number >= 0:
                taken[name].append(figure)
    return taken


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Return ours ÷ theirs, round by round."""
    return Spread.of(*[mine / other for mine, other in zip(ours, theirs, strict=True)])


def in_fresh_process(function: Callable[..., T], *arguments: object) -> T:
    """Return what a function returns in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(function, *arguments).result()


def resident(*, peak: bool = False) -> float:
    """Return the resident memory of this process, or its peak, in MiB. Linux only."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    name = "VmHWM:" if peak else "VmRSS:"
    (line,) = (each for each in status.splitlines() if each.startswith(name))
    return int(line.split()[1]) / 1024


def this_machine() -> str:
    """Return what the figures are measured on."""
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    python = f"{platform.python_implementation()} {platform.python_version()}"
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, {gib:.0f} GiB, {platform.system()}, {python}, load {load:.1f}"


def progress(text: str) -> None:
    """Print a line to standard error; rows of the table go to standard output."""
    print(text, file=sys.stderr, flush=True)


def main_of(
    bench: str, description: str | None, run: Callable[[argparse.Namespace], Sequence[Goal]]
) -> None:
    """Run a bench and print its goals as rows of the table."""
    summary = (description or "").partition(": `")[0]
    parser = argparse.ArgumentParser(prog=f"python -m bench.{bench}", description=f"{summary}.")
    parser.add_argument("--quick", action="store_true", help="small and rough, to try the bench")
    parser.add_argument("--all", action="store_true", help="ten minutes of sustained load, not one")
    for goal in run(parser.parse_args()):
        print(goal.row(bench), flush=True)


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
