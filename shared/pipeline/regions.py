"""Resource ID -> region: what the operator says, or what Azure Resource Manager knows.

One look-up lists all resources of one type in one resource group. Needs Reader on the resources.
Source: "Resources - List By Resource Group", version 2021-04-01.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from functools import partial
from typing import Any
from urllib.parse import quote

import msgspec

from shared.clients.deadline import Deadline
from shared.clients.json_client import JsonClient
from shared.errors import LateError, RegionError, SourceError
from shared.resource_ids import Parent, checked_region, parent_of

__all__ = ["Regions"]

_API_VERSION = "2021-04-01"
# Seconds for one look-up, its wait for a thread included, and for which its outcome is kept: a
# resource that was not there a minute ago may be there now.
_DEADLINE = 15.0
_BRIEFLY = 60.0
_MOMENT = 5.0
# Seconds for which a region is kept: hardly any resource can be moved to another one.
_LONG = 24 * 3600.0
# Resources whose region is kept, and look-ups whose outcome is; the oldest are forgotten first.
_MOST_KNOWN = 10_000
_MOST_LISTS = 200
# The location of what is in no region, such as Traffic Manager.
_NOWHERE = "global"


class _BusyError(RegionError):
    """The look-up did not come to its turn; no answer, and so not kept."""


class _Known(msgspec.Struct, frozen=True):
    region: str
    until: float  # By the clock.


class _List(msgspec.Struct, frozen=True):
    """A look-up that has ended."""

    task: asyncio.Task[dict[str, str]]
    until: float  # By the clock.


class Regions:
    """Finds regions and remembers them; for one event loop."""

    def __init__(
        self,
        client: JsonClient,
        arm_endpoint: str,
        executor: Executor,
        *,
        resource_id: str | None = None,
        region: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`region` is that of `resource_id`, and of what ARM does not tell."""
        self._client = client
        self._arm_endpoint = arm_endpoint
        self._executor = executor
        self._default_parent = parent_of(resource_id).resource_id if resource_id else None
        self._default = region
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._lists: dict[tuple[str, str], _List] = {}
        # Never forgotten: what waits for them would ask again.
        self._under_way: dict[tuple[str, str], asyncio.Task[dict[str, str]]] = {}

    async def find(self, resource_id: str) -> str:
        """The region of a resource. Raises RegionError."""
        parent = parent_of(resource_id)
        if self._default and parent.resource_id == self._default_parent:
            return self._default
        known = self._known.get(parent.resource_id)
        if known is not None and known.until > self._clock():
            return known.region
        try:
            region = await self._look_up(parent)
        except RegionError:
            # What was true a day ago is a better guess than none.
            if known is not None:
                return known.region
            if self._default:
                return self._default
            raise
        self._remember(parent.resource_id, region)
        return region

    async def find_again(self, resource_id: str) -> str | None:
        """The region as ARM has it now, None where it does not tell: the one known was wrong."""
        parent = parent_of(resource_id)
        self._known.pop(parent.resource_id, None)
        key = (parent.group, parent.kind)
        listed = self._lists.get(key)
        # What was listed a moment ago is what many ask for at once.
        if listed is not None and listed.until - self._clock() < _BRIEFLY - _MOMENT:
            del self._lists[key]
        try:
            region = await self._look_up(parent)
        except RegionError:
            return None
        self._remember(parent.resource_id, region)
        return region

    async def _look_up(self, parent: Parent) -> str:
        key = (parent.group, parent.kind)
        listed = self._lists.get(key)
        if listed is not None and listed.until > self._clock():
            task = listed.task
        else:
            task = self._under_way.get(key) or self._begin(key)
        # An invocation that is cancelled must not end the look-up of the others.
        found = await asyncio.shield(task)
        location = found.get(parent.resource_id)
        if location is None:
            raise RegionError(
                f"{parent.resource_id} is not among what Azure Resource Manager shows of "
                f"{parent.kind} in its resource group: it is not there, or the app's identity "
                f"lacks Reader on it; or name the region"
            )
        if location == _NOWHERE:
            raise RegionError(
                f"{parent.resource_id} is in no region: its location is global; name the region "
                "that its metrics go to"
            )
        try:
            return checked_region(location)
        except ValueError as exc:
            raise RegionError(f"the location of {parent.resource_id}: {exc}; name one") from exc

    def _begin(self, key: tuple[str, str]) -> asyncio.Task[dict[str, str]]:
        task = self._under_way[key] = asyncio.create_task(self._list(*key))
        task.add_done_callback(partial(self._ended, key))
        return task

    def _ended(self, key: tuple[str, str], task: asyncio.Task[dict[str, str]]) -> None:
        del self._under_way[key]
        # What failed is told to whoever waits; nobody may.
        if task.cancelled() or isinstance(task.exception(), _BusyError):
            return
        self._lists.pop(key, None)
        _make_room(self._lists, _MOST_LISTS)
        self._lists[key] = _List(task, self._clock() + _BRIEFLY)

    async def _list(self, group: str, kind: str) -> dict[str, str]:
        """Resource ID in lower case -> location of all resources of a type in a group."""
        loop = asyncio.get_running_loop()
        until = Deadline(_DEADLINE)
        try:
            pairs = await loop.run_in_executor(self._executor, self._ask, group, kind, until)
        except LateError as exc:
            raise _BusyError(
                f"the region of {kind} in {group} is still to be looked up: {exc}"
            ) from exc
        except SourceError as exc:
            raise RegionError(
                f"the region of {kind} in {group} cannot be looked up: {exc}; name it, or grant "
                "the app's identity Reader there"
            ) from exc
        return pairs

    def _ask(self, group: str, kind: str, until: Deadline) -> dict[str, str]:
        chosen = quote(f"resourceType eq '{kind}'", safe="")
        url = f"{self._arm_endpoint}{group}/resources?$filter={chosen}&api-version={_API_VERSION}"
        pages = self._client.pages(url, _next_link, until)
        return dict(pair for page in pages for pair in _located(page))

    def _remember(self, resource_id: str, region: str) -> None:
        self._known.pop(resource_id, None)
        _make_room(self._known, _MOST_KNOWN)
        self._known[resource_id] = _Known(region, self._clock() + _LONG)


def _make_room(remembered: dict[Any, Any], most: int) -> None:
    while len(remembered) >= most:
        del remembered[next(iter(remembered))]


def _next_link(page: Any) -> Any:
    return page.get("nextLink") if isinstance(page, dict) else None


def _located(page: Any) -> Iterator[tuple[str, str]]:
    """Resource ID and location, as a region is written, of each resource of a page."""
    resources = page.get("value") if isinstance(page, dict) else None
    if not isinstance(resources, list):
        raise SourceError("not a page of resources")
    for resource in resources:
        match resource:
            case {"id": str(resource_id), "location": str(location)}:
                # ARM itself writes "westeurope", some of its providers "West Europe".
                yield resource_id.lower(), location.replace(" ", "").lower()
