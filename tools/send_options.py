"""The options that give one point on the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import click

__all__ = ["ADDRESS", "point_options", "read_point"]

Command = TypeVar("Command", bound=Callable[..., Any])

# Option -> member of a point.
_MEMBERS = {
    "metric": "metric",
    "value": "value",
    "values": "values",
    "min_": "min",
    "max_": "max",
    "sum_": "sum",
    "count": "count",
    "dimension": "dimensions",
    "time": "time",
}
ADDRESS = {"resource_id": "resourceId", "region": "region", "namespace": "namespace"}


class _Numbers(click.ParamType[list[float]]):
    name = "numbers"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[float]:
        try:
            return [float(one) for one in str(value).split(",")]
        except ValueError:
            self.fail(
                f"{value!r}: expected numbers with commas between, such as 12,18.5", param, ctx
            )


def _dimensions(
    _: click.Context, param: click.Parameter, given: Iterable[str]
) -> dict[str, str] | None:
    pairs: dict[str, str] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            raise click.BadParameter(f"{one!r}: expected NAME=VALUE", param=param)
        if name in pairs:
            raise click.BadParameter(f"{name!r} is given twice", param=param)
        pairs[name] = value
    return pairs or None


_OPTIONS = (
    click.option("--metric", metavar="NAME", help="Send one point of this metric."),
    click.option("--value", type=float, help="Its value."),
    click.option("--values", type=_Numbers(), metavar="X,Y,…", help="Or its samples."),
    click.option("--min", "min_", type=float, help="Or the least of them,"),
    click.option("--max", "max_", type=float, help="the greatest,"),
    click.option("--sum", "sum_", type=float, help="their sum,"),
    click.option("--count", type=int, help="and how many they are."),
    click.option(
        "--dimension", multiple=True, metavar="NAME=VALUE", callback=_dimensions, help="Up to ten."
    ),
    click.option("--time", metavar="TIME", help="ISO 8601, UTC without an offset; else now."),
    click.option(
        "--resource-id",
        metavar="ID",
        help="Of the resource of points that name none; else what the relay is set to.",
    ),
    click.option("--region", help="Of points that name none; else the relay looks it up."),
    click.option("--namespace", help="Of points that name none; else what the relay is set to."),
)


def point_options(command: Command) -> Command:
    """Add the options to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def read_point(given: Mapping[str, Any], *, of_file: bool) -> dict[str, Any]:
    """A message of the one point that is given; of none where there is a file.

    Raises UsageError where neither, or both, are given.
    """
    point = {member: given[name] for name, member in _MEMBERS.items() if given[name] is not None}
    if of_file:
        if point:
            raise click.UsageError(f"FILE has points of its own: --{_option(point)} is not for it")
        return {}
    if "metric" not in point:
        raise click.UsageError("give --metric NAME for one point, or FILE (- for standard input)")
    address = {member: given[name] for name, member in ADDRESS.items() if given[name] is not None}
    return {**address, "points": [point]}


def _option(point: Mapping[str, Any]) -> str:
    name = next(iter(point))
    return "dimension" if name == "dimensions" else name
