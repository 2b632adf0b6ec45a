"""A way to a queue service on which a test can stop, refuse or lose any request."""

from __future__ import annotations

import contextlib
import http.client
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

__all__ = ["Passage", "Toll", "toll"]

Answer = tuple[int, dict[str, str], bytes]

# What a request of `tools.dead_letter` is for.
_KINDS = {
    ("GET", "messages"): "take",
    ("POST", "messages"): "put",
    ("PUT", "message"): "rewrite",
    ("DELETE", "message"): "drop",
}


@dataclass(frozen=True)
class Passage:
    """A request on its way."""

    kind: str  # take, put, rewrite, give back, drop, or "" for any other.
    number: int  # Of its kind, from 1.
    forward: Callable[[], Answer]  # Let it through; what the service answers.


# What the client hears; None closes the connection without an answer.
Keeper = Callable[[Passage], Answer | None]


class Toll(ThreadingHTTPServer):
    """Passes requests on to a queue service, each by way of a keeper."""

    def __init__(self, url: str, keeper: Keeper) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        parts = urlsplit(url)
        self.service = (parts.hostname or "", parts.port or 80)
        self.keeper = keeper
        self.passed: Counter[str] = Counter()
        self.lock = threading.Lock()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed hears no answer."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _pass(self) -> None:
        server = self.server
        assert isinstance(server, Toll)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = _kind(self.command, self.path)
        with server.lock:
            server.passed[kind] += 1
            number = server.passed[kind]

        def forward() -> Answer:
            connection = http.client.HTTPConnection(*server.service, timeout=60)
            with contextlib.closing(connection):
                connection.request(self.command, self.path, body, dict(self.headers))
                response = connection.getresponse()
                return response.status, dict(response.getheaders()), response.read()

        answer = server.keeper(Passage(kind, number, forward))
        if answer is None:
            self.close_connection = True
            return
        status, headers, content = answer
        self.send_response_only(status)
        for name, text in headers.items():
            if name.lower() not in {"transfer-encoding", "content-length", "connection"}:
                self.send_header(name, text)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_DELETE = _pass  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing on the terminal."""


def _kind(method: str, target: str) -> str:
    parts = urlsplit(target)
    found = re.search("/(message)s(/[^/]+)?$", parts.path)
    if not found:
        return ""
    kind = _KINDS.get((method, "message" if found[2] else "messages"), "")
    given_back = parse_qs(parts.query).get("visibilitytimeout") == ["0"]
    return "give back" if kind == "rewrite" and given_back else kind


@contextmanager
def toll(connection_string: str, keeper: Keeper) -> Iterator[str]:
    """A connection string whose requests pass by the keeper."""
    endpoint = re.search("QueueEndpoint=(http://[^/;]+)", connection_string)
    assert endpoint is not None
    with Toll(endpoint[1], keeper) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield connection_string.replace(endpoint[1], f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()
