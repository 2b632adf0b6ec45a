"""The generic list of resources, of a subscription or of a resource group in it.

    GET /subscriptions/{s}[/resourceGroups/{g}]/resources?api-version=2021-04-01
        [&$filter=resourceType eq '…' or …][&$top=]

Of `$filter` there is `resourceType eq '…'`, joined by `and` and `or`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from typing import Any

from starlette.requests import Request

from .answers import RefusalError
from .arm_operation import Operation, group_not_found, invalid, next_link, page, page_size
from .resources import Located, in_scope, type_and_name
from .state import MonitorState

__all__ = ["operation"]

_VERSIONS = ("2021-04-01", "2022-09-01", "2023-07-01", "2024-03-01", "2025-04-01")
_TERM = r"resourceType eq '([^']+)'"
_FILTER = re.compile(rf"{_TERM}(?: (?:and|or) {_TERM})*")
_SKIPTOKEN = "$skiptoken"


def operation(state: MonitorState, path: str) -> Operation | None:
    """The list that a path names, if it names one."""
    parts = path.split("/")[1:]
    match [part.lower() for part in parts]:
        case ["subscriptions", _, "resources"]:
            group, action = None, "Microsoft.Resources/subscriptions/resources/read"
        case ["subscriptions", _, "resourcegroups", _, "resources"]:
            group = parts[3]
            action = "Microsoft.Resources/subscriptions/resourceGroups/resources/read"
        case _:
            return None
    scope = path.rpartition("/")[0]
    return Operation(action, scope, _VERSIONS, lambda request: _list(state, scope, group, request))


def _list(state: MonitorState, scope: str, group: str | None, request: Request) -> dict[str, Any]:
    found = [each for each in state.resources.known() if in_scope(each.resource_id, scope)]
    if group is not None and not found:
        raise group_not_found(group)
    query = dict(request.query_params)
    wanted = _wanted(query.get("$filter"))
    size = page_size(request, state.service_bus.page_size)

    def link(first: int) -> str:
        token = base64.b64encode(f"first={first}".encode()).decode()
        return next_link(request, {**query, _SKIPTOKEN: token})

    chosen = [each for each in found if wanted(type_and_name(each.resource_id)[0])]
    return page(chosen, _first(query.get(_SKIPTOKEN)), size, _resource, link)


def _resource(located: Located) -> dict[str, str]:
    kind, name = type_and_name(located.resource_id)
    return {"id": located.resource_id, "name": name, "type": kind, "location": located.region}


def _first(token: str | None) -> int:
    """The index in a `$skiptoken`, which only the emulator reads."""
    if token is None:
        return 0
    try:
        name, _, first = base64.b64decode(token, validate=True).decode("ascii").partition("=")
        if name == "first":
            return int(first)
    except (binascii.Error, ValueError):
        pass
    raise invalid(f"The value '{token}' of the query parameter '{_SKIPTOKEN}' is invalid.")


def _wanted(given: str | None) -> Callable[[str], bool]:
    """Whether a filter passes a resource type; types compare without case."""
    if given is None:
        return lambda _kind: True
    if not _FILTER.fullmatch(given):
        raise RefusalError(
            400,
            "InvalidFilterInQueryString",
            f"Invalid $filter '{given}' specified in the query string.",
        )
    either = [_types(both) for both in re.split(r"' or ", given)]  # `and` binds tighter.
    return lambda kind: any(all(kind.lower() == each for each in both) for both in either)


def _types(terms: str) -> Sequence[str]:
    """The types of terms that are joined by `and`; the last may lack its closing quote."""
    return [each.lower() for each in re.findall(r"resourceType eq '([^']+)", terms)]
