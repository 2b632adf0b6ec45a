"""Which invocations run, and which log records of the app the host shows.

The Python worker tags a record with the invocation of the task that logs. A task has the tag of the
task that created it; a record of the loop without a tag gets the invocation that was received last;
one of another thread gets none. The host shows a record while its invocation runs, and drops all
others without a word.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Coroutine, Iterator
from typing import Any

__all__ = ["Invocations"]

HOST_LOGGERS = "local.functions"  # What the host says for itself, shown at any time.


class TaggedTask(asyncio.Task[Any]):
    """A task that belongs to the invocation of its creator, if that has one."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], **options: Any) -> None:
        # Before the task may start: from Python 3.12 it can do so while it is created.
        self.invocation_id = _tag_of_current_task()
        super().__init__(coroutine, **options)


class Invocations(logging.Filter):
    """The running invocations; as a filter of a handler, it passes what the host shows."""

    def __init__(self) -> None:
        super().__init__()
        self._running: set[str] = set()
        self._latest: str | None = None
        self._loop_thread: int | None = None
        self._of_thread = threading.local()  # The invocation of a function that is not async.

    def install(self, loop: asyncio.AbstractEventLoop) -> None:
        """Tag the tasks that the loop creates from now on; call it in the loop's thread."""
        self._loop_thread = threading.get_ident()

        def create(
            loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any
        ) -> TaggedTask:
            return TaggedTask(coroutine, loop=loop, **options)

        loop.set_task_factory(create)  # type: ignore[arg-type]  # Typed for generators too.

    @contextlib.contextmanager
    def run(self, invocation_id: str) -> Iterator[None]:
        """Run an invocation in the current task, whose tag it is in the block."""
        task = asyncio.current_task()
        self._running.add(invocation_id)
        self._latest = invocation_id
        if isinstance(task, TaggedTask):
            task.invocation_id = invocation_id
        try:
            yield
        finally:
            self._running.discard(invocation_id)

    def enter_thread(self, invocation_id: str) -> None:
        """Tag what this thread logs."""
        self._of_thread.invocation_id = invocation_id

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the host shows a record that was logged in this thread just now."""
        if record.name.startswith(HOST_LOGGERS):
            return True
        if threading.get_ident() == self._loop_thread:
            tag = _tag_of_current_task() or self._latest
        else:
            tag = getattr(self._of_thread, "invocation_id", None)
        return tag in self._running


def _tag_of_current_task() -> str | None:
    try:
        task = asyncio.current_task()
    except RuntimeError:  # No loop runs in this thread.
        return None
    return getattr(task, "invocation_id", None)
