"""Read input and make answers: JSON, the service's error bodies, a connection without answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

__all__ = [
    "DROP",
    "BadQueryError",
    "NoAnswer",
    "RefusalError",
    "bad_input",
    "bad_request",
    "decoded",
    "error_body",
    "json",
    "only",
    "whole_number",
]

_T = TypeVar("_T")

DROP = "drop_connection"  # Name of the function in the request's state that does this.


@dataclass(eq=False)
class RefusalError(Exception):
    """Refuse a request with a status, and code and message of the body.

    Without a code, the answer has no body, and the message is only for the log of requests. The
    body is that of error_body unless another is given.
    """

    status: int
    code: str = ""
    message: str = ""
    headers: Mapping[str, str] | None = None
    body: bytes | None = None

    def __str__(self) -> str:
        return self.message

    def response(self) -> Response:
        """Return the answer to the request."""
        if not self.code:
            return Response(status_code=self.status, headers=self.headers)
        return json(self.body or error_body(self.code, self.message), self.status, self.headers)


class BadQueryError(RefusalError, ValueError):
    """Refuse a query as the service does; the message has its words if they are known.

    Each API of the service puts it into a body of its own.
    """

    def __init__(self, message: str) -> None:
        super().__init__(400, "BadRequest", message)


def bad_request(message: str) -> RefusalError:
    """Return 400 BadRequest as the service words it: its messages end in a line break."""
    return bad_input(message + "\r\n")


def bad_input(message: str) -> RefusalError:
    """Return 400 BadRequest, without the line break of the service's own."""
    return RefusalError(400, "BadRequest", message)


def error_body(code: str, message: str) -> bytes:
    """Return `{"error":{"code":…,"message":…}}`, the body of the service's errors."""
    return msgspec.json.encode({"error": {"code": code, "message": message}})


def json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON answer; bytes are taken to be JSON already."""
    body = content if isinstance(content, bytes) else msgspec.json.encode(content)
    return Response(body, status, headers, media_type="application/json; charset=utf-8")


class NoAnswer(Response):
    """Closes the connection without a byte of an answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Drop the connection of the request."""
        scope["state"][DROP]()


async def decoded(request: Request, kind: type[_T]) -> _T:
    """Return the JSON body of a request. Raises RefusalError (400)."""
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except (ValueError, RecursionError) as exc:
        raise bad_input(str(exc)) from exc


def only(request: Request, known: set[str]) -> dict[str, str]:
    """Return the query parameters. Raises RefusalError (400) for one that is not known."""
    given = dict(request.query_params)
    if unknown := sorted(set(given) - known):
        raise bad_input(f"{unknown[0]} is not a parameter of this request")
    return given


def whole_number(given: str) -> int | None:
    """Return the number in a text of digits; None if it is something else or has more than 18."""
    return int(given) if given.isdecimal() and len(given) <= 18 else None
