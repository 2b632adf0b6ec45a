"""What every request to Azure has in common: sessions, bearer tokens, the shape of errors."""

from __future__ import annotations

import logging
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec
import requests
from requests.auth import AuthBase

from shared.watchdog import WatchedAdapter

__all__ = ["MOST_TEXT", "Anonymous", "Bearer", "TokenSource", "error_of", "open_session"]

# urllib3 warns of a header that it cannot read with the whole address, keys in its query included;
# and the SDKs of what is an error here as well.
for _name in ("urllib3", "azure"):
    logging.getLogger(_name).setLevel(logging.ERROR)

# Characters of an error's text that are kept; the service's own are shorter.
MOST_TEXT = 1000


class TokenSource(Protocol):
    """Where bearer tokens come from; raises TokenError."""

    def get(self) -> str:
        """The current token."""

    def discard(self, refused: str) -> None:
        """Forget a token that was refused."""


class Bearer(AuthBase):
    """Sets the header itself: requests would let a .netrc replace one given in `headers`."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Anonymous(AuthBase):
    """Sends no credential: requests would look for one in a .netrc."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class _Session(requests.Session):
    """Keeps no cookies, follows no redirects, and sends plain http past every proxy."""

    def __init__(self) -> None:
        super().__init__()
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


def open_session(connections: int) -> requests.Session:
    """A session that keeps up to `connections` connections to each host open.

    A redirect is an answer like any other to it; a body is never read without being asked for.
    """
    session = _Session()
    adapter = WatchedAdapter(pool_connections=64, pool_maxsize=connections)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def error_of(body: bytes) -> tuple[str, str]:
    """Code and message of a refusal, in whichever of its shapes a service of Azure sent it."""
    try:
        document: Any = msgspec.json.decode(body)
        error = document["error"]
        code, message = str(error.get("code") or ""), str(error.get("message") or "")
        return code[:MOST_TEXT], message.strip()[:MOST_TEXT]
    except (
        msgspec.DecodeError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RecursionError,
    ):
        return "", body.decode(errors="replace").strip()[:MOST_TEXT]
