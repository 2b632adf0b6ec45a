"""Read the configuration, import the app, and listen until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from local.functions import host_json, settings
from local.functions.connections import PATIENCE, queue_service
from local.functions.errors import ConfigurationError, DisabledError, StorageError
from local.functions.index import Function, TimerTrigger, declared_functions, read_function
from local.functions.invocation import Invocations
from local.functions.queue_listener import INVISIBILITY, QueueListener
from local.functions.queue_storage import QueueStorage
from local.functions.timer_listener import TimerListener

__all__ = ["GRACE", "Host"]

# Seconds that the real host waits for invocations when it is told to stop, and until it is gone.
GRACE = 10.0
CLOSING = 0.4
POLL = 0.02  # Seconds between two looks at the invocations to finish.
DRAIN = "FUNCTIONS_ENABLE_DRAIN_ON_APP_STOPPING"  # true: a stop ends the listeners first.
CRASH_INVISIBILITY = "LOCAL_CRASH_INVISIBILITY"  # Replaces INVISIBILITY, to try out a crash.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

log = logging.getLogger(__name__)


class Host:
    """Runs the functions of an app, each with what it listens to."""

    def __init__(
        self,
        app: Path,
        invocations: Invocations,
        *,
        local_settings: bool = True,
        patience: int = PATIENCE,
    ) -> None:
        """Load the app in a folder, which becomes the current one.

        A function whose settings are missing or wrong is disabled, and the log says why. Raises
        ConfigurationError, and whatever importing the app raises.
        """
        if local_settings:
            settings.load(app, os.environ)
        self._options = host_json.read(app, os.environ)
        self._invisibility = _invisibility(os.environ)
        self._drain = os.environ.get(DRAIN, "").strip().lower() == "true"
        self._patience = patience
        self._invocations = invocations
        self._failed = asyncio.Event()
        os.chdir(app)  # Where the worker runs an app.
        self._listeners: dict[Function, QueueListener | TimerListener] = {}
        for declared in declared_functions(app):
            try:
                function = read_function(declared, os.environ)
                self._listeners[function] = self._listener(function)
            except DisabledError as exc:
                log.error(  # noqa: TRY400 - No traceback: the user has to set a setting.
                    "%s. The function is disabled; the host goes on without it.", exc
                )

    async def run(self, grace: float) -> tuple[bool, int]:
        """Listen until SIGTERM, SIGINT or an error of the storage service, then stop.

        Returns whether the storage service failed, and how many invocations are cut: those still
        running after `grace` seconds. A second signal ends the process.
        """
        self._invocations.install(asyncio.get_running_loop())
        told = asyncio.Event()
        _on_signals(told)
        stopping = asyncio.Event()
        running = [asyncio.create_task(each.run(stopping)) for each in self._listeners.values()]
        ends = [asyncio.create_task(event.wait()) for event in (told, self._failed)]
        functions = ", ".join(map(str, self._listeners)) or "no function"
        print(f"Functions host ready: {functions}", flush=True)  # `run_app` waits for it.
        # Listeners end only when told to; one that ends before has a bug to show.
        await asyncio.wait([*ends, *running], return_when=asyncio.FIRST_COMPLETED)
        if self._drain or self._failed.is_set():
            stopping.set()
        log.info("Stopping; %d invocations to finish", self._in_work())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                while self._in_work():  # noqa: ASYNC110 - Listeners may start more.
                    await asyncio.sleep(POLL)
        stopping.set()
        if running:
            finished, _ = await asyncio.wait(running, timeout=CLOSING)
            for task in finished:
                task.result()
        return self._failed.is_set(), self._in_work()

    def _in_work(self) -> int:
        return sum(listener.in_work for listener in self._listeners.values())

    def _listener(self, function: Function) -> QueueListener | TimerListener:
        """Return the listener of a function. Raises DisabledError."""
        trigger = function.trigger
        if isinstance(trigger, TimerTrigger):
            return TimerListener(function, self._invocations.invoke)
        service = queue_service(
            trigger.connection, os.environ, f"function {function.name}", self._patience
        )
        return QueueListener(
            function,
            QueueStorage(service, trigger.queue),
            self._options,
            self._invocations.invoke,
            fail=self._fail,
            invisibility=self._invisibility,
        )

    def _fail(self, error: StorageError) -> None:
        """End the host."""
        if not self._failed.is_set():
            self._failed.set()
            log.critical(
                "An unhandled exception has occurred. Host is shutting down. "
                "Error of the storage service: %s",
                error,
            )


def _invisibility(environ: Mapping[str, str]) -> float:
    """Return the seconds for which a message is taken. Raises ConfigurationError."""
    text = environ.get(CRASH_INVISIBILITY)
    if not text:
        return INVISIBILITY
    if not text.isdecimal() or int(text) < 1:
        raise ConfigurationError(f"{CRASH_INVISIBILITY}: {text}: must be whole seconds from 1")
    return float(text)


def _on_signals(told: asyncio.Event) -> None:
    """Set `told` at the first signal, leave at once at the second."""

    def stop(number: signal.Signals) -> None:
        if told.is_set():
            os._exit(128 + number)
        told.set()

    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
