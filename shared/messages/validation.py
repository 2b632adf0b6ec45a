"""What types cannot say of a point: its dimensions, its value set, its time.

Each function takes what a producer wrote and returns what the model holds, or raises
RefusedError with a path relative to the point.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from shared.messages.refusal import RefusedError, decoded
from shared.messages.schema import Name, PointIn, SeriesIn
from shared.model import (
    MAX_DIMENSIONS,
    MAX_NAME_LENGTH,
    Dimensions,
    Reason,
    ValueSet,
    Window,
    utc_text,
)
from shared.resource_ids import shown

__all__ = [
    "Times",
    "check_dimension_names",
    "check_window",
    "dimensions",
    "paired",
    "parse_time",
    "value_set",
]

# What adding up in single precision may lose, relative to the largest possible sum.
_SUM_TOLERANCE = 1e-6
_FORMS = "give exactly one of value, values, or min with max, sum and count"
_PARTS = ("min", "max", "sum", "count")
# datetime.fromisoformat takes a date alone, and any character between date and time.
_TIME_OF_DAY = re.compile(r"[0-9][T ][0-9]", re.ASCII)
# Characters of a time; longer than any that has a meaning.
_MOST_TIME = 64
_OBJECT = msgspec.json.Decoder(dict[str, Any])
_NAMED = msgspec.json.Decoder(dict[Name, Name])


class Times(dict[str | UnsetType, datetime]):
    """The times of one message's points: as written -> in UTC, when it was enqueued for none.

    Raises RefusedError for what is no time, or is outside the window.
    """

    def __init__(self, enqueued: datetime, now: datetime, window: Window) -> None:
        super().__init__()
        self._enqueued = enqueued
        self._now = now
        self._window = window

    def __missing__(self, given: str | UnsetType) -> datetime:
        time = self._enqueued if given is UNSET else parse_time(given)
        check_window(time, self._now, self._window)
        self[given] = time
        return time


def dimensions(raw: bytes) -> Dimensions:
    """Read a JSON object of names and values; nothing at all is none."""
    if not raw:
        return ()
    try:
        named = _NAMED.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return _examined(raw)
    # A name that is given twice is lost in a dict; quotes tell, unless some stand in a text.
    if b"\\" in raw or raw.count(b'"') != 4 * len(named):
        return _examined(raw)
    return tuple([(name, named[name]) for name in _in_order(tuple(named))])


@lru_cache(maxsize=1024)
def _in_order(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of dimensions, checked and sorted; remembered, as many series share them."""
    check_dimension_names("dimensions", names)
    return tuple(sorted(names, key=str.casefold))


def _examined(raw: bytes) -> Dimensions:
    """The same, slowly: says what is wrong."""
    try:
        decoded(_OBJECT, raw)
        # A decoder that makes a dict cannot see a name that is given twice.
        pairs: tuple[tuple[str, Any], ...] = json.loads(raw, object_pairs_hook=tuple)
    except RefusedError as refused:
        raise refused.within("dimensions") from refused
    except RecursionError as exc:
        raise RefusedError("dimensions", "nested too deeply") from exc
    check_dimension_names("dimensions", (name for name, _ in pairs))
    for name, value in pairs:
        path = f"dimensions.{shown(name)[1:-1]}"
        if not isinstance(value, str):
            raise RefusedError(path, f"found {_kind(value)}, expected text")
        _check_length(path, value)
    return _sorted(pairs)


@lru_cache(maxsize=4096)
def paired(names: tuple[str, ...], values: tuple[str, ...]) -> Dimensions:
    """The names of a document with the values of one of its series."""
    if len(names) != len(values):
        raise RefusedError("dimValues", f"{len(values)} values for {len(names)} dimNames")
    return _sorted(zip(names, values, strict=True))


def check_dimension_names(path: str, names: Iterable[str]) -> None:
    """Raise RefusedError for too many names, an empty or long one, one given twice."""
    first: dict[str, str] = {}
    count = 0
    for name in names:
        count += 1
        _check_length(path, name, "a name of ")
        if (twin := first.get(name.casefold())) is not None:
            again = "" if twin == name else f", as {shown(name)} too"
            raise RefusedError(path, f"{shown(twin)} is given twice{again}")
        first[name.casefold()] = name
    if count > MAX_DIMENSIONS:
        raise RefusedError(path, f"{count} dimensions, at most {MAX_DIMENSIONS}")


def value_set(given: PointIn | SeriesIn) -> ValueSet:
    """The value set of a point or a series, whichever way it is given."""
    if isinstance(given, SeriesIn):
        return _checked(given.min, given.max, given.sum, given.count)
    parts = (given.min, given.max, given.sum, given.count)
    present = [part is not UNSET for part in parts]
    if (given.value is not UNSET) + (given.values is not UNSET) + any(present) != 1:
        forms = [name for name in ("value", "values", *_PARTS) if getattr(given, name) is not UNSET]
        found = f"{' and '.join(forms)} are given" if forms else "no value is given"
        raise RefusedError("", f"{found}; {_FORMS}")
    if given.value is not UNSET:
        return given.value, given.value, given.value, 1
    if given.values is not UNSET:
        return min(given.values), max(given.values), _sum(given.values), len(given.values)
    if not all(present):
        missing = _PARTS[present.index(False)]
        raise RefusedError(missing, "missing; min, max, sum and count go together")
    return _checked(*parts)  # type: ignore[arg-type]  # None of them is UNSET any more.


@lru_cache(maxsize=4096)
def parse_time(text: str) -> datetime:
    """A time in ISO 8601, in UTC; one without an offset is UTC already."""
    upper = text.upper()
    if len(text) <= _MOST_TIME and _TIME_OF_DAY.search(upper):
        with contextlib.suppress(ValueError, OverflowError):
            time = datetime.fromisoformat(upper)
            return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    sentence = f"{shown(text)} is not a time in ISO 8601, such as 2026-11-23T07:25:00Z"
    raise RefusedError("time", sentence)


def check_window(time: datetime, now: datetime, window: Window) -> None:
    """Raise RefusedError when the store would not accept a value of that time any more, or yet."""
    age = now - time
    if age > window.past:
        seconds, limit = math.ceil(age.total_seconds()), window.past.total_seconds()
        text = f"{utc_text(time)} is {seconds} s old, at most {limit:.0f} s"
        raise RefusedError("time", text, Reason.EXPIRED)
    if -age > window.future:
        seconds, limit = math.ceil(-age.total_seconds()), window.future.total_seconds()
        raise RefusedError("time", f"{utc_text(time)} is {seconds} s ahead, at most {limit:.0f} s")


def _checked(least: float, most: float, total: float, count: int) -> ValueSet:
    if least > most:
        raise RefusedError("min", f"{least} is above max {most}")
    # The mean, not the sum, is compared: count × max may be more than a double holds.
    slack = _SUM_TOLERANCE * max(abs(least), abs(most))
    if not least - slack <= total / count <= most + slack:
        low, high = count * least, count * most
        raise RefusedError("sum", f"{total} is outside count × [min, max] = [{low}, {high}]")
    return least, most, total, count


def _sum(values: list[float]) -> float:
    try:
        return math.fsum(values)
    except OverflowError:
        text = "their sum is not a finite number of double precision"
        raise RefusedError("values", text) from None


def _check_length(path: str, text: str, what: str = "") -> None:
    if not 1 <= len(text) <= MAX_NAME_LENGTH:
        bound = f"at most {MAX_NAME_LENGTH}" if text else "at least 1"
        raise RefusedError(path, f"{what}{len(text)} characters, {bound}")


def _sorted(pairs: Iterable[tuple[str, str]]) -> Dimensions:
    return tuple(sorted(pairs, key=lambda pair: pair[0].casefold()))


def _kind(value: object) -> str:
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value)
    return "an array" if isinstance(value, list) else "an object"
