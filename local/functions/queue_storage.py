"""Make the four calls of a listener to a queue and its poison queue in Azure Storage.

Each runs in a thread, since the client blocks; its errors become StorageError here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError
from azure.storage.queue import QueueClient, QueueMessage, QueueServiceClient

from local.functions.errors import MessageGoneError, QueueMissingError, StorageError

__all__ = ["POISON_SUFFIX", "QueueStorage"]

POISON_SUFFIX = "-poison"
MAX_NAME = 63  # Characters in a queue's name.
# One connection each; the client's pool holds ten, and another thread waits for messages.
THREADS = 8
# Error codes of the Queue service (learn.microsoft.com/rest/api/storageservices).
NO_QUEUE = {"QueueNotFound", "QueueBeingDeleted"}
NO_MESSAGE = {"MessageNotFound", "PopReceiptMismatch"}

T = TypeVar("T")


class QueueStorage:
    """Calls the service, which knows whole seconds only."""

    def __init__(self, service: QueueServiceClient, name: str) -> None:
        self.name = name
        self.poison_name = _poison_name(name)
        self._service = service
        self._queue = service.get_queue_client(name)
        # Taking has a thread of its own, so as not to queue behind the deletes of the last batch.
        self._taker = ThreadPoolExecutor(1, thread_name_prefix=f"take {name}")
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=f"settle {name}")

    async def take(self, count: int, invisibility: float) -> list[QueueMessage]:
        """Take up to `count` visible messages and hide them for `invisibility` seconds."""

        def receive() -> list[QueueMessage]:
            pages = self._queue.receive_messages(
                messages_per_page=count, visibility_timeout=int(invisibility)
            ).by_page()
            return list(next(pages, ()))

        return await self._in(self._taker, receive)

    async def hide(self, message: QueueMessage, seconds: float) -> None:
        """Keep a message invisible for `seconds` from now; 0 shows it again."""
        update = partial(
            self._queue.update_message,
            message.id,
            message.pop_receipt,
            visibility_timeout=int(seconds),
        )
        message.pop_receipt = (await self._in(self._threads, update)).pop_receipt

    async def delete(self, message: QueueMessage) -> None:
        """Remove a message for good."""
        await self._in(self._threads, partial(self._queue.delete_message, message))

    async def poison(self, message: QueueMessage, queue: str) -> None:
        """Put the text, as it was sent, in the poison queue, then remove the message."""
        poison = self._service.get_queue_client(queue)
        await self._in(self._threads, partial(_send_creating, poison, message.content))
        await self.delete(message)

    async def _in(self, threads: Executor, call: Callable[[], T]) -> T:
        """Run a call to the service in a thread. Raises StorageError."""
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, call)
        except AzureError as exc:
            raise _translated(exc) from exc


def _poison_name(name: str) -> str | None:
    """Return None where the extension has none: for a poison queue and for a long name."""
    poison = name + POISON_SUFFIX
    return None if name.endswith(POISON_SUFFIX) or len(poison) > MAX_NAME else poison


def _send_creating(queue: QueueClient, text: str) -> None:
    """Send to a queue, which is made if it does not exist."""
    try:
        queue.send_message(text)
    except HttpResponseError as exc:
        if exc.error_code not in NO_QUEUE:  # type: ignore[attr-defined]
            raise
        with contextlib.suppress(ResourceExistsError):  # Another invocation was quicker.
            queue.create_queue()
        queue.send_message(text)


def _translated(exc: AzureError) -> StorageError:
    """Return the error for the caller: the service's code, or the first line of the client's."""
    code = getattr(exc, "error_code", None)
    said = str(getattr(code, "value", code)) if code else str(exc.message).splitlines()[0]
    if code in NO_QUEUE:
        return QueueMissingError(said)
    if code in NO_MESSAGE:
        return MessageGoneError(said)
    return StorageError(said)
