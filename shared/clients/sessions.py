"""Sessions for all HTTP requests: proxies, cookies, and the size of responses.

docs/proxies.md says which requests use a proxy, and where certificates come from.
"""

from __future__ import annotations

import ipaddress
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from shared.clients.http import Deadline, HttpError, read_body, without_query

if TYPE_CHECKING:  # Slow to import: loaded when the first session is opened.
    import requests
    from azure.core.pipeline.transport import RequestsTransport

__all__ = ["open_session", "open_transport"]

# Bytes and seconds of a response to an SDK: a page of 5,000 queues has some 2 MB, a peek at 32
# messages up to 12 MB of escaped XML.
MAX_RESPONSE_BYTES = 20_000_000
RESPONSE_DEADLINE = 60.0


def open_session(connections: int) -> requests.Session:
    """Return a session that keeps up to `connections` connections to each host open.

    It keeps no cookies, follows no redirects, and uses the proxies of the environment, but none to
    loopback and link-local addresses. A response that is not streamed, as by the SDKs, is read
    within MAX_RESPONSE_BYTES and RESPONSE_DEADLINE.
    """
    import requests
    from requests.adapters import HTTPAdapter

    class Session(requests.Session):
        def send(self, request: Any, **kwargs: Any) -> requests.Response:
            """Send a request; read the body here, since requests reads one of any size.

            Raises RequestException, for a missing CA bundle and the password of a proxy too. Its
            text has no query string: that of a queue may be a shared access signature.
            """
            streamed = kwargs.get("stream")
            try:
                response = super().send(request, **{**kwargs, "stream": True})
            except (OSError, ValueError) as exc:
                raise _translated(exc) from None
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
        session.mount(scheme, HTTPAdapter(pool_connections=64, pool_maxsize=connections))
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


def _translated(exc: Exception) -> requests.RequestException:
    """Return an error of requests as one, with a text that has no query string."""
    import requests

    text = without_query(str(exc))
    if not isinstance(exc, requests.RequestException):
        return requests.RequestException(text)
    return exc if text == str(exc) else type(exc)(text)


def _is_local(host: str) -> bool:
    """Return whether a host is this machine, as seen from it."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_link_local
