"""Random messages and faults: every value ends in the store or in the dead-letter queue, once."""

from __future__ import annotations

import base64
import json
import random
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from local.stack import Backend
from tests.manual_host import ManualHost, manual_host

GROUP = "/subscriptions/5b1fd1f4-2a3c-4f0e-9d53-0f8b6d3f5a10/resourceGroups/shop"
SITES = [f"{GROUP}/providers/Microsoft.Web/sites/{number}" for number in range(5)]
FORBIDDEN = f"{GROUP}2/providers/Microsoft.Web/sites/0"
REGIONS = ("westeurope", "northeurope")
# None of them publishes and says otherwise.
FAULTS: list[dict[str, Any]] = [
    {"status": 400, "body": {"error": {"code": "RegionMismatch", "message": "Not here."}}},
    {"status": 400, "body": {"error": {"code": "BadRequest", "message": "Not now."}}},
    *({"status": status} for status in (401, 403, 404, 408, 413, 429, 500, 503)),
    {"status": 429, "retryAfter": 90},
    {"drop": "before"},
    {"target": "identity", "status": 400},  # MSAL keeps a 5xx for a minute by its own clock.
    {"target": "arm", "status": 503},
]


Totals = Counter[tuple[str, str]]
"""Count and sum of the values, by the dimension `Id` and "count" or "sum"."""


def count_of(point: dict[str, Any]) -> int:
    return int(point.get("count", len(point.get("values", "1"))))


def sum_of(point: dict[str, Any]) -> int:
    return int(point.get("sum", point.get("value", sum(point.get("values", ())))))


def add(totals: Totals, name: str, count: int, total: float) -> None:
    totals[name, "count"] += count
    totals[name, "sum"] += int(total)


class Producer:
    """Writes random messages; remembers what they hold."""

    def __init__(self, host: ManualHost, chance: random.Random) -> None:
        self._host = host
        self._chance = chance
        self._names: list[str] = []
        self.totals = Totals()

    def message(self) -> str:
        documents = [
            self._chance.choice((self._points, self._document))()
            for _ in range(self._chance.choice((1, 1, 3)))
        ]
        texts = [json.dumps(document) for document in documents]
        text = self._chance.choice((f"[{','.join(texts)}]", "\n".join(texts)))
        if self._chance.random() < 0.2:
            return base64.b64encode(text.encode()).decode()
        return text

    def _address(self) -> dict[str, str]:
        resource_id = self._chance.choice([*SITES * 4, FORBIDDEN])
        region = self._chance.choice([*REGIONS, None])
        return {"resourceId": resource_id} | ({"region": region} if region else {})

    def _time(self) -> str:
        age = timedelta(minutes=self._chance.choice((0, 0, 0, 1, 10, 25)))
        return (self._host.clock.now() - age).isoformat()

    def _name(self) -> str:
        """Return a new ID, or a recent one, whose values are added up then."""
        new = str(len(self._names))
        chosen = self._chance.choice([new, new, *self._names[-3:]])
        self._names.append(new)
        return chosen

    def _points(self) -> dict[str, Any]:
        points = [self._point() for _ in range(self._chance.randint(1, 8))]
        return {**self._address(), "points": points}

    def _point(self) -> dict[str, Any]:
        point: dict[str, Any] = {
            "metric": self._chance.choice(("Orders", "Orders", "Refused")),
            "dimensions": {"Id": self._name()},
            **self._chance.choice(
                ({"value": 1}, {"values": [1, 2]}, {"min": 1, "max": 2, "sum": 4, "count": 3})
            ),
        }
        add(self.totals, point["dimensions"]["Id"], count_of(point), sum_of(point))
        if self._chance.random() < 0.5:
            point["time"] = self._time()
        if self._chance.random() < 0.2:
            point.update(self._address())
        if self._chance.random() < 0.05:
            point["typo"] = 1
        return point

    def _document(self) -> dict[str, Any]:
        series: list[dict[str, Any]] = [
            {"dimValues": [self._name()], "min": 1, "max": 2, "sum": 3, "count": 2}
            for _ in range(self._chance.randint(1, 4))
        ]
        for one in series:
            add(self.totals, one["dimValues"][0], 2, 3)
        if self._chance.random() < 0.1:
            series[0]["min"] = "one"
        base = {"metric": "Depth", "namespace": "N", "dimNames": ["Id"], "series": series}
        return {**self._address(), "time": self._time(), "data": {"baseData": base}}


def stored(host: ManualHost) -> Totals:
    totals = Totals()
    for value in host.backend.metrics():
        add(totals, value["dimensions"]["Id"], value["count"], value["sum"])
    return totals


def dead_lettered(host: ManualHost) -> Totals:
    totals = Totals()
    for dead_letter in host.dead_letters():
        for entry in dead_letter["refused"]:
            found = entry["message"]
            for document in found if isinstance(found, list) else [found]:
                for point in document.get("points", ()):
                    add(totals, point["dimensions"]["Id"], count_of(point), sum_of(point))
                base = document.get("data", {}).get("baseData", {"series": ()})
                for one in base["series"]:
                    add(totals, one["dimValues"][0], one["count"], one["sum"])
    return totals


@pytest.mark.parametrize("seed", range(5))
async def test_every_value_is_published_once_or_dead_lettered_once(
    backend: Backend, queue: str, seed: int
) -> None:
    chance = random.Random(seed)
    with manual_host(backend, queue, METRICS_ALLOWED_SCOPES=GROUP) as host:
        resources = [{"resourceId": one, "region": chance.choice(REGIONS)} for one in SITES]
        backend.control("PUT", "resources", json={"resources": resources})
        backend.control("PUT", "refused", json={"metrics": ["Refused"]})
        producer = Producer(host, chance)
        for _ in range(10):
            host.enqueue(*(producer.message() for _ in range(3)))
            for fault in chance.sample(FAULTS, 3):
                host.add_fault(**fault, share=0.3, seed=chance.randrange(1000))
            await host.process_queue()
            host.clock.advance(seconds=chance.choice((1, 20, 70)))
            host.clear_faults()
        for _ in range(20):  # Minutes, so that what is still deferred then has expired.
            await host.process_queue()
            host.clock.advance(minutes=1)

        assert host.queue_length() == 0
        published, rejected = stored(host), dead_lettered(host)
        assert published
        assert rejected
        assert published + rejected == producer.totals
