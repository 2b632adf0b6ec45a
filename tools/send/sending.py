"""Messages -> a queue; what was not sent -> a file."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Iterable
from typing import IO, Any

from azure.storage.queue import QueueClient

from shared.clients.storage import NO_EXPIRY, message_text
from tools.ingress import describe_error
from tools.send.result import Result
from tools.stopping import Stop

__all__ = ["Sender"]

_ROLE = "Storage Queue Data Message Sender"


class Sender:
    """Puts messages into a queue until one fails or the user stops it; the rest goes into a file.

    A message waits in the sender until it is in the queue or in the file, so that an interrupted
    call loses nothing.
    """

    def __init__(
        self, queue: QueueClient | None, result: Result, stop: Stop, *, keep_unsent: bool
    ) -> None:
        """Without a queue, nothing is sent; without `keep_unsent`, there is no file."""
        self._queue = queue
        self._result = result
        self._stop = stop
        self._keep_unsent = keep_unsent
        self._waiting: deque[bytes] = deque()
        self._has_failed = False
        self._file: IO[bytes] | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing is sent any more."""
        return self._has_failed or self._stop.asked()

    def send(self, messages: Iterable[bytes]) -> None:
        """Put messages, and those of an interrupted call, into the queue or the file."""
        self._waiting.extend(messages)
        while self._waiting:
            message = self._waiting[0]
            if self._queue is None or self.has_ended or not self._put(self._queue, message):
                self.keep(message)
                self._result.messages_not_sent += 1
            self._waiting.popleft()

    def keep(self, content: bytes) -> None:
        """Write a line into the file; once that fails, keep nothing, and report it."""
        if not self._keep_unsent:
            return
        try:
            if self._file is None:
                self._file = _create_file()
                self._result.unsent_file = self._file.name
            self._file.write(b" ".join(content.splitlines()) + b"\n")
        except OSError as exc:
            self._report_file(exc)

    def close(self) -> None:
        """Keep what waits, and write what is buffered."""
        self.send([])
        if self._file is not None:
            try:
                self._file.close()
            except OSError as exc:
                self._report_file(exc)

    def _put(self, queue: QueueClient, message: bytes) -> bool:
        try:
            queue.send_message(message_text(message), time_to_live=NO_EXPIRY)
        except Exception as exc:  # noqa: BLE001 (whatever it is, the rest goes into the file)
            self._has_failed = True
            self._result.add_error(describe_error(exc, queue, _ROLE))
            return False
        self._result.messages_sent += 1
        return True

    def _report_file(self, exc: OSError) -> None:
        """Report that the file is not complete."""
        if self._keep_unsent:
            file = self._result.unsent_file or "a file"
            self._result.add_error(f"what was not sent cannot be written to {file}: {exc.strerror}")
        self._keep_unsent, self._result.unsent_file = False, None


def _create_file() -> IO[bytes]:
    """Create a file in the current folder, or else in the temporary one, for its owner only.

    Raises OSError.
    """
    options: dict[str, Any] = {"prefix": "unsent-", "suffix": ".jsonl", "delete": False}
    try:
        return tempfile.NamedTemporaryFile(dir=".", **options)
    except OSError:
        return tempfile.NamedTemporaryFile(**options)
