"""Answer as Azure Resource Manager: `GET /subscriptions/…`, with its operations in one table.

These are checked in this order, each with its own answer: that there is an api-version (400), the
token (401), the path (404), the api-version (400), the role (403) and, by the operation, that the
resource exists (404). A caller without the role does not learn whether the resource exists.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from . import arm_lists, arm_metrics
from .answers import RefusalError, json
from .journal import ReadRecord
from .resources import RESOURCE, type_and_name
from .roles import READERS, holds
from .state import MonitorState

__all__ = ["routes"]

AUDIENCES = (
    "https://management.core.windows.net/",
    "https://management.core.windows.net",
    "https://management.azure.com/",
    "https://management.azure.com",
)


class _Operation(NamedTuple):
    """Holds a path (compared without case), its api-versions, and the function that answers it.

    The caller needs a role at the part `scope` of the path. The function gets the named parts.
    """

    path: str
    versions: tuple[str, ...]
    answer: Callable[[MonitorState, Request, Mapping[str, str]], Any]


_SUBSCRIPTION = "/subscriptions/[^/]+"
_GROUP = f"{_SUBSCRIPTION}/resourceGroups/(?P<group>[^/]+)"
_NAMESPACE = rf"{_GROUP}/providers/Microsoft\.ServiceBus/namespaces/(?P<namespace>[^/]+)"
_TOPIC = f"{_NAMESPACE}/topics/(?P<topic>[^/]+)"
_INSIGHTS = rf"(?P<scope>{RESOURCE})/providers/Microsoft\.Insights"

_RESOURCES = ("2021-04-01", "2022-09-01", "2023-07-01", "2024-03-01", "2025-04-01")
_SERVICE_BUS = ("2021-11-01", "2022-10-01-preview", "2024-01-01")
_METRICS = ("2018-01-01", "2019-07-01", "2021-05-01", "2023-10-01", "2024-02-01")
_METRIC_NAMESPACES = ("2017-12-01-preview", "2023-10-01", "2024-02-01")

_OPERATIONS = (
    _Operation(f"(?P<scope>{_SUBSCRIPTION})/resources", _RESOURCES, arm_lists.resources),
    _Operation(f"(?P<scope>{_GROUP})/resources", _RESOURCES, arm_lists.resources),
    _Operation(f"(?P<scope>{_NAMESPACE})/queues", _SERVICE_BUS, arm_lists.queues),
    _Operation(f"(?P<scope>{_NAMESPACE})/topics", _SERVICE_BUS, arm_lists.topics),
    _Operation(f"(?P<scope>{_TOPIC})/subscriptions", _SERVICE_BUS, arm_lists.subscriptions),
    _Operation(f"{_INSIGHTS}/(?P<kind>metrics)", _METRICS, arm_metrics.read),
    _Operation(f"{_INSIGHTS}/(?P<kind>metricDefinitions)", _METRICS, arm_metrics.read),
    _Operation(f"{_INSIGHTS}/(?P<kind>metricNamespaces)", _METRIC_NAMESPACES, arm_metrics.read),
)


def routes(state: MonitorState) -> list[BaseRoute]:
    """Return the routes of Azure Resource Manager; methods other than GET are not emulated."""

    async def get(request: Request) -> Response:
        sent: str = request.scope["path"]
        path = request.scope["path"] = f"/{sent.lstrip('/')}"
        query: str = request.scope["query_string"].decode("ascii", "replace")
        record = ReadRecord(state.now_iso(), request.method, sent, query)
        return await state.answer(
            "arm", record, lambda: json(_content(state, request)), resource_id=path
        )

    # The official JavaScript and Java clients put a slash before an ID that begins with one.
    paths = ("/subscriptions/{rest:path}", "//subscriptions/{rest:path}")
    return [Route(path, get, methods=["GET"]) for path in paths]


def _content(state: MonitorState, request: Request) -> Any:
    """Return what the request asks for. Raises RefusalError for the first rule it breaks."""
    version = request.query_params.get("api-version")
    if not version:
        raise RefusalError(
            400,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        )
    principal = state.tokens.principal(
        request.headers.get("authorization"),
        AUDIENCES,
        state.now(),
        "InvalidAuthenticationTokenAudience",
    )
    operation, path = _find(request.scope["path"])
    if version not in operation.versions:
        raise RefusalError(
            400,
            "InvalidApiVersionParameter",
            f"The api-version '{version}' is invalid."
            f" The supported versions are '{','.join(reversed(operation.versions))}'.",
        )
    if not holds(state.assignments, principal, READERS, path["scope"]):
        # An action is named after a type; what is not of a provider is of Microsoft.Resources.
        kind, _ = type_and_name(f"/providers/Microsoft.Resources{request.scope['path']}/*")
        raise RefusalError(
            403,
            "AuthorizationFailed",
            f"The client '{principal}' with object id '{principal}' does not have authorization"
            f" to perform action '{kind}/read' over scope '{path['scope']}' or the scope"
            " is invalid. If access was recently granted, please refresh your credentials.",
        )
    return operation.answer(state, request, path)


def _find(path: str) -> tuple[_Operation, dict[str, str]]:
    """Return the operation of a path, and the named parts of the path."""
    for operation in _OPERATIONS:
        found = re.fullmatch(operation.path, path, re.IGNORECASE)
        if found is not None:
            return operation, found.groupdict()
    raise RefusalError(404, "NotFound", f"The emulator has no GET {path}.")
