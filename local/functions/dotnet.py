"""Values of host.json as .NET reads them: time spans, whole numbers, and JSON with comments."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

__all__ = ["parse_integer", "parse_json", "parse_time_span"]

# d | [d.]hh:mm | [d.]hh:mm:ss[.fffffff] | d:hh:mm | d:hh:mm:ss[.fffffff]
_TIME_SPAN = re.compile(
    r"(?P<sign>-?)(?:(?P<only>\d{1,8})"
    r"|(?:(?P<days>\d{1,8})\.)?(?P<parts>\d{1,8}(?::\d{1,8}){1,3})(?:\.(?P<fraction>\d{1,7}))?)",
    re.ASCII,
)
_MAX_DAYS = 10_675_199  # Of a TimeSpan.
_LIMITS = (24, 60, 60)
_INTEGER = re.compile(r"[+-]?\d{1,10}", re.ASCII)
# A string, which stays; a comment; a comma before the end of an object or array.
_NOT_JSON = re.compile(r'("(?:[^"\\]|\\.)*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])', re.DOTALL)


def parse_time_span(value: object) -> timedelta | None:
    """Return what TimeSpan.Parse makes of a text or number, None if it refuses.

    A number alone is in days. So is the first of three numbers that is no hour: 24:00:00 is 24
    days, 23:00:00 are 23 hours.
    """
    text = str(value).strip() if isinstance(value, str | int) else ""
    match = _TIME_SPAN.fullmatch(text)
    if match is None:
        return None
    days = int(match["only"] or match["days"] or 0)
    numbers = [int(part) for part in (match["parts"] or "").split(":") if part]
    if len(numbers) == 4:
        if match["days"]:
            return None
        days, *numbers = numbers
    elif len(numbers) == 2 and match["fraction"]:
        return None
    elif len(numbers) == 3 and numbers[0] >= 24 and not (match["days"] or match["fraction"]):
        days, *numbers = numbers
    if days > _MAX_DAYS or any(
        number >= limit for number, limit in zip(numbers, _LIMITS, strict=False)
    ):
        return None
    hours, minutes, seconds = [*numbers, 0, 0, 0][:3]
    fraction = int((match["fraction"] or "").ljust(7, "0")) // 10
    span = timedelta(days, seconds, fraction, minutes=minutes, hours=hours)
    return -span if match["sign"] else span


def parse_integer(value: object) -> int | None:
    """Return a whole number that is given as such or as text, None for all else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        return int(value) if _INTEGER.fullmatch(value.strip()) else None
    return value if isinstance(value, int) else None


def parse_json(text: str) -> Any:
    """Return the value of a text with comments and trailing commas. Raises ValueError."""
    try:
        return json.loads(text)
    except ValueError:
        for pattern in (_NOT_JSON, _TRAILING):
            text = pattern.sub(lambda found: found[1] or " ", text)
        return json.loads(text)
