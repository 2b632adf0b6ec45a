"""Ends a request at its deadline, whatever the other side still sends.

The time-outs of a socket are for each byte: headers, or compressed data that unpacks to nothing,
may come in for ever without one.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Protocol

from shared.clients.deadline import Deadline

__all__ = ["Request", "current", "ended_at"]


# Held while it is decided whose a connection is, and while one is ended.
_LOCK = threading.Lock()


class _Connection(Protocol):
    owner: Request | None


class Request:
    """A watched request, and the connection that it is on."""

    def __init__(self) -> None:
        self._connection: _Connection | None = None
        self._sock: socket.socket | None = None
        self._ended = False

    def take(self, connection: _Connection, sock: socket.socket | None) -> None:
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
    request: Request | None = None


_current = _Current()


@contextlib.contextmanager
def ended_at(until: Deadline) -> Iterator[None]:
    """Watch the request that this thread makes through a session of shared.clients.session."""
    request = _current.request = Request()
    timer = threading.Timer(until.left(), request.end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        request.over()
        _current.request = None


def current() -> Request | None:
    """The watched request that this thread makes."""
    return _current.request
