"""List what Azure Resource Manager knows: resources, and the entities of Service Bus.

    GET /subscriptions/{s}[/resourceGroups/{g}]/resources?api-version=[&$filter=resourceType eq '…']
    GET {namespace}/queues?api-version=
    GET {namespace}/topics[/{topic}/subscriptions]?api-version=

A resource group exists if it has resources. Names compare without case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from starlette.requests import Request

from .answers import RefusalError, bad_input, whole_number
from .resources import Located, in_scope, type_and_name
from .sources import Entity, Namespace, Topic
from .state import MonitorState

__all__ = ["queues", "resources", "subscriptions", "topics"]

_FILTER = re.compile("resourceType eq '([^']+)'")
_SKIP_TOKEN = "$skiptoken"  # noqa: S105 - names a query parameter.

_T = TypeVar("_T")


def resources(state: MonitorState, request: Request, path: Mapping[str, str]) -> dict[str, Any]:
    """List the resources of a subscription or resource group."""
    found = [each for each in state.resources.known() if in_scope(each.resource_id, path["scope"])]
    if "group" in path and not found:
        raise _group_not_found(path["group"])
    given = request.query_params.get("$filter")
    if given is not None:
        wanted = _wanted_type(given)
        found = [each for each in found if type_and_name(each.resource_id)[0].lower() == wanted]
    return _page(state, request, found, _resource)


def queues(state: MonitorState, request: Request, path: Mapping[str, str]) -> dict[str, Any]:
    """List the queues of a namespace."""
    return _entities(state, request, _namespace(state, path).queues)


def topics(state: MonitorState, request: Request, path: Mapping[str, str]) -> dict[str, Any]:
    """List the topics of a namespace."""
    return _entities(state, request, _namespace(state, path).topics)


def subscriptions(state: MonitorState, request: Request, path: Mapping[str, str]) -> dict[str, Any]:
    """List the subscriptions of a topic."""
    return _entities(state, request, _topic(state, path).subscriptions)


def _wanted_type(given: str) -> str:
    """Return the resource type of a filter in lower case."""
    condition = _FILTER.fullmatch(given)
    if condition is None:
        raise RefusalError(
            400,
            "InvalidFilterInQueryString",
            f"Invalid $filter '{given}' specified in the query string.",
        )
    return condition[1].lower()


def _resource(located: Located) -> dict[str, str]:
    kind, name = type_and_name(located.resource_id)
    return {"id": located.resource_id, "name": name, "type": kind, "location": located.region}


def _namespace(state: MonitorState, path: Mapping[str, str]) -> Namespace:
    for namespace in state.service_bus.namespaces:
        if in_scope(path["scope"], namespace.resource_id):
            return namespace
    group = path["scope"].lower().partition("/providers/")[0]
    if not any(in_scope(each.resource_id, group) for each in state.resources.known()):
        raise _group_not_found(path["group"])
    raise _parent_not_found(path["namespace"])


def _topic(state: MonitorState, path: Mapping[str, str]) -> Topic:
    for topic in _namespace(state, path).topics:
        if topic.arm_name.lower() == path["topic"].lower():
            return topic
    raise _parent_not_found(path["topic"])


def _entities(state: MonitorState, request: Request, entities: Sequence[Entity]) -> dict[str, Any]:
    def render(entity: Entity) -> dict[str, Any]:
        resource_id = f"{request.scope['path']}/{entity.arm_name}"
        return {
            "id": resource_id,
            "name": entity.arm_name,
            "type": type_and_name(resource_id)[0],
            "properties": entity.properties(),
        }

    return _page(state, request, entities, render)


def _page(
    state: MonitorState, request: Request, items: Sequence[_T], render: Callable[[_T], Any]
) -> dict[str, Any]:
    """Return a page of a list; the skip token is the index at which it begins."""
    token = request.query_params.get(_SKIP_TOKEN, "0")
    first = whole_number(token)
    if first is None:
        raise bad_input(f"The value '{token}' of the query parameter '{_SKIP_TOKEN}' is invalid.")
    end = first + state.service_bus.page_size
    content: dict[str, Any] = {"value": [render(item) for item in items[first:end]]}
    if end < len(items):
        content["nextLink"] = str(request.url.include_query_params(**{_SKIP_TOKEN: end}))
    return content


def _group_not_found(group: str) -> RefusalError:
    message = f"Resource group '{group}' could not be found."
    return RefusalError(404, "ResourceGroupNotFound", message)


def _parent_not_found(name: str) -> RefusalError:
    return RefusalError(
        404,
        "ParentResourceNotFound",
        "Can not perform requested operation on nested resource."
        f" Parent resource '{name}' not found.",
    )
