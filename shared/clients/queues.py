"""Putting messages into a storage queue, without blocking the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.storage.queue import QueueClient

__all__ = ["FOR_EVER", "Queue", "message_text"]

# A message is put into XML 1.0, which cannot hold these two; JSON can say them another way.
_NOT_IN_XML = re.compile("[\ufffe\uffff]")
# Time to live of a message; by default it is gone after seven days, whether or not anybody has
# seen it.
FOR_EVER = -1


def message_text(message: bytes) -> str:
    """A JSON message as text that a queue can hold and that reads back the same."""
    return _NOT_IN_XML.sub(lambda found: f"\\u{ord(found[0]):04x}", message.decode())


class Queue:
    """A queue that messages are put into; made when it does not exist yet."""

    def __init__(self, open_client: Callable[[], QueueClient], executor: Executor) -> None:
        """The client is opened when the first message is put: most instances never put one."""
        self._client = cache(open_client)
        self._executor = executor

    async def send(self, message: bytes, delay: timedelta = timedelta()) -> None:
        """Put a JSON message into the queue, to be seen after `delay`. Raises AzureError."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executor, self._send, message, delay)

    def _send(self, message: bytes, delay: timedelta) -> None:
        from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

        text = message_text(message)
        options = {
            "visibility_timeout": int(delay.total_seconds()),
            "time_to_live": FOR_EVER,
        }
        client = self._client()
        try:
            client.send_message(text, **options)
        except ResourceNotFoundError:
            with contextlib.suppress(ResourceExistsError):  # Another instance was quicker.
                client.create_queue()
            client.send_message(text, **options)
