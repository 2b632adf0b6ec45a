"""The client: a buffer, and a thread that empties it into the queue."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time as clocks
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Self

from azure.storage.queue import QueueClient

from ._points import (
    Address,
    Key,
    ValueSet,
    check_address,
    check_series,
    make_value_set,
    write_messages,
)

__all__ = ["MetricClient", "NotSentError"]

LOG = logging.getLogger("metric_relay_client")

NO_EXPIRY = -1  # Time to live of a message; the default is seven days.


class NotSentError(Exception):
    """The queue did not take all that was buffered; the text says how many values and why."""


class MetricClient:
    """Sends metrics to the ingress queue of a Metric Relay. Safe for several threads.

    Values of one series and minute are added up to their minimum, maximum, sum and count, which is
    what Azure Monitor keeps. So a busy program sends few messages, and the buffer grows with the
    number of series, not of values.

    `dropped` is how many values were dropped because the buffer was full, or because they would
    make a sum infinite or a count more than an int32.
    """

    def __init__(
        self,
        queue: QueueClient,
        *,
        resource_id: str | None = None,
        region: str | None = None,
        namespace: str | None = None,
        flush_seconds: float = 10.0,
        max_buffered: int = 50_000,
        now: Callable[[], float] = clocks.time,
    ) -> None:
        """Start a client for the ingress queue.

        `resource_id`, `region` and `namespace` are for points that name none; if these are missing
        too, the relay's settings apply. The buffer is sent every `flush_seconds`; it holds
        `max_buffered` value sets of one series and minute, about 500 bytes each. Raises ValueError.
        """
        if not 0 < flush_seconds <= threading.TIMEOUT_MAX:
            raise ValueError(f"flush_seconds is {flush_seconds}: expected seconds, above 0")
        if max_buffered < 1:
            raise ValueError(f"max_buffered is {max_buffered}: expected 1 or more")
        self._address = Address(resource_id, region, namespace)
        check_address(self._address)
        self._queue = queue
        self._flush_seconds = flush_seconds
        self._max_buffered = max_buffered
        self._now = now
        self._buffer: dict[Key, ValueSet] = {}
        self.dropped = 0
        self._lock = threading.Lock()  # Of what is above.
        self._sending = threading.Lock()
        self._is_closed = False
        self._wake = threading.Event()
        self._process = os.getpid()
        atexit.register(self._close_at_exit)
        threading.Thread(target=self._run, name="metric-relay-client", daemon=True).start()

    @classmethod
    def connect(
        cls, account: str, queue: str = "metrics", *, credential: Any = None, **options: Any
    ) -> Self:
        """Return a client for a queue of a storage account.

        `account` is the URL of its queue service, https://NAME.queue.core.windows.net, or a
        connection string. With a URL, `credential` is any credential of azure-identity; by default
        DefaultAzureCredential(). `options` are those of the constructor.
        """
        # Seconds. The client itself retries, so that the SDK need not.
        settings: dict[str, Any] = {
            "retry_total": 0,
            "connection_timeout": 5,
            "read_timeout": 20,
        }
        if not account.startswith(("https://", "http://")):
            return cls(QueueClient.from_connection_string(account, queue, **settings), **options)
        if credential is None:
            from azure.identity import DefaultAzureCredential  # Optional.

            credential = DefaultAzureCredential()
        return cls(QueueClient(account, queue, credential=credential, **settings), **options)

    def send(
        self,
        metric: str,
        value: float | None = None,
        *,
        values: Iterable[float] | None = None,
        min: float | None = None,  # noqa: A002 (the names in a message)
        max: float | None = None,  # noqa: A002
        sum: float | None = None,  # noqa: A002
        count: int | None = None,
        dimensions: Mapping[str, str] | None = None,
        time: datetime | None = None,
        resource_id: str | None = None,
        region: str | None = None,
        namespace: str | None = None,
    ) -> None:
        """Buffer a value, several `values`, or their `min`, `max`, `sum` and `count`.

        `time` is now by default; one without an offset is UTC. Never waits for the queue: if the
        buffer is full, the values are dropped and counted. Raises ValueError or TypeError for what
        the relay would reject, RuntimeError after `close` and in a forked process.
        """
        self._check()
        if time is None:
            seconds = self._now()
        elif not isinstance(time, datetime):
            raise TypeError(f"time is {time!r}: expected a datetime")
        elif not 1970 <= time.year <= 9998:  # Others may not be years of four digits in UTC.
            raise ValueError(f"time is {time}: expected a year from 1970 to 9998")
        else:
            seconds = (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
        given = make_value_set(value, values, (min, max, sum, count), seconds)
        address = Address(resource_id, region, namespace)
        key = Key(int(seconds // 60), address, metric, tuple(dict(dimensions or {}).items()))
        if key not in self._buffer:
            check_address(address)
            check_series(metric, key.dimensions)
        with self._lock:
            if self._is_closed:
                raise RuntimeError("this MetricClient is closed")
            self._add(key, given)

    def flush(self) -> None:
        """Send what is buffered. Raises NotSentError; what was not sent stays in the buffer."""
        self._check()
        with self._sending:
            with self._lock:
                sets, self._buffer = list(self._buffer.items()), {}
            sent = 0
            try:
                for text, size in write_messages(self._address, sets):
                    self._queue.send_message(text, time_to_live=NO_EXPIRY)
                    sent += size
            except Exception as exc:
                count = sum(one.count for _, one in sets[sent:])
                error = str(exc).partition("\n")[0]
                raise NotSentError(
                    f"{count:,} {'value' if count == 1 else 'values'} not sent: "
                    f"{type(exc).__name__}: {error}"
                ) from exc
            finally:
                with self._lock:
                    for key, one in sets[sent:]:
                        self._add(key, one)

    def close(self) -> None:
        """Send what is buffered and take no more.

        Raises NotSentError; what was not sent is tried again by another call, and at the end of the
        program.
        """
        self._check()
        with self._lock:
            self._is_closed = True
        self._wake.set()
        self.flush()
        atexit.unregister(self._close_at_exit)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _add(self, key: Key, given: ValueSet) -> None:
        """Add values to the buffer; the lock is held."""
        known = self._buffer.get(key)
        if known is not None:
            is_added = known.add(given)
        elif is_added := len(self._buffer) < self._max_buffered:
            self._buffer[key] = given
        if not is_added:
            self.dropped += given.count

    def _run(self) -> None:
        """Send every few seconds until the client is closed."""
        logged = 0
        while not self._wake.wait(self._flush_seconds):
            try:
                self.flush()
            except NotSentError as exc:
                LOG.warning("%s; retrying in %g s", exc, self._flush_seconds)
            if self.dropped > logged:
                LOG.error("Values dropped so far (buffer full, or sum too large): %d", self.dropped)
                logged = self.dropped

    def _close_at_exit(self) -> None:
        if os.getpid() != self._process:  # The parent sends what was buffered before the fork.
            return
        try:
            self.close()
        except NotSentError as exc:
            LOG.error("%s; dropping them, because the program ends", exc)  # noqa: TRY400

    def _check(self) -> None:
        if os.getpid() != self._process:
            raise RuntimeError(
                "this MetricClient was created before a fork; create one in each process"
            )
