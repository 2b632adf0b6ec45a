"""Takes up where the last tick ended: of things too many for a tick, none is never read."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

__all__ = ["Rotation"]


class Rotation:
    """The order of names in a tick, whatever came or went since the last one."""

    def __init__(self) -> None:
        self._last = ""

    def order(self, names: Iterable[str]) -> list[str]:
        """All of the names, those first that come after the last one that was read."""
        ordered = sorted(names)
        first = bisect_right(ordered, self._last)
        return ordered[first:] + ordered[:first]

    def read(self, name: str) -> None:
        """Take note of the last one that was read."""
        self._last = name
