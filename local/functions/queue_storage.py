"""A queue and its poison queue in Azure Storage: the five calls that a listener makes.

Each runs in a thread, since the client blocks, and is repeated while the service is out of reach;
the client's errors become StorageError here.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError
from azure.storage.queue import QueueClient, QueueServiceClient

from local.functions.errors import MessageGoneError, QueueMissingError, StorageError

__all__ = ["PATIENCE", "Message", "QueueStorage"]

# Seconds for which a call is repeated before it fails, as seen of the real host.
PATIENCE = 21.0
RETRY_DELAY = 1.0

POISON_SUFFIX = "-poison"
MAX_NAME = 63  # Characters in a queue's name.
# One connection each; the client's pool holds ten, and another thread waits for messages.
THREADS = 8
# Error codes of the Queue service (learn.microsoft.com/rest/api/storageservices).
NO_QUEUE = {"QueueNotFound", "QueueBeingDeleted"}
NO_MESSAGE = {"MessageNotFound", "PopReceiptMismatch"}
NEVER = datetime.max.replace(tzinfo=UTC)

T = TypeVar("T")


@dataclass(slots=True)
class Message:
    """A message taken from its queue; the pop receipt changes whenever it is renewed."""

    id: str
    pop_receipt: str
    text: str
    dequeue_count: int
    inserted_on: datetime
    expires_on: datetime
    next_visible_on: datetime


class QueueStorage:
    """Seconds are whole ones: the service knows no others."""

    def __init__(self, service: QueueServiceClient, name: str, patience: float = PATIENCE) -> None:
        self.name = name
        self._patience = patience
        self.poison_name = _poison_name(name)
        self._queue = service.get_queue_client(name)
        self._poison = (
            service.get_queue_client(self.poison_name) if self.poison_name is not None else None
        )
        # Taking has a thread of its own, so as not to queue behind the deletes of the last batch.
        self._taker = ThreadPoolExecutor(1, thread_name_prefix=f"take {name}")
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=f"settle {name}")

    async def take(self, count: int, invisibility: float) -> list[Message]:
        """Up to `count` visible messages, which then stay invisible for `invisibility` seconds."""

        def receive() -> list[Message]:
            pages = self._queue.receive_messages(
                messages_per_page=count, visibility_timeout=int(invisibility)
            ).by_page()
            return [_message(received) for received in next(pages, ())]

        return await self._in(self._taker, receive)

    async def hide(self, message: Message, seconds: float) -> None:
        """Keep a message invisible for `seconds` from now; 0 shows it again."""

        def update() -> str:
            updated = self._queue.update_message(
                message.id, message.pop_receipt, visibility_timeout=int(seconds)
            )
            return str(updated.pop_receipt)

        message.pop_receipt = await self._in(self._threads, update)

    async def delete(self, message: Message) -> None:
        """Remove a message for good."""
        await self._in(
            self._threads, lambda: self._queue.delete_message(message.id, message.pop_receipt)
        )

    async def poison(self, message: Message) -> None:
        """Put the text, as it was sent, in the poison queue, then remove the message."""
        poison = self._poison
        if poison is None:
            raise StorageError(f"queue {self.name} can have no poison queue")
        await self._in(self._threads, lambda: _send_creating(poison, message.text))
        await self.delete(message)

    async def _in(self, threads: Executor, call: Callable[[], T]) -> T:
        """Run a call to the service in a thread. Raises StorageError."""
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return await asyncio.get_running_loop().run_in_executor(threads, call)
            except AzureError as exc:
                if not _may_pass(exc) or time.monotonic() + RETRY_DELAY > deadline:
                    raise _translated(exc) from exc
            await asyncio.sleep(RETRY_DELAY)


def _poison_name(name: str) -> str | None:
    """None where the extension has no poison queue either: a poison queue itself, a long name."""
    poison = name + POISON_SUFFIX
    return None if name.endswith(POISON_SUFFIX) or len(poison) > MAX_NAME else poison


def _message(received: Any) -> Message:
    """From the client's message; a message that never expires has no date there."""
    return Message(
        id=received.id,
        pop_receipt=received.pop_receipt,
        text=received.content,
        dequeue_count=received.dequeue_count,
        inserted_on=received.inserted_on,
        expires_on=received.expires_on or NEVER,
        next_visible_on=received.next_visible_on,
    )


def _send_creating(queue: QueueClient, text: str) -> None:
    """Send to a queue that most often does not exist at the first time."""
    try:
        queue.send_message(text)
    except HttpResponseError as exc:
        if exc.error_code not in NO_QUEUE:  # type: ignore[attr-defined]
            raise
        with contextlib.suppress(ResourceExistsError):  # Another invocation was quicker.
            queue.create_queue()
        queue.send_message(text)


def _may_pass(exc: AzureError) -> bool:
    """Whether the service did not answer, or may answer otherwise within seconds."""
    status = getattr(exc, "status_code", None)
    return status is None or status in {408, 429} or status >= 500


def _translated(exc: AzureError) -> StorageError:
    """The error for the caller, with the service's code or the first line of what is known."""
    code = getattr(exc, "error_code", None)
    said = str(getattr(code, "value", code)) if code else str(exc.message).splitlines()[0]
    if code in NO_QUEUE:
        return QueueMissingError(said)
    if code in NO_MESSAGE:
        return MessageGoneError(said)
    return StorageError(said)
