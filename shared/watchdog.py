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


# Held while it is decided whose a connection is, and while one is ended.
_LOCK = threading.Lock()


class _Request:
    """A watched request, and the connection that it is on."""

    def __init__(self) -> None:
        self._connection: _Noted | None = None
        self._sock: socket.socket | None = None
        self._ended = False

    def take(self, connection: _Noted, sock: socket.socket | None) -> None:
        """Be on a connection. Raises TimeoutError when the deadline has passed already."""
        with _LOCK:
            connection.owner = self
            self._connection, self._sock = connection, sock
            if self._ended:
                raise TimeoutError("the deadline has passed")

    def end(self) -> None:
        """Shut the connection, unless it is another request's by now: its reader sees the end."""
        with _LOCK:
            self._ended = True
            ours = self._connection is not None and self._connection.owner is self
            if ours and self._sock is not None:
                with contextlib.suppress(OSError):
                    # Not the method of a TLS socket, which is being read from in its own thread.
                    socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def over(self) -> None:
        """Leave the connection."""
        with _LOCK:
            if self._connection is not None and self._connection.owner is self:
                self._connection.owner = None


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

    owner: _Request | None = None

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        if _current.request is not None:
            try:
                _current.request.take(self, sock)  # What follows may be a handshake.
            except TimeoutError:
                sock.close()
                raise
        return sock

    def request(self, *arguments: Any, **named: Any) -> None:
        if _current.request is not None:
            _current.request.take(self, self.sock)
        super().request(*arguments, **named)
        if _current.request is not None:
            # A connection may leave the socket to the answer.
            _current.request.take(self, self.sock)


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
