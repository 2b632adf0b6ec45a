"""Run one function once, as the Python worker does, and say whether it succeeded."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

from azure import functions as azf

from local.functions.index import Function
from local.functions.invocations import Invocations

__all__ = ["InvocationContext", "invoke"]

log = logging.getLogger(__name__)


class InvocationContext(azf.Context):
    """What a function sees that has a parameter `context`; there is no tracing and no retrying."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self._id = str(uuid.uuid4())
        self._local = threading.local()

    @property
    def invocation_id(self) -> str:
        return self._id

    @property
    def function_name(self) -> str:
        return self._function.name

    @property
    def function_directory(self) -> str:
        return str(self._function.directory)

    @property
    def thread_local_storage(self) -> Any:
        return self._local

    @property
    def trace_context(self) -> Any:
        return None

    @property
    def retry_context(self) -> Any:
        return None


async def invoke(
    function: Function, argument: Callable[[], Any], threads: Executor, invocations: Invocations
) -> bool:
    """Call `function` with what `argument` makes; True when both went well.

    async functions run right here on the loop, the others in `threads`. A function left by
    CancelledError is never answered: this does not return either.
    """
    context = InvocationContext(function)
    with invocations.run(context.invocation_id):
        return await _invoke(function, argument, context, threads, invocations)


async def _invoke(
    function: Function,
    argument: Callable[[], Any],
    context: InvocationContext,
    threads: Executor,
    invocations: Invocations,
) -> bool:
    started = time.monotonic()
    try:
        result = await _call(function, argument(), context, threads, invocations)
        if result is not None:
            raise RuntimeError(  # noqa: TRY301 - Told like any other failure.
                f"function '{function.name}' without a $return binding returned a non-None value"
            )
    except asyncio.CancelledError:
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise  # The loop is going down, with all that runs on it.
        log.exception(
            "'Functions.%s' (Id=%s) was left by CancelledError and gives no answer, as in Azure: "
            "its place and its message stay taken",
            function.name,
            context.invocation_id,
        )
        await asyncio.Event().wait()
    except Exception:
        log.exception(
            "Executed 'Functions.%s' (Failed, Id=%s, Duration=%dms)",
            function.name,
            context.invocation_id,
            _milliseconds_since(started),
        )
        return False
    log.debug(
        "Executed 'Functions.%s' (Succeeded, Id=%s, Duration=%dms)",
        function.name,
        context.invocation_id,
        _milliseconds_since(started),
    )
    return True


async def _call(
    function: Function,
    argument: Any,
    context: InvocationContext,
    threads: Executor,
    invocations: Invocations,
) -> Any:
    """What the function returns."""
    arguments = {function.parameter: argument}
    if function.wants_context:
        arguments["context"] = context
    if function.is_async:
        return await function.call(**arguments)

    def call() -> Any:
        invocations.enter_thread(context.invocation_id)
        return function.call(**arguments)

    return await asyncio.get_running_loop().run_in_executor(threads, call)


def _milliseconds_since(started: float) -> int:
    """For the log."""
    return round(1000 * (time.monotonic() - started))
