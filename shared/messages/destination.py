"""Where the points of a message go: what a document says of it, checked, else the defaults."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import msgspec
from msgspec import UNSET, UnsetType

from shared.messages.refusal import RefusedError
from shared.messages.schema import Addressed
from shared.model import Lane
from shared.resource_ids import checked_region, checked_resource_id

__all__ = ["Address", "lane_of", "narrowed"]


class Address(msgspec.Struct, frozen=True):
    """Where points go that do not say it themselves."""

    namespace: str
    resource_id: str | None = None
    region: str = ""  # Empty where it is to be looked up.


def narrowed(address: Address, given: Addressed, namespace: str | UnsetType) -> Address:
    """The address with what the document says of it; its region and resource ID are checked."""
    if given.resource_id is UNSET and given.region is UNSET and namespace is UNSET:
        return address
    return Address(
        address.namespace if namespace is UNSET else namespace,
        _checked("resourceId", checked_resource_id, given.resource_id, address.resource_id),
        _checked("region", checked_region, given.region, address.region) or "",
    )


def _checked(
    path: str, check: Callable[[str], str], given: str | UnsetType, inherited: str | None
) -> str | None:
    if given is UNSET:
        return inherited
    try:
        return check(given)
    except ValueError as exc:
        raise RefusedError(path, str(exc)) from exc


@lru_cache(maxsize=16384)
def lane_of(address: Address) -> Lane:
    """The lane of an address; remembered, as the points of a message mostly share one."""
    if address.resource_id is None:
        raise RefusedError("resourceId", "missing, and METRICS_RESOURCE_ID is not set")
    return Lane(address.region, address.resource_id)
