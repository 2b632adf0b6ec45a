"""How the Functions host, which is .NET, reads host.json and schedules."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from cronsim import CronSim, CronSimError

__all__ = ["PREFIX", "Value", "check_schedule", "parse_json", "parse_time_span", "read_host_json"]

# An app setting that begins so replaces a value of host.json. Source: "host.json reference".
PREFIX = "AzureFunctionsJobHost__"
_COMMENT = re.compile(r'("(?:[^"\\]|\\.)*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])', re.DOTALL)
# [-][d.]hh:mm[:ss[.fffffff]], d:hh:mm:ss[.fffffff], or d. Source: "TimeSpan.Parse Method".
_TIME_SPAN = re.compile(
    r"(?P<sign>-?)(?:(?P<days>\d{1,8})(?:\.(?=\d+:)|:(?=\d+:\d+:)|$))?"
    r"(?:(?P<hours>\d{1,8}):(?P<minutes>\d{1,8})"
    r"(?::(?P<seconds>\d{1,8})(?:\.(?P<fraction>\d{1,7}))?)?)?",
    re.ASCII,
)
_MAX_DAYS = 10_675_199
# One item of a field in NCRONTAB, which knows less than cronsim; names have three letters.
_CRON_ITEM = re.compile(r"(?:\*|(?:\d{1,2}|[A-Z]{3})(?:-(?:\d{1,2}|[A-Z]{3}))?)(?:/\d{1,2})?")


class Value(NamedTuple):
    """One value of host.json."""

    name: str  # As it is written.
    value: Any
    setting: str | None  # The app setting that replaces it.


def read_host_json(file: Path, environ: Mapping[str, str]) -> dict[str, Value]:
    """Return the values by path in lower case: `extensions:queues:batchsize`.

    App settings with the prefix replace single values. Raises OSError, or ValueError.
    """
    values = {
        path.lower(): Value(path.rpartition(":")[2], value, None)
        for path, value in _flat(parse_json(file.read_text("utf-8-sig")))
        if value is not None
    }
    for setting, text in environ.items():
        if setting.lower().startswith(PREFIX.lower()):
            path = setting[len(PREFIX) :].replace("__", ":")
            values[path.lower()] = Value(path.rpartition(":")[2], text, setting)
    return values


def parse_json(text: str) -> Any:
    """Return the value of JSON with comments and trailing commas. Raises ValueError."""
    for pattern in (_COMMENT, _TRAILING_COMMA):
        text = pattern.sub(lambda found: found[1] or " ", text)
    return json.loads(text)


def parse_time_span(value: object) -> timedelta | None:
    """Return what TimeSpan.Parse returns for a text or number, None if it fails.

    A number alone is days. If the first of three numbers is 24 or more, it is days, too:
    `24:00:00` is 24 days.
    """
    text = str(value).strip() if isinstance(value, str | int) else ""
    match = _TIME_SPAN.fullmatch(text)
    if match is None or not text.strip("-"):
        return None
    parts = match.groupdict()
    days, hours, minutes, seconds = (
        int(parts[name] or 0) for name in ("days", "hours", "minutes", "seconds")
    )
    if hours > 23 and parts["seconds"] and not (parts["days"] or parts["fraction"]):
        days, hours, minutes, seconds = hours, minutes, seconds, 0
    if days > _MAX_DAYS or hours > 23 or minutes > 59 or seconds > 59:
        return None
    ticks = int((parts["fraction"] or "").ljust(7, "0"))
    span = timedelta(days, seconds, ticks // 10, minutes=minutes, hours=hours)
    return -span if parts["sign"] else span


def check_schedule(text: str) -> None:
    """Raise ValueError unless a timer takes the text: NCRONTAB, or a time span."""
    if (parse_time_span(text) or timedelta()) > timedelta():
        return
    fields = [field for field in text.upper().split(" ") if field]
    if len(fields) == 5:
        fields.insert(0, "0")
    if len(fields) != 6:
        raise ValueError(f"{len(fields)} fields, expected 6 with blanks between")
    for field in fields:
        # NCRONTAB has no 7 for Sunday.
        if not all(map(_CRON_ITEM.fullmatch, field.split(","))) or "7" in fields[5]:
            raise ValueError(f"{field!r} is not valid in NCRONTAB")
    try:
        next(CronSim(" ".join(fields), datetime(2000, 1, 1, tzinfo=UTC)))
    except CronSimError as exc:
        raise ValueError(str(exc)) from exc
    except StopIteration as exc:
        raise ValueError("no date matches it") from exc


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield path and value of everything in a document. Raises ValueError for no object."""
    if isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _flat(inner, f"{path}:{name}" if path else str(name))
    elif path:
        yield path, value
    else:
        raise ValueError("expected an object")
