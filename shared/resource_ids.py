"""Resource IDs and regions, validated before they become part of a URL that gets a token.

The patterns are narrower than what Azure allows (a resource group's name may hold letters
outside ASCII, some names a space): whatever could change the host or the path of the URL is
rejected, and nothing is ever escaped.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from shared.text import quoted

__all__ = [
    "REGION_PATTERN",
    "ParentResource",
    "is_in_scopes",
    "parent_of",
    "validate_region",
    "validate_resource_id",
]

# Lower-case letters and digits, as in `az account list-locations`; the longest has 18.
REGION_PATTERN = "^[a-z0-9]{2,40}$"

# Segments of ASCII letters, digits and . _ ( ) ~ -, none of them dots alone, which a client or a
# proxy would resolve. Source: "Naming rules and restrictions for Azure resources".
_SEGMENT = r"(?!\.+(?:/|$))[A-Za-z0-9._()~-]{1,260}"
_SUBSCRIPTION = r"/subscriptions/[A-Za-z0-9-]{1,64}"
_GROUP = rf"/resourceGroups/{_SEGMENT}"
# A type is never "providers": an ID can be read in one way only, which keeps the match linear.
_TYPE = r"(?!providers/)[A-Za-z0-9_-]{1,80}"
_PROVIDER = rf"/providers/[A-Za-z0-9]+(?:\.[A-Za-z0-9]+)*(?:/{_TYPE}/{_SEGMENT})+"
_RESOURCE = rf"{_SUBSCRIPTION}{_GROUP}(?:{_PROVIDER})+"

# Characters; many proxies refuse a URL of more than 2,048.
MAX_RESOURCE_ID_LENGTH = 1900

_EXAMPLE = "/subscriptions/…/resourceGroups/…/providers/Microsoft.Storage/storageAccounts/…"
_SCOPES = (
    (re.compile(_SUBSCRIPTION, re.IGNORECASE | re.ASCII), "a subscription"),
    (re.compile(_SUBSCRIPTION + _GROUP, re.IGNORECASE | re.ASCII), "a resource group"),
)
_REGION = re.compile(REGION_PATTERN, re.ASCII)
_RESOURCE_ID = re.compile(_RESOURCE, re.IGNORECASE | re.ASCII)
_ODD = re.compile(r"[^A-Za-z0-9._()~/-]")
_PARENT = re.compile(
    r"(?P<group>/[^/]+/[^/]+/[^/]+/[^/]+)/providers/(?P<type>[^/]+/[^/]+)/[^/]+", re.ASCII
)


class ParentResource(NamedTuple):
    """The top-level resource of a resource ID; only it has a region of its own."""

    resource_id: str
    group: str  # ID of its resource group.
    type: str  # Such as microsoft.sql/servers.


@lru_cache(maxsize=4096)
def validate_resource_id(text: str) -> str:
    """Return the resource ID as given.

    Raises ValueError with what was found and what is expected.
    """
    if len(text) > MAX_RESOURCE_ID_LENGTH:
        raise ValueError(f"{len(text)} characters, at most {MAX_RESOURCE_ID_LENGTH}")
    if _RESOURCE_ID.fullmatch(text):
        return text
    for pattern, what in _SCOPES:
        if pattern.fullmatch(text.rstrip("/")):
            raise ValueError(f"{text!a} is {what}; a metric belongs to a resource: {_EXAMPLE}")
    raise ValueError(f"{quoted(text)} is not a resource ID{_problem(text)}: {_EXAMPLE}")


def _problem(text: str) -> str:
    """Return what people get wrong most, if it is that."""
    if text.lower().startswith(("http:", "https:")):
        return " but a URL"
    if text.lower().startswith("subscriptions/"):
        return "; it has to begin with /"
    if text.endswith("/"):
        return "; it ends with /"
    if "//" in text:
        return "; it contains //"
    if "…" in text:  # As the pattern below, and the documentation, have it.
        return "; replace each … by the name or ID that it stands for"
    if odd := _ODD.search(text):
        return f"; it contains {odd[0]!a} after {odd.start()} characters"
    return ""


@lru_cache(maxsize=1024)
def validate_region(text: str) -> str:
    """Return the region as a URL has it: `westeurope` for `West Europe`.

    Raises ValueError with what was found and what is expected.
    """
    # `lower` makes an ASCII k of the KELVIN SIGN.
    region = text.replace(" ", "").lower() if text.isascii() and len(text) <= 100 else ""
    if _REGION.fullmatch(region):
        return region
    raise ValueError(f"{quoted(text)} is not a region, such as westeurope")


def is_in_scopes(resource_id: str, scopes: tuple[str, ...]) -> bool:
    """Return whether a resource is, or is in, one of the scopes; no scopes allow every resource.

    Scopes are beginnings of resource IDs, in lower case and with a slash at the end.
    """
    return not scopes or f"{resource_id.lower()}/".startswith(scopes)


def parent_of(resource_id: str) -> ParentResource:
    """Return the top-level resource of a valid resource ID, in lower case."""
    match = _PARENT.match(resource_id.lower())
    assert match  # noqa: S101 (the resource ID is valid)
    return ParentResource(match[0], match["group"], match["type"])
