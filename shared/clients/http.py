"""What all HTTP requests share: sessions, bearer tokens, bodies, and the shape of errors."""

from __future__ import annotations

import http.client
import io
import ipaddress
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import SplitResult, urlsplit

import msgspec

from shared.clients.deadline import Deadline
from shared.errors import RelayError
from shared.text import clean

if TYPE_CHECKING:  # Slow to import: loaded when the first session is opened.
    import requests
    from azure.core.pipeline.transport import RequestsTransport

__all__ = [
    "MAX_ERROR_TEXT",
    "BearerAuth",
    "HttpError",
    "NoAuth",
    "TokenSource",
    "describe_error",
    "open_session",
    "open_transport",
    "parse_error",
    "parse_retry_after",
    "read_body",
    "translate_errors",
    "validate_url",
]

# Characters that are kept of an error's text; those of Azure are shorter.
MAX_ERROR_TEXT = 1000
# Bytes and seconds of a response to an SDK: a page of 5,000 queues has some 2 MB, a peek at 32
# messages up to 12 MB of escaped XML.
MAX_RESPONSE_BYTES = 20_000_000
RESPONSE_DEADLINE = 60.0
# Bytes that are read at once.
_CHUNK_SIZE = 65_536
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}

# urllib3 logs a warning with the whole URL, keys included, for a header that it cannot parse; the
# SDKs of Azure log warnings for what is an error here as well.
for _name in ("urllib3", "azure"):
    logging.getLogger(_name).setLevel(logging.ERROR)


class HttpError(RelayError):
    """A request got no usable response; the text says why and contains no query string."""


class TokenSource(Protocol):
    """Returns bearer tokens for one audience."""

    def get(self) -> str:
        """Return the current token. Raises TokenError."""

    def discard(self, refused: str) -> None:
        """Forget a token that a service refused."""


class BearerAuth:
    """Set the Authorization header; one in `headers` would lose against a .netrc file."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class NoAuth:
    """Send no credential; without it, requests looks for one in a .netrc file."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


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
        count: int | None = self._raw.readinto(buffer)  # type: ignore[attr-defined]
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
        self._reader = _HeaderReader(self.fp.detach(), sock)  # type: ignore[attr-defined]
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
            pool = super().get_connection_with_tls_context(*args, **kwargs)
            secure = pool.scheme == "https"
            pool.ConnectionCls = SecureConnection if secure else Connection  # type: ignore[assignment]
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


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise HttpError for everything that requests and urllib3 raise.

    RequestException is an OSError, as is the error for a missing CA bundle; a UnicodeError for
    the password of a proxy is a ValueError.
    """
    import urllib3

    try:
        yield
    except (OSError, ValueError, urllib3.exceptions.HTTPError) as exc:
        text = re.sub(r"\?\S+", "?…", str(exc))
        raise HttpError(clean(f"{type(exc).__name__}: {text}")) from exc


@translate_errors()
def read_body(response: requests.Response, max_bytes: int, deadline: Deadline) -> bytes:
    """Return the decompressed body of a response that was requested with `stream=True`.

    Raises HttpError if it has more than `max_bytes`, if the deadline passes between two chunks,
    or if the connection or the compression breaks.
    """
    body = bytearray()
    # read1 returns what has arrived: a body that is too long or too slow is noticed early.
    while chunk := response.raw.read1(_CHUNK_SIZE, decode_content=True):
        body += chunk
        if len(body) > max_bytes:
            raise HttpError(f"the response has more than {max_bytes:,} bytes")
        if not deadline.left():
            raise HttpError("the response was not complete before the deadline")
    return bytes(body)


def parse_error(body: bytes) -> tuple[str, str]:
    """Return code and message of an error response of Azure, or no code and the body as text."""
    try:
        document: Any = msgspec.json.decode(body)
        error = document["error"]
        code, message = str(error.get("code") or ""), str(error.get("message") or "")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        code, message = "", body.decode(errors="replace")
    return clean(code), clean(message)


def describe_error(exc: BaseException) -> str:
    """Return what a service or an SDK says, as one line: code, message and detail."""
    text = str(exc)
    if getattr(exc, "error_code", None):
        # The SDK has written the members of the body above it: AuthenticationErrorDetail, …
        text = text.partition("\nContent: ")[0]
    return clean(text, MAX_ERROR_TEXT)


def parse_retry_after(header: str | None, now: datetime) -> float | None:
    """Return the seconds of a Retry-After header: a number, or until a date (RFC 9110, 10.2.3).

    Return None if the header is missing or invalid; the result is never negative.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return None if date.tzinfo is None else max(0.0, (date - now).total_seconds())


def validate_url(url: str, example: str = "https://host.example") -> SplitResult:
    """Return the parts of a URL that may get a token: https://, or http:// on this machine.

    Raises ValueError with what is expected.
    """
    try:
        parts = urlsplit(url)
        valid = parts.hostname and parts.port != 0 and parts.username is None
    except ValueError:
        valid = False
    if not valid:
        raise ValueError(f"expected a URL such as {example}")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ValueError("expected https:// (http:// on the loopback interface only)")
    return parts
