"""The app settings that a command works with: of a file, and of the environment."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from shared.errors import ConfigurationError

__all__ = ["LOCAL_SETTINGS", "read_app_settings", "settings_option"]

Command = TypeVar("Command", bound=Callable[..., Any])

LOCAL_SETTINGS = Path("local.settings.json")


def read_app_settings(file: Path | None, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment with the settings of a file, which win where the file was asked for.

    Those of local.settings.json, where there is one and no other was asked for, give way to it.
    The file is a local.settings.json, or what `az functionapp config appsettings list` prints.
    Raises ConfigurationError where it cannot be read.
    """
    if file is not None:
        return {**environ, **_read(file)}
    return {**(_read(LOCAL_SETTINGS) if LOCAL_SETTINGS.exists() else {}), **environ}


def settings_option(command: Command) -> Command:
    """Add --settings FILE to a command; what it is called with is read by `read_app_settings`."""
    return click.option(
        "--settings",
        "settings_file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="App settings: a local.settings.json, or the output of `az functionapp config "
        "appsettings list`; it goes before the environment. Else the environment, and then "
        "local.settings.json here.",
    )(command)


def _read(file: Path) -> dict[str, str]:
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
        if isinstance(content, list):
            return {one["name"]: _shown(file, one["name"], one["value"]) for one in content}
        if content.get("IsEncrypted"):
            raise ConfigurationError(f"{file} is encrypted; `func settings decrypt` undoes that")
        return {name: str(value) for name, value in content["Values"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ConfigurationError(
            f"{file} cannot be read as app settings: {type(exc).__name__}: {exc}"
        ) from exc


def _shown(file: Path, name: str, value: str | None) -> str:
    """A value of az's. Raises ConfigurationError for one that it hides."""
    if value is None:
        raise ConfigurationError(
            f"{file} has no value of {name}: `az functionapp config appsettings list` shows them, "
            "what `set` prints does not"
        )
    return value
