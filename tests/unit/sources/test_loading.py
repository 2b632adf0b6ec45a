"""METRICS_SOURCES: entries that open a source, and the errors of those that do not."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest

from shared.errors import ValidationError
from shared.model import MAX_DIMENSIONS, Target
from shared.sources import KINDS, Source, load_kind, load_sources
from shared.sources.base import Kind, Measurement, SourceConfig, SourceDestination
from tests.unit.rollups import REGION, RESOURCE, TARGET
from tests.unit.sources.entries import ENVIRON, INVALID, VALID, entry
from tests.unit.sources.helpers import load, make_context

CONTEXT = make_context(ENVIRON)


@pytest.mark.parametrize("given", VALID.values(), ids=VALID)
def test_a_valid_entry_opens_a_source(given: Any) -> None:
    sources, errors = load(given, context=CONTEXT)
    assert errors == []
    assert [source.name for source in sources] == ["METRICS_SOURCES[0]"]


@pytest.mark.parametrize(("given", "text"), INVALID.values(), ids=INVALID)
def test_an_invalid_entry_is_an_error_and_stops_no_other(given: Any, text: str) -> None:
    valid = entry("rest")
    sources, errors = load(valid, given, valid, context=CONTEXT)
    assert [source.name for source in sources] == ["METRICS_SOURCES[0]", "METRICS_SOURCES[2]"]
    assert errors == [f"METRICS_SOURCES[1]{text}"]


def test_a_name_replaces_the_position() -> None:
    sources, errors = load(
        entry("rest", name="Shop"),
        entry("rest", name=None),
        entry("rest", name="Shop"),
        entry("rest", name="Café", url="x"),
        entry("rest", name=""),
        entry("rest", name="METRICS_SOURCES[6]"),
        entry("rest"),
        entry(account=None, connection="Other", name="Orders"),
        context=CONTEXT,
    )
    assert [source.name for source in sources] == [
        "Shop",
        "METRICS_SOURCES[1]",
        "METRICS_SOURCES[6]",
    ]
    assert [error.partition(": expected")[0][:70] for error in errors] == [
        "METRICS_SOURCES[2].name: 'Shop' is the name of another source",
        "Café: url: 'x'",
        "METRICS_SOURCES[4].name: Expected `str` of length >= 1",
        "METRICS_SOURCES[6].name: 'METRICS_SOURCES[6]' is the name of another source"[:70],
        "Orders: Other is not set, nor Other__queueServiceUri, nor Other__accou",
    ]


OPTIONAL = {
    "storage_queue": ("name", "region", "namespace", "dimensions", "every", "metrics"),
    "service_bus": ("name", "region", "namespace", "dimensions", "every", "entities", "serviceBus"),
    "rest": ("name", "region", "namespace", "dimensions", "every", "items", "nextLink", "audience"),
}


@pytest.mark.parametrize("kind", OPTIONAL)
def test_null_is_as_good_as_missing(kind: str) -> None:
    nulls = dict.fromkeys(OPTIONAL[kind])
    sources, errors = load({**entry(kind), **nulls}, context=CONTEXT)
    assert (len(sources), errors) == (1, [])


@pytest.mark.parametrize("before", ["\ufeff", "\r\n\ufeff\t"])
def test_a_byte_order_mark_is_skipped(before: str) -> None:
    sources, errors = load_sources(f"{before}{json.dumps([entry('rest')])}\r\n", CONTEXT)
    assert (len(sources), errors) == (1, [])


NOT_AN_ARRAY = ["queues", "{}", '[{"kind": ', "5", "", '["\udcff"]', "[" * 9999 + "]" * 9999]


@pytest.mark.parametrize("text", NOT_AN_ARRAY)
def test_a_setting_that_is_not_an_array_is_one_error(text: str) -> None:
    sources, (error,) = load_sources(text, CONTEXT)
    assert sources == []
    assert error.startswith("METRICS_SOURCES: ")
    assert error.endswith("; expected a JSON array of sources")


def test_no_sources() -> None:
    assert load_sources("[]", CONTEXT) == ([], [])


def test_an_unexpected_error_stops_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def open_nothing(*_: object) -> Source:
        raise ZeroDivisionError

    kind = Kind(load_kind("storage_queue").config, open_nothing)
    monkeypatch.setattr("shared.sources.storage_queue.KIND", kind)
    sources, errors = load(entry("storage_queue"), entry("rest"), context=CONTEXT)
    assert len(sources) == 1
    assert errors == ["METRICS_SOURCES[0]: unexpected error"]
    assert caplog.messages == ["Unexpected error while opening METRICS_SOURCES[0]"]


def test_a_connection_string_is_not_quoted() -> None:
    _, (error,) = load(entry(account=None, connection="BrokenStorage"), context=CONTEXT)
    assert error.startswith("METRICS_SOURCES[0]: BrokenStorage is not a valid connection string: ")
    assert "c2VjcmV0" not in error


def test_a_kind_is_imported_when_an_entry_names_it() -> None:
    modules = list(KINDS.values())
    code = f"import sys, shared.sources; sys.exit(bool(set({modules!r}) & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    for name in KINDS:
        assert issubclass(load_kind(name).config, SourceConfig)


# --- Destinations ---------------------------------------------------------------------------------


def destination(names: tuple[str, ...] = (), **members: Any) -> SourceDestination:
    config = SourceConfig(kind="x", resource_id=RESOURCE, **members)
    return SourceDestination.of(config, CONTEXT, names)


def test_a_destination_has_defaults() -> None:
    assert destination() == SourceDestination(
        Target("", RESOURCE), "QueueProcessing", {}, timedelta(seconds=1)
    )
    assert destination(region="West Europe").target == TARGET
    assert destination(region=REGION, namespace="N").namespace == "N"


EVERY = {"1s": 1, "30s": 30, "1m": 60, "5m": 300, "2h": 7200, "9999h": 35_996_400}


@pytest.mark.parametrize(("text", "seconds"), EVERY.items())
def test_every(text: str, seconds: int) -> None:
    assert destination(every=text).every == timedelta(seconds=seconds)


def test_a_measurement_has_its_dimensions_and_the_fixed_ones_sorted_by_name() -> None:
    given = destination(("Queue",), dimensions={"z": "1", "A": "2"})
    assert given.measurement("m", 2.0, {"Queue": "q"}) == Measurement(
        "m", 2.0, (("A", "2"), ("Queue", "q"), ("z", "1"))
    )


def test_ten_dimensions_include_those_of_the_kind() -> None:
    nine = {f"d{number}": "x" for number in range(MAX_DIMENSIONS - 1)}
    destination(("Queue",), dimensions=nine)
    with pytest.raises(ValidationError, match=r"^dimensions: 11 dimensions, at most 10$"):
        destination(("Queue", "More"), dimensions=nine)
