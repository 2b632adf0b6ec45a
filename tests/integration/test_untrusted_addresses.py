"""Region and resource ID of a message reach a URL that gets a token: hostile ones go nowhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.manual_host import ManualHost

REGIONS = [
    "evil.example/#",
    "evil.example",
    "user@evil.example",
    "evil.example:443/",
    "evil.example\\",
    "westeurope%2f",
    "westeurope/..",
    "westeurope\n",
    "westeurope\r\nHost: evil.example",
    "westeurope?",
    "westeurope\x00",
    "west\u212aeurope",
    "ｗｅｓｔｅｕｒｏｐｅ",
    "{region}",
    "",
    "..",
]
RESOURCE_IDS = [
    "{site}/../../../../..",
    "{site}/metrics?x=",
    "{site}#",
    "{site}/",
    "{site}%2f..",
    "{site}\n",
    "{site} HTTP/1.1\r\nHost: evil.example\r\n",
    "{site}\\..",
    "{site}@evil.example",
    "{site}//evil.example",
    "{site}/．．",
    "{site}\x00",
    ".evil.example{site}",
    "@evil.example{site}",
    ":443@evil.example{site}",
    "/{site}",
    "",
]
POINT = {"metric": "Orders", "value": 1}
SERIES = {"min": 1, "max": 1, "sum": 1, "count": 1}
DOCUMENT = {"data": {"baseData": {"metric": "Orders", "series": [SERIES]}}}
# A message with members that say where its points go.
SHAPES: dict[str, Callable[[dict[str, str], dict[str, str]], dict[str, Any]]] = {
    "points": lambda valid, hostile: {**valid, **hostile, "points": [POINT]},
    "one point": lambda valid, hostile: {**valid, "points": [{**POINT, **hostile}]},
    "document": lambda valid, hostile: {**valid, **hostile, **DOCUMENT},
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
async def test_no_request_and_no_token_for_a_hostile_address(
    host: ManualHost, site: str, shape: Callable[..., dict[str, Any]]
) -> None:
    valid = {"resourceId": site, "region": "westeurope"}
    hostile = [{"region": region} for region in REGIONS]
    hostile += [{"resourceId": resource_id.replace("{site}", site)} for resource_id in RESOURCE_IDS]
    for start in range(0, len(hostile), 30):  # A receive or a peek returns 32 messages.
        host.enqueue(*(json.dumps(shape(valid, one)) for one in hostile[start : start + 30]))
        assert await host.process_queue() == []
    requests = host.backend.control("GET", "requests")
    assert (requests["totals"], requests["armTotals"], requests["identityTotals"]) == ({}, {}, {})
    assert len(host.dead_letters()) == len(hostile)
    assert {one["reason"] for one in host.dead_letters()} == {"invalid"}
