"""Names and glob patterns that choose among entities: `orders`, `img-*`, `!img-test*`.

Something below an entity (`topic/subscription`) is chosen with what it is below, or by a pattern
with a slash of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

import msgspec

from shared.messages.refusal import RefusedError

__all__ = ["SOME_INCLUDED", "Patterns"]

# A list of patterns as a JSON Schema: not exclusions alone.
SOME_INCLUDED = {"contains": {"not": {"pattern": "^!"}}}


class Patterns(msgspec.Struct, frozen=True):
    """What an entry includes by name, includes by pattern, and excludes."""

    names: tuple[str, ...]
    globs: tuple[str, ...]
    excluded: tuple[str, ...]

    @classmethod
    def of(cls, path: str, texts: Iterable[str]) -> Patterns:
        """Tell names, patterns and exclusions apart. Raises RefusedError for exclusions alone."""
        names: dict[str, None] = {}
        globs: list[str] = []
        excluded: list[str] = []
        for text in texts:
            if text.startswith("!"):
                excluded.append(text[1:])
            elif set(text) & set("*?["):
                globs.append(text)
            else:
                names[text] = None
        if not names and not globs:
            raise RefusedError(path, "only exclusions; a name or a pattern to include is missing")
        return cls(tuple(names), tuple(globs), tuple(excluded))

    def wanted_names(self) -> list[str]:
        """What is included by name and not excluded, each of which should be there."""
        return [name for name in self.names if not self.excludes(*name.split("/", 1))]

    def includes(self, name: str, child: str | None = None) -> bool:
        """Whether an entity, or its child, is included and not excluded."""
        named = name in self.names or (child is not None and f"{name}/{child}" in self.names)
        chosen = named or any(_chooses(glob, name, child) for glob in self.globs)
        return chosen and not self.excludes(name, child)

    def may_include_below(self, name: str) -> bool:
        """Whether some child of the entity may be included."""
        if self.excludes(name):
            return False
        return self.includes(name) or any(
            fnmatchcase(name, start)
            for text in (*self.names, *self.globs)
            for start in _starts(text)
        )

    def excludes(self, name: str, child: str | None = None) -> bool:
        """Whether an entity, or its child, is excluded."""
        return any(_chooses(glob, name, child) for glob in self.excluded)


def _chooses(glob: str, name: str, child: str | None) -> bool:
    if fnmatchcase(name, glob):
        return True
    return child is not None and "/" in glob and fnmatchcase(f"{name}/{child}", glob)


def _starts(text: str) -> list[str]:
    """What of a pattern may stand for the entity: all before one of its slashes."""
    return [text[:index] for index, letter in enumerate(text) if letter == "/"]
