"""Schedules: when they fire, and what they are not."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest

from local.functions.ncrontab import Schedule

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)  # A Thursday.


@pytest.mark.parametrize(
    ("expression", "times"),
    [
        ("* * * * * *", ["01-01T00:00:01", "01-01T00:00:02", "01-01T00:00:03"]),
        ("0 * * * * *", ["01-01T00:01:00", "01-01T00:02:00"]),
        ("* * * * *", ["01-01T00:01:00", "01-01T00:02:00"]),
        ("*/20 * * * * *", ["01-01T00:00:20", "01-01T00:00:40", "01-01T00:01:00"]),
        ("5/20 * * * * *", ["01-01T00:00:05", "01-01T00:00:25", "01-01T00:00:45"]),
        ("10-12,50 0 * * * *", ["01-01T00:00:10", "01-01T00:00:11", "01-01T00:00:12"]),
        ("0 0-30/15 * * * *", ["01-01T00:15:00", "01-01T00:30:00", "01-01T01:00:00"]),
        ("0 30 9 * * mon-FRI", ["01-01T09:30:00", "01-02T09:30:00", "01-05T09:30:00"]),
        ("0 0 0 * feb 0", ["02-01T00:00:00", "02-08T00:00:00"]),
        # Both days must agree: a Tuesday the 13th.
        ("0 0 0 13 * 2", ["01-13T00:00:00", "10-13T00:00:00"]),
        ("0 0 0 31 * *", ["01-31T00:00:00", "03-31T00:00:00"]),
        ("01:30:00", ["01-01T01:30:00", "01-01T03:00:00"]),
        ("1", ["01-02T00:00:00", "01-03T00:00:00"]),
    ],
)
def test_ticks(expression: str, times: list[str]) -> None:
    schedule, moment = Schedule(expression), NEW_YEAR
    for time in times:
        moment = schedule.after(moment)
        assert moment == datetime.fromisoformat(f"2026-{time}Z")


def test_times_are_utc_whatever_the_clock_says() -> None:
    elsewhere = timezone(timedelta(hours=5, minutes=30))
    moment = datetime(2026, 1, 1, 5, 30, 0, 1, tzinfo=elsewhere)
    assert Schedule("0 0 12 * * *").after(moment) == NEW_YEAR.replace(hour=12)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("", "expected 6 fields, found 0"),
        ("hourly", "expected 6 fields, found 1"),
        ("00:00:00", "must be longer than 00:00:00"),
        ("10675199", "date value out of range"),
        ("0 0 * * * * *", "expected 6 fields, found 7"),
        ("0\t* * * * *", "0\t* is not valid in NCRONTAB"),
        ("x * * * * *", "X is not valid in NCRONTAB"),
        ("0 * * L * *", "L is not valid in NCRONTAB"),
        ("0 * * 1W * *", "1W is not valid in NCRONTAB"),
        ("0 * * * * 1#2", "1#2 is not valid in NCRONTAB"),
        ("0 * * * * 7", "7 is not valid in NCRONTAB"),
        ("0 * * * * 5-7", "5-7 is not valid in NCRONTAB"),
        ("0 * JAN * * *", "Bad hour"),
        ("0 * * ? * *", "? is not valid in NCRONTAB"),
        ("0 *, * * * *", "*, is not valid in NCRONTAB"),
        ("60 * * * * *", "Bad second"),
        ("0 */0 * * * *", "Bad minute"),
        ("0 30-10 * * * *", "Bad minute"),
        ("0 0 24 * * *", "Bad hour"),
        ("0 0 0 0 * *", "Bad day-of-month"),
        ("0 0 0 * 13 *", "Bad month"),
        ("0 0 0 31 2 *", "Bad day-of-month"),
        ("0 0 0 31 2,4 1", "no date matches it"),
    ],
)
def test_what_it_is_not(expression: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        Schedule(expression)
