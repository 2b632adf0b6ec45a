"""App settings: the environment first, then local.settings.json, as Core Tools reads them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from local.functions.errors import ConfigurationError

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
    if not isinstance(document, dict) or not isinstance(document.get("Values", {}), dict):
        raise ConfigurationError(f"{file}: must be an object whose member Values is an object")
    if document.get("IsEncrypted"):
        raise ConfigurationError(
            f"{file}: IsEncrypted: true: only Core Tools can read it (func settings decrypt)"
        )
    for name, value in document.get("Values", {}).items():
        environ.setdefault(name, _text(value, f"{file}: Values.{name}"))


def expand(text: str, environ: Mapping[str, str], where: str) -> str:
    """`text` with each %NAME% replaced by that setting. Raises ConfigurationError."""

    def setting(reference: re.Match[str]) -> str:
        value = environ.get(reference[1])
        if not value:
            raise ConfigurationError(f"{where}: {text}: app setting {reference[1]} is missing")
        return value

    return REFERENCE.sub(setting, text)


def _text(value: object, where: str) -> str:
    """A setting is text; a bare number or boolean is taken as written."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise ConfigurationError(f"{where}: {json.dumps(value)}: must be a string")
