"""Resource IDs, the scopes they lie in, and the region each resource lives in."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from .answers import RefusalError
from .limits import MAX_RESOURCES

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Resources", "in_scope", "is_resource"]


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


class Resources:
    """Which region each resource is in: registered, or learned from its first accepted post."""

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._registered: dict[str, str] = {}
        self._learned: OrderedDict[str, str] = OrderedDict()

    def register(self, regions: Mapping[str, str]) -> None:
        """Replace what is registered: resource ID -> region."""
        self._registered = {key.lower(): region.lower() for key, region in regions.items()}

    def check(self, resource_id: str, region: str) -> None:
        """Raise RefusalError for a resource that does not exist, or not in this region."""
        key = resource_id.lower()
        home = self._registered.get(key)
        if home is None:
            if self._strict:
                raise RefusalError(404, message="The resource is not registered (--strict)")
            home = self._learned.get(key, region)
        if home != region:
            raise RefusalError(
                400,
                "RegionMismatch",
                f"This endpoint : {region} does not accept metrics"
                f" for the resource's region : {home} ",
            )

    def learn(self, resource_id: str, region: str) -> None:
        """Remember where a resource was first posted to with success."""
        key = resource_id.lower()
        if key in self._registered or key in self._learned:
            return
        self._learned[key] = region
        if len(self._learned) > MAX_RESOURCES:
            self._learned.popitem(last=False)
