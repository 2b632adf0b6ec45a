"""Each bench can be run, and gives its row; how fast anything is, is no matter of a test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import BENCHES
from bench.measuring import Goal, Spread, interleaved, ratios
from local.stack import ROOT


def row_of(name: str, folder: Path) -> dict[str, Any]:
    path = folder / f"{name}.json"
    command = [sys.executable, "-m", f"bench.{name}", "--quick", "--out", str(path)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    row: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return row


@pytest.mark.slow
@pytest.mark.parametrize("name", BENCHES)
def test_a_bench_gives_its_row(name: str, tmp_path: Path) -> None:
    row = row_of(name, tmp_path)
    assert (row["bench"], row["quick"]) == (name, True)
    assert row["figures"]
    assert all(goal["found"]["median"] == goal["found"]["median"] for goal in row["goals"])


@pytest.mark.slow
def test_all_is_written_and_printed(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    command = [sys.executable, "-m", "bench", "--quick", "--only", "memory", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    document = json.loads(out.read_text(encoding="utf-8"))
    assert [row["bench"] for row in document["rows"]] == ["memory"]
    assert document["machine"]["cores"] > 0
    assert len([line for line in done.stdout.splitlines() if line.startswith("memory ")]) == 2
    assert out.with_suffix(".md").read_text(encoding="utf-8").count("| `memory` |") == 2


def test_contenders_take_turns_and_none_always_comes_first() -> None:
    order: list[str] = []

    def run(name: str) -> float:
        order.append(name)
        return float(len(order))

    taken = interleaved({"a": lambda: run("a"), "b": lambda: run("b")}, 3)
    assert "".join(order) in {"abbaabba", "baabbaab"}
    assert [len(figures) for figures in taken.values()] == [3, 3]
    assert sorted(taken["a"] + taken["b"]) == [3, 4, 5, 6, 7, 8]


def test_a_ratio_is_that_of_each_round() -> None:
    assert ratios([2.0, 9.0, 4.0], [1.0, 3.0, 1.0]) == Spread(3.0, 2.0, 4.0)


@pytest.mark.parametrize(
    ("found", "at_least", "met"),
    [(2.0, False, True), (2.1, False, False), (2.0, True, True), (1.9, True, False)],
)
def test_a_goal_is_met_at_its_limit(found: float, at_least: bool, met: bool) -> None:
    goal = Goal("figure", Spread.of([found]), 2.0, at_least)
    assert goal.met is met
    assert goal.line("bench").endswith("met" if met else "MISSED")
