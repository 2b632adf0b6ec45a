"""`$filter` of a metrics query: what passes, what splits, and what is wrong with it."""

from __future__ import annotations

import pytest

from local.monitor.answers import BadQueryError
from local.monitor.metric_filter import Term, of_terms, parse

CITIES = ["Delft", "Utrecht", "Den Haag", "O'Brien"]


def passed(text: str) -> list[str]:
    (condition,) = parse(text)
    return [city for city in CITIES if condition.passes(city)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("City eq 'Delft'", ["Delft"]),
        ("City eq 'Delft' or city EQ 'Utrecht'", ["Delft", "Utrecht"]),
        ("City ne 'Delft'", ["Utrecht", "Den Haag", "O'Brien"]),
        ("City ne 'Delft' and City ne 'Utrecht'", ["Den Haag", "O'Brien"]),
        ("City eq '*'", CITIES),
        ("City eq '*' and City ne 'Delft'", ["Utrecht", "Den Haag", "O'Brien"]),
        ("City sw 'De'", ["Delft", "Den Haag"]),
        ("City sw 'De' or City eq 'Utrecht'", ["Delft", "Utrecht", "Den Haag"]),
        ("  City  eq  'O''Brien'  ", ["O'Brien"]),
        ("City eq 'delft'", []),
    ],
)
def test_what_passes(text: str, expected: list[str]) -> None:
    assert passed(text) == expected


@pytest.mark.parametrize("text", [None, "", "  "])
def test_no_filter(text: str | None) -> None:
    assert parse(text) == ()


def test_dimensions_keep_their_order() -> None:
    text = "City eq 'a' or City eq 'b' and Country eq '*' and Name of it ne 'x and y eq z'"
    assert [each.key for each in parse(text)] == ["city", "country", "name of it"]
    assert parse(text)[2].unequal == {"x and y eq z"}


@pytest.mark.parametrize(
    "text", ["dim %28test%29 1 eq 'val %28x%29'", "dim %2528test%2529 1 eq 'val %2528x%2529'"]
)
def test_round_brackets_come_encoded_once_or_twice_more(text: str) -> None:
    (condition,) = parse(text)
    assert condition.key == "dim (test) 1"
    assert condition.equal == {"val (x)"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "A eq 'a1' and B eq 'b1' and C eq '*' or B eq 'b2'",
            "the logical or operator cannot separate two different metadata names, 'C' and 'B'.",
        ),
        ("A eq 'x' or A ne 'y'", "join 'ne' with and, not with or."),
        (
            "A eq 'x' and A eq 'y'",
            "'A' cannot be two things at once; join its values with or.",
        ),
        ("A gt 'x'", "at 'A gt 'x'': expected <dimension> eq|ne|sw '<value>'"),
        ("A eq x", "at 'A eq x'"),
        ("A eq 'x' B eq 'y'", "at 'B eq 'y''"),
        ("A eq 'x' and", "at 'and'"),
        ("A eq 'x", "at 'A eq 'x'"),
        ("eq 'x'", "at 'eq 'x''"),
    ],
)
def test_what_is_wrong_is_said(text: str, message: str) -> None:
    with pytest.raises(BadQueryError) as caught:
        parse(text)
    assert str(caught.value).startswith(f"Invalid filter '{text}'")
    assert message in str(caught.value)


def test_terms_are_taken_as_they_are() -> None:
    terms = [Term("it's", "eq", "*"), Term("IT'S", "sw", "a'"), Term("x%2y", "ne", "%28")]
    quoted, other, split = of_terms(terms, ["x%2Y", " z"])
    assert [quoted.passes(each) for each in ("*", "a'b", "b")] == [True, True, False]
    assert [other.passes(each) for each in ("%28", "(")] == [False, True]
    assert (split.key, split.passes("anything")) == (" z", True)
