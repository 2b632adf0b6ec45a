"""Compute the times of a query: its span in minutes, and the interval that divides it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from urllib.parse import unquote_plus

import msgspec

from .answers import BadQueryError

__all__ = [
    "GRAINS",
    "Span",
    "duration",
    "grain",
    "last_minutes",
    "second_stamp",
    "span",
    "stamp",
    "timespan",
]

# Those of GRAINS, as the service's errors write them.
_SUPPORTED_GRAINS = "00:01:00,00:05:00,00:15:00,00:30:00,01:00:00,06:00:00,12:00:00,1.00:00:00"
FULL = "FULL"  # One value for the whole span.
_MINUTE = dt.timedelta(minutes=1)
_DEFAULT = dt.timedelta(hours=1)
_MAX_SPAN = dt.timedelta(days=31)  # Recorded: of a longer span the answer is its last 31 days.
_RETENTION = dt.timedelta(days=93)


@dataclass(frozen=True, slots=True)
class Span:
    """Start and end of a span, and the minutes (since the epoch) of its values.

    The minute of the start is part of the answer, the minute of the end is not.
    """

    start: dt.datetime
    end: dt.datetime
    first_minute: int
    end_minute: int

    @property
    def minutes(self) -> int:
        """Return the number of minutes."""
        return self.end_minute - self.first_minute


def duration(minutes: int) -> str:
    """Return a duration in ISO 8601: PT15M, PT4H, P1D, P1DT2H5M."""
    days, rest = divmod(minutes, 1440)
    hours, rest = divmod(rest, 60)
    date = f"{days}D" if days else ""
    time = (f"{hours}H" if hours else "") + (f"{rest}M" if rest else "")
    return f"P{date}" + (f"T{time}" if time else "")


# In minutes, with the names that answers use; every metric has all of them.
GRAINS = {minutes: duration(minutes) for minutes in (1, 5, 15, 30, 60, 360, 720, 1440)}


def timespan(given: str | None, now: float) -> Span:
    """Return the span of Azure Resource Manager's parameter: the last hour without one.

    A duration alone ends a minute before now. Azure decodes the text twice: a `+` that is
    percent-encoded once arrives as a space. Raises BadQueryError.
    """
    if given is None:
        return span(None, None, now)
    text = unquote_plus(given)
    try:
        start, end = _bounds(text, now)
    except (ValueError, OverflowError) as exc:
        raise BadQueryError(
            f"Detected invalid time interval input: {text}, supported Iso 8601 time interval"
            " format: (Datetime/Datetime, Datetime/Duration, Duration/Datetime, Duration)"
        ) from exc
    return _checked(start, end, now)


def _bounds(text: str, now: float) -> tuple[dt.datetime, dt.datetime]:
    """Return the start and end of an interval. Raises ValueError or OverflowError."""
    parts = text.split("/")
    match [_length(each) if each[:1] in {"P", "p"} else _moment(each) for each in parts]:
        case [dt.timedelta() as length]:
            end = _time(int(now)) - _MINUTE
            return end - length, end
        case [dt.timedelta() as length, dt.datetime() as end]:
            return end - length, end
        case [dt.datetime() as start, dt.timedelta() as length]:
            return start, start + length
        case [dt.datetime() as start, dt.datetime() as end]:
            return start, end
    raise ValueError(text)


def span(start: str | None, end: str | None, now: float) -> Span:
    """Return the span between two times; with neither, the hour up to the running minute.

    How Azure chooses that hour is not known; here it holds what was just sent. Raises
    BadQueryError.
    """
    if end is not None and start is None:
        raise BadQueryError("Detected endtime without starttime. Please specify both.")
    if start is None:
        stop = int(now // 60) + 1
        return _whole(stop - _DEFAULT // _MINUTE, stop)
    last = _time(now) if end is None else _offset_moment(end)
    return _checked(_offset_moment(start), last, now)


def last_minutes(minutes: int, interval: str | None, now: float) -> Span:
    """Return the last minutes, the running one included, from a multiple of the interval on.

    Values of the past then stay as they are from minute to minute; the last one is of a part of
    the interval. Raises BadQueryError for an interval that is not supported.
    """
    end = int(now // 60) + 1
    first = end - minutes
    if interval is None or interval.upper() != FULL:
        first -= first % grain(interval, _whole(first, end))
    return _whole(first, end)


def grain(given: str | None, within: Span, *, adjust: bool = False) -> int:
    """Return the minutes of one value; adjust takes the longest supported interval that fits.

    Raises BadQueryError.
    """
    given = given or GRAINS[1]
    if given.upper() == FULL:
        return within.minutes
    try:
        minutes = _length(given) / _MINUTE
    except ValueError:
        minutes = 0
    if adjust and minutes > 0:
        return max((each for each in GRAINS if each <= min(minutes, within.minutes)), default=1)
    if minutes not in GRAINS:
        raise BadQueryError(
            f"Invalid time grain duration: {given}, supported ones are: {_SUPPORTED_GRAINS}"
        )
    return int(minutes)


def stamp(moment: dt.datetime) -> str:
    """Return a time in ISO 8601, UTC, with milliseconds where it has a fraction."""
    exact = "milliseconds" if moment.microsecond else "seconds"
    return moment.astimezone(dt.UTC).isoformat(timespec=exact).replace("+00:00", "Z")


def second_stamp(seconds: float) -> str:
    """Return a time in epoch seconds in ISO 8601, UTC, to the second."""
    return stamp(_time(int(seconds)))


def _checked(start: dt.datetime, end: dt.datetime, now: float) -> Span:
    """Return the span from start to end; raise BadQueryError if it is empty or too old."""
    if start >= end:
        raise BadQueryError(
            f"The start time '{stamp(start)}' should be earlier than the end time '{stamp(end)}'."
        )
    if end < _time(now) - _RETENTION:
        written = f"{end.month}/{end.day}/{end.year} {end:%I:%M:%S %p}".replace(" 0", " ")
        raise BadQueryError(
            f"Query endTime: {written} is out of the Max metrics retention period: 93.00:00:00"
        )
    start = max(start, end - _MAX_SPAN)
    first, last = (int(each.timestamp() // 60) for each in (start, end))
    return Span(start, end, first, max(last, first + 1))


def _whole(first: int, end: int) -> Span:
    return Span(_time(first * 60), _time(end * 60), first, end)


def _time(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def _length(given: str) -> dt.timedelta:
    """Return the length of a duration in ISO 8601. Raises ValueError."""
    return msgspec.convert(given, dt.timedelta)


def _moment(given: str) -> dt.datetime:
    """Return a time in ISO 8601; without an offset it is UTC. Raises BadQueryError."""
    try:
        moment = dt.datetime.fromisoformat(given)
        zoned = moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment
        return zoned.astimezone(dt.UTC)  # At the ends of the calendar there is no such time.
    except (ValueError, OverflowError) as exc:
        raise BadQueryError(f"'{given}' is not a time in ISO 8601.") from exc


def _offset_moment(given: str) -> dt.datetime:
    """Return a time whose offset may have a space for an unencoded plus sign."""
    return _moment(given.replace(" ", "+") if "T" in given else given)
