from __future__ import annotations

from datetime import timedelta

import pytest

from shared.text import MAX_TEXT, clean, masked, plural, quoted, utc_text
from tests.unit.rollups import NOW

QUOTED = {
    "plain": ("orders", "'orders'"),
    "letter that only looks like ASCII": ("\u212a", r"'\u212a'"),
    "newline": ("a\n", r"'a\n'"),
    "longest": ("a" * 300, f"'{'a' * 300}'"),
    "cut": ("a" * 301, f"'{'a' * 300}'…"),
}


@pytest.mark.parametrize(("text", "expected"), QUOTED.values(), ids=QUOTED)
def test_quoted_text_hides_no_character(text: str, expected: str) -> None:
    assert quoted(text) == expected


def test_quoted_text_is_cut_after_the_limit() -> None:
    assert (quoted("abc", 3), quoted("abcd", 3)) == ("'abc'", "'abc'…")


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, "0 points"), (1, "1 point"), (2, "2 points"), (1000, "1,000 points")],
)
def test_plural(count: int, expected: str) -> None:
    assert plural(count, "point") == expected


def test_utc_text_has_a_fraction_only_if_the_time_has_one() -> None:
    assert utc_text(NOW) == "2026-11-23T07:25:30Z"
    assert utc_text(NOW + timedelta(microseconds=5)) == "2026-11-23T07:25:30.000005Z"


@pytest.mark.parametrize(
    ("text", "expected"),
    {
        "plain": ("metrics", "'metrics'"),
        "password": ("https://user:pw@host/x", "'https://…' (the rest may be secret)"),
        "signature": (
            "https://a.example/?sig=pw",
            "'https://a.example/…' (the rest may be secret)",
        ),
        "key": ("AccountName=a;AccountKey=pw", "'AccountName…' (the rest may be secret)"),
        "user": ("pw@host", "'pw…' (the rest may be secret)"),
    }.values(),
)
def test_masked_hides_what_may_be_secret(text: str, expected: str) -> None:
    assert masked(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one\nline\r\n\x1b[31mred\x1b[0m", "one line [31mred [0m"),
        ("a\u202ehidden\u2066", "a hidden"),
        ("x" * MAX_TEXT, "x" * MAX_TEXT),
        ("x" * (MAX_TEXT + 1), "x" * MAX_TEXT + "…"),
        ("Ünïcode 数", "Ünïcode 数"),
        ("\ud800", ""),
    ],
)
def test_clean(text: str, expected: str) -> None:
    assert clean(text) == expected
