"""The retry policy: how long to wait, and what a Retry-After header says."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.publisher.retry import Policy, retry_after

NOW = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)
HEADERS = {
    "none": (None, None),
    "seconds": ("7", 7.0),
    "no seconds": ("0", 0.0),
    "spaces": (" 7 ", 7.0),
    "date": ("Mon, 23 Nov 2026 07:30:12 GMT", 12.0),
    "date in the past": ("Mon, 23 Nov 2026 07:29:00 GMT", 0.0),
    "date of the year 1994": ("Sunday, 06-Nov-94 08:49:37 GMT", 0.0),
    "date without a zone": ("Mon, 23 Nov 2026 07:30:12", None),
    "empty": ("", None),
    "negative": ("-1", None),
    "fraction": ("1.5", None),
    "word": ("soon", None),
    "digits that are not ASCII": ("\u0667", None),
    "a year that no clock shows": ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
    "for ever": ("9" * 400, 999_999_999.0),
}


@pytest.mark.parametrize(("header", "seconds"), HEADERS.values(), ids=HEADERS)
def test_a_retry_after_header(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds


@given(st.text())
def test_any_header_is_a_wait_or_none(header: str) -> None:
    seconds = retry_after(header, NOW)
    assert seconds is None or seconds >= 0


def test_waits_grow_up_to_a_cap() -> None:
    policy = Policy(first=0.5, cap=8.0, total=20.0)
    assert [policy.delay(attempt, 0.0) for attempt in range(1, 8)] == [
        0.25,
        0.5,
        1.0,
        2.0,
        4.0,
        4.0,
        4.0,
    ]
    assert policy.delay(5, 0.999) == pytest.approx(8.0, abs=0.01)


def test_what_was_asked_for_is_obeyed_and_little_more() -> None:
    policy = Policy()
    assert policy.delay(1, 0.0, asked=30.0) == 30.0
    assert policy.delay(9, 0.5, asked=30.0) == pytest.approx(31.5)


def test_to_be_asked_for_no_wait_is_no_reason_to_hammer() -> None:
    policy = Policy()
    assert [policy.delay(attempt, 0.0, asked=0.0) for attempt in (1, 2, 9)] == [0.25, 0.5, 4.0]
