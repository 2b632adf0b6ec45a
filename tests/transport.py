# ruff: noqa: ARG002 (the interface is that of requests)
"""A transport for `requests` that answers from a script and remembers what it was asked."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterable, Mapping

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPResponse

__all__ = ["Reply", "Transport", "session_with"]


class Reply:
    """An answer of the service."""

    def __init__(
        self, status: int, body: bytes | str = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        self.status = status
        self.body = body.encode() if isinstance(body, str) else body
        self.headers = headers or {}


class Transport(BaseAdapter):
    """Gives the replies one after another, the last one for ever; an exception is raised."""

    def __init__(self, *replies: Reply | Exception) -> None:
        super().__init__()
        self.requests: list[requests.PreparedRequest] = []
        self.timeouts: list[object] = []
        self._replies = replies

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: object = None,
        verify: object = True,
        cert: object = None,
        proxies: object = None,
    ) -> requests.Response:
        reply = self._replies[min(len(self.requests), len(self._replies) - 1)]
        self.requests.append(request)
        self.timeouts.append(timeout)
        if isinstance(reply, Exception):
            raise reply
        raw = HTTPResponse(
            io.BytesIO(reply.body), reply.headers, reply.status, preload_content=False
        )
        return HTTPAdapter().build_response(request, raw)

    def close(self) -> None:
        """Nothing is open."""

    def tokens(self) -> list[str]:
        """The bearer token of each request."""
        return [
            request.headers["Authorization"].removeprefix("Bearer ") for request in self.requests
        ]

    def bodies(self) -> list[bytes]:
        """The body of each request, decompressed."""
        found: Iterable[object] = (request.body for request in self.requests)
        return [gzip.decompress(body) for body in found if isinstance(body, bytes)]


def session_with(transport: Transport) -> requests.Session:
    """A session as it comes, over the scripted transport."""
    session = requests.Session()
    session.mount("https://", transport)
    session.mount("http://", transport)
    return session
