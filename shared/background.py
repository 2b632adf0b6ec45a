"""Run a coroutine that belongs to no invocation."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

__all__ = ["run_in_background"]

# The loop holds its tasks weakly: one that nothing else holds may vanish. A module may hold them,
# since they are of no use to an app beside the one that started them, and each leaves when it ends.
_RUNNING: set[asyncio.Task[None]] = set()


def run_in_background(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on the running loop; it must not raise.

    The Functions worker tags the log records of a task with the invocation of the task that
    created it, and the host drops records of an invocation that is over. A task that a callback of
    the loop creates inherits none: its records belong to the latest invocation.
    """
    asyncio.get_running_loop().call_soon(_start, coroutine)


def _start(coroutine: Coroutine[Any, Any, None]) -> None:
    task = asyncio.get_running_loop().create_task(coroutine)
    _RUNNING.add(task)
    task.add_done_callback(_RUNNING.discard)
