"""One POST to the ingestion API: token, region, body, and what the service said to it.

Source of paths, headers and answers: "Send custom metrics for an Azure resource to the Azure
Monitor metrics store by using a REST API" and the OpenAPI document 2018-09-01-preview.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from shared.clients.http import MOST_TEXT, Bearer, TokenSource, error_of
from shared.errors import TokenError
from shared.model import Lane

if TYPE_CHECKING:
    import requests

__all__ = ["LEVEL", "Answer", "Publisher"]

# Seconds. The service gives up by itself, with 408, after about 20.
_CONNECT_TIMEOUT = 5.0
_READ_TIMEOUT = 30.0
# Of gzip: the highest, 9, takes ten times as long for an eighth less.
LEVEL = 5


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
        from requests import RequestException

        # The resource ID begins with a slash: one more would make the URL another one.
        url = f"{self._endpoint.replace('{region}', lane.region)}{lane.resource_id}/metrics"
        try:
            response = self._session.post(
                url,
                data=gzip.compress(body, LEVEL, mtime=0),
                headers={"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"},
                auth=Bearer(token),
                timeout=(_CONNECT_TIMEOUT, _READ_TIMEOUT),
                allow_redirects=False,
            )
        except RequestException as exc:
            return Answer(None, type(exc).__name__, str(exc)[:MOST_TEXT])
        code, message = ("", "") if response.ok else error_of(response.content)
        return Answer(response.status_code, code, message, response.headers.get("Retry-After"))
