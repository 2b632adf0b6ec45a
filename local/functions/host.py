"""The host: read the configuration, import the app, listen until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from local.functions import host_json, index, settings
from local.functions.connections import queue_service
from local.functions.errors import ConfigurationError, StorageError
from local.functions.index import Function, QueueTrigger
from local.functions.invocation import invoke
from local.functions.invocations import Invocations
from local.functions.queue_listener import INVISIBILITY, QueueListener
from local.functions.queue_storage import PATIENCE, QueueStorage
from local.functions.timer_listener import TimerListener

__all__ = ["GRACE", "Host", "load"]

# Seconds that the real host waits for invocations when it is told to stop, and until it is gone.
GRACE = 10.0
CLOSING = 0.4
DRAIN = "FUNCTIONS_ENABLE_DRAIN_ON_APP_STOPPING"  # true: a stop ends the listeners first.
CRASH_INVISIBILITY = "LOCAL_CRASH_INVISIBILITY"  # Replaces INVISIBILITY, to try out a crash.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

Listener = QueueListener | TimerListener

log = logging.getLogger(__name__)


class Host:
    """Functions and what they listen to."""

    def __init__(
        self,
        functions: Sequence[Function],
        storages: Mapping[str, QueueStorage],
        options: host_json.QueueOptions,
        invocations: Invocations,
        *,
        invisibility: float = INVISIBILITY,
        drain: bool = False,
    ) -> None:
        """`storages` holds the queue of each queue-triggered function, by the function's name."""
        self._functions = functions
        self._storages = storages
        self._options = options
        self._invocations = invocations
        self._invisibility = invisibility
        self._drain = drain
        self._failed = asyncio.Event()
        # As many threads for sync functions as the worker has, unless told otherwise.
        self._threads = ThreadPoolExecutor(thread_name_prefix="function")

    async def run(self, ready: Callable[[str], None], grace: float = GRACE) -> tuple[bool, int]:
        """Listen until SIGTERM, SIGINT or an error of the storage service, then stop.

        `ready` is told what the host listens to. Returns whether the storage service failed, and
        how many invocations are cut: those still running after `grace` seconds. A second signal
        ends the process.
        """
        self._invocations.install(asyncio.get_running_loop())
        told = asyncio.Event()
        _on_signals(told)
        stopping = asyncio.Event()
        listeners = [self._listener(function) for function in self._functions]
        running = [asyncio.create_task(listener.run(stopping)) for listener in listeners]
        ends = [asyncio.create_task(event.wait()) for event in (told, self._failed)]
        ready(", ".join(map(str, self._functions)) or "no function")
        # Listeners end only when told to; one that ends before has a bug to show.
        await asyncio.wait([*ends, *running], return_when=asyncio.FIRST_COMPLETED)
        if self._drain or self._failed.is_set():
            stopping.set()
        log.info("Stopping; %d invocations to finish", sum(each.in_work for each in listeners))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await _until_idle(listeners)
        stopping.set()
        if running:
            finished, _ = await asyncio.wait(running, timeout=CLOSING)
            for task in finished:
                task.result()
        return self._failed.is_set(), sum(each.in_work for each in listeners)

    def _listener(self, function: Function) -> Listener:
        """The listener of one function."""
        if isinstance(function.trigger, QueueTrigger):
            return QueueListener(
                function,
                self._storages[function.name],
                self._options,
                self._invoke,
                fail=self._fail,
                invisibility=self._invisibility,
            )
        return TimerListener(function, self._invoke)

    def _fail(self, error: StorageError) -> None:
        """End the host."""
        if not self._failed.is_set():
            self._failed.set()
            log.critical(
                "An unhandled exception has occurred. Host is shutting down. "
                "The storage service answered: %s",
                error,
            )

    async def _invoke(self, function: Function, argument: Callable[[], Any]) -> bool:
        """Run a function once."""
        return await invoke(function, argument, self._threads, self._invocations)


def load(
    app: Path,
    invocations: Invocations,
    *,
    local_settings: bool = True,
    patience: float = PATIENCE,
) -> Host:
    """The host of the app in folder `app`, which becomes the current one.

    Raises ConfigurationError, and whatever importing the app raises.
    """
    if local_settings:
        settings.load(app, os.environ)
    options = host_json.read(app, os.environ)
    invisibility = _invisibility(os.environ)
    os.chdir(app)  # Where the worker runs an app.
    functions = []
    storages = {}
    for function in index.load(app, os.environ):
        trigger = function.trigger
        if isinstance(trigger, QueueTrigger):
            where = f"function {function.name}"
            try:
                service = queue_service(trigger.connection, os.environ, where)
            except ConfigurationError as exc:
                index.report_disabled(exc)
                continue
            storages[function.name] = QueueStorage(service, trigger.queue, patience)
        functions.append(function)
    drain = os.environ.get(DRAIN, "").strip().lower() == "true"
    return Host(functions, storages, options, invocations, invisibility=invisibility, drain=drain)


def _invisibility(environ: Mapping[str, str]) -> float:
    """Seconds for which a message is taken. Raises ConfigurationError."""
    text = environ.get(CRASH_INVISIBILITY)
    if not text:
        return INVISIBILITY
    if not text.isdecimal() or int(text) < 1:
        raise ConfigurationError(f"{CRASH_INVISIBILITY}: {text}: must be whole seconds from 1")
    return float(text)


async def _until_idle(listeners: Sequence[Listener]) -> None:
    """Wait until no invocation runs; until then listeners may start more."""
    while any(listener.in_work for listener in listeners):
        for listener in listeners:
            await listener.idle.wait()


def _on_signals(told: asyncio.Event) -> None:
    """Set `told` at the first signal, leave at once at the second."""

    def stop(number: signal.Signals) -> None:
        if told.is_set():
            os._exit(128 + number)
        told.set()

    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
