"""Run the emulator: in the foreground until a signal, or in a thread beside a test.

`_app` has the routes of every part; `_Connection` has the rules for all of them.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from email.utils import formatdate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from . import arm, batch, control, dead_letters, explorer, identity, ingestion
from .answers import DROP, RefusalError
from .state import MonitorState

__all__ = ["running", "serve"]

HOST = "127.0.0.1"
KEEP_ALIVE_SECONDS = 120  # Longer than clients' pools idle: only faults close a connection.
STOP_SECONDS = 1  # What a request may still take once the server is to stop.


class _Protocol(H11Protocol):
    """Speaks HTTP/1.1, and can close a connection without an answer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.app_state = {**self.app_state, DROP: self._drop}

    def _drop(self) -> None:
        # Told that the client has gone, uvicorn does not mind that there was no answer.
        self.cycle.disconnected = True
        self.transport.abort()


def serve(state: MonitorState, port: int, *, tls: bool = False) -> None:
    """Serve until SIGINT or SIGTERM; print the address once it listens. Raises OSError.

    With TLS the line also names the file of the CA that clients have to trust.
    """
    with _listener(port) as listener, TemporaryDirectory() as folder:
        authority = Path(folder, "ca.pem")
        server = _server(state, _tls_context(authority) if tls else None)
        for number in (signal.SIGINT, signal.SIGTERM):
            # Uvicorn's own handlers give way to these at the end, for which it raises the signal
            # again: that must not look like a failure.
            signal.signal(number, server.handle_exit)
        address = f"{'https' if tls else 'http'}://{HOST}:{listener.getsockname()[1]}"
        note = f" with the CA in {authority}" if tls else ""
        print(f"Azure Monitor emulator on {address}{note}", flush=True)
        server.run([listener])


@contextmanager
def running(state: MonitorState | None = None) -> Iterator[str]:
    """Run the emulator in a background thread; give its URL, without a slash at the end.

    The store of the state is closed at the end.
    """
    state = state or MonitorState()
    with closing(state.store), _listener(0) as listener:
        server = _server(state)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            yield f"http://{HOST}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def _listener(port: int) -> socket.socket:
    """Return a socket that listens on loopback; requests wait in it until the server runs."""
    listener = socket.create_server((HOST, port))
    # Connections inherit it; without it, head and body of each answer would be 40 ms apart.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _app(state: MonitorState) -> Starlette:
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
    """Answer without a body, as the 404 of the service."""
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
    """Return why a request is refused as that of another web site; empty if it is not.

    There is no password. A page of any site can post to any address, but names itself in Origin.
    With a host name that points to 127.0.0.1 it could also read, but this name is in Host.
    """
    headers = Headers(scope=scope)
    host = headers.get("host", "localhost").lower()
    origin = headers.get("origin", "").lower()
    if host.partition(":")[0] not in {"127.0.0.1", "localhost"}:
        return f"The host '{host}' is not this emulator: 127.0.0.1 and localhost are."
    if origin and origin != f"{scope['scheme']}://{host}":
        return f"The emulator takes no requests from pages of '{origin}'."
    return ""


def _server(state: MonitorState, tls: ssl.SSLContext | None = None) -> uvicorn.Server:
    config = uvicorn.Config(
        _app(state),
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        date_header=False,  # The application has its own clock.
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
        ssl_context_factory=None if tls is None else lambda _config, _default: tls,
    )
    return uvicorn.Server(config)


def _tls_context(authority: Path) -> ssl.SSLContext:
    """Make a certificate for loopback, and write the CA that signed it to a file."""
    import trustme  # noqa: PLC0415 - slow to import, and seldom asked for.

    ca = trustme.CA()
    ca.cert_pem.write_to_path(authority)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(HOST, "localhost").configure_cert(context)
    return context
