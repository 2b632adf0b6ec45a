"""The app settings that a command uses: from a file and from the environment."""

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
    """Return the settings of a file over those of the environment.

    The file is a local.settings.json, or what `az functionapp config appsettings list` prints.
    Without one, the environment goes over local.settings.json in the current folder, if that
    exists. Raises ConfigurationError if the file cannot be read.
    """
    if file is not None:
        return {**environ, **_read(file)}
    return {**(_read(LOCAL_SETTINGS) if LOCAL_SETTINGS.exists() else {}), **environ}


def settings_option(command: Command) -> Command:
    """Add --settings FILE to a command, for `read_app_settings`."""
    return click.option(
        "--settings",
        "settings_file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="App settings: a local.settings.json, or the output of `az functionapp config "
        "appsettings list`.  [default: the environment, then local.settings.json]",
    )(command)


def _read(file: Path) -> dict[str, str]:
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
        if isinstance(content, list):
            values = {one["name"]: one["value"] for one in content}
        elif content.get("IsEncrypted"):
            raise ConfigurationError(f"{file} is encrypted; run `func settings decrypt`")
        else:
            values = {name: str(value) for name, value in content["Values"].items()}
    except OSError as exc:
        raise ConfigurationError(f"{file} cannot be read: {exc.strerror}") from exc
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ConfigurationError(
            f"{file} does not hold app settings: expected a local.settings.json, or the output of "
            "`az functionapp config appsettings list`"
        ) from exc
    for name, value in values.items():
        if value is None:
            raise ConfigurationError(
                f"{file} has no value for {name}: use the output of `az functionapp config "
                "appsettings list`; `set` hides the values"
            )
    return values
