from __future__ import annotations

import pytest

from shared.errors import ExpiredError, ValidationError, join_paths

# Outer path, inner path, the path of both.
PATHS = [
    ("", "metric", "metric"),
    ("points[3]", "", "points[3]"),
    ("points[3]", "metric", "points[3].metric"),
    ("[2]", "points[0]", "[2].points[0]"),
    ("values", "[2]", "values[2]"),
    ("line 3:", "points[0]", "line 3: points[0]"),
]


@pytest.mark.parametrize(("outer", "inner", "expected"), PATHS)
def test_join_paths(outer: str, inner: str, expected: str) -> None:
    assert join_paths(outer, inner) == expected


def test_a_validation_error_names_the_path() -> None:
    error = ValidationError("metric", "0 characters").within("points[3]")
    assert (str(error), error.path) == ("points[3].metric: 0 characters", "points[3].metric")
    assert str(ValidationError("", "empty")) == "empty"
    assert str(ValidationError("", "not valid JSON").within("line 2:")) == "line 2: not valid JSON"


def test_an_expired_error_stays_one() -> None:
    assert isinstance(ExpiredError("time", "too old").within("points[0]"), ExpiredError)
