"""Where resources are that were not where they had been sent: what the store's answers taught."""

from __future__ import annotations

from shared.model import Lane

__all__ = ["Detours"]

# Resources whose right region is remembered, the oldest forgotten first.
_MOST_REGIONS = 10_000


class Detours:
    """Remembers a region for each resource until it does not help."""

    def __init__(self) -> None:
        self._regions: dict[str, str] = {}

    def route(self, lane: Lane) -> Lane:
        """The lane, in the region that was learnt for its resource, if one was."""
        region = self._regions.get(lane.resource_id.lower())
        return lane if region is None else Lane(region, lane.resource_id)

    def learn(self, lane: Lane, region: str | None) -> None:
        """Note where a resource is; forget it where that did not help."""
        self._regions.pop(lane.resource_id.lower(), None)
        if region is None:
            return
        if len(self._regions) >= _MOST_REGIONS:
            self._regions.pop(next(iter(self._regions)))
        self._regions[lane.resource_id.lower()] = region
