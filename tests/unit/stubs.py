"""Stand-ins for tests: a clock, an HTTP server, and a transport for requests."""

from __future__ import annotations

import contextlib
import io
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPResponse

__all__ = [
    "TIMEOUT",
    "ManualClock",
    "Request",
    "Response",
    "StubServer",
    "StubTokens",
    "StubTransport",
    "json_response",
    "routes",
    "serve",
    "session_with",
]

# Seconds after which a test that waits for another thread has failed.
TIMEOUT = 60.0


class ManualClock:
    """A clock that only `sleep` moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class StubTokens:
    """Tokens that name their audience, and how many were discarded."""

    def __init__(self, audience: str) -> None:
        self.audience = audience
        self.discarded: list[str] = []

    def get(self) -> str:
        return f"for-{self.audience}-{len(self.discarded)}"

    def discard(self, refused: str) -> None:
        self.discarded.append(refused)


@dataclass(frozen=True)
class Request:
    """A request to the stub server; `stopped` is set when the server stops."""

    method: str
    target: str  # Path and query.
    headers: Mapping[str, str]
    connection: object
    stopped: threading.Event
    body: bytes = b""

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}


@dataclass(frozen=True)
class Response:
    """A response; a body that is not bytes is sent in chunks."""

    status: int = 200
    body: bytes | Iterable[bytes] = b""
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Response | None]


def json_response(document: Any, status: int = 200) -> Response:
    """Return a response with a JSON document."""
    return Response(status, json.dumps(document).encode(), {"Content-Type": "application/json"})


class StubServer(ThreadingHTTPServer):
    """Calls a function for each response; None closes the connection."""

    def __init__(self, handler: Handler) -> None:
        super().__init__(("127.0.0.1", 0), _RequestHandler)
        self.handler = handler
        self.requests: list[Request] = []
        self.stopped = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def targets(self) -> list[str]:
        """Path and query of each request."""
        return [request.target for request in self.requests]


class _RequestHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        assert isinstance(self.server, StubServer)
        headers = dict(self.headers)
        body = self.rfile.read(int(headers.get("Content-Length", 0)))
        request = Request(
            self.command, self.path, headers, self.connection, self.server.stopped, body
        )
        self.server.requests.append(request)
        response = self.server.handler(request)
        if response is None:
            self.close_connection = True
            return
        with contextlib.suppress(ConnectionError):  # The client may have closed it.
            self._send(response)

    do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815

    def _send(self, response: Response) -> None:
        body = response.body
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if isinstance(body, bytes):
            # A test may announce more than it sends.
            self.close_connection = "Content-Length" in response.headers
            if not self.close_connection:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for chunk in body:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.wfile.write(b"0\r\n\r\n")
        except ConnectionError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing."""


@contextmanager
def serve(handler: Handler) -> Iterator[StubServer]:
    """Serve until the end of the block."""
    with StubServer(handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.stopped.set()
            server.shutdown()
            thread.join()


def routes(responses: Mapping[str, Response | Handler]) -> Handler:
    """Respond by path and query, or by path; 404 for anything else."""

    def handler(request: Request) -> Response | None:
        found = responses.get(request.target, responses.get(request.path))
        if found is None:
            return json_response({"error": {"code": "NotFound", "message": request.path}}, 404)
        return found if isinstance(found, Response) else found(request)

    return handler


class StubTransport(BaseAdapter):
    """Returns the responses in turn, the last one again and again; an exception is raised."""

    def __init__(self, *responses: Response | Exception) -> None:
        super().__init__()
        self.requests: list[requests.PreparedRequest] = []
        self.timeouts: list[object] = []
        self._responses = responses

    def send(
        self, request: requests.PreparedRequest, *_: object, timeout: object = None, **__: object
    ) -> requests.Response:
        response = self._responses[min(len(self.requests), len(self._responses) - 1)]
        self.requests.append(request)
        self.timeouts.append(timeout)
        if isinstance(response, Exception):
            raise response
        assert isinstance(response.body, bytes)
        raw = HTTPResponse(
            io.BytesIO(response.body), response.headers, response.status, preload_content=False
        )
        return HTTPAdapter().build_response(request, raw)

    def close(self) -> None:
        """Nothing is open."""

    def tokens(self) -> list[str]:
        """Return the bearer token of each request."""
        return [
            request.headers["Authorization"].removeprefix("Bearer ") for request in self.requests
        ]


def session_with(transport: StubTransport) -> requests.Session:
    """Return a session over the transport."""
    session = requests.Session()
    session.mount("https://", transport)
    session.mount("http://", transport)
    return session
