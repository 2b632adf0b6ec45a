"""The dead-letter box: what comes together shares letters, and nobody is told too early."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from builders import NOW
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import DeferredError
from shared.model import Reason, Rejection
from shared.pipeline.dead_letter_box import DeadLetterBox
from shared.pipeline.dead_letters import Origin


class Queue:
    """Takes messages when it is let; may refuse the first ones."""

    def __init__(self, *failures: Exception) -> None:
        self.letters: list[dict[str, Any]] = []
        self.sends = 0
        self.open = asyncio.Event()
        self._failures = list(failures)

    async def send(self, message: bytes, delay: timedelta = timedelta()) -> None:
        assert delay == timedelta()
        self.sends += 1
        await self.open.wait()
        if self._failures:
            raise self._failures.pop(0)
        self.letters.append(json.loads(message))

    def buried(self) -> list[str]:
        """The IDs of the messages of all that was refused, in order."""
        return [
            one.get("messageId", letter.get("messageId"))
            for letter in self.letters
            for one in letter["refused"]
        ]


def box_of(queue: Queue) -> DeadLetterBox:
    return DeadLetterBox(queue, lambda: NOW)


def bury(box: DeadLetterBox, name: str, count: int = 1) -> asyncio.Task[None]:
    rejections = [Rejection(Reason.INVALID, "no", b"oops")] * count
    return asyncio.create_task(box.bury(rejections, Origin(name, NOW)))


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_comes_alone_goes_at_once() -> None:
    queue = Queue()
    burial = bury(box_of(queue), "a")
    await settle()
    assert queue.sends == 1
    assert not burial.done()
    queue.open.set()
    await burial
    (letter,) = queue.letters
    assert letter["messageId"] == "a"


async def test_what_gathers_meanwhile_shares_the_next_letter() -> None:
    queue = Queue()
    box = box_of(queue)
    first = bury(box, "a")
    await settle()
    others = [bury(box, name) for name in "bcdef"]
    await settle()
    assert queue.sends == 1
    queue.open.set()
    await asyncio.gather(first, *others)
    assert queue.sends == 2
    assert queue.buried() == list("abcdef")


async def test_nothing_to_bury_asks_nothing() -> None:
    queue = Queue()
    await box_of(queue).bury([], Origin())
    assert queue.sends == 0


async def test_who_shares_a_letter_that_fails_is_told_and_the_next_are_not() -> None:
    queue = Queue(OSError("full"))
    box = box_of(queue)
    first = bury(box, "a")
    await settle()
    second = bury(box, "b")
    queue.open.set()
    with pytest.raises(OSError, match="full"):
        await first
    await second
    assert queue.buried() == ["b"]
    third = bury(box, "c")
    await third
    assert queue.buried() == ["b", "c"]


async def test_who_is_cancelled_stops_nobody() -> None:
    queue = Queue()
    box = box_of(queue)
    first, second = bury(box, "a"), bury(box, "b")
    await settle()
    first.cancel()
    queue.open.set()
    await second
    assert sorted(queue.buried()) == ["a", "b"]


async def test_when_the_loop_stops_nobody_waits_for_ever() -> None:
    queue = Queue()
    box = box_of(queue)
    first = bury(box, "a")
    await settle()
    second = bury(box, "b")
    await settle()
    assert box._task is not None
    box._task.cancel()
    for burial in (first, second):
        with pytest.raises(DeferredError, match="being stopped"):
            await burial


@given(st.lists(st.integers(1, 200), min_size=1, max_size=30))
def test_everything_is_buried_once(counts: list[int]) -> None:
    async def run() -> list[str]:
        queue = Queue()
        queue.open.set()
        box = box_of(queue)
        await asyncio.gather(*(bury(box, str(n), count) for n, count in enumerate(counts)))
        return queue.buried()

    buried = asyncio.run(run())
    assert sorted(buried) == sorted(str(n) for n, count in enumerate(counts) for _ in range(count))
