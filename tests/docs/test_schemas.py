"""The JSON Schemas in docs/ are current, and agree with the code on messages and sources."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from shared.messages.parser import MessageParser
from shared.messages.validation import Defaults
from shared.model import TimeWindow
from tests.docs.schemas import SCHEMAS, write
from tests.unit.sources.entries import INVALID, VALID

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
    "null": {
        **_points(value=7, values=None, min=None, dimensions=None, time=None, region=None),
        "namespace": None,
    },
    "document with null": {**_document(dimValues=None), "time": None},
    "array": [_points(value=7), _document()],
}
BAD: dict[str, Any] = {
    "no value": _points(),
    "null for a value": _points(value=None),
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
    assert (DOCS / name).read_text(encoding="utf-8") == current, "run python -m tests.docs.schemas"


@pytest.mark.parametrize("case", GOOD)
def test_schema_and_code_accept(case: str) -> None:
    jsonschema.validate(GOOD[case], SCHEMAS["message.schema.json"]())
    assert _rejections(GOOD[case]) == []


@pytest.mark.parametrize("case", BAD)
def test_schema_and_code_refuse(case: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(BAD[case], SCHEMAS["message.schema.json"]())
    assert len(_rejections(BAD[case])) == 1


# What a JSON Schema cannot say, or can but only in a form that is hard to read.
BEYOND_THE_SCHEMA = {
    *("not a namespace", "queue of a namespace", "empty service bus"),
    *("unknown connection", "connection without TLS", "url with a user", "url without TLS"),
    *("dimensions and the kind's own", "dimensions and its own two"),
    *("dimension of the kind", "dimension of both"),
    *("short name", "long name", "two hyphens", "hyphen at the end"),
    *("invalid metric", "invalid items", "invalid link", "invalid dimension", "nested expression"),
    "account of tables in a DNS zone",
    # JSON Schema lets $ stand before a line end, as Python does.
    *("region with a newline", "every '5m\\n'", "queue 'orders\\n'"),
    *(name for name in INVALID if name.startswith("account 'https://")),
}


@pytest.mark.parametrize("case", VALID)
def test_the_schema_accepts_good_sources(case: str) -> None:
    jsonschema.validate([VALID[case]] * 2, SCHEMAS["sources.schema.json"]())


def test_no_sources_are_good() -> None:
    jsonschema.validate([], SCHEMAS["sources.schema.json"]())


@pytest.mark.parametrize("case", INVALID)
def test_the_schema_refuses_bad_sources_as_far_as_it_can(case: str) -> None:
    schema = SCHEMAS["sources.schema.json"]()
    sources = [VALID["rest with everything"], INVALID[case][0]]
    refused = not jsonschema.Draft202012Validator(schema).is_valid(sources)
    assert refused == (case not in BEYOND_THE_SCHEMA)


def test_what_is_beyond_the_schema_is_a_case() -> None:
    assert INVALID.keys() >= BEYOND_THE_SCHEMA


def _rejections(message: Any) -> list[str]:
    window = TimeWindow(timedelta(minutes=20), timedelta(minutes=4))
    parser = MessageParser(Defaults("QueueProcessing"), window)
    parsed = parser.parse(json.dumps(message).encode(), enqueued=NOW, now=NOW)
    return [rejection.detail for rejection in parsed.rejections]
