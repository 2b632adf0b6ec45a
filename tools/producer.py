"""A client for producers in Python: `put` points, and they are enqueued in full messages.

    with Producer.connect("https://NAME.queue.core.windows.net", resource_id="/subscriptions/…",
                          region="westeurope", namespace="Shop") as metrics:
        metrics.put("Orders", 7, dimensions={"Country": "NL"})

`put` checks a point, stamps it with its time and returns; a thread packs and sends. A message goes
out when it is full, and when its first point has waited `flush_seconds`. What was put is sent when
the program ends, by an exception too; for signals see `exit_on_sigterm`.
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
import threading
import time as clocks
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from shared.clients.storage import Connection, open_queue_service
from tools.outbox import LEAST_BYTES_HELD, NotSentError, Outbox, Wait
from tools.point_entry import PointEntry, PointError

if TYPE_CHECKING:
    from azure.storage.queue import QueueClient

__all__ = ["NotSentError", "PointError", "Producer", "exit_on_sigterm"]

LOG = logging.getLogger(__name__)

# Those that are to be closed when the program ends.
_OPEN: set[Producer] = set()


class Producer:
    """Puts points into the ingress queue; safe for threads, not to be taken through a fork.

    What could not be sent is kept and tried again each `flush_seconds`. `on_error` hears of it, in
    the sending thread and not to call the producer (else a warning is logged); `flush` and `close`
    raise it. At most `most_bytes_held` wait: then `put` waits for room, or raises NotSentError
    where the queue is away.
    """

    def __init__(
        self,
        queue: QueueClient,
        *,
        resource_id: str | None = None,
        region: str | None = None,
        namespace: str | None = None,
        flush_seconds: float = 10.0,
        most_bytes_held: int = 16 * 1024 * 1024,
        on_error: Callable[[NotSentError], object] | None = None,
        now: Callable[[], float] = clocks.time,
        clock: Callable[[], float] = clocks.monotonic,
        wait: Wait = threading.Condition.wait,
    ) -> None:
        """`queue` is a client of the ingress queue, which exists; its encode policy may be any.

        `resource_id`, `region` and `namespace` are of points that name none; without them it is
        what the relay's settings say. Raises PointError where one is wrong, ValueError for a
        number that cannot be.
        """
        if not 0 <= flush_seconds <= threading.TIMEOUT_MAX:
            raise ValueError(f"flush_seconds is {flush_seconds}: expected seconds, not below 0")
        if most_bytes_held < LEAST_BYTES_HELD:
            raise ValueError(
                f"most_bytes_held is {most_bytes_held}: expected {LEAST_BYTES_HELD} at the least"
            )
        self._entry = PointEntry(resource_id, region, namespace, now)
        self._outbox = Outbox(
            queue,
            flush_seconds=flush_seconds,
            most_bytes_held=most_bytes_held,
            on_error=on_error or _warn,
            clock=clock,
            wait=wait,
        )
        self._forked = False
        _OPEN.add(self)

    @classmethod
    def connect(cls, account: str, queue: str = "metrics", **options: Any) -> Self:
        """A producer for a queue of an account: the address of its queues, or a connection string.

        At an address it signs in as the program is signed in: managed identity, `az login` ….
        `options` are those of the constructor. Raises ConfigurationError, PointError.
        """
        by_address = account.startswith(("https://", "http://"))
        connection = Connection(
            "account",
            connection_string=None if by_address else account,
            queue_service_uri=account if by_address else None,
        )
        return cls(open_queue_service(connection).get_queue_client(queue), **options)

    def put(
        self,
        metric: str,
        value: float | None = None,
        *,
        values: Iterable[float] | None = None,
        min: float | None = None,  # noqa: A002 (the names of a message)
        max: float | None = None,  # noqa: A002
        sum: float | None = None,  # noqa: A002
        count: int | None = None,
        dimensions: Mapping[str, str] | None = None,
        time: datetime | str | None = None,
        resource_id: str | None = None,
        region: str | None = None,
        namespace: str | None = None,
    ) -> None:
        """Take a point: `value`, or `values`, or `min`, `max`, `sum` and `count`.

        `time` is a datetime or ISO 8601, UTC unless it has an offset; without it, it is now. Raises
        PointError, in the words of the dead letter that the point would end in; NotSentError when
        too much waits for a queue that is away; RuntimeError once closed, and in a forked process.
        """
        self._check()
        forms = zip(_FORMS, (value, values, min, max, sum, count), strict=True)
        given: dict[str, object] = {name: one for name, one in forms if one is not None}
        address = (resource_id, region, namespace)
        self._outbox.give(*self._entry.write(metric, given, dimensions, time, address))

    def flush(self) -> None:
        """Wait until all that was put is sent. Raises NotSentError: it is kept and tried again."""
        self._check()
        self._outbox.flush()

    def close(self) -> None:
        """Wait until all that was put is sent, and take no more. A second time it does nothing.

        Raises NotSentError, whose `messages` are the caller's from then on: nobody tries again.
        """
        try:
            if not self._forked:
                self._outbox.close()
        except NotSentError:
            _OPEN.discard(self)
            raise
        _OPEN.discard(self)  # Not where a signal cut it short: then the end of the program waits.

    def disown(self) -> None:
        """Leave what was put before a fork to the parent, and its connections; in the child."""
        self._forked = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def _check(self) -> None:
        if self._forked:
            raise RuntimeError("this Producer was made before a fork; make one in each process")


_FORMS = ("value", "values", "min", "max", "sum", "count")


def exit_on_sigterm() -> None:
    """Have SIGTERM end the program as `sys.exit` does, so that what was put is sent first.

    Without it the signal ends a Python program on the spot. For the main thread of a program that
    does not handle the signal itself; a web server mostly does.
    """

    def end(number: int, _: FrameType | None) -> None:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, end)


def _warn(failure: NotSentError) -> None:
    LOG.warning("%s; it is tried again", failure)


@atexit.register
def _close_all() -> None:
    for producer in tuple(_OPEN):
        try:
            producer.close()
        except NotSentError as failure:
            LOG.error("%s; the program ends, they are lost", failure)  # noqa: TRY400 (no bug)


def _disown_all() -> None:
    for producer in _OPEN:
        producer.disown()
    _OPEN.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown_all)
