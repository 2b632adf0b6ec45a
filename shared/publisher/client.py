"""One POST to the ingestion API: token, region, body, and the answer.

Source of paths, headers and answers: "Send custom metrics for an Azure resource to the Azure
Monitor metrics store by using a REST API" and the OpenAPI document 2018-09-01-preview.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from shared.clients.http import (
    BearerAuth,
    Deadline,
    HttpError,
    TokenSource,
    parse_error,
    parse_retry_after,
    read_body,
    translate_errors,
)
from shared.model import Aggregates, Target
from shared.publisher.encoder import Body, encode_bodies
from shared.publisher.responses import Response, classify

if TYPE_CHECKING:
    import requests

__all__ = ["GZIP_LEVEL", "AzureMonitorStore"]

# Seconds. The service gives up by itself, with 408, after about 20.
CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 30.0
# Bytes of an answer that are read; the service's own have some hundred.
MAX_ANSWER_BYTES = 65_536
# The highest, 9, takes ten times as long for an eighth less.
GZIP_LEVEL = 5


@dataclass(kw_only=True)
class AzureMonitorStore:
    """The custom metrics of Azure Monitor: how roll-ups are written, sent and answered.

    `token` and `post` block; they are safe to use from several threads.
    """

    endpoint: str  # A URL in which {region} stands for the region of a target.
    max_body_bytes: int
    tokens: TokenSource
    session: requests.Session
    clock: Callable[[], float] = time.monotonic
    # For a Retry-After that is a date.
    now: Callable[[], datetime] = field(default_factory=lambda: partial(datetime.now, UTC))

    def encode(self, aggregates: Aggregates) -> Iterator[Body]:
        """Yield the request bodies of one target."""
        return encode_bodies(aggregates, self.max_body_bytes)

    classify = staticmethod(classify)

    def token(self) -> str:
        """Return a token. Raises TokenError."""
        return self.tokens.get()

    def post(self, target: Target, data: bytes, token: str) -> Response:
        """Post an uncompressed body once. Never raises for the service or the way to it."""
        started = self.clock()
        response = self._post(target, data, token)
        response = msgspec.structs.replace(response, seconds=self.clock() - started)
        if response.status == 401:
            self.tokens.discard(token)
        return response

    def _post(self, target: Target, data: bytes, token: str) -> Response:
        # The resource ID begins with a slash: one more would make another URL of it.
        url = f"{self.endpoint.replace('{region}', target.region)}{target.resource_id}/metrics"
        deadline = Deadline(READ_TIMEOUT, self.clock)
        try:
            with translate_errors():
                answer = self.session.post(
                    url,
                    data=gzip.compress(data, GZIP_LEVEL, mtime=0),
                    headers={"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"},
                    auth=BearerAuth(token),
                    timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
                    allow_redirects=False,
                    stream=True,
                )
        except HttpError as exc:
            code, _, message = str(exc).partition(": ")
            return Response(None, code, message)
        with answer:
            return self._read(answer, deadline)

    def _read(self, answer: requests.Response, deadline: Deadline) -> Response:
        """Return status and error; the status decides, even if the body cannot be read."""
        try:
            body = read_body(answer, MAX_ANSWER_BYTES, deadline)
            code, message = ("", "") if answer.ok else parse_error(body)
        except HttpError as exc:
            code, message = "", f"unreadable body: {exc}"
        retry_after = parse_retry_after(answer.headers.get("Retry-After"), self.now())
        return Response(answer.status_code, code, message, retry_after)
