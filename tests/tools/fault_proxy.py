"""A proxy to a queue service, at which a test can hold, answer or drop any request."""

from __future__ import annotations

import http.client
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

__all__ = ["Answer", "Request", "fault_proxy"]

# Status, headers, body.
Answer = tuple[int, dict[str, str], bytes]

_KINDS = {
    ("GET", "messages"): "receive",
    ("POST", "messages"): "enqueue",
    ("PUT", "message"): "update",
    ("DELETE", "message"): "delete",
}


@dataclass(frozen=True)
class Request:
    """A request on its way to the service."""

    kind: str  # peek, receive, enqueue, update, delete, or "" for any other.
    number: int  # Of its kind, from 1.
    forward: Callable[[], Answer]  # Send it to the service and return the answer.


# Returns what the client gets; None closes the connection without an answer.
Handler = Callable[[Request], Answer | None]


class _Proxy(ThreadingHTTPServer):
    def __init__(self, url: str, handler: Handler) -> None:
        super().__init__(("127.0.0.1", 0), _RequestHandler)
        parts = urlsplit(url)
        self.service = (parts.hostname or "", parts.port or 80)
        self.handler = handler
        self.counts: Counter[str] = Counter()
        self.lock = threading.Lock()

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore a client that was killed."""


class _RequestHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _handle(self) -> None:
        proxy = self.server
        assert isinstance(proxy, _Proxy)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = _kind(self.command, self.path)
        with proxy.lock:
            proxy.counts[kind] += 1
            number = proxy.counts[kind]

        def forward() -> Answer:
            with closing(http.client.HTTPConnection(*proxy.service, timeout=60)) as connection:
                connection.request(self.command, self.path, body, dict(self.headers))
                response = connection.getresponse()
                return response.status, dict(response.getheaders()), response.read()

        answer = proxy.handler(Request(kind, number, forward))
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

    do_GET = do_PUT = do_POST = do_DELETE = _handle  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Print nothing."""


def _kind(method: str, target: str) -> str:
    parts = urlsplit(target)
    found = re.search("/(message)s(/[^/]+)?$", parts.path)
    if not found:
        return ""
    kind = _KINDS.get((method, "message" if found[2] else "messages"), "")
    return "peek" if parse_qs(parts.query).get("peekonly") == ["true"] else kind


@contextmanager
def fault_proxy(connection_string: str, handler: Handler) -> Iterator[str]:
    """Yield a connection string whose requests pass by the handler."""
    endpoint = re.search("QueueEndpoint=(http://[^/;]+)", connection_string)
    assert endpoint is not None
    with _Proxy(endpoint[1], handler) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield connection_string.replace(endpoint[1], f"http://127.0.0.1:{proxy.server_port}")
        finally:
            proxy.shutdown()
            thread.join()
