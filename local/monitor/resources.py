"""Read resource IDs and scopes, and know the region of each resource."""

from __future__ import annotations

import itertools
import re
from collections import ChainMap
from collections.abc import Collection, Mapping
from typing import Annotated, NamedTuple

import msgspec
from cachetools import LRUCache

from .answers import RefusalError
from .limits import MAX_RESOURCES

__all__ = [
    "REGION",
    "RESOURCE",
    "Located",
    "Region",
    "Resources",
    "in_scope",
    "is_resource",
    "type_and_name",
]

REGION = "[a-z][a-z0-9]*"
Region = Annotated[str, msgspec.Meta(pattern=f"^{REGION}$")]

# Children add pairs of type and name, extension resources /providers/{provider}/{type}/{name}.
RESOURCE = "/subscriptions/[^/]+/resourceGroups/[^/]+/providers/[^/]+(?:/[^/]+/[^/]+)+"
_RESOURCE = re.compile(RESOURCE, re.IGNORECASE)

# Ends of the message of RegionMismatch, both recorded from the service; clients must read either.
_MISMATCH_ENDS = (" ", ". Ensure you are sending to the correct regional endpoint.")


def is_resource(resource_id: str) -> bool:
    """Return whether the ID names a resource, not a subscription or a resource group."""
    return _RESOURCE.fullmatch(resource_id) is not None


def in_scope(resource_id: str, scope: str) -> bool:
    """Return whether the resource is the scope or below it: whole segments, without case."""
    prefix = scope.lower().rstrip("/") + "/"
    return (resource_id.lower() + "/").startswith(prefix)


def type_and_name(resource_id: str) -> tuple[str, str]:
    """Return type (Microsoft.Storage/storageAccounts) and name; those of a child are joined."""
    parts = resource_id.split("/")
    # A name may be "providers", too: after the last one there are a provider, a type and a name.
    providers = max(index for index, part in enumerate(parts[:-3]) if part.lower() == "providers")
    provider, *pairs = parts[providers + 1 :]
    return "/".join([provider, *pairs[0::2]]), "/".join(pairs[1::2])


class Located(NamedTuple):
    """Holds a resource ID, as first spelled, and its region."""

    resource_id: str
    region: str


class Resources:
    """Knows the region of each resource.

    This is the region that was registered for the resource, else the one in which a Service Bus
    namespace was declared, else that of the first accepted post.
    """

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._registered: dict[str, Located] = {}
        self._declared: dict[str, Located] = {}
        self._learned: LRUCache[str, Located] = LRUCache(MAX_RESOURCES)
        self._mismatch_ends = itertools.cycle(_MISMATCH_ENDS)

    @property
    def _all(self) -> ChainMap[str, Located]:
        return ChainMap(self._registered, self._declared, self._learned)

    def register(self, regions: Mapping[str, str]) -> None:
        """Replace what is registered: resource ID -> region."""
        self._registered = _located(regions)

    def declare(self, regions: Mapping[str, str]) -> None:
        """Replace what is declared: resource ID -> region."""
        self._declared = _located(regions)

    def known(self) -> Collection[Located]:
        """Return each resource that is known to exist once."""
        return self._all.values()

    def region(self, resource_id: str) -> str | None:
        """Return the region of a resource, None if it is not known."""
        found = self._all.get(resource_id.lower())
        return found and found.region

    def check(self, resource_id: str, region: str) -> None:
        """Raise RefusalError for a resource that does not exist, or not in this region."""
        home = self.region(resource_id)
        if home is None and self._strict:
            raise RefusalError(404, message="The resource is not registered (--strict)")
        if home not in {None, region}:
            raise RefusalError(
                400,
                "RegionMismatch",
                f"This endpoint : {region} does not accept metrics"
                f" for the resource's region : {home}{next(self._mismatch_ends)}",
            )

    def learn(self, resource_id: str, region: str) -> None:
        """Remember the region of the first accepted post of a resource."""
        if self.region(resource_id) is None:
            self._learned[resource_id.lower()] = Located(resource_id, region)


def _located(regions: Mapping[str, str]) -> dict[str, Located]:
    return {key.lower(): Located(key, region.lower()) for key, region in regions.items()}
