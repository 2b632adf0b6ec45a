"""Import function_app.py and list its functions, refusing what this host cannot run."""

from __future__ import annotations

import importlib
import inspect
import logging
import re
import sys
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azure import functions as azf

from local.functions.conversion import accepts
from local.functions.errors import ConfigurationError, DisabledError
from local.functions.ncrontab import Schedule
from local.functions.settings import expand

__all__ = ["Function", "QueueTrigger", "TimerTrigger", "load", "report_disabled"]

MODULE = "function_app"  # The only name the Python worker looks for, by default.
# https://learn.microsoft.com/rest/api/storageservices/naming-queues-and-metadata
QUEUE_NAME = re.compile(r"(?=.{3,63}$)[a-z0-9]+(?:-[a-z0-9]+)*")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class QueueTrigger:
    """Runs for each message of `queue` in the account that `connection` names."""

    queue: str
    connection: str

    def __str__(self) -> str:
        return f"queueTrigger {self.queue}"


@dataclass(frozen=True)
class TimerTrigger:
    """Runs whenever `schedule` says so."""

    schedule: Schedule
    expression: str
    run_on_startup: bool

    def __str__(self) -> str:
        return f"timerTrigger {self.expression}"


@dataclass(frozen=True)
class Function:
    """One function of the app."""

    name: str
    call: Callable[..., Any]
    trigger: QueueTrigger | TimerTrigger
    parameter: str  # The name of the argument that the trigger fills.
    plain: bool  # The argument is annotated bytes: it gets the body alone.
    wants_context: bool
    directory: Path

    @property
    def is_async(self) -> bool:
        """Whether it runs on the event loop; if not, in a thread."""
        return inspect.iscoroutinefunction(self.call)

    def __str__(self) -> str:
        return f"{self.name} ({self.trigger})"


def load(app: Path, environ: Mapping[str, str]) -> list[Function]:
    """The functions of `app` that can run, in the order they were declared.

    One whose settings are missing or wrong is disabled, and the log says why. Raises
    ConfigurationError, and whatever importing the app raises.
    """
    file = app / f"{MODULE}.py"
    if not file.exists():
        raise ConfigurationError(f"{file}: does not exist; --app names the app's folder")
    sys.path.insert(0, str(app))
    module = importlib.import_module(MODULE)
    apps = [value for value in vars(module).values() if isinstance(value, azf.FunctionRegister)]
    if len(apps) != 1:
        raise ConfigurationError(f"{file}: defines {len(apps)} function apps, not 1")
    try:
        # Its only warning is that functions without HTTP have no auth level, which is no problem.
        logging.disable(logging.WARNING)
        declared = apps[0].get_functions()
    except ValueError as exc:
        raise ConfigurationError(f"{file}: {exc}") from exc
    finally:
        logging.disable(logging.NOTSET)
    if not declared:
        raise ConfigurationError(f"{file}: declares no functions")
    functions = []
    for function in declared:
        try:
            functions.append(_function(function, app, environ))
        except DisabledError as exc:
            report_disabled(exc)
    return functions


def report_disabled(error: ConfigurationError) -> None:
    """Say that a function does not run; the host goes on without it."""
    log.error("%s. The function is disabled; the host goes on without it.", error)


def _function(declared: Any, app: Path, environ: Mapping[str, str]) -> Function:
    """One function, its bindings and signature checked."""
    name = declared.get_function_name()
    where = f"function {name}"
    trigger = declared.get_trigger().get_dict_repr()
    for binding in declared.get_bindings_dict()["bindings"]:
        if binding["type"] not in TRIGGERS or binding != trigger:
            raise ConfigurationError(
                f"{where}: binding {binding['name']}: {binding['type']} is not supported; "
                f"this host runs {' and '.join(TRIGGERS)} alone"
            )
    if trigger["type"] == "queueTrigger" and trigger.get("dataType") != azf.DataType.BINARY:
        raise ConfigurationError(
            f"{where}: the queue trigger has no data_type=func.DataType.BINARY; without it Azure "
            "copies members of the body, such as id, over the metadata of the message"
        )
    call, parameter = declared.get_user_function(), trigger["name"]
    plain, wants_context = _signature(call, parameter, trigger["type"], where)
    try:
        listens_to = TRIGGERS[trigger["type"]](trigger, environ, where)
    except ConfigurationError as exc:
        raise DisabledError(str(exc)) from exc
    return Function(
        name=name,
        call=call,
        trigger=listens_to,
        parameter=parameter,
        plain=plain,
        wants_context=wants_context,
        directory=app,
    )


def _signature(
    call: Callable[..., Any], parameter: str, kind: str, where: str
) -> tuple[bool, bool]:
    """Whether the argument is the plain body, and whether there is a context; as the worker."""
    names = set(inspect.signature(call).parameters)
    wants_context = "context" in names and parameter != "context"
    unbound = names - {parameter} - ({"context"} if wants_context else set())
    if unbound or parameter not in names:
        odd = ", ".join(sorted(unbound)) or parameter
        raise ConfigurationError(f"{where}: binding and parameters do not match: {odd}")
    annotation = typing.get_type_hints(call).get(parameter)
    if annotation is None:
        return False, wants_context
    if kind == "queueTrigger" and annotation is bytes:
        return True, wants_context
    if not accepts(kind, annotation):
        raise ConfigurationError(
            f"{where}: parameter {parameter}: {annotation!r} does not fit a {kind}"
        )
    return False, wants_context


def _queue_trigger(
    binding: Mapping[str, Any], environ: Mapping[str, str], where: str
) -> QueueTrigger:
    """From a queueTrigger binding."""
    queue = expand(binding["queueName"], environ, f"{where}: queue_name").lower()
    if not QUEUE_NAME.fullmatch(queue):
        raise ConfigurationError(
            f"{where}: queue_name: {queue}: must be 3 to 63 letters, digits and single hyphens, "
            "none at the ends"
        )
    return QueueTrigger(queue, binding.get("connection") or "")


def _timer_trigger(
    binding: Mapping[str, Any], environ: Mapping[str, str], where: str
) -> TimerTrigger:
    """From a timerTrigger binding."""
    expression = expand(binding["schedule"], environ, f"{where}: schedule")
    try:
        schedule = Schedule(expression)
    except ValueError as exc:
        raise ConfigurationError(f"{where}: schedule: {expression}: {exc}") from exc
    return TimerTrigger(schedule, expression, bool(binding.get("runOnStartup")))


TRIGGERS: dict[str, Callable[..., QueueTrigger | TimerTrigger]] = {
    "queueTrigger": _queue_trigger,
    "timerTrigger": _timer_trigger,
}
