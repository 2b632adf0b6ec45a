"""Service Bus in Azure Resource Manager: its namespaces and, below them, lists and entities.

    GET {namespace}
    GET {namespace}/queues[/{queue}]
    GET {namespace}/topics[/{topic}[/subscriptions[/{subscription}]]]

Lists take `$skip` and `$top`. Children of a namespace or topic that does not exist are a
ParentResourceNotFound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from starlette.requests import Request

from .arm_operation import (
    Operation,
    group_not_found,
    next_link,
    page,
    page_size,
    parent_not_found,
    resource_not_found,
    whole_number,
)
from .resources import in_scope
from .service_bus import NAMESPACE_TYPE, Namespace, Queue, Subscription, Topic
from .state import MonitorState

__all__ = ["operation"]

_VERSIONS = ("2021-11-01", "2022-10-01-preview", "2024-01-01")
_PROVIDER = "Microsoft.ServiceBus"
_NAMESPACE_PARTS = 8  # subscriptions, s, resourceGroups, g, providers, p, namespaces, n.
_KINDS = {
    (): NAMESPACE_TYPE,
    ("queues",): f"{NAMESPACE_TYPE}/Queues",
    ("topics",): f"{NAMESPACE_TYPE}/Topics",
    ("topics", "subscriptions"): f"{NAMESPACE_TYPE}/Topics/Subscriptions",
}

_Entity = Queue | Topic | Subscription
_T = TypeVar("_T", bound=_Entity)


def operation(state: MonitorState, path: str) -> Operation | None:
    """The list or entity that a path names, if it names one."""
    parts = path.split("/")[1:]
    lowered = [part.lower() for part in parts]
    fixed = lowered[:_NAMESPACE_PARTS:2]
    types = tuple(lowered[_NAMESPACE_PARTS::2])
    if (
        fixed != ["subscriptions", "resourcegroups", "providers", "namespaces"]
        or lowered[5] != _PROVIDER.lower()
        or not all(parts)
        or len(parts) < _NAMESPACE_PARTS
        or types not in _KINDS
    ):
        return None
    is_list = len(parts) % 2 == 1
    return Operation(
        action="/".join([_PROVIDER, "namespaces", *types, "read"]),
        scope=path.rpartition("/")[0] if is_list else path,
        versions=_VERSIONS,
        answer=lambda request: _answer(state, parts, _KINDS[types], request),
    )


def _answer(state: MonitorState, parts: list[str], kind: str, request: Request) -> dict[str, Any]:
    """Return a namespace, list or entity as JSON. Raises RefusalError if it does not exist."""
    namespace = _namespace(state, parts)
    root, rest = namespace.resource_id, parts[_NAMESPACE_PARTS:]

    def render(what: Namespace | _Entity, resource_id: str) -> dict[str, Any]:
        return {
            "id": resource_id,
            "name": resource_id.rpartition("/")[2],
            "type": kind,
            "location": state.resources.region(root) or namespace.location,
            "properties": what.properties(state.service_bus.created),
        }

    entities: Sequence[_Entity]
    match rest:
        case []:
            sku = {"sku": {"name": "Standard", "tier": "Standard"}}
            return render(namespace, "/".join(["", *parts])) | sku
        case [_, name, _, *last]:  # Below a topic.
            topic = _find(namespace.topics, name)
            if topic is None:
                raise parent_not_found(name)
            entities, below = topic.subscriptions, f"{root}/topics/{topic.arm_name}/subscriptions"
        case [which, *last]:
            entities = namespace.queues if which.lower() == "queues" else namespace.topics
            below = f"{root}/{which.lower()}"
    if last:
        entity = _find(entities, last[0])
        if entity is None:
            raise resource_not_found(request.scope["path"])
        return render(entity, f"{below}/{entity.arm_name}")
    size = page_size(request, state.service_bus.page_size)

    def link(first: int) -> str:
        version = request.query_params["api-version"]
        query = {"api-version": version, "$skip": str(first), "$top": str(size)}
        return next_link(request, query, safe="$")

    skip = whole_number(request, "$skip", 0)
    return page(entities, skip, size, lambda each: render(each, f"{below}/{each.arm_name}"), link)


def _namespace(state: MonitorState, parts: list[str]) -> Namespace:
    resource_id, group_id = ("/".join(["", *parts[:count]]) for count in (_NAMESPACE_PARTS, 4))
    namespace = state.service_bus.find(resource_id)
    if namespace is not None:
        return namespace
    if state.resources.region(resource_id) is not None:  # Registered, but not filled.
        return Namespace(resource_id=resource_id)
    if not any(in_scope(each.resource_id, group_id) for each in state.resources.known()):
        raise group_not_found(parts[3])
    if len(parts) > _NAMESPACE_PARTS:
        raise parent_not_found(parts[_NAMESPACE_PARTS - 1])
    raise resource_not_found(resource_id)


def _find(entities: Sequence[_T], name: str) -> _T | None:
    return next((each for each in entities if each.key == name.lower()), None)
