"""Hypothesis strategies: roll-ups as the relay holds them, bodies as producers write them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from shared.model import MAX_COUNT, Rollup, Series, Target, ValueSet
from tests.unit.builders import TARGET_MEMBERS, at, without_none
from tests.unit.rollups import NOW, REGION, RESOURCE

__all__ = ["bodies", "json_bodies", "mixed_values", "plain_bodies", "rollups"]

# Every character that JSON can carry; those that are long when escaped come up often.
_characters = st.characters(codec="utf-8") | st.sampled_from(
    '\x00\x1f"\\\ufffe\uffff\u00e9\U0001f600'
)
_names = st.text(_characters, min_size=1, max_size=12) | st.sampled_from(
    ["Queue", "queue", "a" * 256, "\x00" * 256, "\uffff" * 256, "\U0001f600" * 256]
)
_RESOURCES = [RESOURCE, RESOURCE.upper(), f"{RESOURCE}2"]

# --- Roll-ups -----------------------------------------------------------------------------------

# Large enough to lose digits, small enough for thousands of them to add up.
_numbers = st.floats(-1e150, 1e150)


@st.composite
def _value_sets(draw: st.DrawFn) -> ValueSet:
    low, high = sorted((draw(_numbers), draw(_numbers)))
    count = draw(st.just(1) | st.integers(1, 1000) | st.just(MAX_COUNT))
    mean = min(max(low + draw(st.floats(0, 1)) * (high - low), low), high)
    return ValueSet(low, high, mean * count, count)


_values: st.SearchStrategy[float | ValueSet] = _numbers | _value_sets()
# Some of them do not add up.
mixed_values: st.SearchStrategy[list[float | ValueSet]] = st.lists(
    _values | st.sampled_from([1.7e308, -1.7e308, 1e291, ValueSet(0, 0, 0, MAX_COUNT)]),
    min_size=1,
    max_size=20,
)
_times = st.integers(-1_140_000_000, 239_999_999).map(lambda us: NOW + timedelta(microseconds=us))
_dimensions = st.lists(
    st.tuples(_names, _names), max_size=10, unique_by=lambda pair: pair[0].casefold()
).map(lambda pairs: tuple(sorted(pairs, key=lambda pair: pair[0].casefold())))
_series = st.builds(Series.of, st.just("n") | _names, st.just("m") | _names, _dimensions)


@st.composite
def rollups(
    draw: st.DrawFn, values: st.SearchStrategy[list[float | ValueSet]] = mixed_values
) -> Rollup:
    """Draw a roll-up; values are drawn for each minute and series."""
    rollup = Rollup(
        Target(draw(st.sampled_from([REGION, "eastus"])), draw(st.sampled_from(_RESOURCES)))
    )
    several = draw(st.lists(_series, min_size=1, max_size=3))
    for _ in range(draw(st.integers(1, 5))):
        time, series = draw(_times), draw(st.sampled_from(several))
        for value in draw(values):
            rollup.add(time, series, value)
    return rollup


# --- Bodies -------------------------------------------------------------------------------------

# Minutes from UTC. The later members of these three are read part by part.
_OFFSETS = {
    "": 0,
    "Z": 0,
    "z": 0,
    "+00:00": 0,
    "+05:30": 330,
    "-08:00": -480,
    "+0530": 330,
    "+01": 60,
}
_TIME_FORMS = [
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dt%H:%M:%S",
    "%Y%m%dT%H%M%S",
    "%Y-%m-%dT%H:%M",
]
_FRACTIONS = ["", "", ".5", ".123", ".0000001", ".9999999", ".999999999", ",25"]


@st.composite
def _time_texts(draw: st.DrawFn, *, plain: bool) -> str:
    """Draw a time of the window, or rarely before or after it unless it is to be plain."""
    seconds = draw(st.integers(-60, 60) | st.integers(-1199, 239))
    if not plain:
        seconds = draw(st.just(seconds) | st.sampled_from([-1201, -1200, 240, 241]))
    offset = draw(st.sampled_from(list(_OFFSETS)[:6] if plain else list(_OFFSETS)))
    form = draw(st.sampled_from(_TIME_FORMS[:3] if plain else _TIME_FORMS))
    fraction = draw(st.sampled_from(_FRACTIONS[:-1] if plain else _FRACTIONS))
    time = NOW + timedelta(seconds=seconds, minutes=_OFFSETS[offset])
    return time.strftime(form) + (fraction if form.endswith("S") else "") + offset


_VALUES: list[dict[str, Any]] = [
    {"value": 3},
    {"value": -0.5},
    {"values": [3, 20.5, 5]},
    {"min": 3, "max": 20, "sum": 28, "count": 3},
    {"value": 3, "values": None, "min": None, "max": None, "sum": None, "count": None},
]
_OWN_MEMBERS: list[dict[str, Any]] = [
    {},
    {"dimensions": {"Queue": "x", "Kind": "y"}},
    {"dimensions": {"Kind": "y", "Queue": "x"}},
    {"dimensions": None, "namespace": None, "resourceId": None, "region": None, "time": None},
    {"resourceId": f"{RESOURCE}2"},
    {"resourceId": RESOURCE.upper()},
    {"region": "East US"},
    {"namespace": "own"},
    {"metric": "é\U0001f600"},
    {"metric": 'nan Infinity \\ "'},
]
_INVALID_MEMBERS: list[dict[str, Any]] = [
    {"value": "three"},
    {"value": float("nan")},
    {"value": float("-inf")},
    {"value": 10**400},
    {"vaule": 1},
    {"values": [1]},
    {"values": [1e308, 1e308], "value": None},
    {"count": 2**31},
    {"dimensions": {str(number): "x" for number in range(11)}},
    {"dimensions": {"Queue": ""}},
    {"dimensions": {"Queue": "cut \ud83d"}},
    {"dimensions": {"\udc00": "x"}},
    {"metric": "\ud83d\\"},
    {"dimensions": {"Queue": "x", "queue": "y"}},
    {"dimensions": []},
    {"metric": ""},
    {"metric": None},
    {"region": "evil.example/#"},
    {"resourceId": "/subscriptions/0"},
    {"time": at(-1201)},
    {"time": at(241)},
    {"time": "yesterday"},
    {"time": 1795418730},
]
_INVALID_SERIES: list[Any] = [
    {"count": 0},
    {"count": 1.5},
    {"count": 2.0},
    {"min": float("-inf")},
    {"min": 1e9},
    {"sum": None},
    {"dimValues": ["x"]},
    {"dimValues": ["x", ""]},
    {"dimValues": None},
    {"vaule": 1},
]
_MESSAGE_MEMBERS: list[dict[str, Any]] = [
    *([{}] * 6),
    {"region": "West Europe"},
    {"region": None},
    {"namespace": "message"},
    {"resourceId": None},
    {"regoin": "x"},
    {"region": "evil.example/#"},
]


def _rarely(members: list[Any]) -> st.SearchStrategy[Any]:
    """Draw one of the members, or mostly none."""
    return st.integers(0, 8).flatmap(
        lambda number: st.just({}) if number else st.sampled_from(members)
    )


@st.composite
def _json_points(draw: st.DrawFn, *, plain: bool) -> Any:
    time = draw(st.just({}) | _time_texts(plain=plain).map(lambda text: {"time": text}))
    one = {"metric": "m", **draw(st.sampled_from(_VALUES)), **time}
    one |= draw(st.sampled_from(_OWN_MEMBERS))
    return one if plain else {**one, **draw(_rarely(_INVALID_MEMBERS))}


# Messages of valid points, which are read at once.
plain_bodies = st.lists(_json_points(plain=True), min_size=1, max_size=6).map(
    lambda points: json.dumps({**TARGET_MEMBERS, "points": points}).encode()
)


@st.composite
def _json_series(draw: st.DrawFn) -> Any:
    series = {"dimValues": [draw(st.sampled_from("xyz")), "a"], "min": 1, "max": 3, "sum": 4}
    return {**series, "count": 2, **draw(_rarely(_INVALID_SERIES))}


@st.composite
def _json_messages(draw: st.DrawFn) -> dict[str, Any]:
    members = {**TARGET_MEMBERS, **draw(st.sampled_from(_MESSAGE_MEMBERS))}
    if draw(st.integers(0, 3)):
        return {
            **members,
            "points": draw(st.lists(_json_points(plain=False), min_size=1, max_size=6)),
        }
    series = draw(st.lists(_json_series(), min_size=1, max_size=4))
    base = {"metric": "m", "dimNames": ["Queue", "Kind"], "series": series}
    time = draw(st.none() | _time_texts(plain=False))
    return without_none({**members, "time": time, "data": {"baseData": base}})


_FORMS: list[Callable[[list[Any]], str]] = [
    json.dumps,
    lambda messages: json.dumps(messages, indent=2),
    lambda messages: "\r\n".join(map(json.dumps, messages)) + "\n",
    lambda messages: "".join(map(json.dumps, messages)),
    lambda messages: " ".join(json.dumps(message, indent=1) for message in messages),
    lambda messages: json.dumps(messages).replace("Infinity", "Inf").replace("NaN", "+nan"),
]
_ENCODINGS: list[Callable[[bytes], bytes]] = [
    bytes,
    base64.b64encode,
    lambda body: base64.urlsafe_b64encode(body).rstrip(b"="),
    # Characters of dimensions and metrics in Latin-1.
    lambda body: body.replace(rb"\u00e9", b"\xe9"),
    lambda body: b" \xef\xbb\xbf" + body,
]


@st.composite
def json_bodies(draw: st.DrawFn) -> bytes:
    """Draw a body of messages that are valid, or have invalid parts."""
    several = draw(st.lists(_json_messages(), min_size=1, max_size=4))
    messages = several if draw(st.booleans()) else several[:1]
    text = draw(st.sampled_from(_FORMS))(messages)
    return draw(st.sampled_from(_ENCODINGS))(text.encode())


# Valid JSON of any shape, with the members that mean something among others.
_MEMBERS = """points data baseData series metric value values min max sum count time dimensions
    namespace resourceId region dimNames dimValues"""
_shapes = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([RESOURCE, REGION, at(), 10**400, 2**31]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=5) | st.sampled_from(_MEMBERS.split()), inner, max_size=6
        )
    ),
    max_leaves=25,
)


@st.composite
def _mutated(draw: st.DrawFn) -> bytes:
    """Draw a body with a few bytes replaced, deleted or repeated."""
    body = draw(json_bodies())
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(body)))
        end = min(len(body), start + draw(st.integers(0, 12)))
        new = draw(st.binary(max_size=6) | st.just(body[start:end] * 2))
        body = body[:start] + new + body[end:]
    return body


bodies = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=100).map(str.encode),
    st.lists(_shapes, min_size=1, max_size=3).map(
        lambda shapes: "\n".join(map(json.dumps, shapes)).encode()
    ),
    plain_bodies,
    json_bodies(),
    _mutated(),
)
