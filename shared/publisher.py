"""One POST to the ingestion API: token, region, body, and what the service said to it.

Source of paths, headers and answers: "Send custom metrics for an Azure resource to the Azure
Monitor metrics store by using a REST API" and the OpenAPI document 2018-09-01-preview.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec
import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from shared.errors import TokenError
from shared.model import Lane

__all__ = ["Answer", "Publisher", "TokenSource", "open_session"]

# Seconds. The service gives up by itself, with 408, after about 20.
_CONNECT_TIMEOUT = 5.0
_READ_TIMEOUT = 30.0
# Characters of an error's text that are kept; the service's own are shorter.
_MOST_TEXT = 1000


class TokenSource(Protocol):
    """Where bearer tokens come from; raises TokenError."""

    def get(self) -> str:
        """The current token."""

    def discard(self, refused: str) -> None:
        """Forget a token that was refused."""


class Answer(msgspec.Struct, frozen=True):
    """What came of a POST. Without a status, there was none: code and message say why."""

    status: int | None
    code: str = ""
    message: str = ""
    retry_after: str | None = None
    seconds: float = 0.0

    def __str__(self) -> str:
        return " ".join(filter(None, (str(self.status or "no answer"), self.code, self.message)))


class Publisher:
    """Posts bodies; blocking and safe to use from several threads."""

    def __init__(
        self,
        *,
        endpoint: str,
        tokens: TokenSource,
        session: requests.Session,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._endpoint = endpoint
        self._tokens = tokens
        self._session = session
        self._clock = clock

    def post(self, lane: Lane, body: bytes) -> Answer:
        """Post a body (NDJSON, uncompressed bytes) for a resource to its region.

        A refused token is replaced, once. Never raises for what the service or the way to it
        does.
        """
        started = self._clock()
        try:
            token = self._tokens.get()
            answer = self._attempt(lane, body, token)
            if answer.status == 401:
                self._tokens.discard(token)
                answer = self._attempt(lane, body, self._tokens.get())
        except TokenError as exc:
            answer = Answer(None, "NoToken", str(exc))
        return msgspec.structs.replace(answer, seconds=self._clock() - started)

    def _attempt(self, lane: Lane, body: bytes, token: str) -> Answer:
        # The resource ID begins with a slash: one more would make the URL another one.
        url = f"{self._endpoint.replace('{region}', lane.region)}{lane.resource_id}/metrics"
        try:
            response = self._session.post(
                url,
                data=gzip.compress(body, mtime=0),
                headers={"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"},
                auth=_Bearer(token),
                timeout=(_CONNECT_TIMEOUT, _READ_TIMEOUT),
                allow_redirects=False,
            )
        except requests.RequestException as exc:
            return Answer(None, type(exc).__name__, str(exc)[:_MOST_TEXT])
        code, message = _error(response)
        return Answer(response.status_code, code, message, response.headers.get("Retry-After"))


class _Bearer(AuthBase):
    """Sets the header itself: requests would let a .netrc replace one given in `headers`."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def open_session(endpoint: str, connections: int) -> requests.Session:
    """A session that keeps up to `connections` connections to each region open."""
    session = requests.Session()
    adapter = HTTPAdapter(pool_connections=64, pool_maxsize=connections)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    # Plain http is for the loopback interface alone, where a proxy cannot help.
    session.trust_env = urlsplit(endpoint).scheme != "http"
    return session


def _error(response: requests.Response) -> tuple[str, str]:
    """Code and message of a refusal, in whichever of its shapes the service sent it."""
    if response.ok:
        return "", ""
    try:
        body: Any = msgspec.json.decode(response.content)
        error = body["error"]
        code, message = str(error.get("code") or ""), str(error.get("message") or "")
        return code[:_MOST_TEXT], message.strip()[:_MOST_TEXT]
    except (
        msgspec.DecodeError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RecursionError,
    ):
        return "", response.text.strip()[:_MOST_TEXT]
