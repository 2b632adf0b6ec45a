"""Messages -> a queue, several at a time; what was not sent -> a file."""

from __future__ import annotations

import os
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

from shared.clients.storage import NO_EXPIRY, message_text
from shared.errors import RelayError
from tools.ingress import describe_error
from tools.send.reading import one_line
from tools.stopping import Stop

if TYPE_CHECKING:  # Slow to import.
    from azure.storage.queue import QueueClient

__all__ = ["Sender", "UnsentFile"]

# Requests at a time.
MAX_REQUESTS = 8


class UnsentFile:
    """A file of what was not sent, one message a line; it is created for the first of them."""

    def __init__(self, *, enabled: bool = True) -> None:
        self.path: Path | None = None
        self._file: BinaryIO | None = None
        self._enabled = enabled

    def write(self, content: bytes) -> None:
        """Add a message. Raises RelayError if there is no folder to write to."""
        if not self._enabled:
            return
        if self._file is None:
            self._file = self._create()
        self._file.write(one_line(content) + b"\n")

    def close(self) -> None:
        """Write what is buffered."""
        if self._file is not None:
            self._file.close()

    def _create(self) -> BinaryIO:
        """Create it in the current folder, or else in the temporary one."""
        name = f"unsent-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}.jsonl"
        error = ""
        for path in (Path(name), Path(tempfile.gettempdir(), name)):
            try:
                # Readable by its owner only: others can look into the temporary folder.
                file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            except OSError as exc:
                error = str(exc)
            else:
                self.path = path
                return os.fdopen(file, "wb")
        raise RelayError(f"what was not sent cannot be written to a file: {error}")


class Sender:
    """Puts messages into a queue until one fails or it is stopped; the rest goes into a file."""

    def __init__(self, queue: QueueClient | None, unsent: UnsentFile, stop: Stop) -> None:
        """Without a queue, messages are only counted."""
        self.sent = 0  # Messages.
        self.not_sent = 0
        self.error = ""  # Why it ended.
        self._queue = queue
        self._file = unsent
        self._stop = stop
        self._threads = ThreadPoolExecutor(MAX_REQUESTS)
        self._slots = threading.BoundedSemaphore(MAX_REQUESTS)
        self._lock = threading.Lock()
        self._under_way: dict[int, bytes] = {}
        self._started = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Wait for the requests under way, and keep the messages of those that failed.

        Ctrl-C ends the wait; then the messages without an answer are kept too.
        """
        try:
            stop = isinstance(exc, KeyboardInterrupt)
            self._threads.shutdown(wait=not stop, cancel_futures=stop)
        finally:
            with self._lock:
                for message in self._under_way.values():
                    self.keep(message)

    def send(self, message: bytes) -> None:
        """Put a message into the queue, or into the file if sending has ended."""
        if self._queue is None:
            self.sent += 1
            return
        self._slots.acquire()  # Wait first: the request that is waited for may fail.
        if self.has_ended:
            self._slots.release()
            self.keep(message)
        else:
            self._started += 1
            self._under_way[self._started] = message
            self._threads.submit(self._put, self._queue, self._started, message)

    @property
    def has_ended(self) -> bool:
        """Whether nothing is sent any more."""
        return bool(self.error) or self._stop.asked()

    def keep(self, message: bytes) -> None:
        """Put a message into the file."""
        self.not_sent += 1
        self._file.write(message)

    def _put(self, queue: QueueClient, number: int, message: bytes) -> None:
        try:
            queue.send_message(message_text(message), time_to_live=NO_EXPIRY)
        except Exception as exc:  # noqa: BLE001 (reported at the end)
            with self._lock:
                self.error = self.error or describe_error(exc, queue)
        else:
            with self._lock:
                self.sent += 1
                del self._under_way[number]
        finally:
            self._slots.release()
