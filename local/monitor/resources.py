"""Resource IDs, the scopes they lie in, and the region each resource lives in."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from cachetools import LRUCache

from .answers import RefusalError
from .limits import MAX_RESOURCES

__all__ = ["Located", "Resources", "in_scope", "is_resource", "type_and_name"]

# Ends of the message of RegionMismatch, both recorded from the service; clients must read either.
_MISMATCH_ENDS = (" ", ". Ensure you are sending to the correct regional endpoint.")


def is_resource(resource_id: str) -> bool:
    """Whether the ID names a resource, not a subscription or a resource group.

    The published path is /subscriptions/s/resourceGroups/g/providers/p/type/name; children add
    pairs of type and name, extension resources /providers/p/type/name once more.
    """
    first, *parts = resource_id.lower().split("/")
    return (
        not first
        and len(parts) >= 8
        and len(parts) % 2 == 0
        and all(parts)
        and parts[0::2][:3] == ["subscriptions", "resourcegroups", "providers"]
    )


def in_scope(resource_id: str, scope: str) -> bool:
    """Whether the resource is the scope or lies below it: whole segments, without case."""
    prefix = scope.lower().rstrip("/") + "/"
    return (resource_id.lower() + "/").startswith(prefix)


def type_and_name(resource_id: str) -> tuple[str, str]:
    """A resource ID's type (Microsoft.Storage/storageAccounts) and name; a child's are joined."""
    parts = resource_id.split("/")
    providers = max(index for index, part in enumerate(parts) if part.lower() == "providers")
    provider, *pairs = parts[providers + 1 :]
    return "/".join([provider, *pairs[0::2]]), "/".join(pairs[1::2])


class Located(NamedTuple):
    """A resource ID, as first spelled, and its region."""

    resource_id: str
    region: str


class Resources:
    """Which region each resource is in.

    Registered or, failing that, declared by the part that emulates it or, failing that, learned
    from its first accepted post.
    """

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._registered: dict[str, Located] = {}
        self._declared: dict[str, Located] = {}
        self._learned: LRUCache[str, Located] = LRUCache(MAX_RESOURCES)
        self._mismatch_ends = itertools.cycle(_MISMATCH_ENDS)

    def register(self, regions: Mapping[str, str]) -> None:
        """Replace what is registered: resource ID -> region."""
        self._registered = _located(regions)

    def declare(self, regions: Mapping[str, str]) -> None:
        """Replace what is declared: resource ID -> region."""
        self._declared = _located(regions)

    def known(self) -> Iterator[Located]:
        """All resources that are known to exist, each once."""
        yield from {**self._learned, **self._declared, **self._registered}.values()

    def region(self, resource_id: str) -> str | None:
        """The region of a resource, None if it is not known."""
        key = resource_id.lower()
        found = self._registered.get(key) or self._declared.get(key) or self._learned.get(key)
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
        """Remember where a resource was first posted to with success."""
        if self.region(resource_id) is None:
            self._learned[resource_id.lower()] = Located(resource_id, region)


def _located(regions: Mapping[str, str]) -> dict[str, Located]:
    return {key.lower(): Located(key, region.lower()) for key, region in regions.items()}
