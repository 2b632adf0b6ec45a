"""Azure Resource Manager: `GET /subscriptions/…`, as far as the operations known here go.

Checked in this order, each with its own answer: that there is an api-version (400), the token
(401), the path (404), the api-version (400), the role (403) and, by the operation, that the
resource exists (404). A caller who may not read a thing is not told whether it exists.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from . import arm_metrics, arm_resources, arm_service_bus
from .answers import RefusalError, json
from .arm_operation import Operation
from .journal import ReadRecord
from .roles import READERS, holds
from .state import MonitorState
from .tokens import TENANT_ID

__all__ = ["AUDIENCES", "routes"]

AUDIENCES = (
    "https://management.core.windows.net/",
    "https://management.core.windows.net",
    "https://management.azure.com/",
    "https://management.azure.com",
)
_OPERATIONS = (arm_metrics.operation, arm_resources.operation, arm_service_bus.operation)


def routes(state: MonitorState) -> list[BaseRoute]:
    """The route of Azure Resource Manager; other methods than GET are not emulated."""

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
    """What the request asks for. Raises RefusalError for the first rule it breaks."""
    version = request.query_params.get("api-version")
    if not version:
        raise RefusalError(
            400,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        )
    principal = _principal(state, request)
    operation = _operation(state, request.scope["path"])
    if version not in operation.versions:
        raise RefusalError(
            400,
            "InvalidApiVersionParameter",
            f"The api-version '{version}' is invalid."
            f" The supported versions are '{','.join(reversed(operation.versions))}'.",
        )
    if not holds(state.assignments, principal, READERS, operation.scope):
        raise RefusalError(
            403,
            "AuthorizationFailed",
            f"The client '{principal}' with object id '{principal}' does not have authorization"
            f" to perform action '{operation.action}' over scope '{operation.scope}' or the scope"
            " is invalid. If access was recently granted, please refresh your credentials.",
        )
    return operation.answer(request)


def _operation(state: MonitorState, path: str) -> Operation:
    for find in _OPERATIONS:
        operation = find(state, path)
        if operation is not None:
            return operation
    raise RefusalError(404, "NotFound", f"The emulator has no GET {path}.")


def _principal(state: MonitorState, request: Request) -> str:
    """Return the caller's principal ID; raise RefusalError (401) with the header of this API."""
    try:
        return state.tokens.principal(
            request.headers.get("authorization"),
            AUDIENCES,
            state.now(),
            "InvalidAuthenticationTokenAudience",
        )
    except RefusalError as refusal:
        challenge = (
            f'Bearer authorization_uri="https://login.windows.net/{TENANT_ID}",'
            f' error="invalid_token", error_description="{refusal.message}"'
        )
        headers = {"WWW-Authenticate": challenge}
        raise RefusalError(401, refusal.code, refusal.message, headers) from refusal
