"""The messages of a queue: peek, receive, delete, release.

A peek returns 32 messages at most. A longer queue can only be read by receiving its messages,
which hides them from others. What was received and not deleted is released at the end; if the
process is killed, it is visible again after the visibility timeout.
"""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from shared.errors import RelayError
from shared.text import clean, plural
from tools.console import err, progress

if TYPE_CHECKING:  # Slow to import.
    from azure.storage.queue import QueueClient

__all__ = [
    "Message",
    "QueueReader",
    "StorageError",
    "check_connection",
    "reading",
    "storage_errors",
]

T = TypeVar("T")
R = TypeVar("R")

# Source: "Peek Messages", "Get Messages".
MAX_PAGE = 32
MAX_VISIBILITY_TIMEOUT = 7 * 24 * 3600  # Seconds.
# Seconds; and one for each 25 messages, as a long queue takes longer.
MIN_VISIBILITY_TIMEOUT = 120
# Requests at once; the SDK keeps ten connections open.
_THREADS = 8
# A signature in a URL, and that of a request in an answer.
_SECRET = re.compile(r"(?<=sig=)[^&\s'\")]+|(?<=')[A-Za-z0-9+/]{43}=(?=')")
_HINTS = {
    "AuthorizationPermissionMismatch": "; this needs the role Storage Queue Data Contributor",
    "QueueNotFound": "; its name is wrong, or nothing has been put there yet",
}


class StorageError(RelayError):
    """Storage refused a request or cannot be reached; the text says which queue and why."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a queue."""

    id: str
    text: str
    inserted: datetime  # UTC


class QueueReader:
    """Reads one queue; made by `reading`."""

    def __init__(self, client: QueueClient, threads: ThreadPoolExecutor) -> None:
        """Get length and time of the queue. Raises StorageError."""
        self._client = client
        self._threads = threads
        self._receipts: dict[str, str] = {}  # ID -> pop receipt of each hidden message.
        self._seen: set[str] = set()
        self._started = datetime.now(UTC)  # By the clock of storage, if it has one.
        with storage_errors(client.queue_name):
            properties = client.get_queue_properties(raw_response_hook=self._set_clock)
        self.count = properties.approximate_message_count or 0
        self._visibility_timeout = min(
            MIN_VISIBILITY_TIMEOUT + self.count // 25, MAX_VISIBILITY_TIMEOUT
        )

    def look(self) -> Iterator[Message]:
        """Yield each message; those beyond the first 32 are received. Raises StorageError."""
        with storage_errors(self._client.queue_name):
            page = self._client.peek_messages(MAX_PAGE)
        yield from self._new(page)
        if self.count > MAX_PAGE:
            for batch in self.receive():
                yield from batch

    def receive(self) -> Iterator[list[Message]]:
        """Receive each message that was in the queue at the start, up to 32 at once.

        Later ones are not yielded: a replay must not see what it caused. Raises StorageError.
        """
        while True:
            with storage_errors(self._client.queue_name):
                pages = self._client.receive_messages(
                    messages_per_page=MAX_PAGE, visibility_timeout=self._visibility_timeout
                ).by_page()
                page: list[Any] = list(next(pages, ()))
            # A message that was hidden for too long comes back.
            new = [one for one in page if one.id not in self._receipts]
            self._receipts.update((one.id, one.pop_receipt) for one in page)
            if not any(one.inserted_on <= self._started for one in new):
                return
            yield self._new(new)

    def delete(self, message: Message) -> None:
        """Delete a received message, unless another has it by now. Raises StorageError."""
        self._settle(message.id, self._client.delete_message)

    def run(self, action: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """Call `action` for each item, several at once, and yield what the calls return.

        After an error no more calls are started; it is raised when those under way have ended.
        """
        futures = [self._threads.submit(action, item) for item in items]
        wait(futures, return_when=FIRST_EXCEPTION)
        started = [future for future in futures if not future.cancel()]
        wait(started)
        failed = [future for future in started if future.exception()]
        yield from (future.result() for future in started if future not in failed)
        for future in failed:
            future.result()

    def release(self) -> None:
        """Make received messages visible again, those that were not deleted."""
        if not self._receipts:
            return
        with contextlib.suppress(StorageError), progress() as bar:
            task = bar.add_task("Releasing", total=len(self._receipts))

            def release_one(message_id: str) -> None:
                self._settle(message_id, self._client.update_message, visibility_timeout=0)
                bar.advance(task)

            list(self.run(release_one, list(self._receipts)))

    def print_hidden(self) -> None:
        """Print when messages that were not released are visible again."""
        if self._receipts:
            count = plural(len(self._receipts), "message")
            err.print(f"{count} will be visible again within {self._visibility_timeout} s.")

    def print_unseen(self) -> None:
        """Print how many messages of the queue were not yielded, if any."""
        if (unseen := self.count - len(self._seen)) > 0:
            err.print(
                f"{plural(unseen, 'more message')} by the queue's approximate count: another "
                "command hides them, or one that was killed; visible again within minutes.",
                style="yellow",
            )

    def _settle(self, message_id: str, request: Callable[..., object], **options: Any) -> None:
        from azure.core.exceptions import HttpResponseError

        with storage_errors(self._client.queue_name):
            try:
                request(message_id, self._receipts[message_id], **options)
            except HttpResponseError as exc:
                # Another command received or deleted it.
                if getattr(exc, "error_code", "") not in ("MessageNotFound", "PopReceiptMismatch"):
                    raise
        del self._receipts[message_id]

    def _new(self, page: Sequence[Any]) -> list[Message]:
        found = [
            Message(one.id, one.content, one.inserted_on)
            for one in page
            if one.id not in self._seen and one.inserted_on <= self._started
        ]
        self._seen.update(message.id for message in found)
        return found

    def _set_clock(self, response: Any) -> None:
        with contextlib.suppress(ValueError):
            date = response.http_response.headers.get("Date", "")
            self._started = parsedate_to_datetime(date).replace(tzinfo=UTC)


@contextmanager
def reading(client: QueueClient) -> Iterator[QueueReader]:
    """Read a queue within the block, then release what was received and not deleted.

    Raises StorageError, at once if nothing listens on this machine.
    """
    check_connection(client.url)
    threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="queue")
    reader = QueueReader(client, threads)
    try:
        yield reader
    except KeyboardInterrupt:  # The second one: end at once.
        raise
    except BaseException:
        reader.release()
        raise
    else:
        reader.release()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        reader.print_hidden()


@contextmanager
def storage_errors(queue: str) -> Iterator[None]:
    """Raise what the SDK raises as StorageError: code, message and detail, without secrets."""
    from azure.core.exceptions import AzureError

    try:
        yield
    except AzureError as exc:
        # Lines of names and values follow the message.
        message, *lines = exc.message.split("\n")
        found = dict(line.partition(":")[::2] for line in lines)
        code = found.get("ErrorCode", "")
        details = [value for name, value in found.items() if name.lower().endswith("detail")]
        text = ": ".join(part.strip(" .\r") for part in (queue, code, message, *details) if part)
        text += _HINTS.get(code.strip(), "")
        raise StorageError(_SECRET.sub("…", clean(text))) from exc


def check_connection(url: str) -> None:
    """Raise StorageError if nothing listens at a URL of this machine.

    The SDK would retry a refused connection for some ten seconds.
    """
    parts = urlsplit(url)
    if parts.hostname in {"127.0.0.1", "localhost", "::1"}:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            socket.create_connection((parts.hostname, port), timeout=5).close()
        except OSError as exc:
            where = f"{parts.hostname}:{port}"
            raise StorageError(f"nothing listens at {where}; is Azurite running?") from exc
