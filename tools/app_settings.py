"""The app settings that a command uses: from a file and from the environment."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from shared.errors import ConfigurationError

__all__ = [
    "LOCAL_SETTINGS",
    "SettingsFile",
    "read_app_settings",
    "read_settings_file",
    "settings_option",
]

Command = TypeVar("Command", bound=Callable[..., Any])

LOCAL_SETTINGS = Path("local.settings.json")
# What an environment variable cannot hold.
_NOT_IN_ENVIRONMENT = re.compile("[\0\ud800-\udfff]")


class SettingsFile(NamedTuple):
    """A file of app settings."""

    path: Path
    values: dict[str, str]
    is_list: bool  # As `az` prints it.


def read_app_settings(
    file: SettingsFile | None, environ: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return the settings of a file over those of the environment.

    Without a file, the environment goes over local.settings.json in the current folder, if that
    exists. Raises ConfigurationError if that cannot be read.
    """
    if file is not None:
        return {**environ, **file.values}
    local = read_settings_file(LOCAL_SETTINGS).values if LOCAL_SETTINGS.exists() else {}
    return {**local, **environ}


def settings_option(command: Command) -> Command:
    """Add --settings FILE to a command, which gets a `settings_file`."""
    return click.option(
        "--settings",
        "settings_file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        # Once, as it may be a pipe.
        callback=lambda _, __, path: None if path is None else read_settings_file(path),
        help="App settings: a local.settings.json, or the output of `az functionapp config "
        "appsettings list`.  [default: the environment, then local.settings.json]",
    )(command)


def read_settings_file(file: Path) -> SettingsFile:
    """Read a local.settings.json, or what `az functionapp config appsettings list` prints.

    Raises ConfigurationError.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
        is_list = isinstance(content, list)
        if is_list:
            found = {one["name"]: one["value"] for one in content}
        elif content.get("IsEncrypted"):
            raise ConfigurationError(f"{file} is encrypted; run `func settings decrypt`")
        else:
            found = dict(content["Values"])
        values = {name: _value(file, name, value) for name, value in found.items()}
    except OSError as exc:
        raise ConfigurationError(f"{file} cannot be read: {exc.strerror}") from exc
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise ConfigurationError(
            f"{file} does not hold app settings: expected a local.settings.json, or the output of "
            "`az functionapp config appsettings list`"
        ) from exc
    return SettingsFile(file, values, is_list)


def _value(file: Path, name: str, value: Any) -> str:
    """Return the value of a setting. Raises ConfigurationError, or TypeError for no value."""
    if value is None:
        raise ConfigurationError(
            f"{file} has no value for {name}; `az functionapp config appsettings list` prints "
            "values, `set` hides them"
        )
    if not isinstance(value, str | int | float):
        raise TypeError(name)
    text = str(value)
    if not name or "=" in name or _NOT_IN_ENVIRONMENT.search(name + text):
        raise ConfigurationError(
            f"{file}: {name!a} is not valid: name or value cannot be in the environment"
        )
    return text
