"""Every row of the outcome table, through a real queue, a real session and the emulator."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from crank import Crank, cranked

from local.stack import Backend


@pytest.fixture
def crank(backend: Backend, queue: str) -> Iterator[Crank]:
    with cranked(backend, queue) as turning:
        yield turning


def _message(site: str, *points: dict[str, Any], region: str = "westeurope") -> str:
    return json.dumps({"resourceId": site, "region": region, "points": list(points)})


def _orders(value: float, **members: Any) -> dict[str, Any]:
    return {"metric": "Orders", "value": value, **members}


def _fault(backend: Backend, **fault: Any) -> None:
    backend.control("POST", "faults", json=fault)


async def test_an_outage_shorter_than_the_window_loses_nothing(crank: Crank, site: str) -> None:
    crank.send(*(_message(site, _orders(value)) for value in range(20)))
    _fault(crank.backend, drop="before")
    assert len(await crank.turn()) == 20
    crank.clock.advance(minutes=10)
    assert len(await crank.turn()) == 20

    crank.backend.control("DELETE", "faults")
    crank.clock.advance(minutes=5)
    assert await crank.turn() == []

    assert crank.stored(site) == {"Orders": (190, 20)}
    assert crank.waiting() == 0
    assert crank.refused() == []


async def test_after_an_outage_longer_than_the_window_all_is_dead_lettered(
    crank: Crank, site: str
) -> None:
    crank.send(*(_message(site, _orders(value)) for value in range(20)))
    _fault(crank.backend, status=503)
    turns = 0
    while crank.waiting():
        await crank.turn()
        crank.clock.advance(minutes=1)
        turns += 1
        assert turns <= 25, "it goes on for ever"

    assert crank.stored(site) == {}
    assert [reason for reason, _ in crank.refused()] == ["expired"] * 20


async def test_only_what_could_not_be_published_goes_back(crank: Crank, site: str) -> None:
    other = f"{site}-other"
    start = crank.clock.now().replace(second=0, microsecond=0)
    crank.send(
        _message(
            site,
            _orders(1),
            _orders(2, resourceId=other),
            {"metric": "Orders", "value": "three"},
        )
    )
    _fault(crank.backend, status=404, resourceId=other)
    assert await crank.turn() == []  # Settled, as far as its old message goes.
    assert crank.waiting() == 1
    crank.clock.advance(minutes=3)
    crank.backend.control("DELETE", "faults")
    assert await crank.turn() == []

    assert crank.stored(site) == {"Orders": (1, 1)}
    assert crank.stored(other) == {"Orders": (2, 1)}
    [value] = crank.backend.metrics(resourceId=other)
    assert value["time"] in {_iso(start), _iso(start + timedelta(minutes=1))}
    assert crank.waiting() == 0
    assert [reason for reason, _ in crank.refused()] == ["invalid"]


def _iso(time: Any) -> str:
    return str(time.strftime("%Y-%m-%dT%H:%M:%SZ"))


@pytest.mark.parametrize("culprits", [1, 3])
async def test_culprits_are_found_by_halving(crank: Crank, site: str, culprits: int) -> None:
    size = 500
    poisons = {f"M{number * 137 % size}" for number in range(1, culprits + 1)}
    crank.backend.control("PUT", "refused", json={"metrics": sorted(poisons)})
    points = [{"metric": f"M{number}", "value": 1} for number in range(size)]
    crank.send(_message(site, *points))
    assert await crank.turn() == []

    stored = crank.stored(site)
    assert set(stored.values()) == {(1, 1)}
    assert len(stored) == size - culprits
    assert not poisons & set(stored)
    refused = crank.refused()
    assert len(refused) == culprits
    assert all(reason == "rejected_by_azure" for reason, _ in refused)
    assert all("is not accepted." in detail for _, detail in refused)
    posts = len(crank.posts(site))
    print(f"{culprits} of {size} refused: {posts} POSTs")
    assert posts <= culprits * (2 * math.ceil(math.log2(size)) + 2)


async def test_series_of_one_document_are_told_apart_too(crank: Crank, site: str) -> None:
    # They share metric, minute and names, and so a document; the store refuses one of them.
    points = [_orders(1, dimensions={"Shard": str(number)}) for number in range(8)]
    _fault(crank.backend, status=413, next=1)
    crank.send(_message(site, *points))
    assert await crank.turn() == []

    assert crank.stored(site) == {"Orders": (8, 8)}
    assert [post["status"] for post in crank.posts(site)] == [413, 200, 200]


async def test_a_series_that_is_too_large_by_itself(crank: Crank, site: str) -> None:
    _fault(crank.backend, status=413)
    crank.send(_message(site, _orders(1)))
    assert await crank.turn() == []

    assert crank.refused() == [("too_large", "413")]
    assert crank.waiting() == 0


async def test_points_that_expire_on_the_way_do_not_hold_back_the_others(
    backend: Backend, queue: str, site: str
) -> None:
    with cranked(backend, queue, METRICS_PAST_MINUTES="30") as crank:
        old = crank.clock.now() - timedelta(minutes=29, seconds=55)
        _fault(backend, status=503, retryAfter=15, next=1)
        crank.send(_message(site, _orders(1), _orders(2, time=old.isoformat()), _orders(4)))
        assert await crank.turn() == []

        assert crank.stored(site) == {"Orders": (5, 2)}
        [(reason, detail)] = crank.refused()
        assert reason == "expired"
        assert "'time' should not be older than 30 minutes" in detail
        assert [post["status"] for post in crank.posts(site)] == [503, 400, 200]


async def test_points_that_are_too_old_by_the_clock_of_the_store_alone(
    crank: Crank, site: str
) -> None:
    old = crank.clock.now() - timedelta(minutes=18)
    crank.backend.control("PUT", "clock", json={"offsetSeconds": 14 * 60})
    crank.send(_message(site, _orders(1), _orders(2, time=old.isoformat()), _orders(4)))
    assert await crank.turn() == []

    assert crank.stored(site) == {"Orders": (5, 2)}
    assert [reason for reason, _ in crank.refused()] == ["expired"]


async def test_a_role_that_is_missing_and_then_granted(crank: Crank, site: str) -> None:
    crank.backend.control("PUT", "roles", json={"assignments": []})
    crank.send(*(_message(site, _orders(value)) for value in range(10)))
    for _ in range(24):  # Four minutes; a message comes back by and by.
        [first, *_] = await crank.turn()
        crank.clock.advance(seconds=10)
    assert first.endswith(f"; grant Monitoring Metrics Publisher on {site}")
    refused = len(crank.posts(site))
    print(f"{refused / 4:.1f} POSTs a minute while the role is missing")
    assert refused <= 4 * 5

    crank.backend.control("PUT", "roles", json={"assignments": [{"scope": site}]})
    for _ in range(2):  # Within a minute.
        crank.clock.advance(seconds=30)
        deferred = await crank.turn()
    assert deferred == []
    assert crank.stored(site) == {"Orders": (45, 10)}
    assert crank.refused() == []


async def test_the_right_region_is_learnt(crank: Crank, site: str) -> None:
    registered = [{"resourceId": site, "region": "northeurope"}]
    crank.backend.control("PUT", "resources", json={"resources": registered})
    crank.send(_message(site, _orders(1)))
    assert await crank.turn() == []
    crank.send(_message(site, _orders(2)))
    assert await crank.turn() == []

    assert crank.stored(site) == {"Orders": (3, 2)}
    posts = [(post["region"], post["status"]) for post in crank.posts(site)]
    assert posts == [("westeurope", 400), ("northeurope", 200), ("northeurope", 200)]


async def test_a_region_mismatch_that_names_the_region_in_use_is_survived(
    crank: Crank, site: str
) -> None:
    message = (
        "This endpoint : westeurope does not accept metrics for the resource's region : westeurope "
    )
    body = {"error": {"code": "RegionMismatch", "message": message}}
    _fault(crank.backend, status=400, body=body, next=1)
    crank.send(_message(site, _orders(1)))
    assert len(await crank.turn()) == 1
    crank.clock.advance(seconds=30)
    assert await crank.turn() == []

    assert crank.stored(site) == {"Orders": (1, 1)}


async def test_a_resource_that_is_not_there_yet(crank: Crank, site: str) -> None:
    _fault(crank.backend, status=404)
    crank.send(_message(site, _orders(1)))
    assert await crank.turn() == ["404"]
    crank.backend.control("DELETE", "faults")
    crank.clock.advance(seconds=30)
    assert await crank.turn() == []

    assert crank.stored(site) == {"Orders": (1, 1)}


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_what_may_pass_is_tried_again_within_the_invocation(
    crank: Crank, site: str, status: int
) -> None:
    _fault(crank.backend, status=status, next=2)
    crank.send(_message(site, _orders(1)))
    assert await crank.turn() == []

    assert crank.stored(site) == {"Orders": (1, 1)}
    assert [post["status"] for post in crank.posts(site)] == [status, status, 200]


@pytest.mark.parametrize("as_date", [False, True], ids=["seconds", "date"])
async def test_retry_after_is_obeyed(crank: Crank, site: str, as_date: bool) -> None:
    later = crank.clock.now() + timedelta(seconds=10)
    asked = format_datetime(later, usegmt=True) if as_date else "10"
    _fault(crank.backend, status=429, retryAfter=asked, next=1)
    crank.send(_message(site, _orders(1)))
    start = crank.clock.ahead
    assert await crank.turn() == []

    assert crank.clock.ahead - start <= timedelta(seconds=11)
    assert crank.clock.now() >= later - timedelta(seconds=1)  # A date has whole seconds.
    assert crank.stored(site) == {"Orders": (1, 1)}


async def test_a_long_retry_after_leaves_the_lane_alone_and_no_other(
    crank: Crank, site: str
) -> None:
    other = f"{site}-other"
    _fault(crank.backend, status=429, retryAfter=300, resourceId=site)
    crank.send(_message(site, _orders(1)), _message(other, _orders(2)))
    assert await crank.turn() == ["429"]
    assert crank.stored(other) == {"Orders": (2, 1)}
    crank.backend.control("DELETE", "faults")
    crank.clock.advance(seconds=200)
    assert await crank.turn() == ["429"]
    assert len(crank.posts(site)) == 1
    crank.clock.advance(seconds=101)
    assert await crank.turn() == []

    assert crank.stored(site) == {"Orders": (1, 1)}


async def test_a_refused_token_is_replaced_once_then_deferred(crank: Crank, site: str) -> None:
    _fault(crank.backend, status=401, next=1)
    crank.send(_message(site, _orders(1)))
    assert await crank.turn() == []
    _fault(crank.backend, status=401, next=2)
    crank.send(_message(site, _orders(2)))
    assert await crank.turn() == ["401"]
    crank.clock.advance(seconds=30)
    assert await crank.turn() == []

    assert crank.stored(site) == {"Orders": (3, 2)}


async def test_no_token_is_no_loss(crank: Crank, site: str) -> None:
    body = {"statusCode": 400, "message": "Unable to load the proper Managed Identity."}
    _fault(crank.backend, target="identity", status=400, body=body)
    crank.send(_message(site, _orders(1)))
    [detail] = await crank.turn()
    assert detail.startswith("no answer NoToken ManagedIdentityCredential")
    assert "Unable to load the proper Managed Identity" in detail
    crank.backend.control("DELETE", "faults")
    crank.clock.advance(seconds=30)
    assert await crank.turn() == []

    assert crank.stored(site) == {"Orders": (1, 1)}


async def test_a_lost_answer_is_the_one_case_that_counts_twice(crank: Crank, site: str) -> None:
    _fault(crank.backend, drop="after", next=1)
    crank.send(_message(site, _orders(5)))
    assert await crank.turn() == []

    # The store accepted it and nobody could know: docs/delivery.md says so.
    assert crank.stored(site) == {"Orders": (10, 2)}
    [value] = crank.backend.metrics(resourceId=site)
    assert (value["min"], value["max"]) == (5, 5)
