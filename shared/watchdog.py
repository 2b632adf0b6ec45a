"""Ends a request at its deadline, whatever the other side still sends.

The time-outs of a socket are for each byte: headers, or compressed data that unpacks to nothing,
may come in for ever without one.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from shared.deadline import Deadline

__all__ = ["WatchedAdapter", "ended_at"]


class _Request:
    """The request of a thread that is watched, and the connection it is on."""

    def __init__(self) -> None:
        self.connection: HTTPConnection | None = None
        self.sock: socket.socket | None = None  # A connection may leave it to the answer.
        self._lock = threading.Lock()
        self._over = False

    def end(self) -> None:
        """Shut the connection: who reads from it sees its end."""
        with self._lock:
            sock = self.sock or (self.connection and self.connection.sock)
            # Once it is over another request may be on the connection.
            if sock and not self._over:
                with contextlib.suppress(OSError):
                    # Not the method of a TLS socket, which is being read from in its own thread.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def over(self) -> None:
        with self._lock:
            self._over = True


class _Current(threading.local):
    request: _Request | None = None


_current = _Current()


@contextlib.contextmanager
def ended_at(until: Deadline) -> Iterator[None]:
    """Watch the request that this thread makes through a WatchedAdapter."""
    request = _current.request = _Request()
    timer = threading.Timer(until.left(), request.end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        request.over()
        _current.request = None


class _Noted(HTTPConnection):
    """Tells the watched request of its thread that it is on this connection."""

    def connect(self) -> None:
        if _current.request is not None:
            _current.request.connection = self
        super().connect()

    def request(self, *arguments: Any, **named: Any) -> None:
        if _current.request is not None:
            _current.request.connection = self
        super().request(*arguments, **named)
        if _current.request is not None:
            _current.request.sock = self.sock


class _NotedTLS(_Noted, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Noted


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _NotedTLS


class WatchedAdapter(HTTPAdapter):
    """The adapter of requests, with connections that can be ended."""

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        """As that of requests, with pools of such connections."""
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}
