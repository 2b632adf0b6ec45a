"""Curves on two logarithmic axes, as SVG: enough for one plot, and no library to install."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Curve", "Panel", "plot"]

WIDTH, HEIGHT = 460, 360
LEFT, RIGHT, TOP, BOTTOM = 78, 16, 40, 46
COLOURS = ("#0b6bcb", "#c2410c", "#15803d")


@dataclass(frozen=True)
class Curve:
    """A named line through points, x and y above 0."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """Curves over one x; `mark` is a dashed line at a height, or at y = x without one."""

    title: str
    x: str
    curves: Sequence[Curve]
    mark: tuple[str, float | None]


class _Axis:
    """A logarithmic axis of whole decades."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self._low = math.floor(math.log10(min(values)))
        self._high = math.ceil(math.log10(max(values)))
        self._start, self._end = start, end
        self.least, self.most = 10.0**self._low, 10.0**self._high

    def at(self, value: float) -> float:
        share = (math.log10(value) - self._low) / (self._high - self._low)
        return round(self._start + share * (self._end - self._start), 1)

    def ticks(self) -> list[float]:
        return [10.0**power for power in range(self._low, self._high + 1)]


def plot(panels: Sequence[Panel]) -> str:
    """The panels side by side."""
    width = WIDTH * len(panels)
    drawn = [line for number, panel in enumerate(panels) for line in _panel(panel, number * WIDTH)]
    return "\n".join(
        (
            '<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="11"',
            f'  viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}">',
            f'<rect width="{width}" height="{HEIGHT}" fill="#fff"/>',
            *drawn,
            "</svg>\n",
        )
    )


def _panel(panel: Panel, left: int) -> list[str]:
    mark, height = panel.mark
    values = [y for curve in panel.curves for _, y in curve.points] + ([height] if height else [])
    x = _Axis(
        [x for curve in panel.curves for x, _ in curve.points], left + LEFT, left + WIDTH - RIGHT
    )
    y = _Axis(values, HEIGHT - BOTTOM, TOP)
    lines = [_text(left + LEFT, 22, panel.title, weight="bold")]
    for tick in x.ticks():
        lines.append(_line((x.at(tick), y.at(y.least)), (x.at(tick), y.at(y.most)), "#ddd"))
        lines.append(_text(x.at(tick), HEIGHT - BOTTOM + 16, f"{tick:,.0f}", anchor="middle"))
    for tick in y.ticks():
        lines.append(_line((x.at(x.least), y.at(tick)), (x.at(x.most), y.at(tick)), "#ddd"))
        lines.append(_text(left + LEFT - 6, y.at(tick) + 4, f"{tick:,.10g}", anchor="end"))
    lines.append(_text(left + (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, panel.x, anchor="middle"))
    if height is not None:
        ends = ((x.least, height), (x.most, height))
        label = (left + LEFT + 6, y.at(height) - 5)
    else:
        most = min(x.most, y.most)
        ends = ((x.least, x.least), (most, most))
        label = (left + LEFT + 6, TOP + 14)
    dashes = ' stroke-dasharray="5 4"'
    start, end = ((x.at(px), y.at(py)) for px, py in ends)
    lines.append(_line(start, end, "#555", dashes))
    lines.append(_text(*label, mark, colour="#555"))
    for number, (curve, colour) in enumerate(zip(panel.curves, COLOURS, strict=False)):
        path = " ".join(f"{x.at(px)},{y.at(py)}" for px, py in curve.points)
        lines.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        row = HEIGHT - BOTTOM - 14 * (len(panel.curves) - number) + 4
        lines.append(_text(left + WIDTH - RIGHT - 6, row, curve.name, anchor="end", colour=colour))
    return lines


def _line(start: tuple[float, float], end: tuple[float, float], colour: str, more: str = "") -> str:
    (x1, y1), (x2, y2) = start, end
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{colour}"{more}/>'


def _text(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    weight: str = "normal",
    colour: str = "#222",
) -> str:
    return (
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-weight="{weight}" '
        f'fill="{colour}">{escape(text)}</text>'
    )
