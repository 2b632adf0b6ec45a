"""A proxy for HTTP and for tunnels (CONNECT) that records what comes through it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socketserver import StreamRequestHandler, ThreadingTCPServer

import pytest

__all__ = ["Proxy", "dripping", "hanging", "proxy_to", "refusing"]

Answer = Callable[["Proxy", socket.socket], None]


class Proxy(ThreadingTCPServer):
    """Leads every name to one server; `answer` replaces what it does once it has a request."""

    daemon_threads = True

    def __init__(self, upstream: tuple[str, int], answer: Answer | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream
        self.answer = answer
        self.requests: list[str] = []  # Such as "CONNECT a.example:443".
        self.stopped = threading.Event()


class _Handler(StreamRequestHandler):
    rbufsize = 0

    def handle(self) -> None:
        proxy = self.server
        assert isinstance(proxy, Proxy)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if not (byte := self.rfile.read(1)):
                return
            head += byte
        method, target, _ = head.split(b"\r\n")[0].decode().split()
        proxy.requests.append(f"{method} {target}")
        if proxy.answer is not None:
            proxy.answer(proxy, self.connection)
            return
        with socket.create_connection(proxy.upstream) as upstream:
            if method == "CONNECT":
                self.connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                upstream.sendall(head)
            back = threading.Thread(target=_copy, args=(upstream, self.connection))
            back.start()
            _copy(self.connection, upstream)
            back.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def refusing(_: Proxy, connection: socket.socket) -> None:
    """Refuse a tunnel."""
    connection.sendall(b"HTTP/1.1 403 Forbidden by policy\r\nContent-Length: 0\r\n\r\n")


def hanging(proxy: Proxy, _: socket.socket) -> None:
    """Say nothing."""
    proxy.stopped.wait()


def dripping(proxy: Proxy, connection: socket.socket) -> None:
    """Send a header that never ends, a byte at a time."""
    with contextlib.suppress(OSError):
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not proxy.stopped.wait(0.02):
            connection.sendall(b"x")


@contextmanager
def proxy_to(
    port: int, monkeypatch: pytest.MonkeyPatch, answer: Answer | None = None
) -> Iterator[Proxy]:
    """Run a proxy, which the environment names, in front of a server of this machine."""
    with Proxy(("127.0.0.1", port), answer) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.server_address[1]}")
        try:
            yield proxy
        finally:
            proxy.stopped.set()
            proxy.shutdown()
            thread.join()
