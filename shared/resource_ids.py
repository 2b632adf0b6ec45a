"""Resource IDs and regions, before they become part of a URL that a bearer token is sent to.

The patterns are narrower than what Azure allows (a resource group's name may hold letters
outside ASCII, some names a space): whatever could change the host or the path of the URL is
refused, and nothing is ever escaped.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

__all__ = [
    "REGION_PATTERN",
    "Parent",
    "checked_region",
    "checked_resource_id",
    "parent_of",
    "shown",
]

# Lower-case letters and digits, as in `az account list-locations`; the longest has 18.
REGION_PATTERN = "^[a-z0-9]{2,40}$"

# Segments of ASCII letters, digits and . _ ( ) ~ -, none of them dots alone, which a client or a
# proxy would resolve. Source: "Naming rules and restrictions for Azure resources".
_SEGMENT = r"(?!\.+(?:/|$))[A-Za-z0-9._()~-]{1,260}"
_SUBSCRIPTION = r"/subscriptions/[A-Za-z0-9-]{1,64}"
_GROUP = rf"/resourceGroups/{_SEGMENT}"
# A type is never "providers": one way to read an ID keeps the match linear.
_TYPE = r"(?!providers/)[A-Za-z0-9_-]{1,80}"
_PROVIDER = rf"/providers/[A-Za-z0-9]+(?:\.[A-Za-z0-9]+)*(?:/{_TYPE}/{_SEGMENT})+"
_RESOURCE = rf"{_SUBSCRIPTION}{_GROUP}(?:{_PROVIDER})+"

# Bounds what a pattern is tried on; a URL longer than 2,048 is refused by many a proxy.
_MAX_RESOURCE_ID = 1900

_EXAMPLE = "/subscriptions/…/resourceGroups/…/providers/Microsoft.Storage/storageAccounts/…"
_SHAPES = (
    (re.compile(_SUBSCRIPTION, re.IGNORECASE | re.ASCII), "a subscription"),
    (re.compile(_SUBSCRIPTION + _GROUP, re.IGNORECASE | re.ASCII), "a resource group"),
)
_REGION = re.compile(REGION_PATTERN, re.ASCII)
_RESOURCE_ID = re.compile(_RESOURCE, re.IGNORECASE | re.ASCII)
_PARENT = re.compile(
    r"(?P<group>/[^/]+/[^/]+/[^/]+/[^/]+)/providers/(?P<kind>[^/]+/[^/]+)/[^/]+", re.ASCII
)


class Parent(NamedTuple):
    """The resource that a resource ID is of or below: only it has a region of its own."""

    resource_id: str
    group: str  # ID of its resource group.
    kind: str  # Microsoft.Sql/servers


@lru_cache(maxsize=4096)
def checked_resource_id(text: str) -> str:
    """The resource ID as it came. Raises ValueError with what was found and what is expected."""
    if len(text) > _MAX_RESOURCE_ID:
        raise ValueError(f"{len(text)} characters, at most {_MAX_RESOURCE_ID}")
    if _RESOURCE_ID.fullmatch(text):
        return text
    for pattern, what in _SHAPES:
        if pattern.fullmatch(text.rstrip("/")):
            raise ValueError(f"{text!a} is {what}; a metric belongs to a resource: {_EXAMPLE}")
    raise ValueError(f"{shown(text)} is not a resource ID: {_EXAMPLE}")


@lru_cache(maxsize=1024)
def checked_region(text: str) -> str:
    """The region as it came. Raises ValueError with what was found and what is expected."""
    if _REGION.fullmatch(text):
        return text
    raise ValueError(
        f"{shown(text)} is not a region: lower-case letters and digits, such as westeurope"
    )


def parent_of(resource_id: str) -> Parent:
    """The outermost resource of a checked resource ID, all in lower case."""
    match = _PARENT.match(resource_id.lower())
    assert match  # noqa: S101 (its shape was checked)
    return Parent(match[0], match["group"], match["kind"])


def shown(text: str, most: int = 300) -> str:
    """The text quoted and in ASCII, so that what only looks right is seen; cut when it is long."""
    return ascii(text) if len(text) <= most else f"{text[:most]!a}…"
