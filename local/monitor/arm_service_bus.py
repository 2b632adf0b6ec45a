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
    fixed, rest = lowered[:_NAMESPACE_PARTS:2], parts[_NAMESPACE_PARTS:]
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
        answer=lambda request: _Reading(state, parts, types).answer(rest, request),
    )


class _Reading:
    """One reading of what is below a namespace."""

    def __init__(self, state: MonitorState, parts: list[str], types: tuple[str, ...]) -> None:
        self._state = state
        self._kind = _KINDS[types]
        self._group = parts[3]
        self._group_id = "/" + "/".join(parts[:4])
        self._name = parts[7]
        self._namespace_id = "/" + "/".join(parts[:_NAMESPACE_PARTS])

    def answer(self, rest: list[str], request: Request) -> dict[str, Any]:
        """The JSON; rest is what follows the namespace. Raises RefusalError if it is not there."""
        namespace = self._namespace(has_children=bool(rest))
        match rest:
            case []:
                sku = {"sku": {"name": "Standard", "tier": "Standard"}}
                return self._resource(namespace, namespace.resource_id, self._name, namespace) | sku
            case [_, _, _, *last]:  # Below a topic.
                topic = self._find(namespace.topics, rest[1])
                if topic is None:
                    raise parent_not_found(rest[1])
                entities: Sequence[_Entity] = topic.subscriptions
                below = f"{namespace.resource_id}/topics/{topic.arm_name}/subscriptions"
            case [which, *last]:
                entities = namespace.queues if which.lower() == "queues" else namespace.topics
                below = f"{namespace.resource_id}/{which.lower()}"
            case _:  # pragma: no cover - the two above are all there is.
                raise AssertionError(rest)
        if not last:
            return self._list(namespace, entities, below, request)
        entity = self._find(entities, last[0])
        if entity is None:
            raise resource_not_found(request.scope["path"])
        return self._entity(namespace, entity, below)

    def _namespace(self, *, has_children: bool) -> Namespace:
        state = self._state
        namespace = state.service_bus.find(self._namespace_id)
        if namespace is not None:
            return namespace
        if state.resources.region(self._namespace_id) is not None:  # Registered, but not filled.
            return Namespace(resource_id=self._namespace_id)
        if not any(in_scope(each.resource_id, self._group_id) for each in state.resources.known()):
            raise group_not_found(self._group)
        if has_children:
            raise parent_not_found(self._name)
        raise resource_not_found(self._namespace_id)

    def _list(
        self, namespace: Namespace, entities: Sequence[_Entity], below: str, request: Request
    ) -> dict[str, Any]:
        skip = whole_number(request, "$skip", 0)
        size = page_size(request, self._state.service_bus.page_size)
        version = request.query_params["api-version"]

        def link(first: int) -> str:
            query = {"api-version": version, "$skip": str(first), "$top": str(size)}
            return next_link(request, query, safe="$")

        return page(entities, skip, size, lambda each: self._entity(namespace, each, below), link)

    def _entity(self, namespace: Namespace, entity: _Entity, below: str) -> dict[str, Any]:
        name = entity.arm_name
        return self._resource(namespace, f"{below}/{name}", name, entity)

    def _resource(
        self, namespace: Namespace, resource_id: str, name: str, what: Namespace | _Entity
    ) -> dict[str, Any]:
        home = self._state.resources.region(namespace.resource_id)
        return {
            "id": resource_id,
            "name": name,
            "type": self._kind,
            "location": home or namespace.location,
            "properties": what.properties(self._state.service_bus.created),
        }

    @staticmethod
    def _find(entities: Sequence[_T], name: str) -> _T | None:
        return next((each for each in entities if each.key == name.lower()), None)
