"""Answers: JSON, the service's error bodies, and the answer that never comes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

__all__ = [
    "DROP",
    "BadQueryError",
    "NoAnswer",
    "RefusalError",
    "bad_request",
    "error_body",
    "json",
    "refused",
]

DROP = "drop_connection"  # Where in the request's state the server leaves the means to do so.

_JSON = "application/json; charset=utf-8"


class BadQueryError(ValueError):
    """A query that the service would refuse; the message says why, in its words if known.

    Each of its APIs has a body of its own for it.
    """


class RefusalError(Exception):
    """A request refused: status, and code and message of the body.

    Without a code the answer has no body; the message is then for the log of requests alone. The
    body is error_body's unless another is given.
    """

    def __init__(
        self,
        status: int,
        code: str = "",
        message: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers
        self.body = body or error_body(code, message)


def bad_request(message: str) -> RefusalError:
    """400 BadRequest as the service words it: its messages end in a line break."""
    return RefusalError(400, "BadRequest", message + "\r\n")


def error_body(code: str, message: str) -> bytes:
    """`{"error":{"code":…,"message":…}}`, the body of the service's errors."""
    return msgspec.json.encode({"error": {"code": code, "message": message}})


def json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer; bytes are taken to be JSON already."""
    body = content if isinstance(content, bytes) else msgspec.json.encode(content)
    return Response(body, status, headers, media_type=_JSON)


def refused(refusal: RefusalError) -> Response:
    """The answer to a request that was refused."""
    if not refusal.code:
        return Response(status_code=refusal.status, headers=refusal.headers)
    return json(refusal.body, refusal.status, refusal.headers)


class NoAnswer(Response):
    """Closes the connection without a byte of an answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Have the server drop the connection this request came on."""
        scope["state"][DROP]()
