"""Admission: allowed scopes, then the region, then the series limit."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest

from shared.errors import SourceError
from shared.model import PUBLISHED, Outcome, Reason, Results, Rollup, Series, Status, Target
from shared.pipeline.admission import Admission
from shared.pipeline.regions import Regions
from shared.pipeline.series_limiter import SeriesLimiter
from tests.unit.pipeline.stubs import StubArm, make_regions
from tests.unit.rollups import GROUP, MINUTE, NOW, REGION, RESOURCE, rollup_of, series
from tests.unit.stubs import TIMEOUT

SITE = f"{GROUP}/providers/Microsoft.Web/sites/one"
TWO = f"{RESOURCE}2"
LIMITED = "active series limit reached: "


@pytest.fixture
def arm() -> StubArm:
    return StubArm({RESOURCE: "westeurope", TWO: "eastus"})


@pytest.fixture
def regions(arm: StubArm) -> Iterator[Regions]:
    with make_regions(arm) as made:
        yield made


def without_region(resource_id: str = RESOURCE, **metrics: float) -> Rollup:
    return rollup_of(Target("", resource_id), **(metrics or {"a": 1.0}))


# --- Allowed scopes -------------------------------------------------------------------------------

SCOPES = {
    "none": ((), SITE, True),
    "subscription": (("/subscriptions/1/",), "/subscriptions/1/resourceGroups/g", True),
    "subscription that begins alike": (
        ("/subscriptions/1/",),
        "/subscriptions/12/resourceGroups/g",
        False,
    ),
    "resource group": ((f"{GROUP}/",), SITE, True),
    "group that begins alike": ((f"{GROUP}/",), SITE.replace("/orders/", "/orders2/"), False),
    "scope that begins with the group": ((f"{GROUP}2/",), SITE, False),
    "group of another subscription": ((f"{GROUP}/",), SITE.replace("/5b2f", "/6b2f"), False),
    "provider": ((f"{GROUP}/providers/microsoft.web/",), SITE, True),
    "resource itself": ((f"{SITE}/",), SITE, True),
    "below the resource": ((f"{SITE}/",), f"{SITE}/slots/test", True),
    "above the scope": ((f"{SITE}/slots/test/",), SITE, False),
    "case of the resource": ((f"{GROUP}/",), SITE.upper(), True),
    "second of two": (("/subscriptions/2/", f"{GROUP}/"), SITE, True),
    "neither of two": (("/subscriptions/2/", "/subscriptions/3/"), SITE, False),
}


@pytest.mark.parametrize(("scopes", "resource_id", "allowed"), SCOPES.values(), ids=SCOPES)
async def test_allowed_scopes_are_whole_segments(
    scopes: tuple[str, ...], resource_id: str, allowed: bool, regions: Regions
) -> None:
    admission = Admission(regions, allowed_scopes=tuple(scope.lower() for scope in scopes))
    rollup = rollup_of(Target(REGION, resource_id), a=1.0)
    detail = f"{resource_id} is outside METRICS_ALLOWED_SCOPES"
    forbidden = Outcome(Status.REJECTED, detail, Reason.FORBIDDEN_SCOPE)
    expected: tuple[list[Rollup], Results] = (
        ([rollup], []) if allowed else ([], [(rollup, forbidden)])
    )
    assert await admission.admit([rollup]) == expected


async def test_nothing_is_asked_or_counted_for_a_forbidden_resource(
    arm: StubArm, regions: Regions
) -> None:
    limiter = SeriesLimiter(1)
    admission = Admission(regions, ("/subscriptions/1/",), limiter)
    for region in ("", REGION):
        admitted, ((_, outcome),) = await admission.admit(
            [rollup_of(Target(region, RESOURCE), a=1.0)]
        )
        assert (admitted, outcome.reason) == ([], Reason.FORBIDDEN_SCOPE)
    assert arm.requests == 0
    assert list(limiter.gauges()) == []


# --- Regions --------------------------------------------------------------------------------------


async def test_a_rollup_gets_the_region_of_its_resource(arm: StubArm, regions: Regions) -> None:
    named = rollup_of(Target("northeurope", RESOURCE), a=1.0)
    given = [without_region(), without_region(TWO), named]
    admitted, results = await Admission(regions).admit(given)
    assert [rollup.target for rollup in admitted] == [
        Target("westeurope", RESOURCE),
        Target("eastus", TWO),
        named.target,
    ]
    assert [rollup.minutes for rollup in admitted] == [rollup.minutes for rollup in given]
    assert results == []
    assert given[0].target.region == ""  # What was submitted does not change.


async def test_look_ups_of_one_message_run_at_the_same_time(arm: StubArm, regions: Regions) -> None:
    arm.locations[SITE] = "uksouth"
    arm.before = threading.Barrier(2, timeout=TIMEOUT).wait
    admitted, _ = await Admission(regions).admit([without_region(), without_region(SITE)])
    assert len(admitted) == 2


async def test_without_a_region_a_rollup_is_deferred_alone(arm: StubArm, regions: Regions) -> None:
    lost, found = without_region(f"{RESOURCE}3"), without_region()
    limiter = SeriesLimiter(1)
    admitted, ((rollup, outcome),) = await Admission(regions, (), limiter).admit([lost, found])
    assert [one.target.region for one in admitted] == ["westeurope"]
    assert (rollup, outcome.status) == (lost, Status.DEFERRED)
    assert "Reader" in outcome.detail


async def test_an_unexpected_error_defers_a_rollup_alone(
    arm: StubArm, regions: Regions, caplog: pytest.LogCaptureFixture
) -> None:
    arm.error = KeyError("broken")
    named = rollup_of(Target(REGION, TWO), a=1.0)
    admitted, results = await Admission(regions).admit([without_region(), named])
    assert (admitted, results) == (
        [named],
        [(without_region(), Outcome(Status.DEFERRED, "KeyError('broken')"))],
    )
    (record,) = caplog.records
    assert record.message == f"Unexpected error while looking up the region of {RESOURCE}"


# --- The series limit -----------------------------------------------------------------------------


async def test_new_series_beyond_the_limit_are_rejected_alone(regions: Regions) -> None:
    admission = Admission(regions, series_limiter=SeriesLimiter(2))
    assert await admission.admit([without_region(a=1.0, b=2.0)]) == (
        [rollup_of(a=1.0, b=2.0)],
        [],
    )
    rollup = without_region(a=3.0, c=4.0)
    rollup.add(NOW.replace(hour=8), series("c"), 5.0)
    ((admitted,), ((excess, outcome),)) = await admission.admit([rollup])
    assert admitted == rollup_of(a=3.0)
    assert excess.minutes == {
        MINUTE: {series("c"): [4.0]},
        MINUTE.replace(hour=8): {series("c"): [5.0]},
    }
    assert (outcome.status, outcome.reason) == (Status.REJECTED, Reason.CARDINALITY)
    assert outcome.detail.startswith(f"{LIMITED}2 in subscription ")
    ((_, again),) = (await admission.admit([rollup_of(c=1.0)]))[1]
    assert again == outcome  # The region that was found is the one that counts.


async def test_series_count_in_the_region_that_they_are_published_to(regions: Regions) -> None:
    """A producer that names region after region must not get the limit of each of them."""
    assert await regions.correct(Target("eastus", RESOURCE), "westeurope") is not None
    admission = Admission(regions, series_limiter=SeriesLimiter(2))
    for metric, region in (("a", "eastus"), ("b", "westus"), ("c", "uksouth")):
        named = rollup_of(Target(region, RESOURCE), **{metric: 1.0})
        admitted, _ = await admission.admit([named])
        assert [rollup.target.region for rollup in admitted] == ["westeurope"] * (metric != "c")


async def test_without_a_limiter_every_series_is_admitted(regions: Regions) -> None:
    rollup = Rollup(Target(REGION, RESOURCE), {MINUTE: {}})
    rollup.minutes[MINUTE] = {Series("n", str(number)): [1.0] for number in range(1000)}
    assert await Admission(regions).admit([rollup]) == ([rollup], [])


async def test_what_is_admitted_is_published(arm: StubArm, regions: Regions) -> None:
    arm.error = SourceError("403")

    async def submit(rollups: Sequence[Rollup]) -> Results:
        return [(rollup, PUBLISHED) for rollup in rollups]

    named = rollup_of(a=1.0)
    results = await Admission(regions).publish([without_region(TWO), named], submit=submit)
    assert [outcome.status for _, outcome in results] == [Status.DEFERRED, Status.PUBLISHED]
    assert [rollup for rollup, _ in results] == [without_region(TWO), named]
