"""Request bodies: exact bytes, the byte limit, halves, and nothing left out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.model import MAX_COUNT, Aggregates, Series, ValueSet
from shared.publisher.encoder import MAX_LINE_SERIES, Body, encode_bodies
from tests.unit.rollups import MINUTE, series, value_of

LIMIT = 65_536  # The lowest METRICS_MAX_BODY_BYTES.
ONE = value_of(1.0)


def encode(group: dict[Series, ValueSet], limit: int = LIMIT) -> list[Body]:
    """Encode the series of one minute."""
    return list(encode_bodies({MINUTE: group}, limit))


def numbered(count: int, metric: str = "m") -> dict[Series, ValueSet]:
    """Return series of one metric whose values are their numbers."""
    return {series(metric, Queue=f"{n:04}"): value_of(float(n)) for n in range(count)}


def line_sizes(body: Body) -> list[int]:
    """Return the number of series of each line."""
    return [len(json.loads(line)["data"]["baseData"]["series"]) for line in body.data.splitlines()]


def test_a_body_has_a_document_on_each_line() -> None:
    orders = Series.of("n", "Depth", (("Kind", "é\n"), ("Queue", "a")))
    (body,) = encode({orders: ValueSet(3.0, 20.0, 28.0, 3), series("Age"): value_of(0.5)})
    assert body.data == (
        b'{"time":"2026-11-23T07:25:00Z","data":{"baseData":{"metric":"Depth","namespace":"n",'
        b'"dimNames":["Kind","Queue"],"series":[{"dimValues":["\xc3\xa9\\n","a"],'
        b'"min":3.0,"max":20.0,"sum":28.0,"count":3}]}}}\n'
        b'{"time":"2026-11-23T07:25:00Z","data":{"baseData":{"metric":"Age","namespace":"n",'
        b'"dimNames":[],"series":[{"dimValues":[],"min":0.5,"max":0.5,"sum":0.5,"count":1}]}}}\n'
    )
    assert list(body.contents()) == [(MINUTE, orders), (MINUTE, series("Age"))]
    assert body.samples == 4


def test_nothing_is_encoded_as_no_body() -> None:
    assert encode({}) == []


SHARED = {
    "dimension values": ({series(Queue="a"): ONE, series(Queue="b"): ONE}, [2]),
    "dimension names": ({series(Queue="a"): ONE, series(Topic="a"): ONE}, [1, 1]),
    "case of a name": ({series(Queue="a"): ONE, series(queue="a"): ONE}, [1, 1]),
    "no dimensions": ({series(Queue="a"): ONE, series(): ONE}, [1, 1]),
    "metrics": ({series("a"): ONE, series("b"): ONE}, [1, 1]),
    "namespaces": ({series("a"): ONE, Series("other", "a"): ONE}, [1, 1]),
}


@pytest.mark.parametrize(("group", "sizes"), SHARED.values(), ids=SHARED)
def test_a_document_holds_series_with_the_same_names(
    group: dict[Series, ValueSet], sizes: list[int]
) -> None:
    (body,) = encode(group)
    assert line_sizes(body) == sizes


# --- The limit ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "spare", "filled"),
    [(4, 0, [4]), (4, -1, [3, 1]), (2, 0, [2, 2]), (2, -1, [1] * 4), (1, 0, [1] * 4)],
)
def test_documents_fill_a_body_up_to_the_limit(lines: int, spare: int, filled: list[int]) -> None:
    group = {series(name): ONE for name in "abcd"}
    length = len(encode({series("a"): ONE})[0].data)
    bodies = encode(group, lines * length + spare)
    assert [len(body.data) for body in bodies] == [count * length for count in filled]


def test_a_document_over_the_limit_is_cut_between_its_series() -> None:
    length = len(encode(numbered(100))[0].data)
    assert [line_sizes(body) for body in encode(numbered(100), length)] == [[100]]
    halves = encode(numbered(100), length - 1)
    assert [line_sizes(body) for body in halves] == [[50], [50]]
    assert [one for body in halves for _, one in body.contents()] == list(numbered(100))


def test_a_line_has_a_limit_of_series() -> None:
    for extra, sizes in ((0, [MAX_LINE_SERIES]), (1, [MAX_LINE_SERIES, 1])):
        (body,) = encode(numbered(MAX_LINE_SERIES + extra), 1_000_000)
        assert line_sizes(body) == sizes


def test_a_series_over_the_limit_is_a_body_of_its_own() -> None:
    assert [line_sizes(body) for body in encode(numbered(2), 10)] == [[1], [1]]


def test_the_longest_series_is_under_the_lowest_limit() -> None:
    long = "\x00" * 256
    dimensions = tuple((f"{number}{long[1:]}", long) for number in range(10))
    number = -1.2345678901234567e-300
    longest = {Series.of(long, long, dimensions): ValueSet(number, number, number, MAX_COUNT)}
    (body,) = encode(longest)
    assert LIMIT / 2 < len(body.data) < LIMIT


# --- Parts of a body ------------------------------------------------------------------------------

HALVES: dict[str, tuple[list[int], list[list[int]]]] = {
    "one series": ([1], []),
    "two of a document": ([2], [[1], [1]]),
    "two documents": ([1, 1], [[1], [1]]),
    "an odd number": ([5], [[2], [3]]),
    "between two documents": ([3, 1, 4], [[3, 1], [4]]),
    "within a document": ([2, 3, 1], [[2, 1], [2, 1]]),
    "within the first": ([4, 2], [[3], [1, 2]]),
    "within the last": ([1, 1, 6], [[1, 1, 2], [4]]),
}


@pytest.mark.parametrize(("counts", "sizes"), HALVES.values(), ids=HALVES)
def test_a_body_is_halved_by_its_series(counts: list[int], sizes: list[list[int]]) -> None:
    group: dict[Series, ValueSet] = {}
    for document, count in enumerate(counts):
        group |= numbered(count, f"M{document}")
    (body,) = encode(group)
    halves = body.halves()
    assert [line_sizes(half) for half in halves] == sizes
    for half in halves:
        assert half.data == encode({one: group[one] for _, one in half.contents()})[0].data
    if halves:
        assert [one for half in halves for one in half.contents()] == list(body.contents())


def test_a_body_is_split_at_a_minute() -> None:
    earlier = MINUTE - timedelta(minutes=1)
    (body,) = encode_bodies({earlier: {series("a"): ONE}, MINUTE: {series("b"): ONE}}, LIMIT)
    (before,), (others,) = body.split_at(MINUTE)
    assert list(before.contents()) == [(earlier, series("a"))]
    assert list(others.contents()) == [(MINUTE, series("b"))]
    before_all, (others,) = body.split_at(earlier)
    assert (before_all, others.data) == ([], body.data)


# --- Whatever is encoded --------------------------------------------------------------------------

_CHARACTERS = st.characters(codec="utf-8") | st.sampled_from('\x00"\\\ufffe\uffff\U0001f600')
_NAMES = st.text(_CHARACTERS, min_size=1, max_size=12) | st.sampled_from(["Queue", "\x00" * 256])
_SERIES = st.builds(
    lambda namespace, metric, dimensions: Series.of(namespace, metric, tuple(dimensions.items())),
    _NAMES,
    st.sampled_from(["Depth", "Age"]) | _NAMES,
    st.dictionaries(_NAMES, _NAMES, max_size=4),
)
_NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
_VALUES = st.builds(ValueSet, _NUMBERS, _NUMBERS, _NUMBERS, st.integers(1, MAX_COUNT))
_MINUTES = st.integers(0, 2).map(lambda minutes: MINUTE - timedelta(minutes=minutes))
_AGGREGATES = st.dictionaries(_MINUTES, st.dictionaries(_SERIES, _VALUES, max_size=8))


def decode(bodies: Iterable[Body]) -> Counter[tuple[Any, ...]]:
    """Return every series of the bodies, of the form in the API's OpenAPI document."""
    found: Counter[tuple[Any, ...]] = Counter()
    for line in (line for body in bodies for line in body.data.removesuffix(b"\n").split(b"\n")):
        match json.loads(line):
            case {"time": str(time), "data": {"baseData": base, **data}, **members}:
                assert not data | members
        assert base.keys() == {"metric", "namespace", "dimNames", "series"}
        for one in base["series"]:
            dimensions = tuple(zip(base["dimNames"], one.pop("dimValues"), strict=True))
            key = datetime.fromisoformat(time), base["namespace"], base["metric"], dimensions
            assert one.keys() == {"min", "max", "sum", "count"}
            found[*key, *map(repr, one.values())] += 1
    return found


@given(_AGGREGATES, st.sampled_from([1000, 5000, LIMIT, 1_000_000]))
@example({MINUTE: {series(): ValueSet(-0.0, 1e22, 5e-324, 1)}}, LIMIT)
def test_bodies_hold_everything_within_the_limit(aggregates: Aggregates, limit: int) -> None:
    bodies = list(encode_bodies(aggregates, limit))
    assert all(len(body.data) <= limit or line_sizes(body) == [1] for body in bodies)
    contents = [(minute, one) for minute, group in aggregates.items() for one in group]
    encoded = Counter(key for body in bodies for key in body.contents())
    assert encoded == Counter(contents)
    expected: Counter[tuple[Any, ...]] = Counter()
    for minute, one in contents:
        values = aggregates[minute][one]
        dimensions = tuple(zip(one.dimension_names, one.dimension_values, strict=True))
        key = minute, one.namespace, one.metric, dimensions
        numbers = values.min, values.max, values.sum, values.count
        expected[*key, *map(repr, numbers)] += 1
    assert decode(bodies) == expected
