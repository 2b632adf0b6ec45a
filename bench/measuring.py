"""What all benches share: taking turns, medians and their spread, goals, and a row of results.

Figures of a busy machine mean little; the ratio of two that took turns on it does.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

__all__ = [
    "MIB",
    "Goal",
    "Row",
    "Spread",
    "apart",
    "conclude",
    "interleaved",
    "machine",
    "options",
    "ratios",
    "resident",
    "say",
]

T = TypeVar("T")

MIB = 1024 * 1024


@dataclass(frozen=True)
class Spread:
    """The median of some rounds, and how far they are apart."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        return cls(median(values), min(values), max(values))

    def __str__(self) -> str:
        if self.least == self.most:
            return _shown(self.median)
        return f"{_shown(self.median)} ({_shown(self.least)}–{_shown(self.most)})"


@dataclass(frozen=True)
class Goal:
    """What was aimed at, and what was found."""

    what: str
    found: Spread
    limit: float
    at_least: bool = False  # Else at most.

    @property
    def met(self) -> bool:
        """Whether the median is where it should be."""
        found = self.found.median
        return found >= self.limit if self.at_least else found <= self.limit

    def line(self, bench: str) -> str:
        """One line of the table."""
        sign = "≥" if self.at_least else "≤"
        verdict = "met" if self.met else "MISSED"
        return f"{bench:<11} {self.what:<52} {self.found!s:<30} {sign} {self.limit:<9,g} {verdict}"


@dataclass(frozen=True)
class Row:
    """What a bench gives: its goals, and every figure it took."""

    bench: str
    goals: tuple[Goal, ...]
    figures: tuple[Mapping[str, Any], ...] = field(default=())
    quick: bool = False

    def document(self) -> dict[str, Any]:
        """As it is written as JSON."""
        document = asdict(self)
        for goal, written in zip(self.goals, document["goals"], strict=True):
            written["met"] = goal.met
        return document


def interleaved(
    contenders: Mapping[str, Callable[[], float]], rounds: int, *, warm_up: int = 1
) -> dict[str, list[float]]:
    """What each gives in each round; they take turns, and none always comes first.

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
    """Ours in relation to theirs, of each round."""
    return Spread.of([mine / other for mine, other in zip(ours, theirs, strict=True)])


def apart(function: Callable[..., T], *arguments: object) -> T:
    """What a function gives in a fresh process, which nothing before it has filled."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(function, *arguments).result()


def resident(*, peak: bool = False) -> float:
    """The resident memory of this process in MiB, or the most that it was; of Linux alone."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    name = "VmHWM:" if peak else "VmRSS:"
    (line,) = (each for each in status.splitlines() if each.startswith(name))
    return int(line.split()[1]) / 1024


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load": [round(load, 2) for load in os.getloadavg()],
    }


def options(description: str | None) -> argparse.ArgumentParser:
    """The options that every bench has; some add their own."""
    summary = (description or "").partition(": `")[0]
    parser = argparse.ArgumentParser(description=f"{summary}.")
    parser.add_argument("--quick", action="store_true", help="small and rough, to try the bench")
    parser.add_argument("--out", type=Path, help="write the row as JSON here")
    parser.add_argument("--strict", action="store_true", help="status 1 where a goal is missed")
    return parser


def conclude(row: Row, given: argparse.Namespace) -> int:
    """Print a line for each goal, write the row where it is wanted; the exit status."""
    for goal in row.goals:
        print(goal.line(row.bench), flush=True)
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(row.document(), indent=2) + "\n", encoding="utf-8")
    return int(given.strict and not all(goal.met for goal in row.goals))


def say(text: str) -> None:
    """Tell who watches how far it is; results go to stdout."""
    print(text, file=sys.stderr, flush=True)


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _shown(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
