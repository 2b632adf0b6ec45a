"""The queue listener against a queue in memory: what would be slow or hard to see from outside."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from azure.storage.queue import QueueMessage

from local.functions import queue_listener
from local.functions.errors import MessageGoneError, StorageError
from local.functions.host_json import QueueOptions
from local.functions.index import Function, QueueTrigger
from local.functions.queue_listener import Invoke, QueueListener
from local.functions.queue_storage import QueueStorage

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FUNCTION = Function("work", asyncio.sleep, QueueTrigger("metrics", "C"))
OPTIONS = QueueOptions(
    message_encoding="none",
    batch_size=4,
    new_batch_threshold=2,
    max_dequeue_count=3,
    max_polling_interval=0.1,
)


def message(text: str, dequeue_count: int = 1) -> QueueMessage:
    """Return a message that was just taken."""
    return QueueMessage(
        text,
        id=text,
        pop_receipt="receipt",
        dequeue_count=dequeue_count,
        inserted_on=NOW,
        next_visible_on=NOW,
    )


@dataclass
class FakeStorage(QueueStorage):
    """Returns its answers one by one, an error where one is listed, and keeps a diary."""

    answers: list[list[QueueMessage] | StorageError]
    stopping: asyncio.Event
    hide_errors: list[StorageError] = field(default_factory=list)
    settle_error: StorageError | None = None
    name: str = "metrics"
    poison_name: str | None = "metrics-poison"
    diary: list[str] = field(default_factory=list)
    hidden: asyncio.Queue[None] = field(default_factory=asyncio.Queue)
    on_take: Callable[[], None] = lambda: None

    async def take(self, count: int, invisibility: float) -> list[QueueMessage]:
        self.diary.append(f"take {count} for {invisibility:g}")
        self.on_take()
        if not self.answers:
            self.stopping.set()
            return []
        answer = self.answers.pop(0)
        if isinstance(answer, StorageError):
            raise answer
        return answer

    async def hide(self, message: QueueMessage, seconds: float) -> None:
        self.diary.append(f"hide {message.id} for {seconds:g}, {message.pop_receipt}")
        self.hidden.put_nowait(None)
        if self.hide_errors:
            raise self.hide_errors.pop(0)
        message.pop_receipt = f"{message.pop_receipt}+"

    async def delete(self, message: QueueMessage) -> None:
        self.diary.append(f"delete {message.id}, {message.pop_receipt}")
        if self.settle_error is not None:
            raise self.settle_error

    async def poison(self, message: QueueMessage, queue: str) -> None:
        self.diary.append(f"{message.id} into {queue}")

    def settled(self) -> list[str]:
        """Return the diary without the takes."""
        return [line for line in self.diary if not line.startswith("take")]


async def listen(
    storage: FakeStorage, invoke: Invoke, options: QueueOptions = OPTIONS, invisibility: float = 600
) -> QueueListener:
    """Run a listener until the storage has no more answers."""

    def fail(error: StorageError) -> None:
        storage.diary.append(f"fail: {error}")

    listener = QueueListener(
        FUNCTION, storage, options, invoke, fail=fail, invisibility=invisibility
    )
    async with asyncio.timeout(30):
        await listener.run(storage.stopping)
    return listener


async def succeed(_: Function, argument: Callable[[], Any]) -> bool:
    argument()
    return True


async def fail(_: Function, argument: Callable[[], Any]) -> bool:
    argument()
    return False


async def test_a_batch_is_taken_only_while_no_more_than_the_threshold_are_in_work() -> None:
    batches = [[message(f"{batch}{n}") for n in range(4)] for batch in "abcdef"]
    storage = FakeStorage([*batches], asyncio.Event())
    in_work = 0
    seen: list[int] = []
    storage.on_take = lambda: seen.append(in_work)

    async def invoke(_: Function, argument: Callable[[], Any]) -> bool:
        nonlocal in_work
        in_work += 1
        for _unused in range(50 * (1 + int(argument().id[-1]))):
            await asyncio.sleep(0)
        in_work -= 1
        return True

    listener = await listen(storage, invoke)
    assert len(storage.settled()) == 24
    assert storage.diary[0] == "take 4 for 600"
    assert max(seen) == OPTIONS.new_batch_threshold  # Not before, and not later than needed.
    assert listener.in_work == 0


async def test_a_queue_that_cannot_be_read_ends_the_host() -> None:
    storage = FakeStorage([StorageError("refused")], asyncio.Event())
    await listen(storage, succeed)
    assert storage.settled() == ["fail: refused"]


async def test_a_message_that_cannot_be_settled_ends_the_host() -> None:
    refused = StorageError("refused")
    storage = FakeStorage([[message("a")]], asyncio.Event(), settle_error=refused)
    await listen(storage, succeed)
    assert storage.settled() == ["delete a, receipt", "fail: refused"]


async def test_what_is_taken_during_the_stop_is_not_run(caplog: pytest.LogCaptureFixture) -> None:
    storage = FakeStorage([[message("a"), message("b")]], asyncio.Event())
    storage.on_take = storage.stopping.set
    await listen(storage, succeed)
    assert storage.settled() == []
    assert "2 messages of queue 'metrics' were taken while the host stopped" in caplog.text


async def test_a_message_that_is_gone_is_left(caplog: pytest.LogCaptureFixture) -> None:
    gone = MessageGoneError("PopReceiptMismatch")
    storage = FakeStorage([[message("a")], [message("b")]], asyncio.Event(), settle_error=gone)
    await listen(storage, succeed)
    assert storage.settled() == ["delete a, receipt", "delete b, receipt"]
    assert (
        "Message a of queue 'metrics' could not be settled; unless another host has it, it comes "
        "back within 600 s: PopReceiptMismatch"
    ) in caplog.text


@pytest.mark.parametrize(
    ("dequeue_count", "settled", "logged"),
    [
        (2, ["hide a for 30, receipt"], ""),
        (
            3,
            ["a into metrics-poison"],
            "Moving message a to queue 'metrics-poison': attempt 3 failed",
        ),
    ],
)
async def test_a_failure(
    dequeue_count: int, settled: list[str], logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    storage = FakeStorage([[message("a", dequeue_count)]], asyncio.Event())
    options = QueueOptions(message_encoding="none", visibility_timeout=30, max_dequeue_count=3)
    await listen(storage, fail, options)
    assert storage.settled() == settled
    assert logged in caplog.text


async def test_a_failure_without_a_poison_queue_leaves_the_message_invisible(
    caplog: pytest.LogCaptureFixture,
) -> None:
    storage = FakeStorage([[message("a", 1), message("b", 4)]], asyncio.Event())
    storage.name, storage.poison_name = "metrics-poison", None
    await listen(storage, fail)
    assert storage.settled() == []
    said = "Leaving message {} invisible, as queue 'metrics-poison' has no poison queue: {}"
    assert said.format("a", "attempt 1 failed") in caplog.text
    assert said.format("b", "attempt 4 failed") in caplog.text  # OPTIONS has a limit of 3.


async def test_a_message_is_renewed_at_half_life() -> None:
    storage = FakeStorage([[message("a")]], asyncio.Event())

    async def invoke(*_: object) -> bool:
        await storage.hidden.get()
        await storage.hidden.get()
        return True

    await listen(storage, invoke, invisibility=0.02)
    assert storage.settled()[:2] == ["hide a for 0.02, receipt", "hide a for 0.02, receipt+"]
    assert storage.settled()[-1].startswith("delete a, receipt++")


async def test_a_failed_renewal_is_repeated_and_a_lost_message_is_not() -> None:
    storage = FakeStorage([[message("a")]], asyncio.Event())
    storage.hide_errors = [StorageError("refused"), MessageGoneError("PopReceiptMismatch")]

    async def invoke(*_: object) -> bool:
        await storage.hidden.get()
        await storage.hidden.get()
        return True

    await listen(storage, invoke, invisibility=0.02)
    assert storage.settled() == [*["hide a for 0.02, receipt"] * 2, "delete a, receipt"]


async def test_an_empty_queue_is_polled_less_and_less_up_to_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []

    async def wait(event: asyncio.Event, seconds: float) -> bool:
        pauses.append(seconds)
        await asyncio.sleep(0)
        return event.is_set()

    monkeypatch.setattr(queue_listener, "wait", wait)
    storage = FakeStorage([[], [], [], [], [], [message("a")], []], asyncio.Event())
    await listen(storage, succeed, msgspec.structs.replace(OPTIONS, max_polling_interval=1))
    polls = [0.1, 0.2, 0.4, 0.8, 1, 0.1, 0.2]
    assert [pause for pause in pauses if pause <= 1] == polls
