"""A point as a program gives it -> address and JSON; refused in the words of its dead letter."""

from __future__ import annotations

import json
import re
import sys
import time as clocks
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import Raw

from shared.messages.parser import MessageParser
from shared.messages.schema import PointIn
from shared.messages.validation import Defaults, parse_time
from shared.messages.writer import encode_point
from shared.model import Series, Target, TimeWindow, ValueSet
from shared.settings import DEFAULTS
from shared.text import utc_text
from tools.packer import Address
from tools.pieces import single_point

__all__ = ["DEFAULT_WINDOW", "PointEntry", "PointError"]

# What a relay accepts whose settings are not known here.
DEFAULT_WINDOW = TimeWindow(
    timedelta(minutes=int(DEFAULTS["METRICS_PAST_MINUTES"])),
    timedelta(minutes=int(DEFAULTS["METRICS_FUTURE_MINUTES"])),
)
_ENCODER = msgspec.json.Encoder()
_PLACE = re.compile(r"points\[0\](?:\.|: )?")
# Series of which it is remembered that they are right.
_MOST_REMEMBERED = 16384
# Of what is nearer to the end of double precision, the parser says whether it is a number.
_LARGE = 1e300


class PointError(ValueError):
    """A point would be refused; the text is what its dead letter would say."""


class PointEntry:
    """Checks and writes points one by one; safe for threads."""

    def __init__(
        self,
        resource_id: str | None,
        region: str | None,
        namespace: str | None,
        now: Callable[[], float] = clocks.time,
    ) -> None:
        """What points have that name none of it themselves. Raises PointError where it is wrong."""
        self._now = now
        self._defaults = Defaults(namespace or "", resource_id or "", region or "")
        # What `_series_key` makes of a series -> where it goes, its dimensions.
        self._series: dict[object, tuple[Address, Raw | None]] = {}
        self._stamp: tuple[int, str] = (-1, "")
        address = {"resourceId": resource_id, "region": region, "namespace": namespace}
        self._read({"metric": "any", "value": 0, **_present(address)}, self._moment())

    def write(
        self,
        metric: str,
        values: Mapping[str, object],
        dimensions: Mapping[str, str] | None,
        time: datetime | str | None,
        address: tuple[str | None, str | None, str | None],
    ) -> tuple[Address, bytes]:
        """Address and JSON of a point that is of now where it has no time. Raises PointError.

        `values` are the members that give its value; `address` is resource ID, region, namespace.
        """
        # What is no mapping is not known, and refused below.
        if type(dimensions) is dict or isinstance(dimensions, Mapping):
            key: object = (metric, address, *dimensions.items())
        else:
            key = (metric, address, dimensions)
        if time is None and (written := self._known(key, metric, values)):
            return written
        given: dict[str, object] = {"metric": metric, "dimensions": dimensions}
        given["time"] = time.isoformat() if isinstance(time, datetime) else time
        given |= zip(("resourceId", "region", "namespace"), address, strict=True)
        now = self._moment()
        target, series, value = self._read({**_present(given), **values}, now)
        where = Address(target.region, target.resource_id, series.namespace)
        self._remember(key, where, series)
        exact = now if given["time"] is None else parse_time(str(given["time"]))
        return where, encode_point(series, value, exact)

    def _known(
        self, key: object, metric: str, values: Mapping[str, object]
    ) -> tuple[Address, bytes] | None:
        """The quick way: a plain number of now for a series that was right before."""
        value = values.get("value")
        if len(values) != 1 or type(value) not in {int, float}:
            return None
        assert isinstance(value, int | float)  # noqa: S101 (for the type checker)
        if not -_LARGE < value < _LARGE:
            return None
        try:
            where, dimensions = self._series[key]
        except (KeyError, TypeError):  # Not known, or nothing that a good point can hold.
            return None
        point = PointIn(metric=metric, time=self._text(), value=float(value))
        if dimensions is not None:
            point.dimensions = dimensions
        return where, _ENCODER.encode(point)

    def _read(
        self, point: dict[str, object], now: datetime
    ) -> tuple[Target, Series, float | ValueSet]:
        """Check a point as the function does. Raises PointError."""
        try:
            body = json.dumps({"points": [point]}, default=_plain).encode()
        except (TypeError, ValueError, OverflowError) as exc:
            raise PointError(str(exc)) from exc
        # A parser of its own for each call: several threads may put.
        parser = MessageParser(self._defaults, DEFAULT_WINDOW, max_bytes=sys.maxsize)
        parsed = parser.parse(body, enqueued=now, now=now)
        if parsed.rejections:
            raise PointError(_PLACE.sub("", parsed.rejections[0].detail, count=1))
        return single_point(parsed.rollups)

    def _remember(self, key: object, where: Address, series: Series) -> None:
        if len(self._series) >= _MOST_REMEMBERED:
            self._series.clear()
        pairs = dict(series.dimensions)
        self._series[key] = (where, Raw(_ENCODER.encode(pairs)) if pairs else None)

    def _moment(self) -> datetime:
        """Now, in whole seconds: the store keeps minutes, and short texts pack well."""
        return datetime.fromtimestamp(int(self._now()), UTC)

    def _text(self) -> str:
        """The same as text."""
        second = int(self._now())
        known, text = self._stamp
        if known != second:
            text = utc_text(datetime.fromtimestamp(second, UTC))
            self._stamp = (second, text)
        return text


def _present(members: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in members.items() if value is not None}


def _plain(value: object) -> Any:
    """What JSON has no word for: times, mappings, other libraries' numbers and arrays."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Iterable):
        return list(value)
    if hasattr(value, "__float__"):
        return float(value)
    raise TypeError(f"a point cannot hold {type(value).__name__}")
