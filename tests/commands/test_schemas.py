"""The JSON Schemas in docs/ are current, and agree with the code on messages and sources."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import source_entries

from shared.messages.parser import Address, parse
from shared.model import Window
from tools.schemas import SCHEMAS, write

DOCS = Path(__file__).parents[2] / "docs"
NOW = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)
RESOURCE_ID = (
    "/subscriptions/5b1fd1f4-2a3c-4f0e-9d53-0f8b6d3f5a10/resourceGroups/shop"
    "/providers/Microsoft.Storage/storageAccounts/orders"
)
ADDRESS = {"resourceId": RESOURCE_ID, "region": "westeurope"}


def _points(**point: Any) -> dict[str, Any]:
    return {**ADDRESS, "points": [{"metric": "QueueDepth", **point}]}


def _document(**series: Any) -> dict[str, Any]:
    values = {"min": 3, "max": 20, "sum": 28, "count": 3, **series}
    base = {"metric": "QueueDepth", "namespace": "QueueProcessing", "series": [values]}
    return {**ADDRESS, "time": "2026-11-23T07:25:00", "data": {"baseData": base}}


GOOD: dict[str, Any] = {
    "value": _points(value=7),
    "values": _points(values=[1, 2.5]),
    "value set": _points(min=1, max=2, sum=3, count=2),
    "dimensions": _points(value=7, dimensions={"QueueName": "images"}),
    "time": _points(value=7, time="2026-11-23T07:25:00Z"),
    "document": _document(),
    "array": [_points(value=7), _document()],
}
BAD: dict[str, Any] = {
    "no value": _points(),
    "two forms": _points(value=7, values=[7]),
    "part of a set": _points(min=1, max=2),
    "value with a part": _points(value=7, count=1),
    "eleven dimensions": _points(value=7, dimensions={f"d{n}": "v" for n in range(11)}),
    "empty dimension value": _points(value=7, dimensions={"QueueName": ""}),
    "long metric": {**ADDRESS, "points": [{"metric": "m" * 257, "value": 1}]},
    "region with a slash": {**_points(value=7), "region": "evil.example/#"},
    "unknown member": _points(value=7, dimension={"QueueName": "images"}),
    "count of nothing": _document(count=0),
    "no points": {**ADDRESS, "points": []},
    "empty array": [],
    "text": "7",
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_what_stands_in_docs_is_current(name: str, tmp_path: Path) -> None:
    write(tmp_path)
    current = (tmp_path / name).read_text(encoding="utf-8")
    assert (DOCS / name).read_text(encoding="utf-8") == current, "run python -m tools.schemas"


@pytest.mark.parametrize("case", GOOD)
def test_schema_and_code_accept(case: str) -> None:
    jsonschema.validate(GOOD[case], SCHEMAS["message.schema.json"]())
    assert _rejections(GOOD[case]) == []


@pytest.mark.parametrize("case", BAD)
def test_schema_and_code_refuse(case: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(BAD[case], SCHEMAS["message.schema.json"]())
    assert len(_rejections(BAD[case])) == 1


# What a JSON Schema cannot say, or can but at the price of being read by nobody.
BEYOND_THE_SCHEMA = {
    *("resource ID that climbs", "not a namespace", "a queue of a namespace"),
    *("service bus that is no namespace", "service bus that is no resource ID"),
    *("empty service bus", "unknown connection", "connection without TLS"),
    *("its own dimension", "its own dimension in another case", "ten dimensions and its own"),
    *("nine dimensions and its own two", "dimension of a subscription", "a dimension of both"),
    *("eleven dimensions of both", "short name of a queue", "long name of a queue"),
    *("two hyphens", "hyphen at the end", "url with a user", "url with a bracket"),
    *("url with a port of letters", "url without TLS", "expression that does not compile"),
    *("items that do not compile", "link that does not compile", "dimension that does not compile"),
    "expression nested without end",
    # JSON Schema lets $ stand before a line end, as Python does.
    *("region with a line end", "every with a line end", "queue with a line end"),
    *(name for name in source_entries.BAD if name.startswith("account https://")),
}


@pytest.mark.parametrize("case", source_entries.GOOD)
def test_the_schema_accepts_good_sources(case: str) -> None:
    jsonschema.validate([source_entries.GOOD[case]] * 2, SCHEMAS["sources.schema.json"]())


def test_no_sources_are_good() -> None:
    jsonschema.validate([], SCHEMAS["sources.schema.json"]())


@pytest.mark.parametrize("case", source_entries.BAD)
def test_the_schema_refuses_bad_sources_as_far_as_it_can(case: str) -> None:
    good = source_entries.GOOD["rest"]
    schema = SCHEMAS["sources.schema.json"]()
    refused = not jsonschema.Draft202012Validator(schema).is_valid(
        [good, source_entries.BAD[case][0]]
    )
    assert refused == (case not in BEYOND_THE_SCHEMA)


def test_what_is_beyond_the_schema_is_a_case() -> None:
    assert source_entries.BAD.keys() >= BEYOND_THE_SCHEMA


def _rejections(message: Any) -> list[str]:
    window = Window(timedelta(minutes=20), timedelta(minutes=4))
    body = json.dumps(message).encode()
    parsed = parse(body, enqueued=NOW, now=NOW, defaults=Address("QueueProcessing"), window=window)
    return [rejection.detail for rejection in parsed.rejections]
