"""What the operations of Azure Resource Manager share: what one is, lists in pages, errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from starlette.requests import Request

from .answers import RefusalError
from .limits import LIST_PAGE, MAX_TOP

__all__ = [
    "Operation",
    "group_not_found",
    "invalid",
    "next_link",
    "page",
    "page_size",
    "parent_not_found",
    "resource_not_found",
    "whole_number",
]

_T = TypeVar("_T")
_WHOLE_NUMBER = re.compile("[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class Operation:
    """What a path is for: the right that it takes, and where; the api-versions; the answer.

    The answer is asked for once the caller has been found to have the right; it may raise
    RefusalError.
    """

    action: str
    scope: str
    versions: tuple[str, ...]
    answer: Callable[[Request], Any]


def page(
    items: Sequence[_T],
    first: int,
    size: int,
    render: Callable[[_T], Any],
    link: Callable[[int], str],
) -> dict[str, Any]:
    """One page of a list, with a link to the next (by the index it starts at) if there is one."""
    end = first + size
    content: dict[str, Any] = {"value": [render(item) for item in items[first:end]]}
    if end < len(items):
        content["nextLink"] = link(end)
    return content


def page_size(request: Request, most: int | None) -> int:
    """How many items a page holds: `$top`, else 100, and never more than the emulator was told."""
    top = whole_number(request, "$top", LIST_PAGE, least=1)
    if top > MAX_TOP:
        raise invalid(f"'top' exceeds maximum value of '{MAX_TOP}'.")
    return min(top, most or top)


def whole_number(request: Request, name: str, default: int, least: int = 0) -> int:
    """A query parameter. Raises RefusalError (400) if it is no whole number, or too small."""
    given = request.query_params.get(name, str(default))
    if not _WHOLE_NUMBER.fullmatch(given) or int(given) < least:
        raise invalid(f"The value '{given}' of the query parameter '{name}' is invalid.")
    return int(given)


def next_link(request: Request, query: dict[str, str], safe: str = "") -> str:
    """The URL that was asked for, with another query; what is safe is not percent-encoded."""
    encoded = urlencode(query, quote_via=quote, safe=safe)
    return str(request.url.replace(query=encoded))


def invalid(message: str) -> RefusalError:
    """400 BadRequest."""
    return RefusalError(400, "BadRequest", message)


def group_not_found(group: str) -> RefusalError:
    """404 for a resource group that holds nothing: the emulator knows groups by their resources."""
    return RefusalError(
        404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found."
    )


def resource_not_found(path: str) -> RefusalError:
    """404 for a resource in a resource group."""
    _, _, _, _, group, _, below = path.split("/", 6)
    return RefusalError(
        404,
        "ResourceNotFound",
        f"The Resource '{below}' under resource group '{group}' was not found."
        " For more details please go to https://aka.ms/ARMResourceNotFoundFix",
    )


def parent_not_found(name: str) -> RefusalError:
    """404 for the children of a resource that does not exist."""
    return RefusalError(
        404,
        "ParentResourceNotFound",
        "Can not perform requested operation on nested resource."
        f" Parent resource '{name}' not found.",
    )
