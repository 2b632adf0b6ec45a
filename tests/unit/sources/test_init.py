"""METRICS_SOURCES: what it may hold, and the exact words for what it may not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from builders import LANE, NOW, REGION, RESOURCE
from source_entries import BAD, ENVIRON, GOOD, entry
from sourcing import load, make_context

from shared.model import Point, Series
from shared.sources import load_sources
from shared.sources.base import SourceConfig, Target

CONTEXT = make_context(ENVIRON)


@pytest.mark.parametrize("given", GOOD.values(), ids=GOOD)
def test_a_source_is_opened(given: Any) -> None:
    sources, problems = load(given, context=CONTEXT)
    assert problems == []
    assert [source.name for source in sources] == ["METRICS_SOURCES[0]"]


def test_no_sources_are_no_problem() -> None:
    assert load_sources("[]", CONTEXT) == ([], [])


def test_a_region_that_is_not_named_is_to_be_looked_up() -> None:
    (source,), _ = load(entry(region=None), context=CONTEXT)
    assert source.target.lane.region == ""


EVERY = {"1s": 1, "30s": 30, "1m": 60, "5m": 300, "2h": 7200, "9999h": 35_996_400}


@pytest.mark.parametrize("text", EVERY)
def test_how_often(text: str) -> None:
    (source,), _ = load(entry(every=text), context=CONTEXT)
    assert source.target.every.total_seconds() == EVERY[text]


def test_every_tick_unless_it_says_otherwise() -> None:
    (source,), _ = load(entry(), context=CONTEXT)
    assert source.target.every.total_seconds() == 1


NOT_AN_ARRAY = {
    "word": ("queues", "not JSON: JSON is malformed: invalid character (byte 0)"),
    "object": ("{}", "found an object, expected an array"),
    "cut off": ('[{"kind": ', "not JSON: Input data was truncated"),
    "number": ("5", "found 5, expected an array"),
    "nothing": ("", "not JSON: Input data was truncated"),
    "bytes that are no text": (
        '["\udcff"]',
        r"'utf-8' codec can't encode character '\udcff' in position 2: surrogates not allowed",
    ),
}


@pytest.mark.parametrize(("text", "found"), NOT_AN_ARRAY.values(), ids=NOT_AN_ARRAY)
def test_what_is_no_array_is_said_and_stops_nothing_else(text: str, found: str) -> None:
    sources, problems = load_sources(text, CONTEXT)
    assert sources == []
    assert problems == [f"METRICS_SOURCES: {found}; expected a JSON array of sources"]


@pytest.mark.parametrize(("given", "text"), BAD.values(), ids=BAD)
def test_a_bad_source_is_named_and_the_others_are_opened(given: Any, text: str) -> None:
    good = entry("rest")
    sources, problems = load(good, given, good, context=CONTEXT)
    assert [source.name for source in sources] == ["METRICS_SOURCES[0]", "METRICS_SOURCES[2]"]
    assert problems == [f"METRICS_SOURCES[1]{text}"]


def test_a_kind_beyond_all_numbers() -> None:
    good = json.dumps(entry("rest"))
    sources, problems = load_sources(f'[{{"kind": 1e999}}, {good}]', CONTEXT)
    assert problems == ["METRICS_SOURCES[0].kind: not a finite number of double precision"]
    assert len(sources) == 1


@pytest.mark.parametrize("member", ["kind", "metrics"])
def test_nesting_without_end_is_a_wrong_setting(member: str) -> None:
    nested = "[" * 20_000 + "]" * 20_000
    sources, (problem,) = load_sources(f'[{{"kind": "rest", "{member}": {nested}}}]', CONTEXT)
    assert sources == []
    assert problem == "METRICS_SOURCES: nested too deeply; expected a JSON array of sources"


def test_a_connection_that_cannot_be_opened_is_not_quoted() -> None:
    _, (problem,) = load(entry(account=None, connection="BrokenStorage"), context=CONTEXT)
    assert problem.startswith("METRICS_SOURCES[0]: BrokenStorage is no connection string: ")
    assert "c2VjcmV0" not in problem


def test_a_target_has_dimensions_of_both_in_the_order_of_names() -> None:
    config = SourceConfig(
        kind="x", resource_id=RESOURCE, region=REGION, dimensions={"z": "1", "A": "2"}
    )
    target = Target.of(config, CONTEXT, own=("Queue",))
    assert target.point("m", 2.0, NOW, {"Queue": "q"}) == Point.of_one(
        LANE,
        Series.of("QueueProcessing", "m", (("A", "2"), ("Queue", "q"), ("z", "1"))),
        NOW,
        2.0,
    )
