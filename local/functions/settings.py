"""Read app settings as Core Tools does: the environment first, then local.settings.json."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from local.functions.errors import ConfigurationError, DisabledError

__all__ = ["expand", "load"]

LOCAL_SETTINGS = "local.settings.json"
REFERENCE = re.compile(r"%([^%]+)%")


def load(app: Path, environ: MutableMapping[str, str]) -> None:
    """Add the file's Values to `environ`, where they are missing. Raises ConfigurationError."""
    file = app / LOCAL_SETTINGS
    if not file.exists():
        return
    try:
        document = json.loads(file.read_bytes())
    except ValueError as exc:
        raise ConfigurationError(f"{file}: not JSON: {exc}") from exc
    values = document.get("Values", {}) if isinstance(document, dict) else None
    if not isinstance(values, dict):
        raise ConfigurationError(f"{file}: must be an object whose member Values is an object")
    if document.get("IsEncrypted"):
        raise ConfigurationError(
            f"{file}: IsEncrypted: true: only Core Tools can read it (func settings decrypt)"
        )
    for name, value in values.items():
        text = value if isinstance(value, str) else json.dumps(value)
        if not isinstance(value, str | int | float):  # A bare number is taken as it is written.
            raise ConfigurationError(f"{file}: Values.{name}: {text}: must be a string")
        environ.setdefault(name, text)


def expand(text: str, environ: Mapping[str, str], where: str) -> str:
    """Replace each %NAME% of a text by that setting. Raises DisabledError."""

    def setting(reference: re.Match[str]) -> str:
        value = environ.get(reference[1])
        if not value:
            raise DisabledError(f"{where}: {text}: app setting {reference[1]} is missing")
        return value

    return REFERENCE.sub(setting, text)
