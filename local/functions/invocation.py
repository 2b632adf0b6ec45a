"""Run functions as the Python worker does, and show the log records that the host shows.

The Python worker tags a record with the invocation of the task that logs. A task has the tag of the
task that created it; a record of the loop without a tag gets the invocation that was received last;
one of another thread gets none. The host shows a record while its invocation runs, and drops all
others.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import uuid
from collections.abc import Callable, Coroutine
from typing import Any

from local.functions.index import Function

__all__ = ["Invocations"]

HOST_LOGGERS = "local.functions"  # What the host says for itself, shown at any time.
SYSTEM_LOGGERS = "azure.functions"  # Of the worker: system logs, never shown.

log = logging.getLogger(__name__)


class TaggedTask(asyncio.Task[Any]):
    """Belongs to the invocation of the task that created it, if that has one."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], **options: Any) -> None:
        # Before the task may start: from Python 3.12 it can do so while it is created.
        self.invocation_id = _tag_of_current_task()
        super().__init__(coroutine, **options)


class Invocations(logging.Filter):
    """Tracks the running invocations; as a filter of a handler, it passes what the host shows."""

    def __init__(self) -> None:
        super().__init__()
        self._running: set[str] = set()
        self._latest: str | None = None
        self._loop_thread: int | None = None

    def install(self, loop: asyncio.AbstractEventLoop) -> None:
        """Tag the tasks that the loop creates from now on; call it in the loop's thread."""
        self._loop_thread = threading.get_ident()

        def create(
            loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any
        ) -> TaggedTask:
            return TaggedTask(coroutine, loop=loop, **options)

        loop.set_task_factory(create)  # type: ignore[arg-type]  # Typed for generators too.

    async def invoke(self, function: Function, argument: Callable[[], Any]) -> bool:
        """Call a function with what `argument` returns, and say whether both succeeded.

        A function left by CancelledError is never answered: this does not return either.
        """
        invocation_id = str(uuid.uuid4())
        self._running.add(invocation_id)
        self._latest = invocation_id
        task = asyncio.current_task()
        if isinstance(task, TaggedTask):
            task.invocation_id = invocation_id
        started = time.monotonic()
        try:
            if await function.call(argument()) is not None:
                raise RuntimeError(  # noqa: TRY301 - Reported like any other failure.
                    f"function '{function.name}' without a $return binding returned a non-None"
                    " value"
                )
        except asyncio.CancelledError:
            if task is not None and task.cancelling():
                raise  # The loop is going down, with all that runs on it.
            log.exception(
                "'Functions.%s' (Id=%s) was left by CancelledError and gives no answer, as in "
                "Azure: its place and its message stay taken",
                function.name,
                invocation_id,
            )
            await asyncio.Event().wait()
        except Exception:
            log.exception(
                "Executed 'Functions.%s' (Failed, Id=%s, Duration=%dms)",
                function.name,
                invocation_id,
                1000 * (time.monotonic() - started),
            )
            return False
        finally:
            self._running.discard(invocation_id)
        return True

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the host shows a record that was logged in this thread just now."""
        if record.name.startswith(HOST_LOGGERS):
            return True
        if record.name.startswith(SYSTEM_LOGGERS) or threading.get_ident() != self._loop_thread:
            return False
        return (_tag_of_current_task() or self._latest) in self._running


def _tag_of_current_task() -> str | None:
    try:
        task = asyncio.current_task()
    except RuntimeError:  # No loop runs in this thread.
        return None
    return getattr(task, "invocation_id", None)
