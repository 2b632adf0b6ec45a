"""Sessions for all HTTP requests: proxies, time-outs, cookies, and the size of responses.

docs/proxies.md says which requests use a proxy, and where certificates come from.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from shared.clients.deadline import Deadline
from shared.clients.http import HttpError, read_body

if TYPE_CHECKING:  # Slow to import: loaded when the first session is opened.
    import requests
    from azure.core.pipeline.transport import RequestsTransport

__all__ = ["open_session", "open_transport"]

# Bytes and seconds of a response to an SDK: a page of 5,000 queues has some 2 MB, a peek at 32
# messages up to 12 MB of escaped XML.
MAX_RESPONSE_BYTES = 20_000_000
RESPONSE_DEADLINE = 60.0


class _HeaderReader(io.RawIOBase):
    """Reads from a socket, until a deadline."""

    def __init__(self, raw: io.RawIOBase, sock: Any) -> None:
        self._raw, self._sock = raw, sock
        self.deadline: Deadline | None = Deadline(sock.gettimeout() or RESPONSE_DEADLINE)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.deadline is not None:
            if not (left := self.deadline.left()):
                raise TimeoutError("the headers were not complete before the deadline")
            self._sock.settimeout(left)
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """A response, also of a proxy to CONNECT, whose headers as a whole come within the time-out.

    http.client applies the time-out to each read from the socket, which one byte ends.
    """

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._timeout, self._socket = sock.gettimeout(), sock
        self._reader = _HeaderReader(self.fp.detach(), sock)
        self.fp = io.BufferedReader(self._reader)

    def begin(self) -> None:
        """Read the headers; the body has time-outs of its own again."""
        super().begin()
        self._reader.deadline = None
        self._socket.settimeout(self._timeout)


def open_session(connections: int) -> requests.Session:
    """Return a session that keeps up to `connections` connections to each host open.

    It keeps no cookies, follows no redirects, and uses the proxies of the environment, but none to
    loopback and link-local addresses. A response that is not streamed, as by the SDKs, is read
    within MAX_RESPONSE_BYTES and RESPONSE_DEADLINE.
    """
    import requests
    import urllib3.connection
    from requests.adapters import HTTPAdapter

    class Connection(urllib3.connection.HTTPConnection):
        response_class = _Response

    class SecureConnection(urllib3.connection.HTTPSConnection):
        response_class = _Response

    class Adapter(HTTPAdapter):
        def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
            """Return the pool of a host or proxy, whose connections limit the time of headers."""
            pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
            pool.ConnectionCls = SecureConnection if pool.scheme == "https" else Connection
            return pool

    class Session(requests.Session):
        def send(self, request: Any, **kwargs: Any) -> requests.Response:
            """Send a request; read the body here, since requests reads one of any size."""
            streamed = kwargs.get("stream")
            response = super().send(request, **{**kwargs, "stream": True})
            if not streamed:
                with response:
                    deadline = Deadline(RESPONSE_DEADLINE)
                    try:
                        response._content = read_body(response, MAX_RESPONSE_BYTES, deadline)  # noqa: SLF001
                    except HttpError as exc:
                        raise requests.RequestException(str(exc), response=response) from exc
                    response._content_consumed = True  # type: ignore[attr-defined]  # noqa: SLF001
            return response

        def get_redirect_target(self, resp: requests.Response) -> None:
            """Return None: for a target, requests reads the whole body, even if not followed."""

        def merge_environment_settings(
            self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
        ) -> Any:
            """Use no proxy to this machine: Azurite, the emulator, the identity endpoint."""
            settings = super().merge_environment_settings(url, proxies, stream, verify, cert)
            if _is_local(urlsplit(url).hostname or ""):
                settings["proxies"] = {}
            return settings

    session = Session()
    for scheme in ("https://", "http://"):
        session.mount(scheme, Adapter(pool_connections=64, pool_maxsize=connections))
    # A cookie of one host must not return to it with the token of another identity.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session


def open_transport(
    connections: int, connect_timeout: float, read_timeout: float
) -> RequestsTransport:
    """Return a session as above for a client of an Azure SDK; the time-outs are in seconds."""
    from azure.core.pipeline.transport import RequestsTransport

    session = open_session(connections)
    session.headers["Accept-Encoding"] = "identity"
    return RequestsTransport(
        session=session,
        session_owner=False,
        connection_timeout=connect_timeout,
        read_timeout=read_timeout,
    )


def _is_local(host: str) -> bool:
    """Return whether a host is this machine, as seen from it."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_link_local
