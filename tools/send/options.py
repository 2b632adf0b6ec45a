"""The options of `send` that make up one point, or the defaults of the points of a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import click
import msgspec

from shared.errors import ValidationError
from shared.messages.schema import Points
from shared.messages.validation import Defaults

__all__ = ["point_options", "read_defaults", "read_point"]

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
_ADDRESS = {"resource_id": "resourceId", "region": "region", "namespace": "namespace"}


def _numbers(_: click.Context, param: click.Parameter, given: str | None) -> list[float] | None:
    try:
        return None if given is None else [float(one) for one in given.split(",")]
    except ValueError:
        text = f"{given!r}: expected numbers with commas between them, such as 12,18.5"
        raise click.BadParameter(text, param=param) from None


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
    click.option("--values", metavar="X,Y,…", callback=_numbers, help="Or several values."),
    click.option("--min", "min_", type=float, help="Or their minimum,"),
    click.option("--max", "max_", type=float, help="maximum,"),
    click.option("--sum", "sum_", type=float, help="sum"),
    click.option("--count", type=int, help="and number."),
    click.option(
        "--dimension",
        multiple=True,
        metavar="NAME=VALUE",
        callback=_dimensions,
        help="A dimension; up to ten.",
    ),
    click.option("--time", metavar="TIME", help="ISO 8601; UTC without an offset.  [default: now]"),
    click.option(
        "--resource-id",
        metavar="ID",
        help="Resource, if the point names none.  [default: METRICS_RESOURCE_ID of the relay]",
    ),
    click.option(
        "--region", help="Region, if the point names none.  [default: the relay looks it up]"
    ),
    click.option(
        "--namespace",
        help="Namespace, if the point names none.  [default: METRICS_NAMESPACE of the relay]",
    ),
)


def point_options(command: Command) -> Command:
    """Add the options to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def read_point(given: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a message of the point that the options make up; None if there is no such option.

    Raises UsageError for a point without a metric.
    """
    point = _members(given, _MEMBERS)
    if point and "metric" not in point:
        raise click.UsageError("--metric NAME is missing")
    return {**_members(given, _ADDRESS), "points": [point]} if point else None


def read_defaults(given: Mapping[str, Any]) -> Defaults:
    """Return what the options say of points that name no address. Raises UsageError.

    What is empty is left to the relay.
    """
    try:
        named = msgspec.convert({**_members(given, _ADDRESS), "points": [0]}, Points[int])
        return Defaults("", "").override(named, named.namespace)
    except (msgspec.ValidationError, ValidationError) as exc:
        raise click.UsageError(str(exc)) from exc


def _members(given: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {member: given[name] for name, member in names.items() if given[name] is not None}
