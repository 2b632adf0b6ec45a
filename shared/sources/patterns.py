"""Which entities a source samples, and in what order.

Names and glob patterns choose entities: `orders`, `img-*`, `!img-test*`. A child of an entity
(`topic/subscription`) is chosen with its parent, or by a pattern with a slash.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

import msgspec
from msgspec import Meta

from shared.errors import ValidationError

__all__ = ["SOME_INCLUDED", "Patterns", "Rotation"]

# Of a list of patterns: not exclusions alone.
SOME_INCLUDED = Meta(min_length=1, extra_json_schema={"contains": {"not": {"pattern": "^!"}}})


class Patterns(msgspec.Struct, frozen=True):
    """What is included by name, included by pattern, and excluded; all as `fold` writes them."""

    names: tuple[str, ...]
    globs: tuple[str, ...]
    excluded: tuple[str, ...]
    fold: Callable[[str], str]

    @classmethod
    def of(cls, path: str, texts: Iterable[str], fold: Callable[[str], str] = str) -> Patterns:
        """Parse a list of patterns; `fold` makes names equal that the service takes for equal.

        Raises ValidationError if it has only exclusions.
        """
        names: dict[str, None] = {}
        globs: list[str] = []
        excluded: list[str] = []
        for text in map(fold, texts):
            if text.startswith("!"):
                excluded.append(text[1:])
            elif set(text) & set("*?["):
                globs.append(text)
            else:
                names[text] = None
        if not names and not globs:
            raise ValidationError(path, "only exclusions; add a name or a pattern to include")
        return cls(tuple(names), tuple(globs), tuple(excluded), fold)

    def expected_names(self) -> list[str]:
        """Return what is included by name and not excluded; each of them should exist."""
        return [name for name in self.names if not self._excludes(*name.split("/", 1))]

    def includes(self, name: str, child: str | None = None) -> bool:
        """Return whether an entity, or its child, is included and not excluded."""
        name, child = self.fold(name), None if child is None else self.fold(child)
        named = name in self.names or (child is not None and f"{name}/{child}" in self.names)
        chosen = named or any(_matches(glob, name, child) for glob in self.globs)
        return chosen and not self._excludes(name, child)

    def may_include_children(self, name: str) -> bool:
        """Return whether some child of the entity may be included."""
        name = self.fold(name)
        if self._excludes(name):
            return False
        return self.includes(name) or any(
            fnmatchcase(name, text[:index])
            for text in (*self.names, *self.globs)
            for index, character in enumerate(text)
            if character == "/"
        )

    def _excludes(self, name: str, child: str | None = None) -> bool:
        return any(_matches(glob, name, child) for glob in self.excluded)


@dataclass
class Rotation:
    """Orders names so that each tick continues after the last name of the tick before.

    If a tick is too short for all of them, each name still gets its turn.
    """

    last: str = ""  # The last name that was read.

    def order(self, names: Iterable[str]) -> list[str]:
        """Return all names, beginning with the one after the last that was read."""
        ordered = sorted(names)
        first = bisect_right(ordered, self.last)
        return ordered[first:] + ordered[:first]


def _matches(glob: str, name: str, child: str | None) -> bool:
    if fnmatchcase(name, glob):
        return True
    return child is not None and "/" in glob and fnmatchcase(f"{name}/{child}", glob)
