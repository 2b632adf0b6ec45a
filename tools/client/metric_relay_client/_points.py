"""Points -> value sets by series and minute -> queue messages."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

__all__ = [
    "Address",
    "Key",
    "ValueSet",
    "check_address",
    "check_series",
    "make_value_set",
    "write_messages",
]

# A queue message holds 64 KiB, of which base64 leaves three quarters.
# Source: "Scalability and performance targets for Queue Storage".
MAX_MESSAGE_BYTES = 48 * 1024
# Characters of a namespace, metric, dimension name or dimension value; dimensions of a metric.
# Source: Azure Monitor, "Custom metrics", limits and quotas.
MAX_NAME_LENGTH = 256
MAX_DIMENSIONS = 10
# Characters of a resource ID.
MAX_RESOURCE_ID_LENGTH = 1900
# Samples of a value set: an int32.
MAX_COUNT = 2**31 - 1

# What the relay accepts, apart from the rare: it checks again, and has the last word.
_RESOURCE_ID = re.compile(
    r"/subscriptions/[\w-]+/resourceGroups/[\w.()~-]+/providers(/[\w.()~-]+){3,}",
    re.ASCII | re.IGNORECASE,
)
_REGION = re.compile(r"[A-Za-z0-9 ]{2,40}")


class Address(NamedTuple):
    """Resource, region and namespace of points.

    A message fills in what a point leaves out, the relay what both leave out.
    """

    resource_id: str | None
    region: str | None
    namespace: str | None

    def members(self) -> dict[str, str]:
        """Return the members of a message or a point."""
        names = zip(("resourceId", "region", "namespace"), self, strict=True)
        return {name: text for name, text in names if text is not None}


class Key(NamedTuple):
    """A series and a minute."""

    minute: int  # Since 1970.
    address: Address
    metric: str
    dimensions: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class ValueSet:
    """Values of one series and minute, as Azure Monitor keeps them."""

    min: float
    max: float
    sum: float
    count: int
    time: float  # Of the latest value, in seconds since 1970.

    def add(self, other: ValueSet) -> bool:
        """Add other values; return False, unchanged, if the result has no finite sum or count."""
        total, count = self.sum + other.sum, self.count + other.count
        if not math.isfinite(total) or count > MAX_COUNT:
            return False
        self.min, self.max = min(self.min, other.min), max(self.max, other.max)
        self.sum, self.count = total, count
        self.time = max(self.time, other.time)
        return True


def make_value_set(
    value: float | None,
    values: Iterable[float] | None,
    parts: tuple[float | None, float | None, float | None, int | None],
    time: float,
) -> ValueSet:
    """Return the value set of a point. Raises ValueError, TypeError for what is not a number.

    Exactly one of `value`, `values` and `parts` is given; `parts` are min, max, sum and count.
    """
    if (value is not None) + (values is not None) + (parts != (None,) * 4) != 1:
        raise ValueError("give exactly one of value, values, or min with max, sum and count")
    if value is not None:
        parts = (value, value, value, 1)
    elif values is not None:
        numbers = [_finite("values", number) for number in values]
        if not numbers:
            raise ValueError("values is empty")
        parts = (min(numbers), max(numbers), sum(numbers), len(numbers))
    least, most, total, count = parts
    if least is None or most is None or total is None or count is None:
        raise ValueError("min, max, sum and count go together")
    if not 1 <= count <= MAX_COUNT or count != int(count):
        raise ValueError(f"count is {count}: expected a whole number from 1 to {MAX_COUNT}")
    name = "min" if value is None else "value"
    least, most, total = _finite(name, least), _finite("max", most), _finite("sum", total)
    slack = 1e-6 * max(abs(least), abs(most))  # As the relay allows, for sums of rounded values.
    if least > most or not least - slack <= total / count <= most + slack:
        raise ValueError(f"min {least}, max {most}, sum {total} and count {count} disagree")
    return ValueSet(least, most, total, int(count), time)


def check_address(address: Address) -> None:
    """Raise ValueError for a resource ID, a region or a namespace that cannot be right."""
    resource_id, region, namespace = address
    if resource_id is not None and len(resource_id) > MAX_RESOURCE_ID_LENGTH:
        raise ValueError(
            f"resource_id has {len(resource_id)} characters: at most {MAX_RESOURCE_ID_LENGTH}"
        )
    if resource_id is not None and not _RESOURCE_ID.fullmatch(resource_id):
        raise ValueError(
            f"resource_id is {resource_id!r}: expected the ID of a resource, such as "
            "/subscriptions/…/resourceGroups/…/providers/Microsoft.Web/sites/…"
        )
    if region is not None and not _REGION.fullmatch(region):
        raise ValueError(f"region is {region!r}: expected a region, such as westeurope")
    if namespace is not None:
        _check_name("namespace", namespace)


def check_series(metric: str, dimensions: Iterable[tuple[str, str]]) -> None:
    """Raise ValueError for names that break a limit, TypeError for what is not text."""
    _check_name("metric", metric)
    names = set()
    for name, value in dimensions:
        _check_name("dimension name", name)
        _check_name(f"dimension {name}", value)
        if name.casefold() in names:
            raise ValueError(f"dimension {name} is given twice; names compare without case")
        names.add(name.casefold())
    if len(names) > MAX_DIMENSIONS:
        raise ValueError(f"{len(names)} dimensions, at most {MAX_DIMENSIONS}")


def write_messages(
    address: Address, sets: Iterable[tuple[Key, ValueSet]], limit: int = MAX_MESSAGE_BYTES
) -> Iterator[tuple[str, int]]:
    """Yield messages of at most `limit` bytes, each with the number of value sets in it.

    `address` is that of the messages; a point has only the members that its own address sets. The
    order is kept. A value set that is longer than `limit` gets a message of its own.
    """
    begin = _json({**address.members(), "points": []}).removesuffix("]}")
    available = limit - len(f"{begin}]}}".encode())
    points: list[str] = []
    size = -1  # One comma less than points.
    for key, value_set in sets:
        point = _write_point(key, value_set)
        added = len(point.encode()) + 1
        if points and size + added > available:
            yield f"{begin}{','.join(points)}]}}", len(points)
            points, size = [], -1
        points.append(point)
        size += added
    if points:
        yield f"{begin}{','.join(points)}]}}", len(points)


def _write_point(key: Key, values: ValueSet) -> str:
    point: dict[str, Any] = {"metric": key.metric, **key.address.members()}
    point["time"] = f"{datetime.fromtimestamp(int(values.time), UTC):%Y-%m-%dT%H:%M:%SZ}"
    if key.dimensions:
        point["dimensions"] = dict(key.dimensions)
    if values.count == 1:
        point["value"] = values.sum
    else:
        point |= {"min": values.min, "max": values.max, "sum": values.sum, "count": values.count}
    return _json(point)


def _json(value: object) -> str:
    """Return compact JSON, with escapes for the characters that XML cannot hold."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text.replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")


def _finite(name: str, value: float) -> float:
    """Return a number as a float; numbers of other libraries are fine."""
    try:
        if math.isfinite(value):
            return float(value)
    except OverflowError:  # An integer that is longer than a double.
        pass
    raise ValueError(f"{name} is {value}: expected a finite number")


def _check_name(what: str, text: str) -> None:
    if not isinstance(text, str):
        raise TypeError(f"{what} is {text!r}: expected text")
    if not 1 <= len(text) <= MAX_NAME_LENGTH:
        raise ValueError(f"{what} has {len(text)} characters: expected 1 to {MAX_NAME_LENGTH}")
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise ValueError(f"{what} is {text!r}: it holds half a character") from exc
