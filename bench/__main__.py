"""Run the benches and print a line for each goal: `python -m bench`.

Each runs in a process of its own. The rows and the machine are written as JSON, beside the table of
docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.measuring import Goal, Spread, machine, say
from local.stack import ROOT

__all__ = ["BENCHES", "main"]

BENCHES = (
    "codec",
    "drain",
    "end_to_end",
    "posts",
    "sampling",
    "growth",
    "memory",
    "cold_start",
    "sustained",
    "flood",
    "monitor",
)
OUTPUT = Path(".local") / "bench" / "results.json"
# Of `sustained`, which goes on for ten minutes with --all.
SHORT = ["--seconds", "60"]


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Run the benches and print a line for each goal.",
        epilog="example: python -m bench --only drain memory --out results.json",
    )
    parser.add_argument("--quick", action="store_true", help="small and rough, to try the benches")
    parser.add_argument("--all", action="store_true", help="ten minutes of sustained load, not one")
    parser.add_argument("--only", nargs="+", choices=BENCHES, default=BENCHES, metavar="BENCH")
    parser.add_argument("--out", type=Path, default=OUTPUT, help=f"default: {OUTPUT}")
    parser.add_argument("--strict", action="store_true", help="status 1 where a goal is missed")
    return parser


def _row(name: str, given: argparse.Namespace, folder: Path) -> dict[str, Any] | None:
    """What a bench wrote; nothing where it broke. What it prints is for who watches."""
    path = folder / f"{name}.json"
    command = [sys.executable, "-m", f"bench.{name}", "--out", str(path)]
    command += ["--quick"] if given.quick else []
    command += SHORT if name == "sustained" and not (given.all or given.quick) else []
    say(f"--- {name}")
    started = time.perf_counter()
    done = subprocess.run(  # noqa: S603 (of our own words)
        command, cwd=ROOT, stdout=sys.stderr, check=False
    )
    if done.returncode:
        return None
    row: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {**row, "seconds": round(time.perf_counter() - started, 1)}


def _goal(written: dict[str, Any]) -> Goal:
    found = Spread(**written["found"])
    return Goal(written["what"], found, written["limit"], written["at_least"])


def _table(rows: list[dict[str, Any]]) -> str:
    """The goals in Markdown."""
    lines = ["| bench | figure | goal | measured | |", "|---|---|---|---|---|"]
    for row in rows:
        for goal in map(_goal, row["goals"]):
            sign = "≥" if goal.at_least else "≤"
            verdict = "met" if goal.met else "**missed**"
            lines.append(
                f"| `{row['bench']}` | {goal.what} | {sign} {goal.limit:,g} | {goal.found} | "
                f"{verdict} |"
            )
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 1 where a bench broke, or, with --strict, missed a goal."""
    given = _options().parse_args(arguments)
    about = {"taken": datetime.now(UTC).isoformat(timespec="seconds"), **machine()}
    rows, broken = [], []
    with tempfile.TemporaryDirectory() as folder:
        for name in given.only:
            row = _row(name, given, Path(folder))
            if row is None:
                broken.append(name)
            else:
                rows.append(row)
    document = {"machine": about, "quick": given.quick, "rows": rows, "broken": broken}
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")

    print(", ".join(f"{name} {value}" for name, value in about.items()))
    missed = 0
    for row in rows:
        for goal in map(_goal, row["goals"]):
            print(goal.line(row["bench"]))
            missed += not goal.met
    for name in broken:
        print(f"{name:<11} BROKE")
    table = given.out.with_suffix(".md")
    table.write_text(_table(rows), encoding="utf-8")
    print(f"Written to {given.out} and {table.name}.")
    return int(bool(broken) or (given.strict and missed > 0))


if __name__ == "__main__":
    sys.exit(main())
