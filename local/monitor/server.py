"""Running the emulator: in the foreground until a signal, or in a thread beside a test."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
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


class _Server(uvicorn.Server):
    """Says when it listens, and leaves signals to its caller."""

    def __init__(
        self, state: MonitorState, on_ready: Callable[[], None], tls: ssl.SSLContext | None = None
    ) -> None:
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
        super().__init__(config)
        self._on_ready = on_ready

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        """Uvicorn would raise the signal again at the end: a stop would look like a failure."""
        return nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then say so."""
        await super().startup(sockets)
        self._on_ready()

    def stop(self) -> None:
        """Stop soon; may be called from any thread or signal handler."""
        self.should_exit = True


def serve(state: MonitorState, port: int, *, tls: bool = False) -> None:
    """Serve until SIGINT or SIGTERM; print the address once it listens. Raises OSError.

    With TLS the line also names the file of the CA that clients have to trust.
    """
    listener, address = _listen(port)
    with TemporaryDirectory() as folder:
        context, line = None, f"Azure Monitor emulator on http://{address}"
        if tls:
            authority = Path(folder, "ca.pem")
            context = _tls_context(authority)
            line = f"Azure Monitor emulator on https://{address} with the CA in {authority}"
        server = _Server(state, lambda: print(line, flush=True), context)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: server.stop())
        server.run([listener])


@contextmanager
def running(state: MonitorState | None = None, port: int = 0) -> Iterator[str]:
    """Run the emulator in a background thread; give its URL, without a slash at the end."""
    ready = threading.Event()
    listener, address = _listen(port)
    server = _Server(state or MonitorState(), ready.set)
    thread = threading.Thread(target=server.run, args=([listener],), name=address, daemon=True)
    thread.start()
    try:
        while not ready.wait(0.1):
            if not thread.is_alive():
                raise RuntimeError("the emulator did not start")
        yield f"http://{address}"
    finally:
        server.stop()
        thread.join()


def _tls_context(authority: Path) -> ssl.SSLContext:
    """Make a certificate for loopback, and write the CA that signed it to a file."""
    import trustme  # noqa: PLC0415 - slow to import, and seldom asked for.

    ca = trustme.CA()
    ca.cert_pem.write_to_path(authority)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(HOST, "localhost").configure_cert(context)
    return context


def _listen(port: int) -> tuple[socket.socket, str]:
    """Return a socket on loopback, 0 being any free port, and its host and port."""
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it, head and body
    # of each answer would be 40 ms apart.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
    except OSError:
        listener.close()
        raise
    return listener, f"{HOST}:{listener.getsockname()[1]}"
