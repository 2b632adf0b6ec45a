"""The session of requests that everything goes through: what it keeps, follows and watches.

Imported when the first one is opened: requests and urllib3 are slow to import.
"""

from __future__ import annotations

import socket
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from shared.clients.watchdog import Request, current

__all__ = ["WatchedSession"]


class _Noted(HTTPConnection):
    """Tells the watched request of its thread that it is on this connection."""

    owner: Request | None = None

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        if (watched := current()) is not None:
            try:
                watched.take(self, sock)  # What follows may be a handshake.
            except TimeoutError:
                sock.close()
                raise
        return sock

    def request(self, *arguments: Any, **named: Any) -> None:
        watched = current()
        if watched is not None:
            watched.take(self, self.sock)
        super().request(*arguments, **named)
        if watched is not None:
            # A connection may leave the socket to the answer.
            watched.take(self, self.sock)


class _NotedTLS(_Noted, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Noted


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _NotedTLS


class _Adapter(HTTPAdapter):
    """The adapter of requests, with connections that can be ended."""

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        """As that of requests, with pools of such connections."""
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}


class WatchedSession(requests.Session):
    """Keeps no cookies, follows no redirects, and sends plain http past every proxy."""

    def __init__(self, connections: int) -> None:
        """Up to so many connections to each host are kept open."""
        super().__init__()
        adapter = _Adapter(pool_connections=64, pool_maxsize=connections)
        self.mount("https://", adapter)
        self.mount("http://", adapter)
        # What one host says must not come back to it with another one's token.
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Find none: requests would read the body of one whole, even if it is not followed."""

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        """Those of requests; plain http is for the loopback interface, where no proxy can help."""
        settings = super().merge_environment_settings(url, proxies, stream, verify, cert)
        if urlsplit(url).scheme == "http":
            settings["proxies"] = {}
        return settings
