"""Taking all messages of a queue without losing one: held for a while, then dropped or given back.

A peek shows 32 messages, so a longer queue can only be read by taking its messages. What was taken
is out of sight for the `hold`, and comes back by itself when that ends, whatever became of this
process; what is still there at the end is given back at once. The order in which a queue gives its
messages is not promised, and changes by this: nothing here depends on it.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from shared.errors import RelayError
from tools.console import err, progress
from tools.dead_letter.finding import Held
from tools.stopping import Stop

if TYPE_CHECKING:
    from azure.storage.queue import QueueClient

__all__ = ["MOST_TAKEN", "Holder", "QueueError", "holding", "queue_errors"]

T = TypeVar("T")

# Source: "Peek Messages", "Get Messages": 32 messages at the most.
MOST_TAKEN = 32
# Requests under way at once; the SDK keeps ten connections open.
_THREADS = 8
# Tasks given to the threads at once, so that an end that is asked for is heard.
_RUN = 256
# Seconds: what a slow line needs for any queue, and letters a second for long ones.
_LEAST_HOLD = 120
_LETTERS_A_SECOND = 25
# Source: "Get Messages", visibilitytimeout.
_MOST_HOLD = 7 * 24 * 3600
_SIGNATURE = re.compile(r"sig=[^&\s'\")]+")


class QueueError(RelayError):
    """A queue could not be worked on; the text says what storage said."""


@contextmanager
def queue_errors(what: str) -> Iterator[None]:
    """Where the SDK is asked: its errors are a QueueError in a line, without a signature."""
    from azure.core.exceptions import AzureError

    try:
        yield
    except AzureError as exc:
        text = _SIGNATURE.sub("sig=…", str(exc).partition("\n")[0])
        raise QueueError(f"{what}: {text}") from exc


class Holder:
    """Holds the messages of one queue; made by `holding`."""

    def __init__(
        self, client: QueueClient, threads: ThreadPoolExecutor, stop: Stop, hold: int | None
    ) -> None:
        self._client = client
        self._threads = threads
        self._stop = stop
        self._hold = hold
        self._receipts: dict[str, str] = {}  # Of what is held; the newest of each.
        self.as_of = datetime.now(UTC)  # By the clock of storage.
        self._surveyed = self.as_of
        self.count = 0  # Messages in the queue then, those that another holds included.
        self.seen = 0
        self.missed = 0  # Of all that was to be seen; known once a walk was at the end.
        self.late = 0  # Messages that were taken, and came after `as_of`.
        self._late_counted = 0  # Those of them that `count` counts.
        self.requests = 0

    def survey(self) -> None:
        """Find out how long the queue is, and what time it is there. Raises QueueError."""
        from azure.core.exceptions import ResourceNotFoundError

        name = self._client.queue_name
        with queue_errors(name):
            self.requests += 1
            try:
                properties = self._client.get_queue_properties(raw_response_hook=self._note_time)
            except ResourceNotFoundError as exc:
                why = f"there is no queue {name}; the app makes it when it first refuses something"
                raise QueueError(why) from exc
        self.count = properties.approximate_message_count or 0
        self._surveyed = self.as_of

    def peek(self) -> Iterator[Held]:
        """Look at the first 32 messages without taking them."""
        if not self.count:
            return
        with queue_errors(self._client.queue_name):
            self.requests += 1
            page = self._client.peek_messages(MOST_TAKEN)
        self.seen = len(page)
        yield from map(_held, page)

    def take(self) -> Iterator[Held]:
        """Take every message that was there at the survey; each once, held until the end.

        What came since is left for the next time: a replay must not meet what it brought about.
        """
        while self.count and not self._stop.asked():
            with queue_errors(self._client.queue_name):
                self.requests += 1
                page = list(next(self._pages(), ()))
            new = [message for message in page if message.id not in self._receipts]
            self._receipts.update((message.id, message.pop_receipt) for message in page)
            if not new:  # Nothing, or what was held for so long that it came back.
                return
            fresh = [message for message in new if message.inserted_on <= self.as_of]
            late = [message for message in new if message.inserted_on > self.as_of]
            self.late += len(late)
            self._late_counted += sum(one.inserted_on <= self._surveyed for one in late)
            self.seen += len(fresh)
            for message in fresh:
                if self._stop.asked():
                    return
                yield _held(message)
            if not fresh and not self.unseen:  # Else what keeps coming would be read for ever.
                return

    def _pages(self) -> Iterator[Any]:
        return self._client.receive_messages(
            messages_per_page=MOST_TAKEN, visibility_timeout=self.hold
        ).by_page()

    @property
    def unseen(self) -> int:
        """Messages that were there at the survey and could not be taken."""
        return max(0, self.count - self._late_counted - self.seen)

    @property
    def holds(self) -> int:
        """Messages that are held."""
        return len(self._receipts)

    @property
    def hold(self) -> int:
        """Seconds for which what is taken is out of sight."""
        needed = self._hold or _LEAST_HOLD + self.count // _LETTERS_A_SECOND
        return min(needed, _MOST_HOLD)

    def rewrite(self, texts: Sequence[tuple[str, str]]) -> list[bool]:
        """Give messages (IDs) another text, and hold them anew; False where another has one now."""

        def one(message: tuple[str, str]) -> bool:
            return self._update(message[0], message[1], self.hold)

        return self._each(one, texts)

    def drop(self, ids: Sequence[str]) -> list[bool]:
        """Delete messages; False where another has one now."""

        def one(message_id: str) -> bool:
            with _not_ours() as ours:
                self._client.delete_message(message_id, self._receipts[message_id])
            del self._receipts[message_id]
            return ours[0]

        return self._each(one, ids)

    def give_back(self) -> None:
        """Have all that is held seen again at once."""
        if not self._receipts:
            return
        ids = iter(list(self._receipts))
        with progress() as bar:
            task = bar.add_task("Giving letters back", total=len(self._receipts))
            while run := list(islice(ids, _RUN)):
                self._each(self._release, run)
                bar.advance(task, len(run))

    def _release(self, message_id: str) -> bool:
        done = self._update(message_id, None, 0)
        del self._receipts[message_id]
        return done

    def _update(self, message_id: str, text: str | None, seconds: int) -> bool:
        with _not_ours() as ours:
            answer = self._client.update_message(
                message_id, self._receipts[message_id], text, visibility_timeout=seconds
            )
            self._receipts[message_id] = str(answer.pop_receipt)
        return ours[0]

    def _each(self, act: Callable[[T], bool], things: Sequence[T]) -> list[bool]:
        self.requests += len(things)
        with queue_errors(self._client.queue_name):
            return list(self._threads.map(act, things))

    def _note_time(self, response: Any) -> None:
        date = response.http_response.headers.get("Date", "")
        with contextlib.suppress(ValueError):  # What is no date leaves the clock of this machine.
            self.as_of = parsedate_to_datetime(date).replace(tzinfo=UTC)  # Ever GMT, by HTTP.


@contextmanager
def holding(client: QueueClient, stop: Stop, hold: int | None = None) -> Iterator[Holder]:
    """Hold messages of the queue within the block; what is left at its end is given back.

    After an error of the queue, or a second Ctrl-C, nothing more is asked of it: what is held comes
    back by itself.
    """
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="letters") as threads:
        holder = Holder(client, threads, stop, hold)
        try:
            holder.survey()
            try:
                yield holder
            except (QueueError, KeyboardInterrupt):
                raise
            except BaseException:  # A pipe that nobody reads any more, for one.
                holder.give_back()
                raise
            holder.give_back()
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            if holder.holds:
                err.print(f"Letters that were taken are back within {holder.hold} s.")
            raise


@contextmanager
def _not_ours() -> Iterator[list[bool]]:
    """Makes [False] of what storage says when another took or deleted the message meanwhile."""
    from azure.core.exceptions import HttpResponseError

    ours = [True]
    try:
        yield ours
    except HttpResponseError as exc:
        if getattr(exc, "error_code", None) not in ("MessageNotFound", "PopReceiptMismatch"):
            raise
        ours[0] = False


def _held(message: Any) -> Held:
    return Held(message.id, message.inserted_on, message.dequeue_count or 0, message.content)
