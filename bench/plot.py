"""The results as a picture: how far each figure is from its goal, and how cost grows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["plot"]

MET, MISSED, OTHER = "#2a7f62", "#c4512d", "#8a8f98"


def plot(document: dict[str, Any], path: Path) -> None:
    """Draw what there is of the results; the ending of the path says in which format."""
    mpl.rcParams["svg.hashsalt"] = "bench"  # The same results are the same file.
    rows = {row["bench"]: row for row in document["rows"]}
    figure = Figure(figsize=(10, 9), layout="constrained")
    goals, growth, drain = figure.subplots(3, 1, height_ratios=[3, 2, 2])
    _goals(goals, list(rows.values()))
    _growth(growth, rows.get("growth", {}).get("figures", []))
    _drain(drain, rows.get("drain", {}).get("figures", []))
    about = document["machine"]
    title = f"{about['cpu']}, {about['cores']} cores, {about['python']}, load {about['load'][0]}"
    figure.suptitle(title, fontsize=9)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _goals(axes: Axes, rows: list[dict[str, Any]]) -> None:
    """Bars to the right of 1 are better than their goal."""
    for row in reversed(rows):
        for goal in reversed(row["goals"]):
            found, limit = max(goal["found"]["median"], 1e-9), goal["limit"]
            better = found / limit if goal["at_least"] else limit / found
            colour = MET if goal["met"] else MISSED
            # What is a hundred times better says no more than ten times.
            axes.barh(f"{row['bench']}: {goal['what']}", min(better, 10), color=colour)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xlabel("times better than the goal (1: just met; 10: ten or more)")
    axes.tick_params(axis="y", labelsize=7)


def _growth(axes: Axes, figures: list[dict[str, Any]]) -> None:
    for what in dict.fromkeys(one["what"] for one in figures):
        ours = [one for one in figures if one["what"] == what]
        sizes, micros = [one["size"] for one in ours], [one["µs a point"] for one in ours]
        axes.plot(sizes, micros, marker="o", label=what)
    if figures:
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.legend(fontsize=8)
    axes.set_xlabel("how many")
    axes.set_ylabel("µs a point")


def _drain(axes: Axes, figures: list[dict[str, Any]]) -> None:
    labels = [f"{one['in_flight']} in flight,\n{one['points_a_message']} points" for one in figures]
    places = range(len(figures))
    for name, shift, colour in (
        ("messages/s", -0.2, MET),
        ("messages/s, a POST each", 0.2, OTHER),
    ):
        heights = [one[name]["median"] for one in figures]
        axes.bar([place + shift for place in places], heights, 0.4, label=name, color=colour)
    if figures:
        axes.set_yscale("log")
        axes.legend(fontsize=8)
    axes.set_xticks(list(places), labels, fontsize=8)
    axes.set_ylabel("messages a second")
