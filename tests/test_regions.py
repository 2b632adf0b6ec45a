"""Regions: how often Azure Resource Manager is asked, what it may answer, what is remembered."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from resource_list import ACCOUNTS, Finder, finding, resource
from scripted import Asked, Said, said
from sourcing import open_gate
from transport import Reply, Transport, session_with

from shared.clients.json_client import JsonClient
from shared.errors import RegionError
from shared.pipeline.regions import Regions

ONE, TWO = resource("one"), resource("two")
SERVER = resource("db", kind="Microsoft.Sql/servers")
ELSEWHERE = resource("one", group="other")
MOMENT = 5.1
DAY = 24 * 3600.0
LIST = f"{ONE.lower().partition('/providers/')[0]}/resources"


async def failure(finder: Finder, resource_id: str = ONE) -> str:
    """The text of the RegionError that a look-up ends with: one line."""
    with pytest.raises(RegionError) as caught:
        await finder.regions.find(resource_id)
    text = str(caught.value)
    assert "\n" not in text
    return text


def not_shown(resource_id: str, kind: str = ACCOUNTS) -> str:
    return (
        f"{resource_id.lower()} is not among what Azure Resource Manager shows of {kind.lower()} "
        "in its resource group: it is not there, or the app's identity lacks Reader on it; or "
        "name the region"
    )


def not_looked_up(why: str) -> str:
    group = LIST.removesuffix("/resources")
    return (
        f"the region of {ACCOUNTS.lower()} in {group} cannot be looked up: {why}; name it, or "
        "grant the app's identity Reader there"
    )


# --- What is asked --------------------------------------------------------------------------------


async def test_one_request_lists_all_of_a_type_in_a_group() -> None:
    with finding({ONE: "westeurope", TWO: "eastus"}) as finder:
        assert await finder.regions.find(ONE) == "westeurope"
        assert await finder.regions.find(TWO) == "eastus"
        (asked,) = finder.server.asked
    assert asked.path == LIST
    assert asked.query == {
        "$filter": f"resourceType eq '{ACCOUNTS.lower()}'",
        "api-version": "2021-04-01",
    }
    assert asked.headers["Authorization"] == "Bearer for-arm-0"


async def test_each_type_and_each_group_is_listed_by_itself() -> None:
    locations = {ONE: "westeurope", SERVER: "eastus", ELSEWHERE: "northeurope"}
    with finding(locations) as finder:
        assert [await finder.regions.find(each) for each in locations] == list(locations.values())
        assert finder.asked == 3


DATABASE = f"{SERVER}/databases/shop"
BELOW = {
    "child": DATABASE,
    "child of a child": f"{DATABASE}/syncGroups/all",
    "extension": f"{SERVER}/providers/Microsoft.Insights/diagnosticSettings/all",
    "extension of a child": f"{DATABASE}/providers/Microsoft.Insights/diagnosticSettings/all",
    "other case": DATABASE.upper(),
    "itself": SERVER,
}


@pytest.mark.parametrize("resource_id", BELOW.values(), ids=BELOW)
async def test_what_is_below_a_resource_is_where_that_is(resource_id: str) -> None:
    with finding({SERVER: "westeurope"}) as finder:
        assert await finder.regions.find(resource_id) == "westeurope"
        assert await finder.regions.find(SERVER) == "westeurope"
        (asked,) = finder.server.asked
    assert asked.query["$filter"] == "resourceType eq 'microsoft.sql/servers'"


async def test_resource_ids_compare_without_case() -> None:
    with finding({ONE.upper(): "westeurope"}) as finder:
        assert await finder.regions.find(ONE) == "westeurope"
        assert await finder.regions.find(ONE.upper()) == "westeurope"
        assert finder.asked == 1


async def test_a_name_that_begins_alike_is_another_resource() -> None:
    with finding({f"{ONE}2": "westeurope"}) as finder:
        assert await failure(finder) == not_shown(ONE)


async def test_pages_are_followed() -> None:
    def answer(asked: Asked) -> Said:
        number = int(asked.query.get("page", "0"))
        names = {0: ONE, 1: "", 2: TWO}
        page: dict[str, Any] = {"value": [{"id": names[number], "location": "westeurope"}]}
        if number < 2:
            page["nextLink"] = f"{finder.server.url}{LIST}?page={number + 1}"
        return said(page)

    with finding({}) as finder:
        finder.arm.instead = answer
        assert await finder.regions.find(TWO) == "westeurope"
        assert await finder.regions.find(ONE) == "westeurope"
        assert finder.asked == 3


# --- Storms ---------------------------------------------------------------------------------------


async def find_all(finder: Finder, resource_ids: list[str]) -> list[str]:
    return await asyncio.gather(*map(finder.regions.find, resource_ids))


async def test_a_thousand_points_of_a_hundred_resources_make_a_hundred_look_ups() -> None:
    apart = {resource("a", group=f"g{number}"): f"region{number}" for number in range(100)}
    with finding(apart) as finder:
        assert await find_all(finder, list(apart) * 10) == list(apart.values()) * 10
        print(f"1000 points of 100 resources, each in its own group: {finder.asked} look-ups")
        assert finder.asked == 100


async def test_a_thousand_points_of_one_group_and_type_make_one() -> None:
    together = {resource(f"r{number}"): f"region{number}" for number in range(100)}
    with finding(together) as finder:
        assert await find_all(finder, list(together) * 10) == list(together.values()) * 10
        assert finder.asked == 1


async def test_those_that_fail_are_asked_once_each_too() -> None:
    apart = [resource("a", group=f"g{number}") for number in range(100)]
    with finding({}) as finder:
        finder.arm.instead = lambda _: Said(500)
        answers = await asyncio.gather(
            *map(finder.regions.find, apart * 10), return_exceptions=True
        )
        assert {type(answer) for answer in answers} == {RegionError}
        assert finder.asked == 100


async def test_more_at_once_than_are_remembered_are_asked_once_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shared.pipeline.regions._MOST_LISTS", 2)
    apart = {resource("a", group=f"g{number}"): f"region{number}" for number in range(10)}
    with finding(apart) as finder:
        assert await find_all(finder, list(apart) * 3) == list(apart.values()) * 3
        assert finder.asked == len(apart)


async def test_finding_again_at_once_is_one_look_up() -> None:
    together = {resource(f"r{number}"): "westeurope" for number in range(10)}
    with finding(together) as finder:
        again = await asyncio.gather(*map(finder.regions.find_again, together))
        assert again == ["westeurope"] * 10
        assert finder.asked == 1


class Held:
    """An answer that waits until it is let go."""

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._asked = threading.Event()
        self._let_go = threading.Event()
        finder.arm.instead = self._answer

    def _answer(self, asked: Asked) -> Said:
        self._asked.set()
        assert self._let_go.wait(30)
        return self._finder.arm.list(asked)

    async def begun(self) -> None:
        assert await asyncio.to_thread(self._asked.wait, 30)

    def let_go(self) -> None:
        self._let_go.set()


async def test_one_that_is_cancelled_does_not_end_the_look_up_of_the_others() -> None:
    with finding({ONE: "westeurope", TWO: "eastus"}) as finder:
        held = Held(finder)
        tasks = [asyncio.create_task(finder.regions.find(each)) for each in (ONE, ONE, TWO)]
        await held.begun()
        tasks[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]
        held.let_go()
        assert await asyncio.gather(*tasks[1:]) == ["westeurope", "eastus"]
        assert finder.asked == 1


async def test_a_look_up_that_nobody_waits_for_any_more_is_remembered() -> None:
    with finding({ONE: "westeurope"}) as finder:
        held = Held(finder)
        task = asyncio.create_task(finder.regions.find(ONE))
        await held.begun()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        held.let_go()
        assert await finder.regions.find(ONE) == "westeurope"
        assert finder.asked == 1


async def test_look_ups_that_hang_are_waited_for_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.pipeline.regions._DEADLINE", 0.3)
    apart = [resource("a", group=f"g{number}") for number in range(20)]
    with finding({}, threads=1) as finder:
        finder.arm.instead = silence
        answers = await asyncio.gather(*map(finder.regions.find, apart), return_exceptions=True)
        # One after the other, each of them would have been asked for.
        assert finder.asked < len(apart) / 2
    assert all(isinstance(answer, RegionError) for answer in answers)


# --- What is remembered ---------------------------------------------------------------------------


async def test_a_region_is_kept_for_a_day() -> None:
    with finding({ONE: "westeurope"}) as finder:
        begun = finder.clock.now
        assert await finder.regions.find(ONE) == "westeurope"
        finder.arm.locations[ONE] = "eastus"
        finder.clock.now = begun + DAY - 0.1
        assert await finder.regions.find(ONE) == "westeurope"
        assert finder.asked == 1
        finder.clock.now = begun + DAY
        assert await finder.regions.find(ONE) == "eastus"
        assert finder.asked == 2


@pytest.mark.parametrize("broken", [False, True], ids=["not there", "refused"])
async def test_a_failure_is_kept_for_a_minute(broken: bool) -> None:
    with finding({}) as finder:
        begun = finder.clock.now
        if broken:
            finder.arm.instead = lambda _: Said(403)
        first = await failure(finder)
        finder.arm.locations[ONE] = "westeurope"
        finder.arm.instead = None
        finder.clock.now = begun + 59.9
        assert await failure(finder) == first
        assert finder.asked == 1
        finder.clock.now = begun + 60
        assert await finder.regions.find(ONE) == "westeurope"
        assert finder.asked == 2


async def test_a_failure_is_kept_from_when_it_was_answered() -> None:
    with finding({}) as finder:
        held = Held(finder)
        task = asyncio.create_task(failure(finder))
        await held.begun()
        finder.clock.now += 10
        held.let_go()
        await task
        finder.clock.now += 59.9
        await failure(finder)
        assert finder.asked == 1


async def test_one_that_is_new_in_a_group_is_seen_after_a_minute() -> None:
    with finding({ONE: "westeurope"}) as finder:
        assert await finder.regions.find(ONE) == "westeurope"
        finder.arm.locations[TWO] = "eastus"
        assert await failure(finder, TWO) == not_shown(TWO)
        finder.clock.now += 60
        assert await finder.regions.find(TWO) == "eastus"
        assert await finder.regions.find(ONE) == "westeurope"
        assert finder.asked == 2


@pytest.mark.parametrize("gone", [False, True], ids=["refused", "not shown"])
async def test_a_stale_region_is_better_than_none(gone: bool) -> None:
    with finding({ONE: "westeurope"}) as finder:
        assert await finder.regions.find(ONE) == "westeurope"
        finder.clock.now += DAY
        if gone:
            finder.arm.locations.clear()
        else:
            finder.arm.instead = lambda _: Said(500)
        assert await finder.regions.find(ONE) == "westeurope"
        assert await finder.regions.find(ONE) == "westeurope"
        assert finder.asked == 2
        finder.arm.locations[ONE] = "eastus"
        finder.arm.instead = None
        finder.clock.now += 60
        assert await finder.regions.find(ONE) == "eastus"


async def test_find_again_asks_even_for_what_is_known() -> None:
    with finding({ONE: "westeurope"}) as finder:
        assert await finder.regions.find(ONE) == "westeurope"
        finder.arm.locations[ONE] = "eastus"
        finder.clock.now += MOMENT
        assert await finder.regions.find_again(f"{ONE}/queueServices/default") == "eastus"
        assert await finder.regions.find(ONE) == "eastus"
        assert finder.asked == 2


async def test_many_that_ask_again_after_one_list_make_no_more_of_it() -> None:
    with finding({ONE: "westeurope"}) as finder:
        for _ in range(100):
            assert await finder.regions.find_again(ONE) == "westeurope"
            finder.clock.now += MOMENT / 200
        assert finder.asked == 1


async def test_a_look_up_that_did_not_come_to_its_turn_is_no_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with finding({ONE: "westeurope"}) as finder:
        monkeypatch.setattr("shared.pipeline.regions._DEADLINE", 0.0)
        text = await failure(finder)
        assert "is still to be looked up: at most " in text
        assert "Reader" not in text
        monkeypatch.undo()
        assert await finder.regions.find(ONE) == "westeurope"
        assert finder.asked == 1


async def test_find_again_finds_nothing_where_the_answer_is_none() -> None:
    with finding({ONE: "westeurope"}) as finder:
        assert await finder.regions.find(ONE) == "westeurope"
        finder.arm.instead = lambda _: Said(500)
        finder.clock.now += MOMENT
        assert await finder.regions.find_again(ONE) is None
        # What was known had been wrong.
        assert await failure(finder) == not_looked_up(f"{finder.server.url}{LIST}: 500")
        assert finder.asked == 2


async def known_after(finder: Finder, resource_ids: list[str]) -> int:
    """How many of the resources must be asked for anew once no list is remembered."""
    finder.clock.now += 60
    before = finder.asked
    for resource_id in resource_ids:
        await finder.regions.find(resource_id)
    return finder.asked - before


@pytest.mark.parametrize(("found", "anew"), [(3, 0), (4, 1)], ids=["at the limit", "one beyond"])
async def test_the_oldest_region_is_forgotten_first(
    found: int, anew: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.pipeline.regions._MOST_KNOWN", 3)
    apart = [resource("a", group=f"g{number}") for number in range(found)]
    with finding(dict.fromkeys(apart, "westeurope")) as finder:
        for each in apart:  # At once they would come in any order.
            await finder.regions.find(each)
        assert await known_after(finder, apart[1:]) == 0
        assert await known_after(finder, apart[:1]) == anew


@pytest.mark.parametrize(("failed", "anew"), [(3, 0), (4, 1)], ids=["at the limit", "one beyond"])
async def test_the_oldest_failure_is_forgotten_first(
    failed: int, anew: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.pipeline.regions._MOST_LISTS", 3)
    apart = [resource("a", group=f"g{number}") for number in range(failed)]
    with finding({}) as finder:
        for resource_id in (*apart, *apart[1:]):
            await failure(finder, resource_id)
        assert finder.asked == failed
        await failure(finder, apart[0])
        assert finder.asked == failed + anew


# --- METRICS_REGION -------------------------------------------------------------------------------


@pytest.mark.parametrize("resource_id", [ONE, ONE.upper(), f"{ONE}/queueServices/default"])
async def test_the_region_of_the_default_resource_needs_no_request(resource_id: str) -> None:
    with finding({}, resource_id=ONE, region="northeurope") as finder:
        assert await finder.regions.find(resource_id) == "northeurope"
        assert finder.asked == 0


async def test_the_default_resource_without_a_region_is_looked_up() -> None:
    with finding({ONE: "westeurope"}, resource_id=ONE) as finder:
        assert await finder.regions.find(ONE) == "westeurope"


async def test_where_the_default_resource_is_can_be_asked_again() -> None:
    with finding({ONE: "westeurope"}, resource_id=ONE, region="northeurope") as finder:
        assert await finder.regions.find_again(ONE) == "westeurope"


async def test_what_arm_tells_is_better_than_the_default() -> None:
    with finding({TWO: "eastus"}, resource_id=ONE, region="northeurope") as finder:
        assert await finder.regions.find(TWO) == "eastus"


NOT_TOLD: dict[str, Callable[[Asked], Said | None]] = {
    "not there": lambda _: said({"value": []}),
    "refused": lambda _: Said(403),
    "nothing": lambda _: None,
    "no region": lambda _: said({"value": [{"id": ONE, "location": "global"}]}),
}


@pytest.mark.parametrize("answer", NOT_TOLD.values(), ids=NOT_TOLD)
@pytest.mark.parametrize("default", [TWO, None], ids=["of a resource", "alone"])
async def test_the_default_stands_in_for_what_arm_does_not_tell(
    answer: Callable[[Asked], Said | None], default: str | None
) -> None:
    with finding({}, resource_id=default, region="northeurope") as finder:
        finder.arm.instead = answer
        assert await finder.regions.find(ONE) == "northeurope"
        # Unlike what ARM says it is not remembered for long.
        finder.arm.instead = None
        finder.arm.locations[ONE] = "westeurope"
        finder.clock.now += 60
        assert await finder.regions.find(ONE) == "westeurope"


# --- What may come back ---------------------------------------------------------------------------


def silence(asked: Asked) -> None:
    asked.ended.wait(30)


def refusing(status: int, code: str, words: str) -> Callable[[Asked], Said]:
    return lambda _: said({"error": {"code": code, "message": words}}, status)


NO_READER = (
    "The client '0f8f' does not have authorization to perform action "
    "'Microsoft.Resources/subscriptions/resourceGroups/resources/read' over scope '/s/1'."
)
# What ARM answers, and what is said of it after the address.
NOT_LISTS: dict[str, tuple[Callable[[Asked], Said | None], str]] = {
    "401": (
        refusing(401, "AuthenticationFailed", "Authentication failed."),
        "401 AuthenticationFailed Authentication failed.",
    ),
    "403": (
        refusing(403, "AuthorizationFailed", NO_READER),
        f"403 AuthorizationFailed {NO_READER}",
    ),
    "404": (
        refusing(404, "ResourceGroupNotFound", "Resource group 'orders' could not be found."),
        "404 ResourceGroupNotFound Resource group 'orders' could not be found.",
    ),
    "429": (
        refusing(429, "SubscriptionRequestsThrottled", "Too many."),
        "429 SubscriptionRequestsThrottled Too many.",
    ),
    "500": (refusing(500, "InternalServerError", "Sorry."), "500 InternalServerError Sorry."),
    "redirect": (lambda _: Said(302, headers={"Location": "https://evil.example/"}), "302"),
    "another host": (
        lambda _: said({"value": [], "nextLink": "https://evil.example/next?a=b"}),
        "the next page is on another host: https://evil.example/next",
    ),
}


@pytest.mark.parametrize(("answer", "text"), NOT_LISTS.values(), ids=NOT_LISTS)
async def test_what_arm_refuses_is_said_with_what_helps(
    answer: Callable[[Asked], Said | None], text: str
) -> None:
    with finding({}) as finder:
        finder.arm.instead = answer
        assert await failure(finder) == not_looked_up(f"{finder.server.url}{LIST}: {text}")
        assert finder.asked == 1


BROKEN: dict[str, tuple[Callable[[Asked], Said | None], str]] = {
    "time-out": (silence, "not read in time"),
    "no answer": (lambda _: None, "ConnectionError: "),
    "no JSON": (lambda _: Said(body=b"<html>"), "not JSON: "),
}


@pytest.mark.parametrize(("answer", "text"), BROKEN.values(), ids=BROKEN)
async def test_what_does_not_get_through_is_said(
    answer: Callable[[Asked], Said | None], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.pipeline.regions._DEADLINE", 0.3 if answer is silence else 30.0)
    with finding({}) as finder:
        finder.arm.instead = answer
        found = await failure(finder)
    before, _, after = not_looked_up("|").partition("|")
    assert found.startswith(f"{before}{finder.server.url}{LIST}: {text}")
    assert found.endswith(after)


NO_PAGES = {
    "null": None,
    "number": 1,
    "text": "westeurope",
    "list": [{"id": ONE, "location": "westeurope"}],
    "empty": {},
    "null for the list": {"value": None},
    "object for the list": {"value": {"id": ONE, "location": "westeurope"}},
    "text for the list": {"value": ONE},
}


@pytest.mark.parametrize("document", NO_PAGES.values(), ids=NO_PAGES)
async def test_what_is_no_page_of_resources(document: Any) -> None:
    with finding({}) as finder:
        finder.arm.instead = lambda _: said(document)
        assert await failure(finder) == not_looked_up("not a page of resources")


NO_RESOURCES = {
    "null": None,
    "text": ONE,
    "list": [ONE, "westeurope"],
    "no location": {"id": ONE},
    "no ID": {"location": "westeurope"},
    "null for the location": {"id": ONE, "location": None},
    "number for the location": {"id": ONE, "location": 1},
    "list for the location": {"id": ONE, "location": ["westeurope"]},
    "number for the ID": {"id": 1, "location": "westeurope"},
}


@pytest.mark.parametrize("one", NO_RESOURCES.values(), ids=NO_RESOURCES)
async def test_what_is_no_resource_does_not_spoil_its_page(one: Any) -> None:
    with finding({}) as finder:
        finder.arm.instead = lambda _: said({"value": [one, {"id": TWO, "location": "eastus"}]})
        assert await failure(finder) == not_shown(ONE)
        assert await finder.regions.find(TWO) == "eastus"


LOCATIONS = {
    "as ARM writes it": ("westeurope", "westeurope"),
    "display name": ("West Europe", "westeurope"),
    "display name with a digit": ("East US 2", "eastus2"),
    "upper case": ("WESTEUROPE", "westeurope"),
}


@pytest.mark.parametrize(("location", "region"), LOCATIONS.values(), ids=LOCATIONS)
async def test_a_location_becomes_a_region(location: str, region: str) -> None:
    with finding({ONE: location}) as finder:
        assert await finder.regions.find(ONE) == region


@pytest.mark.parametrize("location", ["global", "Global"])
async def test_what_is_everywhere_is_in_no_region(location: str) -> None:
    with finding({ONE: location}) as finder:
        assert await failure(finder) == (
            f"{ONE.lower()} is in no region: its location is global; name the region that its "
            "metrics go to"
        )
        assert await finder.regions.find_again(ONE) is None


NO_REGIONS = {
    "nothing": ("", "''"),
    "another host": ("evil.example/#", "'evil.example/#'"),
    "user information": ("a@evil", "'a@evil'"),
    "hyphen": ("west-europe", "'west-europe'"),
    "newline": ("westeurope\n", r"'westeurope\n'"),
    "no-break space": ("west\u00a0europe", r"'west\xa0europe'"),
    "only looks right": ("west\u0435urope", r"'west\u0435urope'"),
    "too long": ("a" * 41, f"'{'a' * 41}'"),
}


@pytest.mark.parametrize(("location", "shown"), NO_REGIONS.values(), ids=NO_REGIONS)
async def test_a_location_that_is_no_region_is_refused(location: str, shown: str) -> None:
    with finding({ONE: location}) as finder:
        assert await failure(finder) == (
            f"the location of {ONE.lower()}: {shown} is not a region: lower-case letters and "
            "digits, such as westeurope; name one"
        )
        assert await finder.regions.find_again(ONE) is None


_IDS = st.sampled_from([ONE, ONE.upper(), TWO, "", "x"])
_PLACES = st.sampled_from(["westeurope", "East US", "global", "evil.example/#", ""])
_ANYTHING = st.none() | st.booleans() | st.integers() | _IDS | _PLACES | st.lists(_PLACES)
_RESOURCES = st.dictionaries(st.sampled_from(["id", "location", "x"]), _ANYTHING) | st.builds(
    lambda resource_id, location: {"id": resource_id, "location": location}, _IDS, _PLACES
)
_PAGES = st.builds(
    lambda value, link: {"value": value, "nextLink": link},
    st.lists(_RESOURCES | _ANYTHING, max_size=5) | _ANYTHING,
    st.none() | st.sampled_from(["", "?page=2", "https://evil.example/", "//[", 1]),
)


@given(st.lists(_PAGES | _RESOURCES | _ANYTHING, min_size=1, max_size=3))
@example([{"value": [{"id": ONE, "location": "West Europe"}], "nextLink": "?page=2"}])
@example([{"value": [{"id": ONE, "location": "westeurope"}, {"id": ONE, "location": ""}]}])
def test_whatever_arm_says_is_a_region_or_a_reason(pages: list[Any]) -> None:
    transport = Transport(*(Reply(200, json.dumps(page)) for page in pages))

    async def find() -> tuple[str, str | None]:
        regions = Regions(client, "https://arm.example", executor)
        try:
            found = await regions.find(ONE)
        except RegionError as exc:
            found = str(exc)
        return found, await regions.find_again(ONE)

    with session_with(transport) as session, ThreadPoolExecutor(1) as executor:
        client = JsonClient(session, open_gate(), None)
        found, again = asyncio.run(find())
    assert again in {None, "westeurope", "eastus"}
    assert found in {"westeurope", "eastus"} or ONE.lower() in found or "looked up" in found
    hosts = {str(request.url).split("/")[2] for request in transport.requests}
    assert hosts == {"arm.example"}
