"""The part of host.json that a queue trigger obeys, checked, with Azure's defaults."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.functions.errors import ConfigurationError
from local.functions.waiting import MINIMUM_INTERVAL

__all__ = ["QueueOptions", "read"]

HOST_JSON = "host.json"
SECTION = "extensions.queues"
# https://learn.microsoft.com/azure/azure-functions/functions-host-json#override-hostjson-values
SETTING = "AzureFunctionsJobHost__extensions__queues__"
MAX_BATCH_SIZE = 32  # Messages in one answer of the Queue service.
MAX_VISIBILITY_TIMEOUT = 7 * 24 * 3600  # Seconds; Put and Update Message of the Queue service.
TIME_SPAN = re.compile(r"(?:(\d{1,3})\.)?(\d{1,2}):([0-5]?\d)(?::([0-5]?\d(?:\.\d{1,7})?))?")


@dataclass(frozen=True, kw_only=True)
class QueueOptions:
    """`extensions.queues`; defaults from QueuesOptions of the Storage.Queues extension, seconds."""

    batch_size: int = 16
    new_batch_threshold: int = 8
    max_polling_interval: float = 60.0
    visibility_timeout: float = 0.0
    max_dequeue_count: int = 5
    message_encoding: str = "base64"


def read(app: Path, environ: Mapping[str, str] | None = None) -> QueueOptions:
    """The options in `app`/host.json, or in the app settings that replace single ones.

    All are defaults without the file. Raises ConfigurationError.
    """
    file = app / HOST_JSON
    replaced = _replaced(environ or {})
    if not file.exists():
        return _queue_options(replaced, SETTING)
    try:
        document = json.loads(file.read_bytes())
    except ValueError as exc:
        raise ConfigurationError(f"{file}: not JSON: {exc}") from exc
    if not isinstance(document, dict) or document.get("version") != "2.0":
        raise ConfigurationError(f'{file}: must be an object with "version": "2.0"')
    section: Any = document
    for name in SECTION.split("."):
        section = section.get(name, {})
        if not isinstance(section, dict):
            raise ConfigurationError(f"{file}: {name}: must be an object")
    return _queue_options({**section, **replaced}, f"{file}: {SECTION}")


def _replaced(environ: Mapping[str, str]) -> dict[str, object]:
    """The members that app settings give, numbers as such."""
    given = {
        name.removeprefix(SETTING): value
        for name, value in environ.items()
        if name.startswith(SETTING)
    }
    return {name: int(value) if value.isdigit() else value for name, value in given.items()}


def _queue_options(section: dict[str, object], where: str) -> QueueOptions:
    """Azure ignores a name it does not know; a typing error is better told."""
    values: dict[str, Any] = {}
    for name, value in section.items():
        if name not in MEMBERS:
            raise ConfigurationError(f"{where}.{name}: unknown; known are {', '.join(MEMBERS)}")
        field, parse, limit = MEMBERS[name]
        parsed = parse(value)
        if parsed is None:
            raise ConfigurationError(f"{where}.{name}: {json.dumps(value)}: must be {limit}")
        values[field] = parsed
    # Half a batch for each processor; one processor here, so that every machine does the same.
    values.setdefault("new_batch_threshold", values.get("batch_size", QueueOptions.batch_size) // 2)
    return QueueOptions(**values)


def _integer(minimum: int, maximum: int | None = None) -> Callable[[object], int | None]:
    """A parser of integers within limits, None for anything else."""

    def parse(value: object) -> int | None:
        if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
            return None
        return value if maximum is None or value <= maximum else None

    return parse


def _seconds(minimum: float, maximum: float | None = None) -> Callable[[object], float | None]:
    """A parser of .NET time spans, [days.]hours:minutes[:seconds], within limits in seconds."""

    def parse(value: object) -> float | None:
        written = TIME_SPAN.fullmatch(value) if isinstance(value, str) else None
        if written is None or int(written[2]) > 23:
            return None
        days, hours, minutes, seconds = (float(part or 0) for part in written.groups())
        total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
        return total if minimum <= total and (maximum is None or total <= maximum) else None

    return parse


def _encoding(value: object) -> str | None:
    """The name in lower case; .NET compares the names of an enumeration without case."""
    name = value.lower() if isinstance(value, str) else None
    return name if name in {"base64", "none"} else None


# Name in host.json -> field, parser, what it may be.
MEMBERS: dict[str, tuple[str, Callable[[object], object], str]] = {
    "batchSize": (
        "batch_size",
        _integer(1, MAX_BATCH_SIZE),
        f"an integer from 1 to {MAX_BATCH_SIZE}",
    ),
    "newBatchThreshold": ("new_batch_threshold", _integer(0), "an integer from 0"),
    "maxPollingInterval": (
        "max_polling_interval",
        _seconds(MINIMUM_INTERVAL),
        "a time span hh:mm:ss from 00:00:00.1",
    ),
    "visibilityTimeout": (
        "visibility_timeout",
        _seconds(0, MAX_VISIBILITY_TIMEOUT),
        "a time span hh:mm:ss up to 7.00:00:00",
    ),
    "maxDequeueCount": ("max_dequeue_count", _integer(1), "an integer from 1"),
    "messageEncoding": ("message_encoding", _encoding, '"base64" or "none"'),
}
