"""Names and glob patterns that choose among entities: `orders`, `img-*`, `!img-test*`."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

import msgspec

__all__ = ["Patterns"]


class Patterns(msgspec.Struct, frozen=True):
    """What an entry includes by name, includes by pattern, and excludes."""

    names: tuple[str, ...]
    globs: tuple[str, ...]
    excluded: tuple[str, ...]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Patterns:
        """Tell names, patterns and exclusions apart."""
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
        return cls(tuple(names), tuple(globs), tuple(excluded))

    def includes(self, *aliases: str) -> bool:
        """Whether an entity, by any of its names, is included and by none excluded."""
        included = any(
            alias in self.names or any(fnmatchcase(alias, glob) for glob in self.globs)
            for alias in aliases
        )
        return included and not self.excludes(*aliases)

    def may_include_below(self, name: str) -> bool:
        """Whether something of the kind `name/child` may be included."""
        return self.includes(name) or any("/" in text for text in (*self.names, *self.globs))

    def excludes(self, *aliases: str) -> bool:
        """Whether an entity, by any of its names, is excluded."""
        return any(fnmatchcase(alias, glob) for alias in aliases for glob in self.excluded)
