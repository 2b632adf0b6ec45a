"""Messages -> a queue, several at once; and what is known of each when that ends early."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.clients.storage import NO_EXPIRY, message_text
from shared.errors import RelayError
from tools.doubt import Doubt
from tools.ingress import Queues
from tools.spool import Spool, Stored
from tools.stopping import Stop

if TYPE_CHECKING:
    from azure.storage.queue import QueueClient

__all__ = ["Outcome", "Put", "check_queue", "dispatch", "explained"]


@dataclass(frozen=True, slots=True)
class Put:
    """A message in the queue."""

    message_id: str
    receipt: str


@dataclass(slots=True)
class Outcome:
    """What became of the messages of a spool, by their place in it."""

    put: dict[int, Put] = field(default_factory=dict)
    in_doubt: set[int] = field(default_factory=set)  # Failed, and may be in the queue even so.
    failure: str = ""

    def resume(self, spool: Spool, start: int) -> int:
        """The entry from which on nothing was sent, and before which everything was; 0 for none.

        `start` is the first entry of the spool.
        """
        sent = len(self.put)
        if any(index >= sent for index in self.put):
            return 0
        return spool.messages[sent - 1].resume if sent else start

    def unsent(self, spool: Spool) -> list[Stored]:
        """The messages of which it is not known that they are in the queue."""
        return [stored for index, stored in enumerate(spool.messages) if index not in self.put]


def dispatch(
    spool: Spool, queue: QueueClient, *, threads: int, stop: Stop, sent: Callable[[], object]
) -> Outcome:
    """Put all messages into the queue, at most `threads` at once; `sent` is called for each.

    Ends early, with what is under way done: when one cannot be put, at the end of an entry when it
    is asked to, and anywhere when it is asked twice.
    """
    outcome = Outcome()
    failed = threading.Event()
    slots = threading.BoundedSemaphore(threads + 1)

    def put(index: int, body: bytes) -> None:
        doubt = Doubt()
        try:
            message = queue.send_message(
                message_text(body), time_to_live=NO_EXPIRY, retry_hook=doubt.hear
            )
            outcome.put[index] = Put(message.id, message.pop_receipt or "")
            sent()
        except Exception as exc:  # noqa: BLE001 (it is the outcome, and ends the rest)
            doubt.hear_last(exc)
            if doubt.left:
                outcome.in_doubt.add(index)
            outcome.failure = outcome.failure or explained(exc, queue)
            failed.set()
        finally:
            slots.release()

    with ThreadPoolExecutor(threads) as pool:
        for index, stored in enumerate(spool.messages):
            slots.acquire()  # Where it waits; what is asked meanwhile is heeded.
            good_place = index == 0 or spool.messages[index - 1].resume
            if failed.is_set() or stop.asked(2) or (stop.asked() and good_place):
                break
            pool.submit(put, index, spool.read(stored))
    return outcome


def check_queue(queues: Queues) -> None:
    """Raises RelayError where the ingress queue is not there; it may be that nobody may know."""
    from azure.core.exceptions import AzureError, HttpResponseError

    with queues.open(queues.ingress) as queue:
        try:
            queue.get_queue_properties()
        except AzureError as exc:
            # Who may only send may not look.
            if not (isinstance(exc, HttpResponseError) and exc.status_code == 403):
                raise RelayError(f"nothing was sent: {explained(exc, queue)}") from exc


def explained(
    exc: Exception, queue: QueueClient, role: str = "Storage Queue Data Message Sender"
) -> str:
    """What went wrong with the queue, in a line, with what helps where that is known.

    `role` is the one that allows what was tried.
    """
    from azure.core.exceptions import (
        HttpResponseError,
        ResourceNotFoundError,
    )

    if isinstance(exc, ResourceNotFoundError):
        return f"there is no queue {queue.queue_name!r} at {_account(queue)}"
    text = str(exc).partition("\n")[0]
    if isinstance(exc, HttpResponseError) and exc.status_code == 403:
        return f"{text} (it takes the role {role})"
    return f"{type(exc).__name__}: {text}"


def _account(queue: QueueClient) -> str:
    """Where the queue is, without a signature that its address may have."""
    return str(queue.url).partition("?")[0].rpartition("/")[0]
