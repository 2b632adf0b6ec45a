"""The outcome table: what the store answers, and where the points of a message are then."""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from local.stack import Backend
from tests.manual_host import ManualHost, manual_host


def message(resource_id: str, *points: dict[str, Any]) -> str:
    return json.dumps({"resourceId": resource_id, "region": "westeurope", "points": list(points)})


def orders(value: float, **members: Any) -> dict[str, Any]:
    return {"metric": "Orders", "value": value, **members}


def mismatch(text: str) -> dict[str, Any]:
    """Return a fault: the store answers once that the resource is in another region."""
    return {
        "status": 400,
        "body": {"error": {"code": "RegionMismatch", "message": text}},
        "next": 1,
    }


async def test_messages_of_one_target_share_posts(host: ManualHost, site: str) -> None:
    host.enqueue(*(message(site, orders(value)) for value in range(30)))
    assert await host.process_queue() == []

    assert host.stored(site) == {"Orders": (sum(range(30)), 30)}
    # The first message goes out at once, the others when it has its answer.
    assert len(host.posts(site)) <= 2


# A fault -> the statuses of the POSTs; the last one publishes.
PUBLISHED: dict[str, tuple[dict[str, Any], list[int | None]]] = {
    **{
        f"retry after {status}": ({"status": status, "next": 2}, [status, status, 200])
        for status in (408, 429, 500, 502, 503, 504)
    },
    "retry after no answer": ({"drop": "before", "next": 1}, [None, 200]),
    "renew the token after 401": ({"status": 401, "next": 1}, [401, 200]),
}


@pytest.mark.parametrize(("fault", "statuses"), PUBLISHED.values(), ids=PUBLISHED)
async def test_published_within_the_invocation(
    host: ManualHost, site: str, fault: dict[str, Any], statuses: list[int | None]
) -> None:
    host.add_fault(**fault)
    host.enqueue(message(site, orders(1)))
    assert await host.process_queue() == []

    assert host.stored(site) == {"Orders": (1, 1)}
    assert [post["status"] for post in host.posts(site)] == statuses
    assert host.queue_length() == 0


NO_IDENTITY = {"statusCode": 400, "message": "Unable to load the proper Managed Identity."}
# A fault -> what the reason of the deferral contains.
DEFERRED: dict[str, tuple[dict[str, Any], str]] = {
    "an outage": ({"status": 503}, "503"),
    "no answer": ({"drop": "before"}, "no answer"),
    "throttled": ({"status": 429, "retryAfter": 60}, "429"),
    "401 again with a new token": ({"status": 401}, "401"),
    "403": ({"status": 403}, "403; grant Monitoring Metrics Publisher on /subscriptions/"),
    "404": ({"status": 404}, "404"),
    "no token": (
        {"target": "identity", "status": 400, "body": NO_IDENTITY},
        "Unable to load the proper Managed Identity",
    ),
    "RegionMismatch with the region in use": (
        mismatch("It does not accept metrics for the resource's region : westeurope "),
        "RegionMismatch",
    ),
}


@pytest.mark.parametrize(("fault", "detail"), DEFERRED.values(), ids=DEFERRED)
async def test_deferred_until_the_fault_is_over(
    host: ManualHost, site: str, fault: dict[str, Any], detail: str
) -> None:
    host.add_fault(**fault)
    host.enqueue(message(site, orders(1)))
    [found] = await host.process_queue()
    assert detail in found
    assert host.queue_length() == 1

    host.clear_faults()
    host.clock.advance(seconds=61)
    assert await host.process_queue() == []
    assert host.stored(site) == {"Orders": (1, 1)}
    assert (host.queue_length(), host.rejections()) == (0, [])


async def test_outage_longer_than_the_time_window_dead_letters_everything(
    host: ManualHost, site: str
) -> None:
    host.enqueue(*(message(site, orders(value)) for value in range(20)))
    host.add_fault(status=503)
    for _ in range(21):  # Minutes.
        await host.process_queue()
        host.clock.advance(minutes=1)
    await host.process_queue()

    assert (host.stored(site), host.queue_length()) == ({}, 0)
    assert [reason for reason, _ in host.rejections()] == ["expired"] * 20
    assert all("last deferred because of: 503" in detail for _, detail in host.rejections())


async def test_only_the_deferred_part_of_a_message_is_put_back(host: ManualHost, site: str) -> None:
    other = f"{site}-other"
    start = host.clock.now()
    invalid = {"metric": "Orders", "value": "three"}
    host.enqueue(message(site, orders(1), orders(2, resourceId=other), invalid))
    host.add_fault(status=404, resourceId=other)
    assert await host.process_queue() == []
    assert host.queue_length() == 1

    host.clock.advance(minutes=3)
    host.clear_faults()
    assert await host.process_queue() == []
    assert host.stored(site) == {"Orders": (1, 1)}
    assert host.stored(other) == {"Orders": (2, 1)}
    # It keeps the time at which its message was enqueued.
    [value] = host.backend.metrics(resourceId=other)
    assert datetime.fromisoformat(value["time"]) - start < timedelta(minutes=1)
    assert [reason for reason, _ in host.rejections()] == ["invalid"]


@pytest.mark.parametrize("culprits", [1, 3])
async def test_rejected_series_are_found_by_halving(
    host: ManualHost, site: str, culprits: int
) -> None:
    size = 500
    rejected = {f"M{number * 137 % size}" for number in range(1, culprits + 1)}
    host.backend.control("PUT", "refused", json={"metrics": sorted(rejected)})
    host.enqueue(message(site, *({"metric": f"M{n}", "value": 1} for n in range(size))))
    assert await host.process_queue() == []

    assert host.stored(site) == {f"M{n}": (1, 1) for n in range(size) if f"M{n}" not in rejected}
    assert len(host.rejections()) == culprits
    assert {reason for reason, _ in host.rejections()} == {"rejected_by_azure"}
    assert all("is not accepted." in detail for _, detail in host.rejections())
    assert len(host.posts(site)) <= culprits * (2 * math.ceil(math.log2(size)) + 2)


async def test_413_halves_a_document_and_dead_letters_a_single_series(
    host: ManualHost, site: str
) -> None:
    host.add_fault(status=413, next=1)
    host.enqueue(message(site, *(orders(1, dimensions={"Shard": str(n)}) for n in range(8))))
    assert await host.process_queue() == []
    assert host.stored(site) == {"Orders": (8, 8)}
    assert [post["status"] for post in host.posts(site)] == [413, 200, 200]

    host.add_fault(status=413)
    host.enqueue(message(site, orders(1)))
    assert await host.process_queue() == []
    assert host.rejections() == [("too_large", "413")]
    assert host.queue_length() == 0


async def test_points_that_expire_during_retries_do_not_hold_back_the_others(
    backend: Backend, queue: str, site: str
) -> None:
    with manual_host(backend, queue, METRICS_PAST_MINUTES="30") as host:
        old = host.clock.now() - timedelta(minutes=29, seconds=55)
        host.add_fault(status=503, retryAfter=15, next=1)
        host.enqueue(message(site, orders(1), orders(2, time=old.isoformat()), orders(4)))
        while host.queue_length():  # A minute of which a part is in the window is put back.
            assert await host.process_queue() == []

        assert host.stored(site) == {"Orders": (5, 2)}
        [(reason, detail)] = host.rejections()
        assert reason == "expired"
        assert "'time' should not be older than 30 minutes" in detail


async def test_points_that_the_clock_of_the_store_finds_too_old_wait_until_they_expire(
    host: ManualHost, site: str
) -> None:
    old = host.clock.now() - timedelta(minutes=18)
    host.backend.control("PUT", "clock", json={"offsetSeconds": 14 * 60})
    host.enqueue(message(site, orders(1), orders(2, time=old.isoformat()), orders(4)))
    assert await host.process_queue() == []
    assert host.stored(site) == {"Orders": (5, 2)}
    assert host.rejections() == []

    host.clock.advance(minutes=3)
    assert await host.process_queue() == []
    [(reason, detail)] = host.rejections()
    assert reason == "expired"
    assert "last deferred because of: 400 BadRequest 'time' should not be older" in detail


async def test_points_ahead_of_the_clock_of_the_store_wait_for_it(
    host: ManualHost, site: str
) -> None:
    soon = host.clock.now() + timedelta(minutes=3)
    host.backend.control("PUT", "clock", json={"offsetSeconds": -3 * 60})
    host.enqueue(message(site, orders(1), orders(2, time=soon.isoformat()), orders(4)))
    assert await host.process_queue() == []
    assert host.stored(site) == {"Orders": (5, 2)}

    host.backend.control("PUT", "clock", json={"offsetSeconds": 0})
    assert await host.process_queue() == []
    assert host.stored(site) == {"Orders": (7, 3)}
    assert host.rejections() == []


async def test_missing_role_is_tried_four_times_a_minute_until_it_is_granted(
    host: ManualHost, site: str
) -> None:
    host.backend.control("PUT", "roles", json={"assignments": []})
    host.enqueue(*(message(site, orders(value)) for value in range(10)))
    for _ in range(24):
        [first, *_] = await host.process_queue()
        host.clock.advance(seconds=10)
    assert first.endswith(f"; grant Monitoring Metrics Publisher on {site}")
    assert len(host.posts(site)) <= 4 * 5

    host.backend.control("PUT", "roles", json={"assignments": [{"scope": site}]})
    for _ in range(2):
        host.clock.advance(seconds=30)
        deferred = await host.process_queue()
    assert deferred == []
    assert host.stored(site) == {"Orders": (45, 10)}
    assert host.rejections() == []


async def test_region_that_the_store_names_is_used_from_then_on(
    host: ManualHost, site: str
) -> None:
    registered = [{"resourceId": site, "region": "northeurope"}]
    host.backend.control("PUT", "resources", json={"resources": registered})
    for value in (1, 2):
        host.enqueue(message(site, orders(value)))
        assert await host.process_queue() == []

    assert host.stored(site) == {"Orders": (3, 2)}
    posts = [(post["region"], post["status"]) for post in host.posts(site)]
    assert posts == [("westeurope", 400), ("northeurope", 200), ("northeurope", 200)]


@pytest.mark.parametrize("as_date", [False, True], ids=["seconds", "date"])
async def test_retry_after_is_obeyed(host: ManualHost, site: str, as_date: bool) -> None:
    start = host.clock.ahead
    later = host.clock.now() + timedelta(seconds=10)
    host.add_fault(
        status=429, retryAfter=format_datetime(later, usegmt=True) if as_date else "10", next=1
    )
    host.enqueue(message(site, orders(1)))
    assert await host.process_queue() == []

    # A date has whole seconds; the wait is up to a tenth longer.
    assert timedelta(seconds=8) <= host.clock.ahead - start <= timedelta(seconds=11)
    assert host.stored(site) == {"Orders": (1, 1)}


async def test_long_retry_after_gives_a_cooldown_to_that_target_only(
    host: ManualHost, site: str
) -> None:
    other = f"{site}-other"
    host.add_fault(status=429, retryAfter=300, resourceId=site)
    host.enqueue(message(site, orders(1)), message(other, orders(2)))
    assert await host.process_queue() == ["429"]
    assert host.stored(other) == {"Orders": (2, 1)}

    host.clear_faults()
    host.clock.advance(seconds=200)
    assert await host.process_queue() == ["429"]
    assert len(host.posts(site)) == 1
    host.clock.advance(seconds=101)
    assert await host.process_queue() == []
    assert host.stored(site) == {"Orders": (1, 1)}


async def test_lost_answer_is_the_one_case_that_counts_twice(host: ManualHost, site: str) -> None:
    host.add_fault(drop="after", next=1)
    host.enqueue(message(site, orders(5)))
    assert await host.process_queue() == []

    # docs/delivery.md says so.
    assert host.stored(site) == {"Orders": (10, 2)}
