"""Take messages as the Storage.Queues extension does, run them, then delete, release or poison.

Sources: QueueListener, QueueProcessor, UpdateQueueMessageVisibilityCommand and
QueuePollingIntervals of the extension.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

from azure.storage.queue import QueueMessage

from local.functions.conversion import decode, queue_argument
from local.functions.errors import MessageGoneError, QueueMissingError, StorageError
from local.functions.host_json import QueueOptions
from local.functions.index import Function, QueueTrigger
from local.functions.queue_storage import POISON_SUFFIX, QueueStorage

__all__ = ["INVISIBILITY", "Invoke", "QueueListener", "wait"]

INVISIBILITY = 600.0  # Seconds for which a message is taken.
RENEWALS_PER_INVISIBILITY = 2
MAX_SPEED_UP = 16  # A failed renewal is retried sooner, at most this many times as fast.
MIN_INTERVAL = 0.1  # Seconds between two polls; twice as many after each that found nothing.

Invoke = Callable[[Function, Callable[[], Any]], Awaitable[bool]]

log = logging.getLogger(__name__)


class QueueListener:
    """Runs a function for the messages of its queue.

    It takes up to batch_size messages at a time while no more than new_batch_threshold are in
    work. `fail` gets an error of the storage service, which ends the host.
    """

    def __init__(
        self,
        function: Function,
        storage: QueueStorage,
        options: QueueOptions,
        invoke: Invoke,
        *,
        fail: Callable[[StorageError], None],
        invisibility: float = INVISIBILITY,
    ) -> None:
        assert isinstance(function.trigger, QueueTrigger)  # noqa: S101 - The host's choice.
        self._function = function
        self._storage = storage
        self._options = options
        self._invoke = invoke
        self._fail = fail
        self._invisibility = invisibility
        self._in_work: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self._room.set()
        self._missing = False

    @property
    def in_work(self) -> int:
        """Return how many messages are held."""
        return len(self._in_work)

    async def run(self, stopping: asyncio.Event) -> None:
        """Take messages until `stopping` is set, then finish what is held.

        What a poll finds that is under way then is never run, as in Azure.
        """
        interval = MIN_INTERVAL
        while not stopping.is_set():
            messages = await self._take()
            if messages and stopping.is_set():
                log.warning(
                    "%d messages of queue '%s' were taken while the host stopped; nothing runs "
                    "them before they are visible again in %g s",
                    len(messages),
                    self._storage.name,
                    self._invisibility,
                )
                break
            for message in messages:
                self._start(message)
            if messages:
                interval = MIN_INTERVAL
                await self._until_room(stopping)
            else:
                await wait(stopping, interval)
                interval = min(2 * interval, self._options.max_polling_interval)
        if self._in_work:
            await asyncio.wait(self._in_work)

    async def _take(self) -> list[QueueMessage]:
        """Take messages: none if the queue is empty or missing, or the host is to end."""
        try:
            return await self._storage.take(self._options.batch_size, self._invisibility)
        except QueueMissingError:
            if not self._missing:
                log.info("Queue '%s' does not exist yet", self._storage.name)
            self._missing = True
        except StorageError as exc:
            self._fail(exc)
        return []

    def _start(self, message: QueueMessage) -> None:
        task = asyncio.create_task(self._process(message))
        self._in_work.add(task)
        task.add_done_callback(self._done)
        self._update_room()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._in_work.discard(task)
        self._update_room()

    def _update_room(self) -> None:
        """Say whether another batch may be taken."""
        if self.in_work <= self._options.new_batch_threshold:
            self._room.set()
        else:
            self._room.clear()

    async def _until_room(self, stopping: asyncio.Event) -> None:
        """Wait until another batch may be taken, or `stopping` is set."""
        waiters = [asyncio.create_task(event.wait()) for event in (self._room, stopping)]
        await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
        for waiter in waiters:
            waiter.cancel()

    async def _process(self, message: QueueMessage) -> None:
        """Run and settle a message; an error of the storage service ends the host."""
        try:
            await self._run_and_settle(message)
        except (MessageGoneError, QueueMissingError) as exc:
            log.warning(
                "Message %s of queue '%s' could not be settled; unless another host has it, it "
                "comes back within %g s: %s",
                message.id,
                self._storage.name,
                self._invisibility,
                exc,
            )
        except StorageError as exc:
            self._fail(exc)

    async def _run_and_settle(self, message: QueueMessage) -> None:
        """Run a message, then delete, release or poison it. Raises StorageError."""
        options = self._options
        dequeues = message.dequeue_count or 1
        # A poison queue has no limit.
        is_limited = not self._storage.name.endswith(POISON_SUFFIX)
        if is_limited and dequeues > options.max_dequeue_count:
            await self._poison(message, f"it was dequeued {dequeues} times")
            return
        try:
            body = decode(message.content, options.message_encoding)
        except ValueError as exc:
            await self._poison(message, f"it is not {options.message_encoding} ({exc})")
            return
        async with self._renewed(message):
            argument = partial(queue_argument, message, body)
            succeeded = await self._invoke(self._function, argument)
        if succeeded:
            await self._storage.delete(message)
        elif dequeues >= options.max_dequeue_count or self._storage.poison_name is None:
            await self._poison(message, f"attempt {dequeues} failed")
        else:
            await self._storage.hide(message, options.visibility_timeout)

    async def _poison(self, message: QueueMessage, reason: str) -> None:
        """Move a message to the poison queue; if there can be none, leave it invisible."""
        name, target = self._storage.name, self._storage.poison_name
        if target is None:
            log.warning(
                "Leaving message %s invisible, as queue '%s' has no poison queue: %s",
                message.id,
                name,
                reason,
            )
            return
        log.warning("Moving message %s to queue '%s': %s", message.id, target, reason)
        await self._storage.poison(message, target)

    @contextlib.asynccontextmanager
    async def _renewed(self, message: QueueMessage) -> AsyncIterator[None]:
        """Keep a message invisible; its pop receipt is current when the block is left."""
        done = asyncio.Event()
        renewal = asyncio.create_task(self._renew(message, done))
        try:
            yield
        finally:
            done.set()
            await renewal

    async def _renew(self, message: QueueMessage, done: asyncio.Event) -> None:
        """Renew at half-life until `done`, and sooner after each failure."""
        interval = pause = self._invisibility / RENEWALS_PER_INVISIBILITY
        while not await wait(done, pause):
            try:
                await self._storage.hide(message, self._invisibility)
            except MessageGoneError as exc:
                log.warning("Message %s is no longer held: %s", message.id, exc)
                return
            except StorageError as exc:
                log.warning("Message %s could not be renewed: %s", message.id, exc)
                pause = max(pause / 2, interval / MAX_SPEED_UP)
            else:
                pause = interval


async def wait(event: asyncio.Event, seconds: float) -> bool:
    """Return True as soon as `event` is set, False if `seconds` have passed first."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
