"""Reading what is given to the control API; what is wrong with it is said in a 400."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from starlette.requests import Request

from .answers import RefusalError

__all__ = ["bad_input", "decoded", "only", "whole_number"]

_T = TypeVar("_T")


async def decoded(request: Request, kind: type[_T]) -> _T:
    """The JSON body of a request. Raises RefusalError (400), which says where it is wrong."""
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise bad_input(str(exc)) from exc


def only(request: Request, known: set[str]) -> dict[str, str]:
    """The query parameters. Raises RefusalError (400) for one that is not known."""
    given = dict(request.query_params)
    if unknown := sorted(set(given) - known):
        raise bad_input(f"{unknown[0]}: there is no such parameter")
    return given


def whole_number(given: str) -> int | None:
    """The number in a text of digits; None if it is something else or has more than 18."""
    return int(given) if given.isdecimal() and len(given) <= 18 else None


def bad_input(message: str) -> RefusalError:
    """400 BadRequest, without the line break of the service's own."""
    return RefusalError(400, "BadRequest", message)
