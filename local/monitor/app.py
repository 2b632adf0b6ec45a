"""The application: the routes of every part, and what holds for all of them."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import arm, batch, control, dead_letters, explorer, identity, ingestion
from .answers import DROP, RefusalError
from .state import MonitorState

__all__ = ["create_app"]


def create_app(state: MonitorState) -> Starlette:
    """Return the emulator over a state. A part is a function from the state to its routes."""
    # Control takes all the rest of /_local; ingestion, last, has any region for a first segment.
    parts = (identity, explorer, dead_letters, control, batch, arm, ingestion)
    app = Starlette(
        routes=[route for part in parts for route in part.routes(state)],
        middleware=[Middleware(_Connection, state)],
        exception_handlers={RefusalError: _refused, 404: _empty, 405: _empty},
    )
    app.router.redirect_slashes = False
    return app


# Starlette types every handler for any exception.
async def _refused(_request: Request, refusal: Any) -> Response:
    return RefusalError.response(refusal)


async def _empty(_request: Request, exc: Any) -> Response:
    """The service's 404 has no body; the same then for the wrong method."""
    return Response(status_code=exc.status_code)


class _Connection:
    """Refuses other sites, dates answers by the emulator's clock, ends requests without a client.

    A request ends when its client left or the server stops.
    """

    def __init__(self, app: ASGIApp, state: MonitorState) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = formatdate(self._state.now(), usegmt=True).encode("ascii")
                message = {**message, "headers": [*message["headers"], (b"date", date)]}
            await send(message)

        reason = _foreign(scope)
        refusal = RefusalError(403, "Forbidden", reason).response() if reason else None
        try:
            await (refusal or self._app)(scope, receive, send_dated)
        except ClientDisconnect:
            return
        except asyncio.CancelledError:
            # This is the outermost frame of the request's task: nothing waits for its end.
            scope["state"][DROP]()


def _foreign(scope: Scope) -> str:
    """Return why a page of another web site may not send this; empty if it may.

    There is no password. A site can post to any address, and then says where it comes from
    (Origin). With a name of its own that points to 127.0.0.1 it could read, too; then the name is
    in the Host.
    """
    headers = Headers(scope=scope)
    host = headers.get("host", "localhost").lower()
    origin = headers.get("origin", "").lower()
    if host.partition(":")[0] not in {"127.0.0.1", "localhost"}:
        return f"The host '{host}' is not this emulator: 127.0.0.1 and localhost are."
    if origin and origin != f"{scope['scheme']}://{host}":
        return f"The emulator takes no requests from pages of '{origin}'."
    return ""
