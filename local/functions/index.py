"""Import function_app.py and list its functions, refusing what this host cannot run."""

from __future__ import annotations

import importlib
import inspect
import logging
import re
import sys
import typing
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azure import functions as azf

from local.functions.conversion import accepts
from local.functions.errors import ConfigurationError, DisabledError
from local.functions.ncrontab import Schedule
from local.functions.settings import expand

__all__ = ["Function", "QueueTrigger", "TimerTrigger", "declared_functions", "read_function"]

MODULE = "function_app"  # The only name the Python worker looks for, by default.
# https://learn.microsoft.com/rest/api/storageservices/naming-queues-and-metadata
QUEUE_NAME = re.compile(r"(?=.{3,63}$)[a-z0-9]+(?:-[a-z0-9]+)*")


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
    run_on_startup: bool = False

    def __str__(self) -> str:
        return f"timerTrigger {self.expression}"


@dataclass(frozen=True)
class Function:
    """Holds a function of the app; `call` takes what the trigger gives."""

    name: str
    call: Callable[[Any], Awaitable[Any]]
    trigger: QueueTrigger | TimerTrigger

    def __str__(self) -> str:
        return f"{self.name} ({self.trigger})"


def declared_functions(app: Path) -> list[Any]:
    """Import the app in a folder and return what it declares.

    Raises ConfigurationError, and whatever importing the app raises.
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
        # Its only warning is that functions without HTTP have no auth level.
        logging.disable(logging.WARNING)
        declared: list[Any] = apps[0].get_functions()
    except ValueError as exc:
        raise ConfigurationError(f"{file}: {exc}") from exc
    finally:
        logging.disable(logging.NOTSET)
    if not declared:
        raise ConfigurationError(f"{file}: declares no functions")
    return declared


def read_function(declared: Any, environ: Mapping[str, str]) -> Function:
    """Check the bindings, the signature and the settings of a function.

    Raises DisabledError for a setting, ConfigurationError for the rest.
    """
    name = declared.get_function_name()
    where = f"function {name}"
    for setting in (f"AzureWebJobs.{name}.Disabled", f"AzureWebJobs_{name}_Disabled"):
        value = environ.get(setting, "")
        if value.lower() in {"true", "1"}:
            raise DisabledError(f"{where}: app setting {setting} is {value}")
    trigger = declared.get_trigger().get_dict_repr()
    kind = trigger["type"]
    for binding in declared.get_bindings_dict()["bindings"]:
        if binding["type"] not in TRIGGERS or binding != trigger:
            raise ConfigurationError(
                f"{where}: binding {binding['name']}: {binding['type']} is not supported; "
                f"this host runs {' and '.join(TRIGGERS)} alone"
            )
    if kind == "queueTrigger" and trigger.get("dataType") != azf.DataType.BINARY:
        raise ConfigurationError(
            f"{where}: the queue trigger has no data_type=func.DataType.BINARY; without it Azure "
            "copies members of the body, such as id, over the metadata of the message"
        )
    call = declared.get_user_function()
    _check_signature(call, trigger["name"], kind, where)
    return Function(name, call, TRIGGERS[kind](trigger, environ, where))


def _check_signature(call: Callable[..., Any], parameter: str, kind: str, where: str) -> None:
    """Raise ConfigurationError unless the trigger can fill the parameters of an async function."""
    if not inspect.iscoroutinefunction(call):
        raise ConfigurationError(f"{where}: is not async; this host runs async functions alone")
    parameters = list(inspect.signature(call).parameters)
    if parameters != [parameter]:
        raise ConfigurationError(
            f"{where}: its parameters are ({', '.join(parameters)}), but the trigger fills "
            f"({parameter})"
        )
    annotation = typing.get_type_hints(call).get(parameter)
    if annotation is not None and not accepts(kind, annotation):
        raise ConfigurationError(
            f"{where}: parameter {parameter}: {annotation!r} does not fit a {kind}"
        )


def _queue_trigger(
    binding: Mapping[str, Any], environ: Mapping[str, str], where: str
) -> QueueTrigger:
    queue = expand(binding["queueName"], environ, f"{where}: queue_name").lower()
    if not QUEUE_NAME.fullmatch(queue):
        raise DisabledError(
            f"{where}: queue_name: {queue}: must be 3 to 63 letters, digits and single hyphens, "
            "none at the ends"
        )
    return QueueTrigger(queue, binding.get("connection") or "")


def _timer_trigger(
    binding: Mapping[str, Any], environ: Mapping[str, str], where: str
) -> TimerTrigger:
    expression = expand(binding["schedule"], environ, f"{where}: schedule")
    try:
        schedule = Schedule(expression)
    except ValueError as exc:
        raise DisabledError(f"{where}: schedule: {expression}: {exc}") from exc
    return TimerTrigger(schedule, expression, bool(binding.get("runOnStartup")))


TRIGGERS: dict[str, Callable[..., QueueTrigger | TimerTrigger]] = {
    "queueTrigger": _queue_trigger,
    "timerTrigger": _timer_trigger,
}
