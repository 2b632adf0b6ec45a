"""What types cannot say of a point: its dimensions, its value set, its time.

Each function returns what the model holds, or raises ValidationError with a path relative to the
point.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from shared.errors import ExpiredError, ValidationError
from shared.messages.json_decoding import decode
from shared.messages.schema import Addressed, Name, PointIn, SeriesIn
from shared.model import MAX_DIMENSIONS, MAX_NAME_LENGTH, Dimensions, Target, TimeWindow, ValueSet
from shared.resource_ids import validate_region, validate_resource_id
from shared.text import quoted, utc_text

__all__ = [
    "Defaults",
    "pair_dimensions",
    "parse_dimensions",
    "parse_time",
    "parse_values",
    "validate_dimension_names",
    "validate_time",
]

# What a sum in single precision may lose, relative to the largest possible sum.
_SUM_TOLERANCE = 1e-6
_FORMS = "give exactly one of value, values, or min with max, sum and count"
_PARTS = ("min", "max", "sum", "count")
# datetime.fromisoformat takes a date alone, and any character between date and time.
_TIME_OF_DAY = re.compile(r"[0-9][T ][0-9]", re.ASCII)
# Offsets of time zones are a number of half hours, but for two; a point is some minutes old.
_HALF_HOUR = timedelta(minutes=30)
_NEAR_HALF_HOUR = timedelta(minutes=5)
_OBJECT = msgspec.json.Decoder(dict[str, Any])
_DIMENSIONS = msgspec.json.Decoder(dict[Name, Name])


class Defaults(msgspec.Struct, frozen=True):
    """Where points go that do not say it themselves."""

    namespace: str
    resource_id: str | None = None
    region: str = ""  # Empty if it is to be looked up.

    def override(self, given: Addressed, namespace: str | None) -> Defaults:
        """Return these defaults with what a document or a point says. Raises ValidationError."""
        if given.resource_id is None and given.region is None and namespace is None:
            return self
        return Defaults(
            namespace or self.namespace,
            _validated("resourceId", validate_resource_id, given.resource_id) or self.resource_id,
            _validated("region", validate_region, given.region) or self.region,
        )

    @property
    def target(self) -> Target:
        """The target of a point. Raises ValidationError if no resource ID is known."""
        if self.resource_id is None:
            raise ValidationError("resourceId", "missing, and METRICS_RESOURCE_ID is not set")
        return Target(self.region, self.resource_id)


def parse_dimensions(raw: bytes) -> Dimensions:
    """Return the dimensions of a JSON object; empty or null is none."""
    if raw in (b"", b"null"):
        return ()
    try:
        found = _DIMENSIONS.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _invalid_dimensions(raw) from None
    return tuple([(name, found[name]) for name in _sort_names(tuple(found))])


def pair_dimensions(names: tuple[str, ...], values: tuple[str, ...]) -> Dimensions:
    """Return the dimensions of a series from a document's dimNames and its dimValues."""
    if len(names) != len(values):
        raise ValidationError("dimValues", f"{len(values)} values for {len(names)} dimNames")
    found = dict(zip(names, values, strict=True))
    return tuple([(name, found[name]) for name in _sort_names(names)])


def validate_dimension_names(path: str, names: Iterable[str]) -> None:
    """Raise ValidationError for too many names, an empty or long one, or one given twice."""
    first: dict[str, str] = {}
    count = 0
    for name in names:
        count += 1
        _check_length(path, name, "a name of ")
        if (twin := first.get(name.casefold())) is not None:
            again = "" if twin == name else f", as {quoted(name)} too"
            raise ValidationError(path, f"{quoted(twin)} is given twice{again}")
        first[name.casefold()] = name
    if count > MAX_DIMENSIONS:
        raise ValidationError(path, f"{count} dimensions, at most {MAX_DIMENSIONS}")


def parse_values(given: PointIn | SeriesIn) -> float | ValueSet:
    """Return the value of a point, or the value set of a point or series."""
    if isinstance(given, SeriesIn):
        return _value_set(given.min, given.max, given.sum, given.count)
    parts = (given.min, given.max, given.sum, given.count)
    forms = [given.value is not None, given.values is not None, parts != (None,) * 4]
    if sum(forms) != 1:
        found = [name for name in ("value", "values", *_PARTS) if getattr(given, name) is not None]
        text = f"{' and '.join(found)} are given" if found else "no value is given"
        raise ValidationError("", f"{text}; {_FORMS}")
    if given.value is not None:
        return given.value
    if given.values is not None:
        return ValueSet(min(given.values), max(given.values), _sum(given.values), len(given.values))
    if None in parts:
        missing = _PARTS[parts.index(None)]
        raise ValidationError(missing, "missing; min, max, sum and count go together")
    return _value_set(*parts)  # type: ignore[arg-type]


def parse_time(text: str) -> datetime:
    """Return a time in ISO 8601 in UTC; one without an offset is UTC.

    Digits after the microsecond are cut, so that a time stays in its minute.
    """
    upper = text.upper()
    if _TIME_OF_DAY.search(upper):
        with contextlib.suppress(ValueError, OverflowError):
            time = datetime.fromisoformat(upper)
            return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    raise ValidationError(
        "time", f"{quoted(text)} is not a time in ISO 8601, such as 2026-11-23T07:25:00Z"
    )


def validate_time(time: datetime, now: datetime, window: TimeWindow, given: str = "") -> None:
    """Raise ExpiredError for a time before the window, ValidationError for one after it.

    `given` is the text that the time was parsed from, if there was one.
    """
    age = now - time
    if age > window.past:
        seconds, limit = math.ceil(age.total_seconds()), window.past.total_seconds()
        text = f"{utc_text(time)} is {seconds} s old, at most {limit:.0f} s"
        raise ExpiredError("time", text + _offset_hint(given, age))
    if -age > window.future:
        seconds, limit = math.ceil(-age.total_seconds()), window.future.total_seconds()
        text = f"{utc_text(time)} is {seconds} s ahead, at most {limit:.0f} s"
        raise ValidationError("time", text + _offset_hint(given, age))


def _offset_hint(given: str, age: timedelta) -> str:
    """Return a hint for what is off by about a number of half hours, as time zones are."""
    if given and datetime.fromisoformat(given.upper()).tzinfo is None:
        off = age % _HALF_HOUR
        if off <= _NEAR_HALF_HOUR or off >= _HALF_HOUR - _NEAR_HALF_HOUR:
            return "; a time without an offset is UTC"
    return ""


@lru_cache(maxsize=1024)
def _sort_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Validate and sort the names of dimensions; many series share them."""
    validate_dimension_names("dimensions", names)
    return tuple(sorted(names, key=str.casefold))


def _invalid_dimensions(raw: bytes) -> ValidationError:
    """Return what is wrong with dimensions that do not decode."""
    try:
        found = decode(_OBJECT, raw)
        validate_dimension_names("dimensions", found)
    except ValidationError as exc:
        return exc if exc.path == "dimensions" else exc.within("dimensions")
    for name, value in found.items():
        path = f"dimensions.{quoted(name)[1:-1]}"
        if not isinstance(value, str):
            return ValidationError(path, f"found {_kind(value)}, expected text")
        try:
            _check_length(path, value)
        except ValidationError as exc:
            return exc
    return ValidationError("dimensions", "invalid")


def _value_set(least: float, most: float, total: float, count: float) -> ValueSet:
    if least > most:
        raise ValidationError("min", f"{least} is above max {most}")
    # The mean is compared, not the sum: count × max may be more than a double holds.
    slack = _SUM_TOLERANCE * max(abs(least), abs(most))
    if not least - slack <= total / count <= most + slack:
        low, high = count * least, count * most
        raise ValidationError("sum", f"{total} is outside count × [min, max] = [{low}, {high}]")
    return ValueSet(least, most, total, int(count))


def _sum(values: list[float]) -> float:
    try:
        return math.fsum(values)
    except OverflowError:
        raise ValidationError("values", "their sum is not a finite double") from None


def _check_length(path: str, text: str, what: str = "") -> None:
    if not 1 <= len(text) <= MAX_NAME_LENGTH:
        limit = f"at most {MAX_NAME_LENGTH}" if text else "at least 1"
        raise ValidationError(path, f"{what}{len(text)} characters, {limit}")


def _kind(value: object) -> str:
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value)
    return "an array" if isinstance(value, list) else "an object"


def _validated(path: str, validate: Callable[[str], str], given: str | None) -> str | None:
    if given is None:
        return None
    try:
        return validate(given)
    except ValueError as exc:
        raise ValidationError(path, str(exc)) from exc
