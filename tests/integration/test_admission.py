"""What points pass before they are published: allowed scopes, their region, the series limit."""

from __future__ import annotations

import json
from typing import Any

from local.stack import Backend
from tests.manual_host import ManualHost, manual_host

GROUP = "/subscriptions/5b1fd1f4-2a3c-4f0e-9d53-0f8b6d3f5a10/resourceGroups/shop"
SITES = f"{GROUP}/providers/Microsoft.Web/sites"


def message(*resource_ids: str, **members: Any) -> str:
    """Return a message with a point for each resource, without a region."""
    points = [{"metric": "Orders", "value": 1, "resourceId": one} for one in resource_ids]
    return json.dumps({"points": points, **members})


def register(host: ManualHost, regions: dict[str, str]) -> None:
    """Make resources known to Azure Resource Manager, by resource ID."""
    resources = [{"resourceId": one, "region": region} for one, region in regions.items()]
    host.backend.control("PUT", "resources", json={"resources": resources})


def stored_regions(host: ManualHost, *resource_ids: str) -> dict[str, str]:
    """Return the region in which the store holds the metrics of each resource."""
    return {
        one: value["region"]
        for one in resource_ids
        for value in host.backend.metrics(resourceId=one)
    }


def lookups(host: ManualHost) -> list[str]:
    """Return the paths of the requests to Azure Resource Manager."""
    return [request["path"] for request in host.backend.control("GET", "requests")["armRequests"]]


async def test_regions_of_five_resources_cost_one_request_for_each_type(host: ManualHost) -> None:
    sites = {
        f"{SITES}/a": "westeurope",
        f"{SITES}/b": "northeurope",
        f"{SITES}/c": "westeurope",
        f"{SITES}/d": "eastus",
    }
    server = f"{GROUP}/providers/Microsoft.Sql/servers/main"
    database = f"{server}/databases/shop"  # In the region of its server.
    register(host, {**sites, server: "eastus"})
    host.enqueue(message(*sites, database), message(*sites), message(f"{SITES}/a".upper()))
    assert await host.process_queue() == []

    assert stored_regions(host, *sites, database) == {**sites, database: "eastus"}
    assert host.stored(f"{SITES}/a") == {"Orders": (3, 3)}
    assert sorted(lookups(host)) == [f"{GROUP}/resources".lower()] * 2


async def test_resource_that_stays_unknown_is_dead_lettered_with_the_reason(
    host: ManualHost,
) -> None:
    known, unknown = f"{SITES}/known", f"{SITES}/unknown"
    register(host, {known: "westeurope"})
    host.enqueue(message(known, unknown))
    assert await host.process_queue() == []
    for _ in range(5):
        [detail] = await host.process_queue()
        assert unknown.lower() in detail
        host.clock.advance(minutes=4)
    host.clock.advance(minutes=1)
    assert await host.process_queue() == []

    assert host.stored(known) == {"Orders": (1, 1)}
    [(reason, detail)] = host.rejections()
    assert reason == "expired"
    assert "last deferred because of: " in detail
    assert "lacks Reader on it" in detail


async def test_resource_that_appears_is_found_a_minute_later(host: ManualHost) -> None:
    new = f"{SITES}/new"
    host.enqueue(message(new))
    assert len(await host.process_queue()) == 1
    register(host, {new: "northeurope"})
    assert len(await host.process_queue()) == 1
    host.clock.advance(seconds=61)
    assert await host.process_queue() == []
    assert stored_regions(host, new) == {new: "northeurope"}


async def test_missing_reader_role_defers_until_it_is_granted(host: ManualHost, site: str) -> None:
    register(host, {site: "northeurope"})
    publisher = {"scope": site}
    host.backend.control("PUT", "roles", json={"assignments": [publisher]})
    host.enqueue(message(site))
    [detail] = await host.process_queue()
    assert "403" in detail
    assert "grant the app's identity Reader" in detail

    reader = {"scope": GROUP, "role": "Reader"}
    host.backend.control("PUT", "roles", json={"assignments": [publisher, reader]})
    host.clock.advance(seconds=61)
    assert await host.process_queue() == []
    assert host.stored(site) == {"Orders": (1, 1)}


async def test_default_resource_is_in_the_default_region(
    backend: Backend, queue: str, site: str
) -> None:
    own = f"{site}-own"
    settings = {"METRICS_RESOURCE_ID": own, "METRICS_REGION": "uksouth"}
    with manual_host(backend, queue, **settings) as host:
        register(host, {site: "northeurope"})
        host.enqueue(json.dumps({"points": [{"metric": "Orders", "value": 1}]}), message(site))
        assert await host.process_queue() == []
        assert stored_regions(host, own, site) == {own: "uksouth", site: "northeurope"}
        assert len(lookups(host)) == 1


async def test_resource_that_was_moved_is_looked_up_again(host: ManualHost, site: str) -> None:
    register(host, {site: "northeurope"})
    host.enqueue(message(site))
    assert await host.process_queue() == []
    register(host, {site: "eastus"})
    host.clock.advance(seconds=6)
    answer = {"error": {"code": "RegionMismatch", "message": "It is not here."}}
    host.add_fault(status=400, body=answer, next=1, resourceId=site)
    host.enqueue(message(site))
    assert await host.process_queue() == []

    posts = [post["region"] for post in host.posts(site)]
    assert posts == ["northeurope", "northeurope", "eastus"]
    assert host.stored(site) == {"Orders": (2, 2)}
    assert len(lookups(host)) == 2


async def test_resource_outside_the_allowed_scopes_is_dead_lettered_unasked(
    backend: Backend, queue: str, site: str
) -> None:
    outside = f"{GROUP}2/providers/Microsoft.Web/sites/shop"
    with manual_host(backend, queue, METRICS_ALLOWED_SCOPES=f"{GROUP}/") as host:
        register(host, {site: "northeurope"})
        host.enqueue(message(site, outside), message(outside, region="westeurope"))
        assert await host.process_queue() == []

        assert host.stored(site) == {"Orders": (1, 1)}
        detail = f"{outside} is outside METRICS_ALLOWED_SCOPES"
        assert host.rejections() == [("forbidden_scope", detail)] * 2
        assert host.posts(outside) == []
        assert len(lookups(host)) == 1


async def test_new_series_beyond_the_limit_are_dead_lettered_until_one_is_inactive(
    backend: Backend, queue: str, site: str
) -> None:
    with manual_host(backend, queue, METRICS_MAX_ACTIVE_SERIES="3") as host:

        def points(*metrics: str) -> str:
            now = host.clock.now().isoformat()
            series = [{"metric": metric, "value": 1, "time": now} for metric in metrics]
            return json.dumps({"resourceId": site, "region": "eastus", "points": series})

        host.enqueue(points("a", "b", "c"))
        assert await host.process_queue() == []
        host.enqueue(points("a", "d", "c"))
        assert await host.process_queue() == []
        assert host.stored(site) == {"a": (2, 2), "b": (1, 1), "c": (2, 2)}
        [(reason, detail)] = host.rejections()
        assert reason == "cardinality"
        assert detail.startswith("active series limit reached: 3 in subscription ")

        host.clock.advance(hours=13)
        host.enqueue(points("d"))
        assert await host.process_queue() == []
        assert host.stored(site)["d"] == (1, 1)
