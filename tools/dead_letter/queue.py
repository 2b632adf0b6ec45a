"""The messages of a queue, as dead letters: peek, receive, delete, release.

A peek returns 32 messages at most. A longer queue can only be read by receiving its messages,
which hides them from others. What was received and not deleted is released at the end; if the
process is killed, it is visible again after the visibility timeout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, Self, TypeVar

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.queue import QueueClient

from shared.errors import RelayError
from shared.text import plural
from tools.console import err
from tools.dead_letter.records import DeadLetter, parse
from tools.ingress import storage_errors

__all__ = ["QueueReader", "count_messages", "run_at_once"]

T = TypeVar("T")

# Source: "Peek Messages", "Get Messages".
MAX_PAGE = 32
# Seconds; and one for each 25 messages, as a long queue takes longer.
MIN_VISIBILITY_TIMEOUT = 120
# Requests at once; the SDK keeps ten connections open.
MAX_REQUESTS = 8
# What storage answers if another command received or deleted a message.
_TAKEN = {"MessageNotFound", "PopReceiptMismatch"}


def count_messages(client: QueueClient) -> int:
    """Return how many messages a queue has, hidden ones too. Raises RelayError."""
    with storage_errors(client):
        return client.get_queue_properties().approximate_message_count or 0


def run_at_once(action: Callable[[T], object], items: Iterable[T]) -> None:
    """Call `action` for each item, several at once.

    After an error no more calls are started; it is raised when those under way have ended.
    """
    with ThreadPoolExecutor(MAX_REQUESTS) as threads:
        list(threads.map(action, items))


class QueueReader:
    """Reads one queue within a `with` block; then received messages are visible again."""

    def __init__(
        self,
        client: QueueClient,
        parse: Callable[[str, str, datetime], DeadLetter] = parse,
        *,
        ingress: QueueClient | None = None,
    ) -> None:
        """`parse` gets ID, text and time of a message. Raises RelayError if there is no queue.

        With `ingress`, only if there is no ingress queue either: the relay creates the dead-letter
        queue for its first dead letter.
        """
        try:
            self.count = count_messages(client)  # At the start. Storage never counts too few.
        except RelayError as exc:
            if ingress is None or not isinstance(exc.__cause__, ResourceNotFoundError):
                raise
            count_messages(ingress)
            self.count = 0
        self._client = client
        self._parse = parse
        self._receipts: dict[str, str] = {}  # ID -> pop receipt of each hidden message.
        self._seen: set[str] = set()
        self._visibility_timeout = MIN_VISIBILITY_TIMEOUT + self.count // 25

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Release what was received and not deleted; what fails is visible again later."""
        release = partial(self._settle, self._client.update_message, visibility_timeout=0)
        with suppress(RelayError):
            run_at_once(release, list(self._receipts))

    def look(self) -> Iterator[list[DeadLetter]]:
        """Yield the messages, the first 32 without hiding them. Raises RelayError."""
        if self.count == 0:
            return
        with storage_errors(self._client):
            page = self._client.peek_messages(MAX_PAGE)
        yield self._new(page)
        if self.count > MAX_PAGE:
            yield from self.receive()
        else:
            self._print_unseen()

    def receive(self) -> Iterator[list[DeadLetter]]:
        """Receive the messages, up to 32 at once, and no more than there were at the start.

        So a replay does not go on with what it caused. Raises RelayError.
        """
        while len(self._seen) < self.count:
            with storage_errors(self._client):
                pages = self._client.receive_messages(
                    messages_per_page=MAX_PAGE, visibility_timeout=self._visibility_timeout
                ).by_page()
                page: list[Any] = list(next(pages, ()))
            # A message that was hidden for too long comes back.
            is_over = all(one.id in self._receipts for one in page)
            self._receipts.update((one.id, one.pop_receipt) for one in page)
            if is_over:
                break
            yield self._new(page)
        self._print_unseen()

    def delete(self, one: DeadLetter) -> None:
        """Delete a received message, unless another command has it by now. Raises RelayError."""
        self._settle(self._client.delete_message, one.id)

    def _settle(self, request: Callable[..., object], message_id: str, **options: Any) -> None:
        with storage_errors(self._client):
            try:
                request(message_id, self._receipts[message_id], **options)
            except HttpResponseError as exc:
                if getattr(exc, "error_code", None) not in _TAKEN:
                    raise
        del self._receipts[message_id]

    def _new(self, page: list[Any]) -> list[DeadLetter]:
        """Return what was not yielded yet, as long as the count allows."""
        new = [one for one in page if one.id not in self._seen][: self.count - len(self._seen)]
        self._seen.update(one.id for one in new)
        return [self._parse(one.id, one.content, one.inserted_on) for one in new]

    def _print_unseen(self) -> None:
        if (unseen := self.count - len(self._seen)) > 0:
            err.print(
                f"By its approximate count the queue has {plural(unseen, 'more message')}: another "
                "command, perhaps one that was killed, hides them for some minutes.",
                style="yellow",
            )
