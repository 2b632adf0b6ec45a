"""Hypothesis strategies: points as the relay holds them, messages as producers write them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from builders import NOW, REGION, RESOURCE, as_base64, at
from hypothesis import strategies as st

from shared.model import MAX_COUNT, Lane, Point, Series

__all__ = ["bodies", "marked_points", "names", "points", "resources"]

# Every character that JSON can carry; what is longest when it is escaped comes up often.
characters = st.characters(codec="utf-8") | st.sampled_from(
    '\x00\x1f"\\\ufffe\uffff\u00e9\U0001f600'
)
names = st.text(characters, min_size=1, max_size=12) | st.sampled_from(
    ["Queue", "queue", "a" * 256, "\x00" * 256, "\uffff" * 256, "\U0001f600" * 256]
)
resources = st.sampled_from(
    [RESOURCE, RESOURCE.upper().replace("/SUBSCRIPTIONS/", "/subscriptions/"), f"{RESOURCE}2"]
)
lanes = st.builds(Lane, st.sampled_from([REGION, "eastus"]), resources)
# Large enough to lose digits, small enough for millions of them to add up.
numbers = st.floats(-1e150, 1e150)
times = st.integers(-1_199_999_999, 239_999_999).map(lambda us: NOW + timedelta(microseconds=us))


def _distinct(pairs: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(pairs, key=lambda pair: pair[0].casefold()))


dimension_sets = st.lists(
    st.tuples(names, names), max_size=10, unique_by=lambda pair: pair[0].casefold()
).map(_distinct)


@st.composite
def _points(draw: st.DrawFn, lane: st.SearchStrategy[Lane]) -> Point:
    low, high = sorted((draw(numbers), draw(numbers)))
    count = draw(st.just(1) | st.integers(1, 1000) | st.just(MAX_COUNT))
    share = draw(st.floats(0, 1))
    mean = min(max(low + share * (high - low), low), high)
    if draw(st.booleans()):
        low = high = mean
    return Point(
        draw(lane),
        Series.of(
            draw(st.just("QueueProcessing") | names),
            draw(st.sampled_from(["QueueDepth", "Age"]) | names),
            draw(dimension_sets),
        ),
        draw(times),
        low,
        high,
        mean * count,
        count,
    )


def points(lane: st.SearchStrategy[Lane] | None = None) -> st.SearchStrategy[Point]:
    """Valid points of some lanes, or of those given."""
    return _points(lanes if lane is None else lane)


# What a point may say for itself.
_OWN_ADDRESSES: list[dict[str, Any]] = [
    {},
    {},
    {"resourceId": f"{RESOURCE}2"},
    {"region": "eastus"},
    {"resourceId": RESOURCE.upper().replace("/SUBSCRIPTIONS/", "/subscriptions/")},
]
# One bad thing of each kind, to be laid over a good point, series or message. ? is the marker.
_POINT_FAULTS: list[dict[str, Any]] = [
    {},
    {"value": "three"},
    {"value": float("nan")},
    {"vaule": 1},
    {"values": [1]},
    {"dimensions": {str(number): "x" for number in range(11)}},
    {"dimensions": {"Queue": ""}},
    {"dimensions": []},
    {"metric": ""},
    {"region": "evil.example/#"},
    {"resourceId": "/subscriptions/0"},
    {"time": at(-1201)},
    {"time": at(241)},
    {"time": "yesterday"},
]
_SERIES_FAULTS: list[dict[str, Any]] = [
    {},
    {"count": 0},
    {"count": 1.5},
    {"min": float("-inf")},
    {"min": 1e9},
    {"sum": None},
    {"dimValues": ["?"]},
    {"dimValues": ["?", ""]},
    {"vaule": 1},
]
_MESSAGE_FAULTS: list[dict[str, Any]] = [{}, {}, {}, {"region": "West Europe"}, {"regoin": "x"}]


@st.composite
def _marked(draw: st.DrawFn, marker: str) -> dict[str, Any]:
    """A point, good or bad, with the marker for its namespace."""
    one = {"metric": "Depth", "namespace": "?", "value": 1, "dimensions": {"Queue": "x"}}
    own = draw(st.sampled_from(_OWN_ADDRESSES))
    fault = draw(st.sampled_from(_POINT_FAULTS))
    return {name: marker if value == "?" else value for name, value in (one | own | fault).items()}


@st.composite
def _marked_series(draw: st.DrawFn, marker: str) -> dict[str, Any]:
    """A series, good or bad, with the marker for its first dimension value."""
    one: dict[str, Any] = {"dimValues": ["?", "x"], "min": 1, "max": 3, "sum": 4, "count": 2}
    one |= draw(st.sampled_from(_SERIES_FAULTS))
    return {**one, "dimValues": [marker, *one["dimValues"][1:]]}


@st.composite
def _marked_message(draw: st.DrawFn, markers: list[str]) -> dict[str, Any]:
    address = {"resourceId": RESOURCE, "region": REGION} | draw(st.sampled_from(_MESSAGE_FAULTS))
    if draw(st.booleans()):
        return {**address, "points": [draw(_marked(marker)) for marker in markers]}
    series = [draw(_marked_series(marker)) for marker in markers]
    base = {"metric": "Depth", "dimNames": ["Marker", "Kind"], "series": series}
    return {**address, "time": at(), "data": {"baseData": base}}


@st.composite
def marked_points(draw: st.DrawFn) -> tuple[list[str], bytes]:
    """Markers, and a body in which each stands for one point or series, good or bad."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    markers = [f"<{number}>" for number in range(sum(sizes))]
    left = iter(markers)
    messages = [draw(_marked_message([next(left) for _ in range(size)])) for size in sizes]
    forms: list[Callable[[], str]] = [
        lambda: json.dumps(messages),
        lambda: json.dumps(messages, indent=2),
        lambda: "\r\n".join(map(json.dumps, messages)) + "\n",
    ]
    if len(messages) == 1:
        forms.append(lambda: json.dumps(messages[0], indent=1))
    body = draw(st.sampled_from(forms))().encode()
    return markers, draw(st.sampled_from([body, b"\xef\xbb\xbf" + body, as_base64(body)]))


# Valid JSON of any shape, with the members that mean something thrown in.
_NAMES = """points data baseData series metric value values min max sum count time dimensions
    namespace resourceId region dimNames dimValues"""
_members = st.text(max_size=5) | st.sampled_from(_NAMES.split())
_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([RESOURCE, REGION, at(), 10**400, 2**31])
)
_shapes = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_members, inner, max_size=6),
    max_leaves=25,
)


@st.composite
def _mutated(draw: st.DrawFn) -> bytes:
    """A good body with a few bytes changed, dropped or said twice."""
    _, body = draw(marked_points())
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(body)))
        end = min(len(body), start + draw(st.integers(0, 12)))
        body = (
            body[:start] + draw(st.binary(max_size=6) | st.just(body[start:end] * 2)) + body[end:]
        )
    return body


bodies = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=100).map(str.encode),
    _shapes.map(lambda shape: json.dumps(shape).encode()),
    st.lists(_shapes, max_size=4).map(
        lambda shapes: b"\n".join(json.dumps(shape).encode() for shape in shapes)
    ),
    _mutated(),
)
