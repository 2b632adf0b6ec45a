"""Whether a message may be in the queue though its put failed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["Doubt", "refuses", "unconnected"]


class Doubt:
    """Hears of the tries of one put; one not surely refused leaves the message in doubt."""

    def __init__(self) -> None:
        self.left = False

    def hear(self, *, response: Any = None, error: Any = None, **_: object) -> None:
        """Of a try that is followed by another; to be given to the SDK as `retry_hook`."""
        self.left |= not (
            refuses(response.status_code) if response is not None else unconnected(error)
        )

    def hear_last(self, exc: Exception) -> None:
        """Of the error that ended it."""
        from azure.core.exceptions import ClientAuthenticationError

        status = getattr(exc, "status_code", None)
        if status is None:
            self.left |= not (isinstance(exc, ClientAuthenticationError) or unconnected(exc))
        else:
            self.left |= not refuses(status)


def refuses(status: int) -> bool:
    """Whether a message that is answered so is not in the queue.

    Source: "Common REST API error codes": 408 may come once the message is in.
    """
    return 400 <= status < 500 and status != 408


def unconnected(exc: BaseException) -> bool:
    """Whether there was no connection over which anything could be sent."""
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

    return any(isinstance(one, NewConnectionError | ConnectTimeoutError) for one in _within(exc))


def _within(exc: BaseException) -> Iterator[object]:
    """The error, and those that the libraries below wrapped into it."""
    below: object = exc
    while below is not None:
        yield below
        inner = getattr(below, "inner_exception", None) or getattr(below, "reason", None)
        below = inner or next(iter(getattr(below, "args", ())), None)
