"""Regions: named, default, looked up, corrected; how often ARM is asked, and what it may answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.errors import DeadlineError, RegionError, SourceError
from shared.model import Target
from shared.pipeline import regions as module
from shared.pipeline.regions import LOOKUP_TTL, MIN_LOOKUP_AGE, Regions
from tests.unit.pipeline.stubs import ARM, StubArm, make_regions
from tests.unit.rollups import GROUP
from tests.unit.stubs import ManualClock

ACCOUNTS = "Microsoft.Storage/storageAccounts"
ONE = f"{GROUP}/providers/{ACCOUNTS}/one"
TWO = f"{GROUP}/providers/{ACCOUNTS}/two"
SERVER = f"{GROUP}/providers/Microsoft.Sql/servers/db"
ELSEWHERE = ONE.replace("/orders/", "/other/")


@pytest.fixture
def arm() -> StubArm:
    return StubArm({ONE: "westeurope", TWO: "East US 2"})


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def regions(arm: StubArm, clock: ManualClock) -> Iterator[Regions]:
    with make_regions(arm, clock) as made:
        yield made


async def find(regions: Regions, resource_id: str = ONE, named: str = "") -> str:
    """Return the region of a resource, named or not."""
    target = await regions.resolve(Target(named, resource_id))
    assert target.resource_id == resource_id
    return target.region


async def error_of(regions: Regions, resource_id: str = ONE) -> str:
    """Return the text of the RegionError: one line."""
    with pytest.raises(RegionError) as caught:
        await find(regions, resource_id)
    text = str(caught.value)
    assert "\n" not in text
    return text


NOT_LISTED = (
    f"{ONE.lower()} is not among the microsoft.storage/storageaccounts that Azure Resource Manager "
    "lists in its resource group: it does not exist, or the app's identity lacks Reader on it; or "
    "name the region"
)


# --- Looked up ------------------------------------------------------------------------------------


async def test_one_request_lists_all_of_a_type_in_a_group(arm: StubArm, regions: Regions) -> None:
    assert [await find(regions, each) for each in (ONE, TWO)] == ["westeurope", "eastus2"]
    (url,) = arm.urls
    assert url == (
        f"{ARM}{GROUP.lower()}/resources"
        "?$filter=resourceType%20eq%20%27microsoft.storage%2Fstorageaccounts%27"
        "&api-version=2021-04-01"
    )


async def test_each_type_and_each_group_is_listed_by_itself(arm: StubArm, regions: Regions) -> None:
    arm.locations |= {SERVER: "eastus", ELSEWHERE: "northeurope"}
    found = [await find(regions, each) for each in (ONE, SERVER, ELSEWHERE)]
    assert found == ["westeurope", "eastus", "northeurope"]
    assert arm.requests == 3


@pytest.mark.parametrize(
    "resource_id", [ONE.upper(), f"{ONE}/queueServices/default", f"{ONE}/providers/A.B/c/d"]
)
async def test_the_region_is_that_of_the_top_level_resource(
    resource_id: str, arm: StubArm, regions: Regions
) -> None:
    assert await find(regions, resource_id) == await find(regions) == "westeurope"
    assert arm.requests == 1


async def test_pages_are_followed(arm: StubArm, regions: Regions) -> None:
    arm.documents = [
        {"value": [], "nextLink": "…"},
        {"value": [{"id": ONE, "location": "westeurope"}]},
        {"value": [{"id": ONE, "location": "never read"}]},
    ]
    assert await find(regions) == "westeurope"


async def test_concurrent_look_ups_share_a_request(arm: StubArm, regions: Regions) -> None:
    tasks = [asyncio.create_task(find(regions, each)) for each in [ONE, TWO] * 50]
    release = await arm.hold(tasks[0])
    tasks[0].cancel()
    await asyncio.gather(tasks[0], return_exceptions=True)
    release()
    # The one that was cancelled does not end the look-up of the others.
    assert await asyncio.gather(*tasks[2:]) == ["westeurope", "eastus2"] * 49
    assert arm.requests == 1


async def test_a_look_up_that_nothing_waits_for_is_kept(arm: StubArm, regions: Regions) -> None:
    task = asyncio.create_task(find(regions))
    release = await arm.hold(task)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    release()
    assert await find(regions) == "westeurope"
    assert arm.requests == 1


@pytest.mark.parametrize("error", [None, SourceError("403")], ids=["not listed", "error"])
async def test_a_look_up_is_kept_for_a_minute_failures_too(
    error: Exception | None, arm: StubArm, regions: Regions, clock: ManualClock
) -> None:
    arm.error = error
    del arm.locations[ONE]
    first = await error_of(regions)
    arm.locations[ONE] = "westeurope"
    arm.error = None
    clock.sleep(LOOKUP_TTL - 0.1)
    assert await error_of(regions) == first
    assert arm.requests == 1
    clock.sleep(0.1)
    assert await find(regions) == "westeurope"
    assert arm.requests == 2
    clock.sleep(1e6)  # A region that was found is kept.
    assert await find(regions) == "westeurope"
    assert arm.requests == 2


async def test_a_look_up_that_had_no_turn_is_not_kept(arm: StubArm, regions: Regions) -> None:
    arm.error = DeadlineError("at most 4 at a time")
    text = await error_of(regions)
    assert text.startswith("the look-up of microsoft.storage/storageaccounts in /subscriptions/")
    assert text.endswith(" must wait: at most 4 at a time")
    arm.error = None
    assert await find(regions) == "westeurope"


@pytest.mark.parametrize(("found", "requests"), [(2, 0), (3, 1)], ids=["N", "N + 1"])
async def test_the_region_used_least_recently_is_forgotten(
    found: int, requests: int, arm: StubArm, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_REGIONS", 2)
    resource_ids = [ONE, TWO, f"{ONE}3"][:found]
    arm.locations[f"{ONE}3"] = "eastus"
    with make_regions(arm, clock) as regions:
        for resource_id in resource_ids:
            await find(regions, resource_id)
        clock.sleep(LOOKUP_TTL)
        await find(regions, resource_ids[0])
    assert arm.requests == 1 + requests


# --- What ARM may answer --------------------------------------------------------------------------


async def test_an_error_of_arm_says_what_helps(arm: StubArm, regions: Regions) -> None:
    arm.error = SourceError(f"{ARM}/x: 403 AuthorizationFailed no")
    assert await error_of(regions) == (
        f"the region of microsoft.storage/storageaccounts in {GROUP.lower()} cannot be looked up: "
        f"{ARM}/x: 403 AuthorizationFailed no; name the region, or grant the app's identity Reader "
        "there"
    )


async def test_a_name_that_begins_alike_is_another_resource(arm: StubArm, regions: Regions) -> None:
    arm.locations = {f"{ONE}2": "westeurope"}
    assert await error_of(regions) == NOT_LISTED


NOT_REGIONS = {
    "global": "is global; name the region that its metrics go to",
    "Global": "is global; name the region that its metrics go to",
    "": ": '' is not a region, such as westeurope; name one",
    "evil.example/#": ": 'evil.example/#' is not a region, such as westeurope; name one",
    "west\u0435urope": r": 'west\u0435urope' is not a region, such as westeurope; name one",
}


@pytest.mark.parametrize(("location", "text"), NOT_REGIONS.items())
async def test_a_location_that_is_not_a_region_is_an_error(
    location: str, text: str, arm: StubArm, regions: Regions
) -> None:
    arm.locations[ONE] = location
    separator = "" if text.startswith(":") else " "
    assert await error_of(regions) == f"the location of {ONE.lower()}{separator}{text}"


@pytest.mark.parametrize("page", [None, 1, [], {}, {"value": None}, {"value": {"id": ONE}}])
async def test_a_document_that_is_not_a_page_is_an_error(
    page: Any, arm: StubArm, regions: Regions
) -> None:
    arm.documents = [page]
    assert "the response is not a valid page: Expected `array`" in await error_of(regions)


@pytest.mark.parametrize(
    "one", [None, ONE, [ONE], {"id": ONE}, {"id": ONE, "location": None}, {"id": 1, "location": ""}]
)
async def test_what_is_not_a_resource_does_not_affect_the_others(
    one: Any, arm: StubArm, regions: Regions
) -> None:
    arm.documents = [{"value": [one, {"id": TWO, "location": "eastus"}]}]
    assert await error_of(regions) == NOT_LISTED
    assert await find(regions, TWO) == "eastus"


_ANYTHING = st.recursive(
    st.none() | st.integers() | st.sampled_from([ONE, "", "westeurope", "global", "evil/#"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["id", "location"]), inner),
)
_PAGES = st.builds(lambda value, link: {"value": value, "nextLink": link}, _ANYTHING, _ANYTHING)


@given(st.lists(_PAGES | _ANYTHING, min_size=1, max_size=3))
@example([{"value": [{"id": ONE, "location": "West Europe"}]}])
def test_whatever_arm_answers_is_a_region_or_an_error(pages: list[Any]) -> None:
    arm = StubArm()
    arm.documents = json.loads(json.dumps(pages))

    async def resolve(regions: Regions) -> str:
        try:
            return await find(regions)
        except RegionError:
            return "westeurope"

    with make_regions(arm) as made:
        assert asyncio.run(resolve(made)) == "westeurope"


# --- Named and default ----------------------------------------------------------------------------


async def test_a_named_region_needs_no_request(arm: StubArm, regions: Regions) -> None:
    assert await find(regions, named="uksouth") == "uksouth"
    assert arm.requests == 0


@pytest.mark.parametrize("resource_id", [ONE, ONE.upper(), f"{ONE}/queueServices/default"])
async def test_the_default_resource_is_in_the_default_region(
    resource_id: str, arm: StubArm
) -> None:
    with make_regions(arm, resource_id=ONE, region="northeurope") as regions:
        assert await find(regions, resource_id) == "northeurope"
        assert arm.requests == 0
        assert await find(regions, TWO) == "eastus2"


async def test_the_default_resource_without_a_region_is_looked_up(arm: StubArm) -> None:
    with make_regions(arm, resource_id=ONE) as regions:
        assert await find(regions) == "westeurope"


@pytest.mark.parametrize("default", [TWO, None], ids=["of a resource", "alone"])
async def test_the_default_region_is_that_of_what_arm_does_not_show(
    default: str | None, arm: StubArm, clock: ManualClock
) -> None:
    with make_regions(arm, clock, resource_id=default, region="northeurope") as regions:
        arm.error = SourceError("403")
        assert await find(regions) == "northeurope"
        arm.error = None
        clock.sleep(LOOKUP_TTL)
        assert await find(regions) == "westeurope"


# --- Corrected ------------------------------------------------------------------------------------


async def test_a_correction_wins_over_what_is_named_found_or_default(arm: StubArm) -> None:
    arm.locations[TWO] = "westeurope"
    with make_regions(arm, resource_id=ONE, region="westeurope") as regions:
        for resource_id in (ONE, TWO):
            assert await find(regions, resource_id) == "westeurope"
            target = Target("westeurope", resource_id)
            assert await regions.correct(target, "eastus") == Target("eastus", resource_id)
            for other in (resource_id, resource_id.upper(), f"{resource_id}/queueServices/default"):
                assert [await find(regions, other, named) for named in ("", "uksouth")] == [
                    "eastus"
                ] * 2
        assert await find(regions, f"{ONE}3", "uksouth") == "uksouth"
        assert arm.requests == 1


async def test_a_region_that_is_not_named_is_looked_up(arm: StubArm, regions: Regions) -> None:
    target = Target("northeurope", f"{ONE}/queueServices/default")
    assert await regions.correct(target, None) == Target("westeurope", target.resource_id)
    assert await find(regions, ONE, "northeurope") == "westeurope"


async def test_many_corrections_share_a_recent_look_up(
    arm: StubArm, regions: Regions, clock: ManualClock
) -> None:
    assert await find(regions) == "westeurope"
    arm.locations[ONE] = "eastus"
    clock.sleep(MIN_LOOKUP_AGE - 0.1)
    assert await regions.correct(Target("westeurope", ONE), None) is None
    clock.sleep(0.1)
    for _ in range(3):
        corrected = await regions.correct(Target("westeurope", ONE), None)
        assert corrected == Target("eastus", ONE)
    assert arm.requests == 2


@pytest.mark.parametrize("location", [None, "westeurope", "global"])
async def test_without_another_region_nothing_is_corrected(
    location: str | None, arm: StubArm, regions: Regions
) -> None:
    if location is None:
        arm.error = SourceError("500")
    else:
        arm.locations[ONE] = location
    assert await regions.correct(Target("westeurope", ONE), None) is None
    assert await regions.correct(Target("westeurope", ONE), "westeurope") is None
    assert await find(regions, ONE, "westeurope") == "westeurope"


async def test_a_correction_that_turns_out_wrong_is_forgotten(
    arm: StubArm, regions: Regions, clock: ManualClock
) -> None:
    assert await find(regions) == "westeurope"
    clock.sleep(LOOKUP_TTL)
    assert await regions.correct(Target("westeurope", ONE), "eastus") is not None
    assert await regions.correct(Target("eastus", ONE), "uksouth") == Target("uksouth", ONE)
    assert await find(regions, ONE, "westeurope") == "uksouth"
    arm.error = SourceError("500")
    assert await regions.correct(Target("uksouth", ONE), None) is None
    assert await find(regions, ONE, "westeurope") == "westeurope"
    assert "500" in await error_of(regions)  # So is what was found before.
