"""Answer as the identity endpoint of App Service and Functions, in both its versions.

    GET /msi/token?api-version=2019-08-01&resource=<audience>[&client_id=<id>]
    X-IDENTITY-HEADER: <the secret>

    GET /msi/token?api-version=2017-09-01&resource=<audience>[&clientid=<id>]
    secret: <the secret>

The real `azure.identity.ManagedIdentityCredential` uses it with
IDENTITY_ENDPOINT=http://127.0.0.1:PORT/msi/token and IDENTITY_HEADER=<the secret>; older libraries,
such as Go's autorest, with MSI_ENDPOINT and MSI_SECRET. Credentials of a service principal cannot
use it: azure-identity refuses an authority without https.
"""

from __future__ import annotations

import secrets
import uuid

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from .answers import NoAnswer, json
from .faults import respond
from .state import MonitorState
from .tokens import SYSTEM_ASSIGNED, user_assigned

__all__ = ["routes"]

# Version -> the header with the secret, and the parameter that names an identity.
_VERSIONS = {"2019-08-01": ("x-identity-header", "client_id"), "2017-09-01": ("secret", "clientid")}


def routes(state: MonitorState) -> list[BaseRoute]:
    """Return the route of the identity endpoint."""

    async def token(request: Request) -> Response:
        latency, fault = state.faults.draw("identity")
        response = await respond(fault, latency, lambda: _token(state, request))
        dropped = isinstance(response, NoAnswer)
        state.journal.count("identity", None if dropped else response.status_code)
        return response

    return [Route("/msi/token", token, methods=["GET"])]


def _token(state: MonitorState, request: Request) -> Response:
    query = request.query_params
    version = query.get("api-version", "")
    header, client_id = _VERSIONS.get(version, _VERSIONS["2019-08-01"])
    given = request.headers.get(header, "")
    if not secrets.compare_digest(given.encode(), state.options.identity_header.encode()):
        return _error(401, f"The {header.upper()} header is missing or wrong.")
    if version not in _VERSIONS:
        return _error(400, "The api-version is missing or not supported; use 2019-08-01.")
    # Else mi_res_id, which is not emulated, would select the system-assigned identity.
    if unknown := sorted(set(query) - {"api-version", "resource", client_id}):
        return _error(400, f"The parameter {unknown[0]} is not supported by the emulator.")
    audience = query.get("resource")
    if not audience:
        return _error(400, "The resource is missing.")
    wanted, known = query.get(client_id), state.options.client_ids
    if wanted is not None and known is not None and wanted.lower() not in map(str.lower, known):
        return _error(400, "Unable to load the proper Managed Identity.")
    identity = SYSTEM_ASSIGNED if wanted is None else user_assigned(wanted)
    token, expires_on = state.tokens.issue(identity, audience, state.now())
    return json(
        {
            "access_token": token,
            "expires_on": str(expires_on),
            "resource": audience,
            "token_type": "Bearer",
            "client_id": identity.client_id,
        }
    )


def _error(status: int, message: str) -> Response:
    content = {"statusCode": status, "message": message, "correlationId": str(uuid.uuid4())}
    return json(content, status)
