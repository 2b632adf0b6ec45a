"""What became of messages that were sent: gone from the ingress queue, or dead-lettered.

What can be known: whether a message is still in its queue; whether a dead letter names it. A part
of a message that Azure does not take for now is put back as a *new* message, which has nothing to
tell it by. When the queue is empty that is settled too; while others send, it cannot be told.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.clients.deadline import Deadline
from shared.errors import RelayError
from tools.dispatch import Put, explained
from tools.ingress import Queues

if TYPE_CHECKING:
    from azure.storage.queue import QueueClient

__all__ = ["Refusal", "Settled", "Watcher"]

# Seconds between looks.
_PAUSE = 1.0
# Messages asked for one by one in a look, where the queue is not empty.
_AT_A_LOOK = 32
# As many as can be seen without taking them.
_MOST_PEEKED = 32


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that was dead-lettered of a message that was sent."""

    message_id: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Settled:
    """What is known at the end."""

    waiting: int  # Messages that were sent and are still in the queue.
    quiet: bool  # The queue is empty: nothing was put back either.
    refusals: tuple[Refusal, ...]
    hidden: int  # New dead letters that cannot be seen, for there are more before them.
    poisoned: int  # New messages in the poison queue, anybody's.


class Watcher:
    """Knows the dead letters that were there before anything was sent."""

    def __init__(self, queues: Queues, sleep: Callable[[float], object] = time.sleep) -> None:
        """To be made before sending. Raises RelayError."""
        self._ingress = queues.open(queues.ingress)
        self._dead_letters = queues.open(queues.dead_letter)
        self._poison = queues.open(f"{queues.ingress}-poison")
        self._sleep = sleep
        self._before = _depth(self._dead_letters)
        self._poison_before = _depth(self._poison)

    def wait(
        self, sent: Iterable[Put], timeout: float, progress: Callable[[int], object]
    ) -> Settled:
        """Wait until the messages are gone, at most `timeout` seconds. Raises RelayError.

        `progress` hears how many are left.
        """
        left = deque(sent)
        ids = {put.message_id for put in left}
        deadline = Deadline(timeout)
        while True:
            if quiet := _depth(self._ingress) == 0:
                left.clear()
            else:
                self._look(left)
            progress(len(left))
            if not left or not deadline.left():
                break
            self._sleep(min(_PAUSE, deadline.left()))
        seen, refusals = self._refusals(ids)
        depth = _depth(self._dead_letters)
        hidden = max(0, min(depth - self._before, depth - seen))
        poisoned = max(0, _depth(self._poison) - self._poison_before)
        return Settled(len(left), quiet, refusals, hidden, poisoned)

    def _look(self, left: deque[Put]) -> None:
        """Drop some of the messages that are gone.

        A message that nobody has taken can be updated by whoever put it, which changes nothing of
        it; one answer says that it was taken, another one that it is gone.
        """
        from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

        for _ in range(min(_AT_A_LOOK, len(left))):
            put = left.popleft()
            with _translated(self._ingress):
                try:
                    known = self._ingress.update_message(
                        put.message_id, put.receipt, visibility_timeout=0
                    )
                    left.append(Put(put.message_id, known.pop_receipt or ""))
                except ResourceNotFoundError:
                    pass
                except HttpResponseError as exc:
                    left.append(put)
                    if exc.status_code == 403:  # Without the right only an empty queue will tell.
                        return
                    if exc.status_code != 400:
                        raise

    def _refusals(self, ids: set[str]) -> tuple[int, tuple[Refusal, ...]]:
        """How many dead letters can be seen, and what is in them of these messages."""
        from azure.core.exceptions import ResourceNotFoundError

        with _translated(self._dead_letters):
            try:
                letters = self._dead_letters.peek_messages(_MOST_PEEKED)
            except ResourceNotFoundError:
                letters = []
        found = [one for letter in letters for one in _of_letter(letter.content)]
        return len(letters), tuple(one for one in found if one.message_id in ids)


def _of_letter(content: str) -> Iterator[Refusal]:
    """What a dead letter holds; nothing if it is not one."""
    try:
        letter: dict[str, Any] = json.loads(content)
        reason, shared_id = str(letter["reason"]), letter.get("messageId", "")
        for one in letter["refused"]:
            yield Refusal(one.get("messageId", shared_id), reason, str(one["detail"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return


def _depth(client: QueueClient) -> int:
    """Messages in a queue, those that are being worked on too; none where there is no queue."""
    from azure.core.exceptions import ResourceNotFoundError

    with _translated(client):
        try:
            return client.get_queue_properties().approximate_message_count or 0
        except ResourceNotFoundError:
            return 0


@contextmanager
def _translated(client: QueueClient) -> Iterator[None]:
    from azure.core.exceptions import AzureError

    try:
        yield
    except AzureError as exc:
        why = explained(exc, client, role="Storage Queue Data Reader")
        raise RelayError(f"--watch: {why}") from exc
