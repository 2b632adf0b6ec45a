"""`send --watch`: wait until the ingress queue is empty, and count new dead letters."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient

from tools.ingress import Queues, storage_errors
from tools.send.result import Watched
from tools.stopping import Stop

__all__ = ["Watcher"]

_PERIOD = 1.0  # Seconds between two requests.


class Watcher:
    """Watches the queues of a relay from before anything is sent."""

    def __init__(self, queues: Queues) -> None:
        """Count the messages of the dead-letter and the poison queue. Raises RelayError."""
        self._ingress = queues.open(queues.ingress)
        self._others = [queues.open(queues.dead_letter), queues.open(f"{queues.ingress}-poison")]
        self._before = [_count(queue) for queue in self._others]

    def wait(self, timeout: float, stop: Stop, show: Callable[..., object]) -> Watched:
        """Wait until the ingress queue is empty, `timeout` seconds pass or the user stops it.

        `show` is called with completed=N for N messages in the queue. Raises RelayError.
        """
        end = time.monotonic() + timeout
        while waiting := _count(self._ingress):
            show(completed=waiting)
            if time.monotonic() >= end or stop.asked():
                break
            time.sleep(_PERIOD)
        dead_letters, poison = (
            max(0, _count(queue) - before)
            for queue, before in zip(self._others, self._before, strict=True)
        )
        return Watched(waiting, dead_letters, poison)


def _count(queue: QueueClient) -> int:
    """Return the messages in a queue, invisible ones too; 0 if there is no such queue."""
    with storage_errors(queue, role="Storage Queue Data Reader"), suppress(ResourceNotFoundError):
        return queue.get_queue_properties().approximate_message_count or 0
    return 0
