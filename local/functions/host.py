"""The host: read the configuration, import the app, listen until told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from local.functions import host_json, index, settings
from local.functions.connections import queue_service
from local.functions.errors import ConfigurationError
from local.functions.index import Function, QueueTrigger
from local.functions.invocation import invoke
from local.functions.invocations import Invocations
from local.functions.queue_listener import INVISIBILITY, QueueListener
from local.functions.queue_storage import QueueStorage
from local.functions.timer_listener import TimerListener

__all__ = ["GRACE", "Host", "load"]

GRACE = 60.0  # Seconds in which to finish what is held.
CRASH_INVISIBILITY = "LOCAL_CRASH_INVISIBILITY"  # Replaces INVISIBILITY, to try out a crash.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

log = logging.getLogger(__name__)


class Host:
    """Functions and what they listen to."""

    def __init__(
        self,
        functions: list[Function],
        storages: Mapping[str, QueueStorage],
        options: host_json.QueueOptions,
        invocations: Invocations,
        invisibility: float = INVISIBILITY,
    ) -> None:
        """`storages` holds the queue of each queue-triggered function, by the function's name."""
        self._functions = functions
        self._storages = storages
        self._options = options
        self._invocations = invocations
        self._invisibility = invisibility
        # As many threads for sync functions as the worker has, unless told otherwise.
        self._threads = ThreadPoolExecutor(thread_name_prefix="function")

    async def run(self, ready: Callable[[str], None], grace: float = GRACE) -> int:
        """Listen until SIGTERM or SIGINT, then finish what is held.

        `ready` is told what the host listens to. Returns how many invocations were abandoned
        because `grace` seconds were not enough; they still run. A second signal ends the process.
        """
        self._invocations.install(asyncio.get_running_loop())
        stopping = asyncio.Event()
        _on_signals(stopping)
        listeners = [self._listener(function) for function in self._functions]
        running = [asyncio.create_task(listener.run(stopping)) for listener in listeners]
        stopped = asyncio.create_task(stopping.wait())
        ready(", ".join(map(str, self._functions)))
        # Listeners end only when told to; one that ends before has a bug to show.
        await asyncio.wait([stopped, *running], return_when=asyncio.FIRST_COMPLETED)
        stopping.set()
        log.info("Stopping; %d invocations to finish", sum(each.in_work for each in listeners))
        finished, _ = await asyncio.wait(running, timeout=grace)
        for task in finished:
            task.result()
        for storage in self._storages.values():
            storage.close()
        return sum(each.in_work for each in listeners)

    def _listener(self, function: Function) -> QueueListener | TimerListener:
        """The listener of one function."""
        if isinstance(function.trigger, QueueTrigger):
            storage = self._storages[function.name]
            return QueueListener(function, storage, self._options, self._invoke, self._invisibility)
        return TimerListener(function, self._invoke)

    async def _invoke(self, function: Function, argument: Callable[[], Any]) -> bool:
        """Run a function once."""
        return await invoke(function, argument, self._threads, self._invocations)


def load(app: Path, invocations: Invocations, *, local_settings: bool = True) -> Host:
    """The host of the app in folder `app`, which becomes the current one.

    Raises ConfigurationError, and whatever importing the app raises.
    """
    if local_settings:
        settings.load(app, os.environ)
    options = host_json.read(app, os.environ)
    invisibility = _invisibility(os.environ)
    os.chdir(app)  # Where the worker runs an app.
    functions = index.load(app, os.environ)
    storages = {
        function.name: QueueStorage(
            queue_service(function.trigger.connection, os.environ, f"function {function.name}"),
            function.trigger.queue,
        )
        for function in functions
        if isinstance(function.trigger, QueueTrigger)
    }
    return Host(functions, storages, options, invocations, invisibility)


def _invisibility(environ: Mapping[str, str]) -> float:
    """Seconds for which a message is taken. Raises ConfigurationError."""
    text = environ.get(CRASH_INVISIBILITY)
    if not text:
        return INVISIBILITY
    if not text.isdecimal() or int(text) < 1:
        raise ConfigurationError(f"{CRASH_INVISIBILITY}: {text}: must be whole seconds from 1")
    return float(text)


def _on_signals(stopping: asyncio.Event) -> None:
    """Set `stopping` at the first signal, leave at once at the second."""

    def stop(number: signal.Signals) -> None:
        if stopping.is_set():
            os._exit(128 + number)
        stopping.set()

    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
