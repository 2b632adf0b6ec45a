"""Keeps other web sites out: browsers on this machine run their scripts, and there is no password.

A site can post to any address without being asked, and says then where it comes from (Origin). With
a name of its own that points to 127.0.0.1 it could read, too: then the name is in the Host.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from .answers import RefusalError, refused

__all__ = ["Visitors"]

_NAMES = {"127.0.0.1", "localhost"}


class Visitors:
    """Answers 403 to what was sent by, or to, a site of another name."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what a program or the emulator's own page sent."""
        headers = Headers(scope=scope)
        host = headers.get("host", "localhost").lower()
        origin = headers.get("origin", "").lower()
        if host.partition(":")[0] not in _NAMES:
            message = f"The host '{host}' is not this emulator: 127.0.0.1 and localhost are."
        elif origin and origin != f"{scope['scheme']}://{host}":
            message = f"The emulator takes no requests from pages of '{origin}'."
        else:
            await self._app(scope, receive, send)
            return
        await refused(RefusalError(403, "Forbidden", message))(scope, receive, send)
