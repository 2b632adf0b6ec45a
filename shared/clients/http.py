"""What every request to Azure has in common: sessions, bearer tokens, the shape of errors."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    import requests

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


class Bearer:
    """Sets the header itself: requests would let a .netrc replace one given in `headers`."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Anonymous:
    """Sends no credential: requests would look for one in a .netrc."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def open_session(connections: int) -> requests.Session:
    """A session that keeps up to `connections` connections to each host open.

    A redirect is an answer like any other to it; a body is never read without being asked for.
    """
    from shared.clients.session import WatchedSession

    return WatchedSession(connections)


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
