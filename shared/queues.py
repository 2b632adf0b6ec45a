"""Putting messages into a storage queue, without blocking the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import re
from concurrent.futures import Executor
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.storage.queue import QueueClient

__all__ = ["Queue", "queue_text"]

# A message is put into XML 1.0, which cannot hold these two; JSON can say them another way.
_NOT_IN_XML = re.compile("[\ufffe\uffff]")
# By default a message is gone after seven days, whether or not anybody has seen it.
_FOR_EVER = -1


def queue_text(message: bytes) -> str:
    """A JSON message (UTF-8) as a queue takes it: the same value, and nothing XML cannot hold."""
    return _NOT_IN_XML.sub(lambda found: f"\\u{ord(found[0]):04x}", message.decode())


class Queue:
    """A queue that messages are put into; made when it does not exist yet."""

    def __init__(self, client: QueueClient, executor: Executor) -> None:
        self._client = client
        self._executor = executor

    async def send(self, message: bytes, delay: timedelta = timedelta()) -> None:
        """Put a JSON message into the queue, to be seen after `delay`. Raises AzureError."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executor, self._send, message, delay)

    def _send(self, message: bytes, delay: timedelta) -> None:
        from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

        text = queue_text(message)
        options = {
            "visibility_timeout": int(delay.total_seconds()),
            "time_to_live": _FOR_EVER,
        }
        client = self._client
        try:
            client.send_message(text, **options)
        except ResourceNotFoundError:
            with contextlib.suppress(ResourceExistsError):  # Another instance was quicker.
                client.create_queue()
            client.send_message(text, **options)
