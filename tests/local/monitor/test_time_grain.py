"""The span of a query, and the grain that it is cut into."""

from __future__ import annotations

import pytest

from local.monitor.answers import BadQueryError
from local.monitor.time_grain import Span, duration, grain, last_minutes, span, stamp, timespan

from .conftest import NOW  # 2026-11-23T07:25:30Z

DAY = "2026-11-23T"


def minutes(within: Span) -> tuple[str, str]:
    """The first minute and the end, as times of the day."""
    return tuple(  # type: ignore[return-value]
        f"{each // 60 % 24:02}:{each % 60:02}" for each in (within.first_minute, within.end_minute)
    )


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (None, None, ("06:26", "07:26")),  # The running minute is in it, and 60 in all.
        (f"{DAY}06:25:30Z", f"{DAY}07:25:30Z", ("06:25", "07:25")),
        (f"{DAY}07:25:10Z", f"{DAY}07:25:20Z", ("07:25", "07:26")),
        (f"{DAY}07:00:00Z", None, ("07:00", "07:25")),
        (f"{DAY}07:00:00Z", f"{DAY}07:10:00Z", ("07:00", "07:10")),
        (f"{DAY}07:00:00.123Z", f"{DAY}07:10:00.345Z", ("07:00", "07:10")),
        (f"{DAY}07:00:00", f"{DAY}08:10:00+01:00", ("07:00", "07:10")),
        (f"{DAY}07:00:00Z", f"{DAY}08:10:00 01:00", ("07:00", "07:10")),
        (f"{DAY}07:00:00Z", f"{DAY}07:28:01Z", ("07:00", "07:28")),
    ],
)
def test_the_minutes_of_a_span(
    start: str | None, end: str | None, expected: tuple[str, str]
) -> None:
    assert minutes(span(start, end, NOW)) == expected


@pytest.mark.parametrize(
    ("given", "start", "end"),
    [
        (f"{DAY}07:00:00Z/{DAY}07:10:30Z", "2026-11-23T07:00:00Z", "2026-11-23T07:10:30Z"),
        ("2026-11-23 07:00:00/2026-11-23 07:10:00", "2026-11-23T07:00:00Z", "2026-11-23T07:10:00Z"),
        ("2026-11-22/2026-11-23", "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"),
        # Recorded: a duration alone ends a minute before now, which is 07:25:30.
        ("PT1H", "2026-11-23T06:24:30Z", "2026-11-23T07:24:30Z"),
        ("PT240H", "2026-11-13T07:24:30Z", "2026-11-23T07:24:30Z"),
        ("PT7200.0S", "2026-11-23T05:24:30Z", "2026-11-23T07:24:30Z"),
        (f"{DAY}07:00:00Z/PT10M", "2026-11-23T07:00:00Z", "2026-11-23T07:10:00Z"),
        (f"P1D/{DAY}07:00:00Z", "2026-11-22T07:00:00Z", "2026-11-23T07:00:00Z"),
        # Recorded from the Azure CLI: encoded twice, and cut to the last 31 days.
        (
            "2018-01-01T00%3A00%3A00%2B00%3A00%2F2999-01-01T00%3A00%3A00%2B00%3A00",
            "2998-12-01T00:00:00Z",
            "2999-01-01T00:00:00Z",
        ),
    ],
)
def test_the_timespan_of_azure_resource_manager(given: str, start: str, end: str) -> None:
    within = timespan(given, NOW)
    assert (stamp(within.start), stamp(within.end)) == (start, end)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (f"{DAY}07:00:00 01:00/{DAY}07:10:00 01:00", None),
        # Encoded once, the sign is a space all the same: Azure decodes twice.
        (f"{DAY}07:00:00+01:00/PT1H", f"{DAY}07:00:00 01:00/PT1H"),
        ("yesterday", None),
        ("PT1H/PT1H", None),
        ("P1M", None),
        (f"{DAY}07:00:00Z/", None),
        ("0001-01-01T00:00:00Z/P999999999D", None),
    ],
)
def test_a_timespan_that_is_not_valid(given: str, found: str | None) -> None:
    with pytest.raises(BadQueryError) as caught:
        timespan(given, NOW)
    assert str(caught.value) == (
        f"Detected invalid time interval input: {found or given}, supported Iso 8601 time interval"
        " format: (Datetime/Datetime, Datetime/Duration, Duration/Datetime, Duration)"
    )


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        ("0001-01-01T00:00:00+14:00", None, "'0001-01-01T00:00:00\\+14:00' is not a time in ISO"),
        ("9999-12-31T23:59:59-14:00", None, "'9999-12-31T23:59:59-14:00' is not a time in ISO"),
        (None, f"{DAY}07:00:00Z", "Detected endtime without starttime."),
        ("yesterday", None, "'yesterday' is not a time in ISO 8601."),
        (f"{DAY}07:00:00Z", f"{DAY}07:00:00Z", f"The start time '{DAY}07:00:00Z' should be"),
        (f"{DAY}09:00:00Z", None, f"The start time '{DAY}09:00:00Z' should be"),
        (
            "2026-06-01",
            "2026-06-02",
            "Query endTime: 6/2/2026 12:00:00 AM is out of the Max metrics retention period: 93",
        ),
    ],
)
def test_a_span_that_is_not_valid(start: str | None, end: str | None, message: str) -> None:
    with pytest.raises(BadQueryError, match=message):
        span(start, end, NOW)


SIX_HOURS = span(f"{DAY}01:00:00Z", f"{DAY}07:00:00Z", NOW)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, 1),
        ("PT1M", 1),
        ("pt5m", 5),
        ("PT60M", 60),
        ("PT6H", 360),
        ("P1D", 1440),
        ("PT24H", 1440),
        ("FULL", 360),
    ],
)
def test_grains(given: str | None, expected: int) -> None:
    assert grain(given, SIX_HOURS) == expected


@pytest.mark.parametrize(
    ("given", "hours", "expected"),
    [
        ("PT3M", 6, 1),
        ("PT7H", 6, 360),
        ("P1D", 6, 360),
        ("PT6H", 5, 60),  # The published example.
    ],
)
def test_a_grain_is_adjusted_to_one_that_fits(given: str, hours: int, expected: int) -> None:
    within = span(f"{DAY}0{7 - hours}:00:00Z", f"{DAY}07:00:00Z", NOW)
    assert grain(given, within, adjust=True) == expected


@pytest.mark.parametrize(
    "given",
    ["PT3M", "5m", "P1W", "PT0M", "P", "PT-1M", f"P{'9' * 5000}D"],
    ids=lambda text: text[:9],
)
def test_a_grain_that_is_not_supported(given: str) -> None:
    with pytest.raises(BadQueryError) as caught:
        grain(given, SIX_HOURS)
    assert str(caught.value) == (
        f"Invalid time grain duration: {given}, supported ones are: 00:01:00,00:05:00,00:15:00,"
        "00:30:00,01:00:00,06:00:00,12:00:00,1.00:00:00"
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [(1, "PT1M"), (240, "PT4H"), (1440, "P1D"), (1441, "P1DT1M"), (90, "PT1H30M"), (2880, "P2D")],
)
def test_durations(given: int, expected: str) -> None:
    assert duration(given) == expected


def test_milliseconds_are_written_where_there_are_some() -> None:
    within = span(f"{DAY}07:00:00.123Z", f"{DAY}07:10:00Z", NOW)
    assert (stamp(within.start), stamp(within.end)) == (f"{DAY}07:00:00.123Z", f"{DAY}07:10:00Z")


@pytest.mark.parametrize(
    ("count", "interval", "expected"),
    [
        (60, "PT1M", ("06:26", "07:26")),
        (60, None, ("06:26", "07:26")),
        (1, "PT1M", ("07:25", "07:26")),
        (60, "PT5M", ("06:25", "07:26")),
        (60, "PT15M", ("06:15", "07:26")),
        (60, "PT1H", ("06:00", "07:26")),
        (60, "FULL", ("06:26", "07:26")),
        (1440, "P1D", ("00:00", "07:26")),  # Of the day before.
    ],
)
def test_the_last_minutes_begin_with_a_grain(
    count: int, interval: str | None, expected: tuple[str, str]
) -> None:
    within = last_minutes(count, interval, NOW)
    assert minutes(within) == expected
    assert within.minutes >= count
