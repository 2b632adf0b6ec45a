"""The JSON Schemas in docs/ are current, and agree with the code on what is a message."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from shared.message import Address, parse
from shared.model import Window
from tools.schemas import SCHEMAS, write

DOCS = Path(__file__).parent.parent / "docs"
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


def _rejections(message: Any) -> list[str]:
    window = Window(timedelta(minutes=20), timedelta(minutes=4))
    body = json.dumps(message).encode()
    parsed = parse(body, enqueued=NOW, now=NOW, defaults=Address("QueueProcessing"), window=window)
    return [rejection.detail for rejection in parsed.rejections]
