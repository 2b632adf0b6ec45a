"""The app settings that a command uses: from a file and from the environment."""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click
import msgspec

from shared.errors import ConfigurationError

__all__ = [
    "LOCAL_SETTINGS",
    "RUN_SETTINGS",
    "SettingsFile",
    "read_app_settings",
    "read_settings_file",
    "settings_option",
]

Command = TypeVar("Command", bound=Callable[..., Any])

LOCAL_SETTINGS = Path("local.settings.json")
# Of `make run`, while it runs.
RUN_SETTINGS = Path(".local/run.settings.json")


class _Listed(msgspec.Struct):
    name: str
    value: str | None


class _Local(msgspec.Struct, rename="pascal"):
    values: dict[str, str | int | float | bool | None]
    is_encrypted: bool = False


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
        text = file.read_bytes().removeprefix(codecs.BOM_UTF8)
        content: list[_Listed] | _Local = msgspec.json.decode(text, type=list[_Listed] | _Local)
    except OSError as exc:
        raise ConfigurationError(f"{file} cannot be read: {exc.strerror}") from exc
    except ValueError as exc:
        raise ConfigurationError(
            f"{file} does not hold app settings: expected a local.settings.json, or the output of "
            f"`az functionapp config appsettings list`: {exc}"
        ) from exc
    found: Mapping[str, object]
    if isinstance(content, list):
        found = {one.name: one.value for one in content}
    elif content.is_encrypted:
        raise ConfigurationError(f"{file} is encrypted; run `func settings decrypt`")
    else:
        found = content.values
    for name, value in found.items():
        if value is None:
            raise ConfigurationError(
                f"{file} has no value for {name}; `az functionapp config appsettings list` prints "
                "values, `set` hides them"
            )
    values = {name: str(value) for name, value in found.items()}
    return SettingsFile(file, values, isinstance(content, list))
