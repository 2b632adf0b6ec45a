"""The application: the routes of every part, and what holds for all of them."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from . import arm, batch, control, dead_letters, explorer, identity, ingestion, json_source
from .answers import DROP, RefusalError, refused
from .archive import ArchiveError
from .visitors import Visitors

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .state import MonitorState

__all__ = ["create_app"]


def create_app(state: MonitorState) -> Starlette:
    """The emulator over a state. A part is a function from the state to its routes."""
    # Control takes all the rest of /_local; ingestion, last, has any region for a first segment.
    parts = (identity, json_source, explorer, dead_letters, control, batch, arm, ingestion)
    app = Starlette(
        routes=[route for part in parts for route in part.routes(state)],
        middleware=[Middleware(_Departures), Middleware(Visitors), Middleware(_Dates, state)],
        exception_handlers={
            RefusalError: _refused,
            ArchiveError: _unsaved,
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


class _Departures:
    """Ends quietly the requests whose client has left or whose server is stopping."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except ClientDisconnect:
            return
        except asyncio.CancelledError:
            # This is the outermost frame of the request's task: nobody waits for its end.
            scope["state"][DROP]()


class _Dates:
    """Dates every answer by the emulator's clock, which a service's own header follows."""

    def __init__(self, app: ASGIApp, state: MonitorState) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = formatdate(self._state.now(), usegmt=True).encode("ascii")
                message = {**message, "headers": [*message["headers"], (b"date", date)]}
            await send(message)

        await self._app(scope, receive, send_dated)
