"""Resource -> region: named by a message or a setting, looked up in ARM, corrected by an answer.

One look-up lists all resources of one type in one resource group. Needs Reader on the resources.
Source: "Resources - List By Resource Group", version 2021-04-01.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any
from urllib.parse import quote

from cachetools import LRUCache, TTLCache

from shared.clients.http import Deadline
from shared.clients.json_client import JsonClient
from shared.errors import DeadlineError, RegionError, SourceError
from shared.model import Target
from shared.resource_ids import ParentResource, parent_of, validate_region

__all__ = ["Regions"]

_API_VERSION = "2021-04-01"
# Seconds for one look-up, its wait for a thread included.
LOOKUP_DEADLINE = 15.0
# Seconds for which a look-up is kept: a resource that is missing may be there a minute later.
LOOKUP_TTL = 60.0
# Seconds after which a look-up is made again when the store says that its region is wrong.
MIN_LOOKUP_AGE = 5.0
# Resources whose region is kept, and look-ups; those used least recently are forgotten.
MAX_REGIONS = 10_000
MAX_LOOKUPS = 200
# The location of resources without a region, such as Traffic Manager.
_GLOBAL = "global"

_Locations = dict[str, str]  # Resource ID in lower case -> location.


class _BusyError(RegionError):
    """The look-up had no turn before its deadline; there is no answer to keep."""


class Regions:
    """Knows the region of each resource; for one event loop."""

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
        """`region` is that of `resource_id`, and of every resource that ARM does not show."""
        self._client = client
        self._arm_endpoint = arm_endpoint
        self._executor = executor
        self._default_parent = parent_of(resource_id).resource_id if resource_id else None
        self._default = region
        self._clock = clock
        # What an answer of the store has corrected wins over what a producer names.
        self._corrected: LRUCache[str, str] = LRUCache(MAX_REGIONS)
        self._found: LRUCache[str, str] = LRUCache(MAX_REGIONS)
        # Look-ups that run or have ended, failures included, by group and type; with their start.
        self._lookups: TTLCache[tuple[str, str], tuple[asyncio.Task[_Locations], float]] = TTLCache(
            MAX_LOOKUPS, LOOKUP_TTL, timer=clock
        )

    async def resolve(self, target: Target) -> Target:
        """Return the target with the region to publish to. Raises RegionError."""
        if target.region and not self._corrected:
            return target
        parent = parent_of(target.resource_id)
        region = self._corrected.get(parent.resource_id) or target.region
        return Target(region or await self._find(parent), target.resource_id)

    async def correct(self, target: Target, named: str | None) -> Target | None:
        """Return the target in another region after a RegionMismatch, None if there is none.

        `named` is the region that the answer names; without it, the region is looked up again.
        """
        parent = parent_of(target.resource_id)
        self._found.pop(parent.resource_id, None)
        self._corrected.pop(parent.resource_id, None)
        try:
            region = named or await self._look_up(parent, MIN_LOOKUP_AGE)
        except RegionError:
            return None
        if region == target.region:
            return None
        self._corrected[parent.resource_id] = region
        return Target(region, target.resource_id)

    async def _find(self, parent: ParentResource) -> str:
        if self._default and parent.resource_id == self._default_parent:
            return self._default
        region = self._found.get(parent.resource_id)
        if region is None:
            try:
                region = await self._look_up(parent, LOOKUP_TTL)
            except RegionError:
                if self._default:
                    return self._default
                raise
            self._found[parent.resource_id] = region
        return region

    async def _look_up(self, parent: ParentResource, max_age: float) -> str:
        key = (parent.group, parent.type)
        task, started = self._lookups.get(key, (None, 0.0))
        if task is None or (task.done() and self._clock() - started >= max_age):
            task = asyncio.create_task(self._list(*key))
            # Also retrieves a failure, which asyncio would log if no invocation waits for it.
            task.add_done_callback(partial(self._forget_busy, key))
            self._lookups[key] = task, self._clock()
        # A cancelled invocation must not end the look-up of the others.
        location = (await asyncio.shield(task)).get(parent.resource_id)
        if location is None:
            raise RegionError(
                f"{parent.resource_id} is not among the {parent.type} that Azure Resource Manager "
                "lists in its resource group: it does not exist, or the app's identity lacks "
                "Reader on it; or name the region"
            )
        if location.lower() == _GLOBAL:
            raise RegionError(
                f"the location of {parent.resource_id} is global; name the region that its "
                "metrics go to"
            )
        try:
            return validate_region(location)
        except ValueError as exc:
            raise RegionError(f"the location of {parent.resource_id}: {exc}; name one") from exc

    def _forget_busy(self, key: tuple[str, str], task: asyncio.Task[_Locations]) -> None:
        if task.cancelled() or isinstance(task.exception(), _BusyError):
            self._lookups.pop(key, None)

    async def _list(self, group: str, resource_type: str) -> _Locations:
        loop = asyncio.get_running_loop()
        deadline = Deadline(LOOKUP_DEADLINE)
        try:
            return await loop.run_in_executor(
                self._executor, self._request, group, resource_type, deadline
            )
        except DeadlineError as exc:
            raise _BusyError(f"the look-up of {resource_type} in {group} must wait: {exc}") from exc
        except SourceError as exc:
            raise RegionError(
                f"the region of {resource_type} in {group} cannot be looked up: {exc}; name the "
                "region, or grant the app's identity Reader there"
            ) from exc

    def _request(self, group: str, resource_type: str, deadline: Deadline) -> _Locations:
        condition = quote(f"resourceType eq '{resource_type}'", safe="")
        url = (
            f"{self._arm_endpoint}{group}/resources?$filter={condition}&api-version={_API_VERSION}"
        )
        locations: _Locations = {}
        for resource in self._client.arm_items(url, list[Any], deadline):
            match resource:
                case {"id": str(resource_id), "location": str(location)}:
                    locations[resource_id.lower()] = location
        return locations
