"""The application: the routes of every part, and what holds for all of them."""

from __future__ import annotations

import asyncio
from email.utils import formatdate

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import arm, batch, control, dead_letters, explorer, identity, ingestion
from .answers import DROP, RefusalError, refused
from .database import StoreError
from .state import MonitorState

__all__ = ["create_app"]


def create_app(state: MonitorState) -> Starlette:
    """The emulator over a state. A part is a function from the state to its routes."""
    # Control takes all the rest of /_local; ingestion, last, has any region for a first segment.
    parts = (identity, explorer, dead_letters, control, batch, arm, ingestion)
    app = Starlette(
        routes=[route for part in parts for route in part.routes(state)],
        middleware=[Middleware(_Connection, state), Middleware(_LocalClients)],
        exception_handlers={
            RefusalError: _refused,
            StoreError: _unsaved,
            404: _empty,
            405: _empty,
        },
    )
    app.router.redirect_slashes = False
    return app


async def _refused(_request: Request, exc: Exception) -> Response:
    if not isinstance(exc, RefusalError):  # Starlette types every handler for any exception.
        raise exc
    return refused(exc)


async def _unsaved(_request: Request, exc: Exception) -> Response:
    return refused(RefusalError(500, "InternalServerError", str(exc)))


async def _empty(_request: Request, exc: Exception) -> Response:
    """The service's 404 has no body; the same then for the wrong method."""
    return Response(status_code=getattr(exc, "status_code", 404))


class _Connection:
    """Dates answers by the emulator's clock; ends requests whose client left or server stops."""

    def __init__(self, app: ASGIApp, state: MonitorState) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = formatdate(self._state.now(), usegmt=True).encode("ascii")
                message = {**message, "headers": [*message["headers"], (b"date", date)]}
            await send(message)

        try:
            await self._app(scope, receive, send_dated)
        except ClientDisconnect:
            return
        except asyncio.CancelledError:
            # This is the outermost frame of the request's task: nothing waits for its end.
            scope["state"][DROP]()


class _LocalClients:
    """Answers 403 to what pages of other web sites send: there is no password.

    A site can post to any address, and then says where it comes from (Origin). With a name of its
    own that points to 127.0.0.1 it could read, too; then the name is in the Host.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "localhost").lower()
        origin = headers.get("origin", "").lower()
        if host.partition(":")[0] not in {"127.0.0.1", "localhost"}:
            message = f"The host '{host}' is not this emulator: 127.0.0.1 and localhost are."
        elif origin and origin != f"{scope['scheme']}://{host}":
            message = f"The emulator takes no requests from pages of '{origin}'."
        else:
            await self._app(scope, receive, send)
            return
        await refused(RefusalError(403, "Forbidden", message))(scope, receive, send)
