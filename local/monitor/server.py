"""Running the emulator: in the foreground until a signal, or in a thread beside a test."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from .answers import DROP
from .app import create_app
from .state import MonitorState

__all__ = ["running", "serve"]

HOST = "127.0.0.1"
KEEP_ALIVE_SECONDS = 120  # Longer than clients' pools idle: only faults close a connection.
STOP_SECONDS = 1  # What a request may still take once the server is to stop.


class _Protocol(H11Protocol):
    """HTTP/1.1 that can close a connection without an answer."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, {**app_state, DROP: self._drop}, _loop)

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
def running(state: MonitorState | None = None, port: int = 0) -> Iterator[str]:
    """Run the emulator in a background thread; give its URL, without a slash at the end."""
    with _listener(port) as listener:
        server = _server(state or MonitorState())
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


def _server(state: MonitorState, tls: ssl.SSLContext | None = None) -> uvicorn.Server:
    config = uvicorn.Config(
        create_app(state),
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
