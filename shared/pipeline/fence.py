"""Which resources may be written to: METRICS_ALLOWED_SCOPES."""

from __future__ import annotations

import re

import msgspec

__all__ = ["Fence"]

_SCOPE = re.compile(r"/subscriptions/[^/\s]+(?:/[^/\s]+)*", re.ASCII | re.IGNORECASE)


class Fence(msgspec.Struct, frozen=True):
    """Prefixes of resource IDs, compared by whole segments and without case."""

    prefixes: tuple[str, ...] = ()  # In lower case, with a slash at the end; none allow all.

    @classmethod
    def of(cls, text: str) -> Fence:
        """Read a comma-separated list; an empty one allows everything. Raises ValueError."""
        scopes = [scope.strip().rstrip("/") for scope in text.split(",") if scope.strip()]
        if text.strip() and not scopes:  # Whoever set it did not mean to allow everything.
            raise ValueError("expected resource IDs or beginnings of them, with commas between")
        for scope in scopes:
            if not _SCOPE.fullmatch(scope):
                raise ValueError(
                    f"{scope!a} is no beginning of a resource ID, such as /subscriptions/… or "
                    "/subscriptions/…/resourceGroups/…"
                )
        return cls(tuple(f"{scope.lower()}/" for scope in scopes))

    def allows(self, resource_id: str) -> bool:
        """Whether a resource is in one of the scopes, or is one."""
        return not self.prefixes or f"{resource_id.lower()}/".startswith(self.prefixes)
