"""`send --watch`: wait until the ingress queue is empty, and look for new dead letters."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.errors import RelayError
from tools.ingress import Queues, describe_error

if TYPE_CHECKING:  # Slow to import.
    from azure.storage.queue import QueueClient

__all__ = ["Watched", "Watcher"]

_PERIOD = 1.0  # Seconds between two looks.


@dataclass(frozen=True, slots=True)
class Watched:
    """What the queues hold at the end, in messages."""

    waiting: int  # In the ingress queue.
    dead_letters: int  # New ones, of any producer.
    poison: int  # The same.

    @property
    def is_good(self) -> bool:
        """Whether everything was published."""
        return not (self.waiting or self.dead_letters or self.poison)


class Watcher:
    """Knows how many dead letters there were before anything was sent."""

    def __init__(self, queues: Queues) -> None:
        """Count what is there. Raises RelayError."""
        self._ingress = queues.open(queues.ingress)
        self._others = [queues.open(queues.dead_letter), queues.open(f"{queues.ingress}-poison")]
        self._before = [_depth(queue) for queue in self._others]

    def wait(self, timeout: float, progress: Callable[[int], object]) -> Watched:
        """Wait until the ingress queue is empty, `timeout` seconds at most. Raises RelayError.

        `progress` is called with the number of messages in it.
        """
        end = time.monotonic() + timeout
        while waiting := _depth(self._ingress):
            progress(waiting)
            left = end - time.monotonic()
            if left <= 0:
                break
            time.sleep(min(_PERIOD, left))
        new = [
            max(0, _depth(queue) - before)
            for queue, before in zip(self._others, self._before, strict=True)
        ]
        return Watched(waiting, *new)


def _depth(queue: QueueClient) -> int:
    """Return the messages in a queue, invisible ones too; 0 if there is no such queue."""
    from azure.core.exceptions import AzureError, ResourceNotFoundError

    try:
        return queue.get_queue_properties().approximate_message_count or 0
    except ResourceNotFoundError:
        return 0
    except AzureError as exc:
        error = describe_error(exc, queue, role="Storage Queue Data Reader")
        raise RelayError(f"--watch: {error}") from exc
