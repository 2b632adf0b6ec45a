"""A thread that packs points and puts the messages into a queue: full ones at once, others in time.

    given ──► packer ──► ready ──► queue
      by any thread │      the outbox's own thread alone

Only the list of what is given is shared. So an exception that a signal raises in a program's main
thread never finds a message half packed.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from shared.clients.storage import NO_EXPIRY, message_text
from shared.errors import RelayError
from shared.messages.body import MAX_BODY_BYTES
from tools.packer import Address, Message, Packer, most_bytes

if TYPE_CHECKING:
    from azure.storage.queue import QueueClient

__all__ = ["LEAST_BYTES_HELD", "NotSentError", "Outbox", "Wait"]

LOG = logging.getLogger(__name__)

# An open message, and a full one beside it that sets the thread to work.
LEAST_BYTES_HELD = 3 * MAX_BODY_BYTES

Wait = Callable[[threading.Condition, float | None], object]


class NotSentError(RelayError):
    """Points could not be enqueued; the text says how many and why."""

    def __init__(self, cause: Exception, messages: Iterable[Message]) -> None:
        unsent = tuple(messages)
        self.messages = tuple(message.body for message in unsent)
        self.points = sum(message.points for message in unsent)
        why = str(cause).partition("\n")[0]
        super().__init__(f"{self.points} points were not sent: {type(cause).__name__}: {why}")


class Outbox:
    """What was given and is not sent yet, and the thread that sends it."""

    def __init__(
        self,
        queue: QueueClient,
        *,
        flush_seconds: float,
        most_bytes_held: int,
        on_error: Callable[[NotSentError], object],
        clock: Callable[[], float],
        wait: Wait,
    ) -> None:
        """Start the thread. `wait` waits for news, at most some seconds by `clock`."""
        self._queue = queue
        self._flush_seconds = flush_seconds
        self._on_error = on_error
        self._clock = clock
        self._wait = wait
        # Shared; guarded by the condition.
        self._news = threading.Condition()
        self._given: list[tuple[Address, bytes]] = []
        self._given_bytes = 0
        self._packed_bytes = 0
        self._since: float | None = None  # When what waits for its time began to.
        self._asked = self._answered = 0  # Flushes.
        self._failure: NotSentError | None = None
        self._closed = False
        self._handed_over = False
        # The thread's own.
        self._limit = most_bytes(queue)
        self._most_held = most_bytes_held
        self._packer = Packer(self._limit)
        self._ready: deque[Message] = deque()
        threading.Thread(target=self._run, name="metrics outbox", daemon=True).start()

    def give(self, where: Address, point: bytes) -> None:
        """Take an encoded point once there is room. Raises NotSentError, RuntimeError if closed."""
        with self._news:
            while self._full(len(point)) and not self._closed:
                if self._failure is not None:
                    raise self._failure
                self._news.wait()
            if self._closed:
                raise RuntimeError("this Producer is closed")
            # In this order: an exception that a signal raises here leaves the point outside.
            self._given_bytes += len(point)
            self._given.append((where, point))
            if self._since is None:
                self._since = self._clock()
                self._news.notify_all()
            elif self._given_bytes >= self._limit:
                self._news.notify_all()

    def flush(self) -> None:
        """Wait until all that was given is sent. Raises NotSentError: it is kept."""
        with self._news:
            if self._closed:
                raise RuntimeError("this Producer is closed")
            self._asked += 1
            ticket = self._asked
            self._news.notify_all()
            while self._answered < ticket:
                self._news.wait()
            if self._failure is not None:
                raise self._failure

    def close(self) -> None:
        """The same, and nothing is taken any more; what NotSentError holds is not kept.

        A second time it waits for the end of the first, should a signal have cut that short.
        """
        with self._news:
            if not self._closed:
                self._asked += 1
                self._closed = True
                self._news.notify_all()
            while self._answered < self._asked:
                self._news.wait()
            if self._failure is not None and not self._handed_over:
                self._handed_over = True
                raise self._failure

    def _full(self, more: int) -> bool:
        """Whether there is no room for so many bytes more."""
        return self._given_bytes + self._packed_bytes + more > self._most_held

    def _run(self) -> None:
        """Do rounds until a closed outbox has answered whoever closed it."""
        ended = False
        while not ended:
            with self._news:
                while not self._due():
                    self._wait(self._news, self._patience())
                asked, closed = self._asked, self._closed
                whole = asked > self._answered or self._late()
                given, self._given = self._given, []
                self._packed_bytes += self._given_bytes
                self._given_bytes = 0
                if whole:
                    self._since = None
            failure = self._round(given, whole)
            with self._news:
                self._failure, self._answered = failure, asked
                if failure is not None:  # It is tried again, all of it, after the usual time.
                    self._since = self._clock()
                self._news.notify_all()
                ended = closed
            if failure is not None and not ended:
                self._tell(failure)

    def _due(self) -> bool:
        if self._asked > self._answered or self._late():
            return True
        return self._given_bytes >= self._limit and self._failure is None

    def _late(self) -> bool:
        return self._since is not None and self._clock() - self._since >= self._flush_seconds

    def _patience(self) -> float | None:
        if self._since is None:
            return None
        return max(0.0, self._since + self._flush_seconds - self._clock())

    def _round(self, given: Iterable[tuple[Address, bytes]], whole: bool) -> NotSentError | None:
        """Pack and send; the open message too if `whole`. What went wrong."""
        try:
            for where, point in given:
                if full := self._packer.add(where, point):
                    self._ready.append(full)
            if whole and (rest := self._packer.close()):
                self._ready.append(rest)
            self._sent()
            while self._ready:
                text = message_text(self._ready[0].body)
                self._queue.send_message(text, time_to_live=NO_EXPIRY)
                self._ready.popleft()
                self._sent()
        except Exception as exc:  # noqa: BLE001 (raised to whoever flushes, told to on_error)
            failure = NotSentError(exc, self._ready)
            failure.__cause__ = exc
            return failure
        return None

    def _sent(self) -> None:
        """Count anew what is held, for those who wait for room."""
        held = sum(len(message.body) for message in self._ready) + self._packer.size
        with self._news:
            self._packed_bytes = held
            self._news.notify_all()

    def _tell(self, failure: NotSentError) -> None:
        try:
            self._on_error(failure)
        except Exception:
            LOG.exception("on_error of a Producer broke")
