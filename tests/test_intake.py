"""The intake: fence, region, guard, relay, in this order; and what held points up."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from builders import RESOURCE, point
from by_points import points_of, submit
from hypothesis import given
from hypothesis import strategies as st
from resource_list import Finder, finding, resource
from sourcing import open_gate
from strategies import points as any_points
from transport import Reply, Transport, session_with

from shared.batch import Batch
from shared.clients.json_client import JsonClient
from shared.model import Lane, Point, Reason, Status, Verdict
from shared.pipeline.admission import Intake
from shared.pipeline.detours import Detours
from shared.pipeline.fence import Fence
from shared.pipeline.regions import Regions
from shared.pipeline.series_limiter import Guard

ONE, TWO = resource("one"), resource("two")
OUTSIDE = resource("one", group="orders2")
FENCE = Fence.of(ONE.partition("/providers/")[0])


def nowhere(resource_id: str, value: float = 1.0) -> Point:
    """A point without a region."""
    return point(value, lane=Lane("", resource_id))


def moved(one: Point, region: str) -> Point:
    return msgspec.structs.replace(one, lane=Lane(region, one.lane.resource_id))


Judge = Callable[[Sequence[Point]], list[Verdict]]


def publish(points: Sequence[Point]) -> list[Verdict]:
    return [Verdict(Status.PUBLISHED, points)]


def defer(points: Sequence[Point]) -> list[Verdict]:
    return [Verdict(Status.DEFERRED, points, "503 busy")]


def refuse(points: Sequence[Point]) -> list[Verdict]:
    return [Verdict(Status.REJECTED, points, "400 bad", Reason.REJECTED_BY_AZURE)]


class ScriptedRelay:
    """A `Submit` that judges as it is told, and remembers what it got."""

    def __init__(self, judge: Judge = publish) -> None:
        self.judge = judge
        self.submitted: list[list[Point]] = []

    async def __call__(self, batches: Sequence[Batch]) -> list[Verdict]:
        points = points_of(batches)
        self.submitted.append(list(points))
        return self.judge(points)


def intake_of(
    finder: Finder,
    relay: ScriptedRelay,
    *,
    fence: Fence = FENCE,
    most: int | None = 50_000,
    detours: Detours | None = None,
) -> Intake:
    guard = None if most is None else Guard(most)
    detours = detours or Detours()
    return Intake(relay, fence=fence, regions=finder.regions, detours=detours, guard=guard)


def forbidden(one: Point) -> Verdict:
    why = f"{one.lane.resource_id} is outside METRICS_ALLOWED_SCOPES"
    return Verdict(Status.REJECTED, [one], why, Reason.FORBIDDEN_SCOPE)


# --- The order ------------------------------------------------------------------------------------


async def test_what_has_all_it_needs_goes_to_the_relay_as_it_is() -> None:
    relay = ScriptedRelay()
    with finding({}) as finder:
        points = [point(lane=Lane("eastus", ONE)), point(lane=Lane("westeurope", TWO))]
        assert await submit(intake_of(finder, relay), points) == publish(points)
        assert finder.asked == 0
    assert relay.submitted == [points]


async def test_a_point_without_a_region_gets_that_of_its_resource() -> None:
    relay = ScriptedRelay()
    with finding({ONE: "West Europe", TWO: "eastus"}) as finder:
        points = [nowhere(ONE), nowhere(TWO), point(lane=Lane("northeurope", ONE))]
        (verdict,) = await submit(intake_of(finder, relay), points)
        assert finder.asked == 1
    regions = {one.lane.key for one in verdict.points}
    assert regions == {
        ("westeurope", ONE.lower()),
        ("eastus", TWO.lower()),
        ("northeurope", ONE.lower()),
    }
    assert relay.submitted == [list(verdict.points)]


@pytest.mark.parametrize("region", ["", "westeurope"], ids=["no region", "region"])
async def test_nothing_is_asked_about_what_is_outside(region: str) -> None:
    relay = ScriptedRelay()
    with finding({OUTSIDE: "westeurope"}) as finder:
        one = point(lane=Lane(region, OUTSIDE))
        assert await submit(intake_of(finder, relay, most=1), [one]) == [forbidden(one)]
        assert finder.asked == 0
    assert relay.submitted == []


async def test_what_is_outside_takes_no_room_of_the_guard() -> None:
    relay = ScriptedRelay()
    with finding({}) as finder:
        intake = intake_of(finder, relay, most=1)
        outside, inside = (point(lane=Lane("westeurope", each)) for each in (OUTSIDE, ONE))
        assert await submit(intake, [outside, inside]) == [forbidden(outside), *publish([inside])]


async def test_what_has_no_region_takes_no_room_of_the_guard() -> None:
    relay = ScriptedRelay()
    with finding({TWO: "westeurope"}) as finder:
        lost, found = nowhere(ONE), nowhere(TWO)
        deferred, published = await submit(intake_of(finder, relay, most=1), [lost, found])
    assert (deferred.status, deferred.points) == (Status.DEFERRED, [lost])
    assert "Reader" in deferred.detail
    assert published == Verdict(Status.PUBLISHED, [moved(found, "westeurope")])


async def test_the_guard_counts_in_the_region_that_was_found() -> None:
    relay = ScriptedRelay()
    with finding({ONE: "westeurope", TWO: "eastus"}) as finder:
        intake = intake_of(finder, relay, most=1)
        assert len(await submit(intake, [nowhere(ONE), nowhere(TWO)])) == 1
        # Named or found, it is one series.
        assert await submit(intake, [point(lane=Lane("westeurope", ONE))]) == publish(
            [point(lane=Lane("westeurope", ONE))]
        )
        second = point(lane=Lane("eastus", TWO), metric="Other")
        (refused,) = await submit(intake, [second])
    why = Guard(1).why(second.lane)
    assert refused == Verdict(Status.REJECTED, [second], why, Reason.CARDINALITY)
    assert len(relay.submitted) == 2


async def test_one_series_too_many_does_not_hold_back_the_others() -> None:
    relay = ScriptedRelay()
    lane = Lane("westeurope", ONE)
    with finding({}) as finder:
        points = [point(metric=name, lane=lane) for name in ("a", "b", "c", "a", "c")]
        refused, published = await submit(intake_of(finder, relay, most=2), points)
    assert [one.metric for one in refused.points] == ["c", "c"]
    assert [one.metric for one in published.points] == ["a", "b", "a"]


async def test_without_a_guard_every_series_passes() -> None:
    relay = ScriptedRelay()
    with finding({}) as finder:
        points = [point(metric=str(number), lane=Lane("eastus", ONE)) for number in range(10)]
        assert await submit(intake_of(finder, relay, most=None), points) == publish(points)


async def test_the_relay_gets_no_empty_submission() -> None:
    relay = ScriptedRelay()
    with finding({}) as finder:
        intake = intake_of(finder, relay)
        assert await submit(intake, []) == []
        await submit(intake, [nowhere(ONE)])
    assert relay.submitted == []


async def test_a_storm_of_unknown_resources_is_one_look_up_each() -> None:
    relay = ScriptedRelay()
    apart = {resource("a", group=f"g{number}"): f"region{number}" for number in range(100)}
    with finding(apart) as finder:
        intake = intake_of(finder, relay, fence=Fence())
        answers = await asyncio.gather(*(submit(intake, [nowhere(each)]) for each in [*apart] * 10))
        print(f"1000 submissions of 100 unknown resources: {finder.asked} look-ups")
        assert finder.asked <= 100
    assert {verdict.status for (verdict,) in answers} == {Status.PUBLISHED}
    assert len(answers) == 1000


async def test_one_submission_that_is_cancelled_leaves_the_others_their_look_up() -> None:
    relay = ScriptedRelay()
    with finding({ONE: "westeurope"}) as finder:
        intake = intake_of(finder, relay)
        first, second = (asyncio.create_task(submit(intake, [nowhere(ONE)])) for _ in range(2))
        await asyncio.sleep(0)  # Both have begun.
        first.cancel()
        assert await second == publish([moved(nowhere(ONE), "westeurope")])
        assert first.cancelled()
        assert finder.asked == 1


# --- Every point in one verdict -------------------------------------------------------------------


@st.composite
def _plans(draw: st.DrawFn) -> tuple[list[Point], list[Status], int]:
    """Points here and there, what the relay says to each in turn, and the guard's limit."""
    resource_ids = st.sampled_from([ONE, ONE.upper(), TWO, OUTSIDE])
    lanes = st.builds(Lane, st.sampled_from(["", "westeurope", "eastus"]), resource_ids)
    points = draw(st.lists(any_points(lanes), max_size=12))
    statuses = draw(st.lists(st.sampled_from(Status), min_size=1, max_size=5))
    return points, statuses, draw(st.integers(1, 8))


@given(_plans(), st.booleans())
def test_every_point_comes_back_in_exactly_one_verdict(
    plan: tuple[list[Point], list[Status], int], found: bool
) -> None:
    points, statuses, most = plan
    listed = {"value": [{"id": ONE, "location": "westeurope"}]} if found else {}
    transport = Transport(Reply(200, json.dumps(listed)))

    def judge(given: Sequence[Point]) -> list[Verdict]:
        """Each point by itself."""
        return [
            Verdict(statuses[number % len(statuses)], [one], "why")
            for number, one in enumerate(given)
        ]

    relay = ScriptedRelay(judge)
    with session_with(transport) as session, ThreadPoolExecutor(1) as executor:
        regions = Regions(JsonClient(session, open_gate(), None), "https://arm.example", executor)
        intake = Intake(relay, fence=FENCE, regions=regions, detours=Detours(), guard=Guard(most))
        verdicts = asyncio.run(submit(intake, points))

    def values(judged: Sequence[Point]) -> Counter[Point]:
        """The points, whatever the region of their lane, which may have been found."""
        lanes = (Lane("", one.lane.resource_id.lower()) for one in judged)
        return Counter(
            msgspec.structs.replace(one, lane=lane) for one, lane in zip(judged, lanes, strict=True)
        )

    assert all(verdict.points for verdict in verdicts)
    judged = [one for verdict in verdicts for one in verdict.points]
    assert values(judged) == values(points)
    for one in points:
        if one.lane.resource_id == OUTSIDE or one.lane.region:
            assert one in judged
    submitted = [one for given in relay.submitted for one in given]
    assert all(one.lane.region and FENCE.allows(one.lane.resource_id) for one in submitted)
    assert [verdict for verdict in verdicts if verdict.reason is Reason.FORBIDDEN_SCOPE] == [
        verdict for verdict in verdicts if verdict.points[0].lane.resource_id == OUTSIDE
    ]


# --- What held points up --------------------------------------------------------------------------

HERE = Lane("westeurope", ONE)


async def test_what_deferred_points_is_remembered_until_they_are_published() -> None:
    relay = ScriptedRelay(defer)
    with finding({}) as finder:
        intake = intake_of(finder, relay)
        assert intake.obstacle(HERE) is None
        await submit(intake, [point(lane=HERE)])
        # Whichever case and region they come back with.
        for lane in (HERE, Lane("", ONE), Lane("", ONE.upper())):
            assert intake.obstacle(lane) == "503 busy"
        assert intake.obstacle(Lane("westeurope", TWO)) is None
        relay.judge = publish
        await submit(intake, [point(lane=Lane("westeurope", ONE.upper()))])
        assert intake.obstacle(HERE) is None
        assert finder.asked == 0


async def test_the_last_obstacle_is_the_one_that_counts() -> None:
    relay = ScriptedRelay(defer)
    with finding({}) as finder:
        intake = intake_of(finder, relay)
        await submit(intake, [point(lane=HERE)])
        relay.judge = lambda points: [Verdict(Status.DEFERRED, points, "403 no role")]
        await submit(intake, [point(lane=HERE)])
        assert intake.obstacle(HERE) == "403 no role"


async def test_a_rejection_says_nothing_of_what_is_held_up() -> None:
    relay = ScriptedRelay(defer)
    with finding({}) as finder:
        intake = intake_of(finder, relay)
        await submit(intake, [point(lane=HERE)])
        relay.judge = refuse
        await submit(intake, [point(lane=HERE)])
        assert intake.obstacle(HERE) == "503 busy"
        await submit(intake, [point(lane=Lane("westeurope", TWO))])
        assert intake.obstacle(Lane("westeurope", TWO)) is None


@pytest.mark.parametrize("order", [1, -1], ids=["deferred first", "published first"])
async def test_what_is_published_beside_deferred_points_does_not_hide_why(order: int) -> None:
    relay = ScriptedRelay(lambda points: [*defer(points[:1]), *publish(points[1:])][::order])
    with finding({}) as finder:
        intake = intake_of(finder, relay)
        await submit(intake, [point(1.0, lane=HERE), point(2.0, lane=HERE)])
        assert intake.obstacle(HERE) == "503 busy"


async def test_a_region_that_is_not_known_is_an_obstacle() -> None:
    relay = ScriptedRelay()
    with finding({}) as finder:
        intake = intake_of(finder, relay)
        (verdict,) = await submit(intake, [nowhere(ONE)])
        assert "lacks Reader" in verdict.detail
        assert intake.obstacle(Lane("", ONE)) == verdict.detail
        assert finder.asked == 1
        finder.arm.locations[ONE] = "westeurope"
        finder.clock.now += 60
        await submit(intake, [nowhere(ONE)])
        assert intake.obstacle(Lane("", ONE)) is None
    assert len(relay.submitted) == 1


def test_nothing_is_asked_for_an_explanation() -> None:
    """It would hold up the good points of a message, for as long as ARM likes."""
    with finding({}) as finder:
        for lane in (HERE, Lane("", ONE), Lane("", OUTSIDE)):
            assert intake_of(finder, ScriptedRelay()).obstacle(lane) is None
        assert finder.asked == 0


# --- Regions that the store teaches ---------------------------------------------------------------


async def test_a_series_is_counted_in_the_region_that_it_is_stored_in() -> None:
    """Naming region after region, a producer would have the limit of all of them in one."""
    detours = Detours()
    relay = ScriptedRelay()
    with finding({}) as finder:
        intake = intake_of(finder, relay, most=2, detours=detours)
        detours.learn(HERE, "westeurope")
        for number, region in enumerate(["eastus", "westus", "uksouth"]):
            one = point(lane=Lane(region, ONE), metric=f"m{number}")
            (verdict,) = await submit(intake, [one])
            expected = Status.PUBLISHED if number < 2 else Status.REJECTED
            assert verdict.status is expected
    assert {one.lane.region for given in relay.submitted for one in given} == {"westeurope"}


async def test_a_look_up_that_breaks_defers_its_own_lane_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(resource_id: str) -> str:
        raise KeyError(resource_id)

    relay = ScriptedRelay()
    with finding({}) as finder:
        monkeypatch.setattr(finder.regions, "find", broken)
        verdicts = await submit(intake_of(finder, relay), [nowhere(ONE), point(lane=HERE)])
    assert sorted(verdict.status for verdict in verdicts) == [Status.DEFERRED, Status.PUBLISHED]
    assert caplog.messages == [f"A look-up broke: {ONE}"]


@pytest.mark.parametrize(("more", "known"), [(2, "503 busy"), (3, None)], ids=["limit", "beyond"])
async def test_the_oldest_obstacle_is_forgotten_first(
    more: int, known: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.pipeline.admission._MOST_REMEMBERED", 3)
    relay = ScriptedRelay(lambda points: [verdict for one in points for verdict in defer([one])])
    lanes = [Lane("westeurope", f"{RESOURCE}{number}") for number in range(more)]
    with finding({}) as finder:
        intake = intake_of(finder, relay, fence=Fence())
        await submit(intake, [point(lane=HERE)])
        await submit(intake, [point(lane=lane) for lane in lanes])
        assert intake.obstacle(HERE) == known
        assert [intake.obstacle(lane) for lane in lanes] == ["503 busy"] * more


async def test_an_obstacle_met_again_is_not_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.pipeline.admission._MOST_REMEMBERED", 2)
    lanes = [Lane("westeurope", f"{RESOURCE}{number}") for number in range(3)]
    with finding({}) as finder:
        intake = intake_of(finder, ScriptedRelay(defer), fence=Fence())
        for number in (0, 1, 0, 2):
            await submit(intake, [point(lane=lanes[number])])
        assert [intake.obstacle(lane) for lane in lanes] == ["503 busy", None, "503 busy"]
