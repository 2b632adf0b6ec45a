"""The times of a query: its span in minutes, and the grain it is cut into."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from .answers import BadQueryError

__all__ = ["GRAINS", "Span", "duration", "grain", "last_minutes", "span", "stamp"]

# In minutes, with the names that answers use; every metric has all of them.
GRAINS = {
    1: "PT1M",
    5: "PT5M",
    15: "PT15M",
    30: "PT30M",
    60: "PT1H",
    360: "PT6H",
    720: "PT12H",
    1440: "P1D",
}
FULL = "FULL"  # One value for the whole span.
_DEFAULT_MINUTES = 60
_DURATION = re.compile(r"P(?:(\d{1,9})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Span:
    """The start and end that were asked for, and the minutes (since the epoch) that they hold.

    Minutes go from the first up to, not with, the end.
    """

    start: dt.datetime
    end: dt.datetime
    first_minute: int
    end_minute: int

    @property
    def minutes(self) -> int:
        """How many they are."""
        return self.end_minute - self.first_minute


def span(start: str | None, end: str | None, now: float) -> Span:
    """The span of a query; the last hour by default. Raises BadQueryError.

    A minute that the span ends in is left out, as in the service's published answers, unless it
    is the running one: nobody wants to wait for what was just sent. The minute that it starts in
    is then left out instead, so that the last hour stays one of 60 minutes.
    """
    if end is not None and start is None:
        raise BadQueryError("Detected endtime without starttime. Please specify both.")
    moment = dt.datetime.fromtimestamp(now, dt.UTC)
    last = moment if end is None else _moment(end)
    first = last - dt.timedelta(minutes=_DEFAULT_MINUTES) if start is None else _moment(start)
    if first >= last:
        raise BadQueryError(
            f"The start time '{stamp(first)}' should be earlier than the end time '{stamp(last)}'."
        )
    first_minute, end_minute = (int(each.timestamp() // 60) for each in (first, last))
    if last.timestamp() % 60 and end_minute >= int(now // 60):
        if first.timestamp() % 60:
            first_minute = min(first_minute + 1, end_minute)
        end_minute += 1
    return Span(first, last, first_minute, max(end_minute, first_minute + 1))


def last_minutes(minutes: int, interval: str | None, now: float) -> Span:
    """So many minutes, the running one with them, and what more the first value has to hold.

    Values of the past stay as they are from minute to minute: each grain starts at a multiple of
    itself, and the last one is cut short. Raises BadQueryError for an interval that is none.
    """
    end = int(now // 60) + 1
    first = end - minutes
    if interval is None or interval.upper() != FULL:
        first -= first % grain(interval, _span(first, end))
    return _span(first, end)


def _span(first: int, end: int) -> Span:
    start, stop = (dt.datetime.fromtimestamp(minute * 60, dt.UTC) for minute in (first, end))
    return Span(start, stop, first, end)


def grain(given: str | None, within: Span, *, adjust: bool = False) -> int:
    """The minutes of one value; adjust takes the next that is supported. Raises BadQueryError."""
    given = given or GRAINS[1]
    if given.upper() == FULL:
        return within.minutes
    found = _DURATION.fullmatch(given)
    days, hours, minutes = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    total = (days * 24 + hours) * 60 + minutes
    if adjust and total:
        fitting = [each for each in GRAINS if each <= min(total, within.minutes)]
        return max(fitting, default=1)
    if total not in GRAINS:
        supported = ",".join(_dotted(each) for each in GRAINS)
        raise BadQueryError(
            f"Invalid time grain duration: {given}, supported ones are: {supported}"
        )
    return total


def duration(minutes: int) -> str:
    """ISO 8601: PT15M, PT4H, P1D, P1DT2H5M."""
    if minutes in GRAINS:
        return GRAINS[minutes]
    days, rest = divmod(minutes, 1440)
    hours, rest = divmod(rest, 60)
    date = f"{days}D" if days else ""
    time = (f"{hours}H" if hours else "") + (f"{rest}M" if rest else "")
    return f"P{date}" + (f"T{time}" if time else "")


def stamp(moment: dt.datetime) -> str:
    """ISO 8601 in UTC; milliseconds only where there are some."""
    exact = "milliseconds" if moment.microsecond else "seconds"
    return moment.astimezone(dt.UTC).isoformat(timespec=exact).replace("+00:00", "Z")


def _moment(given: str) -> dt.datetime:
    try:
        # The plus sign of an offset that was not percent-encoded arrives as a space.
        moment = dt.datetime.fromisoformat(given.replace(" ", "+") if "T" in given else given)
        zoned = moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment
        return zoned.astimezone(dt.UTC)  # At the ends of the calendar there is no such time.
    except (ValueError, OverflowError) as exc:
        raise BadQueryError(f"'{given}' is not a time in ISO 8601.") from exc


def _dotted(minutes: int) -> str:
    """As the service's errors write a grain: 00:05:00, 1.00:00:00."""
    days, rest = divmod(minutes, 1440)
    return f"{f'{days}.' if days else ''}{rest // 60:02}:{rest % 60:02}:00"
