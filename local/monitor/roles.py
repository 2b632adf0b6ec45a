"""Check role assignments: who has which role at which scope."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, get_args

import msgspec

from .resources import in_scope

__all__ = ["EVERYBODY", "PUBLISHERS", "READERS", "Assignment", "holds"]

Role = Literal[
    "Monitoring Metrics Publisher", "Reader", "Monitoring Reader", "Contributor", "Owner"
]

# Writing metrics is a data action, which not even an Owner has. Reading is not a data action.
PUBLISHERS: frozenset[Role] = frozenset({"Monitoring Metrics Publisher"})
READERS: frozenset[Role] = frozenset({"Reader", "Monitoring Reader", "Contributor", "Owner"})


class Assignment(
    msgspec.Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True, frozen=True
):
    """Holds a role at a scope and below it, for one principal or (None) for all."""

    scope: Annotated[str, msgspec.Meta(pattern="^/")]
    principal_id: str | None = None
    role: Role = "Monitoring Metrics Publisher"


EVERYBODY = tuple(Assignment("/", role=role) for role in get_args(Role))


def holds(
    assignments: Iterable[Assignment], principal_id: str, roles: frozenset[Role], scope: str
) -> bool:
    """Return whether the principal has one of the roles at the scope or above it."""
    return any(
        assignment.role in roles
        and (assignment.principal_id or principal_id).lower() == principal_id.lower()
        and in_scope(scope, assignment.scope)
        for assignment in assignments
    )
