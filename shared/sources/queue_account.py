"""Requests to the queues of a storage account, through the gate; the SDK's errors are ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from shared.clients.deadline import Deadline
from shared.clients.rate_limiter import Gate
from shared.errors import LateError, SourceError

if TYPE_CHECKING:
    from azure.storage.queue import QueueServiceClient

__all__ = ["MOST_PEEKED", "MissingError", "QueueAccount"]

# Source: "Peek Messages": 32 at most.
MOST_PEEKED = 32
# Source: "Authorize access to queues using Microsoft Entra ID".
_SCOPE = "https://storage.azure.com/.default"


class MissingError(SourceError):
    """There is no such queue."""


class QueueAccount:
    """Asks a storage account; blocking. Its methods raise SourceError, LateError after `until`."""

    def __init__(self, service: QueueServiceClient, gate: Gate) -> None:
        self._service = service
        self._gate = gate

    def sign_in(self, until: Deadline) -> None:
        """Have a token before many threads want one: what is wrong with it is said once."""
        if hasattr(self._service.credential, "get_token"):
            with self._request(until):
                self._service.credential.get_token(_SCOPE)

    def depth(self, queue: str, until: Deadline) -> float:
        """Messages in a queue, approximately. Raises MissingError too."""
        with self._request(until):
            properties = self._service.get_queue_client(queue).get_queue_properties()
        count = properties.approximate_message_count
        if count is None or not 0 <= count < 2**63:
            raise SourceError(f"no count in the answer: {count}")
        return float(count)

    def peek(self, queue: str, until: Deadline) -> list[datetime | None]:
        """When the first messages that are visible were enqueued. Raises MissingError too."""
        with self._request(until):
            peeked = self._service.get_queue_client(queue).peek_messages(MOST_PEEKED)
            return [message.inserted_on for message in peeked]

    def names(self, prefix: str, until: Deadline) -> frozenset[str]:
        """The queues whose names begin so."""
        try:
            with self._request(until):
                return frozenset(self._listed(prefix, until))
        except LateError:
            raise
        except SourceError as exc:
            raise SourceError(f"queues cannot be listed: {exc}") from exc

    def _listed(self, prefix: str, until: Deadline) -> Iterator[str]:
        for page in self._service.list_queues(name_starts_with=prefix or None).by_page():
            yield from (queue.name for queue in page if queue.name)
            if not until.left():
                raise SourceError("not read in time")

    @contextmanager
    def _request(self, until: Deadline) -> Iterator[None]:
        """Where the SDK is asked, once the gate lets it: its errors are a SourceError."""
        from azure.core.exceptions import AzureError, ResourceNotFoundError

        with self._gate.turn(until):
            try:
                yield
            except ResourceNotFoundError as exc:
                raise MissingError(_first_line(exc)) from exc
            except AzureError as exc:
                raise SourceError(_first_line(exc)) from exc
            # What it raises for an answer of another server than a queue service.
            except (SyntaxError, ValueError, TypeError, LookupError, AttributeError) as exc:
                raise SourceError(f"no answer of a queue service: {_first_line(exc)}") from exc


def _first_line(exc: Exception) -> str:
    return str(exc).partition("\n")[0]
