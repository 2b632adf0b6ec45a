"""From message to store where nobody names a region, a fence stands, or there are too many series.

Queue, ARM, identity and store are real or the emulator's; time is the test's (see crank).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from crank import Crank, cranked

from local.stack import Backend

SUBSCRIPTION = "/subscriptions/5b1fd1f4-2a3c-4f0e-9d53-0f8b6d3f5a10"
GROUP = f"{SUBSCRIPTION}/resourceGroups/shop"
WEB = f"{GROUP}/providers/Microsoft.Web/sites"
SQL = f"{GROUP}/providers/Microsoft.Sql/servers/main"


@pytest.fixture
def crank(backend: Backend, queue: str) -> Iterator[Crank]:
    with cranked(backend, queue) as crank:
        yield crank


def message(*resources: str, **members: Any) -> str:
    """A point of each resource, without a region."""
    points = [{"metric": "Orders", "value": 1, "resourceId": each} for each in resources]
    return json.dumps({"points": points, **members})


def register(crank: Crank, **regions: str) -> list[str]:
    """Make sites known to ARM; their resource IDs."""
    resources = [{"resourceId": f"{WEB}/{name}", "region": at} for name, at in regions.items()]
    crank.backend.control("PUT", "resources", json={"resources": resources})
    return [each["resourceId"] for each in resources]


def regions_of(crank: Crank, *resources: str) -> dict[str, str]:
    """Where the store holds the metrics of each of these resources."""
    return {
        value["resourceId"]: value["region"]
        for each in resources
        for value in crank.backend.metrics(resourceId=each)
    }


def look_ups(crank: Crank) -> list[str]:
    """The paths that ARM was asked for."""
    requests = crank.backend.control("GET", "requests")["armRequests"]
    return [request["path"] for request in requests]


async def test_five_resources_in_three_regions_and_no_region_in_any_message(crank: Crank) -> None:
    regions = {"a": "westeurope", "b": "northeurope", "c": "westeurope", "d": "eastus"}
    resources = [{"resourceId": f"{WEB}/{name}", "region": at} for name, at in regions.items()]
    resources.append({"resourceId": SQL, "region": "eastus"})
    crank.backend.control("PUT", "resources", json={"resources": resources})
    database = f"{SQL}/databases/shop"
    sites = [each["resourceId"] for each in resources[:-1]]
    crank.send(message(*sites, database), message(*reversed(sites)), message(sites[0].upper()))
    assert await crank.turn() == []

    stored = regions_of(crank, *sites, database)
    assert stored == {**dict(zip(sites, regions.values(), strict=True)), database: "eastus"}
    assert crank.stored(sites[0]) == {"Orders": (3, 3)}
    # One request for the sites, one for the servers, whatever the number of messages.
    assert sorted(look_ups(crank)) == [f"{GROUP}/resources".lower()] * 2


async def test_a_resource_that_arm_does_not_know_waits_and_expires_with_the_reason(
    crank: Crank,
) -> None:
    (known,) = register(crank, known="westeurope")
    crank.send(message(known, f"{WEB}/unknown"))
    assert await crank.turn() == []  # The known one is published, the other put back.
    for _ in range(4):
        [detail] = await crank.turn()
        crank.clock.advance(minutes=4)
    assert f"{WEB}/unknown".lower() in detail
    crank.clock.advance(minutes=5)
    assert await crank.turn() == []

    assert crank.stored(known) == {"Orders": (1, 1)}
    [(reason, text)] = crank.refused()
    assert reason == "expired"
    assert "old, at most 1200 s; held up by: " in text
    assert "lacks Reader on it" in text


async def test_a_resource_that_appears_is_found(crank: Crank) -> None:
    register(crank, known="westeurope")
    crank.send(message(f"{WEB}/new"))
    assert len(await crank.turn()) == 1
    register(crank, known="westeurope", new="northeurope")
    assert len(await crank.turn()) == 1  # What ARM said is kept for a minute.
    crank.clock.advance(seconds=61)
    assert await crank.turn() == []

    assert crank.stored(f"{WEB}/new") == {"Orders": (1, 1)}


async def test_without_reader_the_points_wait_and_the_role_is_named(crank: Crank) -> None:
    (site,) = register(crank, shop="northeurope")
    crank.backend.control("PUT", "roles", json={"assignments": [{"scope": site}]})
    crank.send(message(site))
    [detail] = await crank.turn()
    assert "403" in detail
    assert "Reader" in detail
    everything = [{"scope": "/"}, {"scope": GROUP, "role": "Reader"}]
    crank.backend.control("PUT", "roles", json={"assignments": everything})
    crank.clock.advance(seconds=61)
    assert await crank.turn() == []
    assert crank.stored(site) == {"Orders": (1, 1)}


async def test_the_default_resource_is_in_the_default_region(backend: Backend, queue: str) -> None:
    settings = {"METRICS_RESOURCE_ID": f"{WEB}/own", "METRICS_REGION": "uksouth"}
    with cranked(backend, queue, **settings) as crank:
        (site,) = register(crank, shop="northeurope")
        crank.send(json.dumps({"points": [{"metric": "Orders", "value": 1}]}), message(site))
        assert await crank.turn() == []
        own = f"{WEB}/own"
        assert regions_of(crank, own, site) == {own: "uksouth", site: "northeurope"}
        assert len(look_ups(crank)) == 1


async def test_a_resource_that_was_moved_is_looked_up_anew(crank: Crank) -> None:
    (site,) = register(crank, shop="northeurope")
    crank.send(message(site))
    assert await crank.turn() == []
    register(crank, shop="eastus")
    crank.clock.advance(seconds=6)  # What was listed a moment ago is not listed again.
    mismatch = {"error": {"code": "RegionMismatch", "message": "It is not here."}}
    fault = {"status": 400, "body": mismatch, "next": 1, "resourceId": site}
    crank.backend.control("POST", "faults", json=fault)
    crank.send(message(site))
    assert await crank.turn() == []

    assert [post["region"] for post in crank.posts(site)] == [
        "northeurope",
        "northeurope",
        "eastus",
    ]
    assert crank.stored(site) == {"Orders": (2, 2)}
    assert len(look_ups(crank)) == 2


async def test_what_is_outside_the_fence_is_dead_lettered_and_nothing_asked(
    backend: Backend, queue: str
) -> None:
    with cranked(backend, queue, METRICS_ALLOWED_SCOPES=f"{GROUP}/") as crank:
        (site,) = register(crank, shop="northeurope")
        outside = f"{GROUP}2/providers/Microsoft.Web/sites/shop"
        crank.send(message(site, outside), message(outside, region="westeurope"))
        assert await crank.turn() == []

        assert crank.stored(site) == {"Orders": (1, 1)}
        text = f"{outside} is outside METRICS_ALLOWED_SCOPES"
        assert crank.refused() == [("forbidden_scope", text)] * 2
        assert crank.posts(outside) == []
        assert len(look_ups(crank)) == 1


async def test_one_series_too_many_is_dead_lettered_and_known_ones_go_on(
    backend: Backend, queue: str, site: str
) -> None:
    with cranked(backend, queue, METRICS_MAX_ACTIVE_SERIES="3") as crank:

        def points(*names: str) -> str:
            now = crank.clock.now().isoformat()
            series = [{"metric": name, "value": 1, "time": now} for name in names]
            return json.dumps({"resourceId": site, "region": "eastus", "points": series})

        crank.send(points("a", "b", "c"))
        assert await crank.turn() == []
        crank.send(points("a", "d", "c"))
        assert await crank.turn() == []
        assert crank.stored(site) == {"a": (2, 2), "b": (1, 1), "c": (2, 2)}
        [(reason, detail)] = crank.refused()
        assert reason == "cardinality"
        assert "3 are active in subscription" in detail

        crank.clock.advance(hours=13)
        crank.send(points("d"))
        assert await crank.turn() == []
        assert crank.stored(site)["d"] == (1, 1)
