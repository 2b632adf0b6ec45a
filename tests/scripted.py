"""A small HTTP server on the loopback interface that answers as a test says, and remembers."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

__all__ = ["Asked", "Said", "Server", "forward_to", "routes", "said", "serving"]


@dataclass(frozen=True)
class Asked:
    """A request; `ended` is set when the test is over, for an answer that waits."""

    method: str
    target: str  # Path and query.
    headers: Mapping[str, str]
    connection: object  # Which connection it came on.
    ended: threading.Event

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}


@dataclass(frozen=True)
class Said:
    """An answer; a body that is no bytes is sent in chunks, for as long as it goes on."""

    status: int = 200
    body: bytes | Iterable[bytes] = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def said(document: Any, status: int = 200, **headers: str) -> Said:
    """An answer in JSON; `_` in the name of a header stands for a hyphen."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return Said(status, json.dumps(document).encode(), {"Content-Type": "application/json"} | given)


class Server(ThreadingHTTPServer):
    """Asks a function for each answer; None closes the connection without one."""

    def __init__(self, answer: Callable[[Asked], Said | None]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.asked: list[Asked] = []
        self.answered: list[tuple[Asked, int]] = []
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def targets(self) -> list[str]:
        """Path and query of each request."""
        return [asked.target for asked in self.asked]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        asked = Asked(
            self.command, self.path, dict(self.headers), self.connection, self.server.ended
        )
        self.server.asked.append(asked)
        answer = self.server.answer(asked)
        if answer is None:
            self.close_connection = True
            return
        self.server.answered.append((asked, answer.status))
        # The client may have heard enough.
        with contextlib.suppress(ConnectionError):
            self._say(answer)

    do_PUT = do_DELETE = do_GET  # noqa: N815 (so named by the base class)

    def _say(self, answer: Said) -> None:
        body = answer.body
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if isinstance(body, bytes):
            if "Content-Length" not in answer.headers:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            # What was promised and not sent never comes.
            self.close_connection = "Content-Length" in answer.headers
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
        """Nothing on the terminal."""


@contextmanager
def serving(answer: Callable[[Asked], Said | None]) -> Iterator[Server]:
    """Serve until the end of the block; what waits for `ended` is let go then."""
    with Server(answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.ended.set()
            server.shutdown()
            thread.join()


def routes(answers: Mapping[str, Said | Callable[[Asked], Said | None]]) -> Any:
    """Answer by path and query, or by path alone; 404 for what is not there."""

    def answer(asked: Asked) -> Said | None:
        found = answers.get(asked.target, answers.get(asked.path))
        if found is None:
            return said({"error": {"code": "NotFound", "message": asked.path}}, 404)
        return found if isinstance(found, Said) else found(asked)

    return answer


def forward_to(url: str) -> Callable[[Asked], Said]:
    """Answer with what the server at an address (http) answers."""
    parts: SplitResult = urlsplit(url)
    assert parts.hostname is not None

    def answer(asked: Asked) -> Said:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(asked.method, asked.target, headers=dict(asked.headers))
            response = connection.getresponse()
            body = response.read()
        dropped = {"transfer-encoding", "content-length", "connection", "keep-alive"}
        headers = {
            name: text for name, text in response.getheaders() if name.lower() not in dropped
        }
        return Said(response.status, body, headers)

    return answer
