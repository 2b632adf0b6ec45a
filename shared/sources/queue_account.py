"""Read the queues of a storage account through a rate limiter; errors are SourceErrors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from shared.clients.credentials import request_token
from shared.clients.deadline import Deadline
from shared.clients.rate_limiter import RateLimiter
from shared.errors import DeadlineError, SourceError, TokenError

if TYPE_CHECKING:
    from azure.storage.queue import QueueServiceClient

__all__ = ["MAX_PEEKED", "MissingQueueError", "QueueAccount"]

# Messages. Source: "Peek Messages".
MAX_PEEKED = 32
# Source: "Authorize access to queues using Microsoft Entra ID".
_SCOPE = "https://storage.azure.com/.default"


class MissingQueueError(SourceError):
    """A queue does not exist."""


class QueueAccount:
    """Reads queues; blocking. Its methods raise SourceError, DeadlineError after the deadline."""

    def __init__(self, service: QueueServiceClient, rate_limiter: RateLimiter) -> None:
        self._service = service
        self._rate_limiter = rate_limiter

    def authenticate(self, deadline: Deadline) -> None:
        """Get a token before many threads need one, so that a failure is one error."""
        credential = self._service.credential
        if not hasattr(credential, "get_token"):
            return  # A key or a signature.
        with self._rate_limiter.acquire(deadline):
            try:
                request_token(credential, _SCOPE)
            except TokenError as exc:
                raise SourceError(str(exc)) from exc

    def depth(self, queue: str, deadline: Deadline) -> float:
        """Return the approximate number of messages. Raises MissingQueueError too."""
        with self._request(deadline):
            properties = self._service.get_queue_client(queue).get_queue_properties()
        count = properties.approximate_message_count
        if count is None or not 0 <= count < 2**63:
            raise SourceError(f"the response has no valid message count: {count}")
        return float(count)

    def peek(self, queue: str, deadline: Deadline) -> list[datetime | None]:
        """Return the enqueued times of the first visible messages, up to MAX_PEEKED.

        Raises MissingQueueError too.
        """
        with self._request(deadline):
            peeked = self._service.get_queue_client(queue).peek_messages(MAX_PEEKED)
            return [message.inserted_on for message in peeked]

    def names(self, prefix: str, deadline: Deadline) -> frozenset[str]:
        """Return the names of the queues with a prefix."""
        try:
            with self._request(deadline):
                return frozenset(self._list(prefix, deadline))
        except DeadlineError:
            raise
        except SourceError as exc:
            raise SourceError(f"queues cannot be listed: {exc}") from exc

    def _list(self, prefix: str, deadline: Deadline) -> Iterator[str]:
        for page in self._service.list_queues(name_starts_with=prefix or None).by_page():
            yield from (queue.name for queue in page if queue.name)
            if not deadline.left():
                raise SourceError("the list was not complete before the deadline")

    @contextmanager
    def _request(self, deadline: Deadline) -> Iterator[None]:
        """Wait for the rate limiter, and translate what the SDK raises in the block."""
        from azure.core.exceptions import AzureError, ResourceNotFoundError

        with self._rate_limiter.acquire(deadline):
            try:
                yield
            except ResourceNotFoundError as exc:
                raise MissingQueueError(_first_line(exc)) from exc
            except AzureError as exc:
                raise SourceError(_first_line(exc)) from exc
            # The SDK raises these for the response of a server that is not a queue service.
            except (SyntaxError, ValueError, TypeError, LookupError, AttributeError) as exc:
                raise SourceError(f"not a queue service response: {_first_line(exc)}") from exc


def _first_line(exc: Exception) -> str:
    return str(exc).partition("\n")[0]
