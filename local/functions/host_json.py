"""The part of host.json that a queue trigger obeys, checked, with Azure's defaults."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.functions.dotnet import parse_integer, parse_json, parse_time_span
from local.functions.errors import ConfigurationError
from local.functions.waiting import MINIMUM_INTERVAL

__all__ = ["QueueOptions", "read", "read_document"]

HOST_JSON = "host.json"
SECTION = "extensions.queues"
# https://learn.microsoft.com/azure/azure-functions/functions-host-json#override-hostjson-values
SETTING = "AzureFunctionsJobHost__extensions__queues__"
MAX_BATCH_SIZE = 32  # Messages in one answer of the Queue service.
MAX_VISIBILITY_TIMEOUT = 7 * 24 * 3600  # Seconds; Put and Update Message of the Queue service.
TIME_SPAN = "a time span hh:mm:ss"


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
    replaced = _by_member(_replaced(environ or {}), SETTING)
    if not file.exists():
        return _queue_options(replaced, SETTING)
    where = f"{file}: {SECTION}"
    section: Any = read_document(file)
    for name in SECTION.split("."):
        section = next((value for key, value in section.items() if key.lower() == name), {})
        if not isinstance(section, dict):
            raise ConfigurationError(f"{file}: {name}: must be an object")
    return _queue_options({**_by_member(section, f"{where}."), **replaced}, f"{where}.")


def read_document(file: Path) -> dict[str, Any]:
    """The whole of host.json, with comments and trailing commas. Raises ConfigurationError."""
    try:
        document = parse_json(file.read_text("utf-8-sig"))
    except ValueError as exc:
        raise ConfigurationError(f"{file}: not JSON: {exc}") from exc
    if not isinstance(document, dict) or document.get("version") != "2.0":
        raise ConfigurationError(f'{file}: must be an object with "version": "2.0"')
    return document


def _replaced(environ: Mapping[str, str]) -> dict[str, object]:
    """The members that app settings give."""
    return {
        name.removeprefix(SETTING): value
        for name, value in environ.items()
        if name.startswith(SETTING)
    }


def _by_member(section: Mapping[str, object], where: str) -> dict[str, object]:
    """The values by the names in MEMBERS. .NET compares names without case.

    Azure ignores a name that it does not know; a misspelt name is better told.
    """
    known = {name.lower(): name for name in MEMBERS}
    values: dict[str, object] = {}
    for given, value in section.items():
        name = known.get(given.lower())
        if name is None:
            raise ConfigurationError(f"{where}{given}: unknown; known are {', '.join(MEMBERS)}")
        if name in values:
            raise ConfigurationError(f"{where}{given}: {name} is given twice")
        values[name] = value
    return values


def _queue_options(section: Mapping[str, object], where: str) -> QueueOptions:
    """Check the values."""
    values: dict[str, Any] = {}
    for name, value in section.items():
        field, parse, limit = MEMBERS[name]
        parsed = parse(value)
        if parsed is None:
            raise ConfigurationError(
                f"{where}{name}: {json.dumps(value)}{_reading(name, value)}: must be {limit}"
            )
        values[field] = parsed
    # Half a batch for each processor; one processor here, so that every machine does the same.
    values.setdefault("new_batch_threshold", values.get("batch_size", QueueOptions.batch_size) // 2)
    return QueueOptions(**values)


def _reading(name: str, value: object) -> str:
    """What .NET makes of a time span, where that may surprise."""
    span = parse_time_span(value) if MEMBERS[name][2].startswith(TIME_SPAN) else None
    return "" if span is None or span.days < 1 else f", which .NET reads as {span}"


def _integer(minimum: int, maximum: int | None = None) -> Callable[[object], int | None]:
    """A parser of integers within limits, None for anything else."""

    def parse(value: object) -> int | None:
        number = parse_integer(value)
        if number is None or number < minimum or (maximum is not None and number > maximum):
            return None
        return number

    return parse


def _seconds(minimum: float, maximum: float | None = None) -> Callable[[object], float | None]:
    """A parser of time spans within limits in seconds."""

    def parse(value: object) -> float | None:
        span = parse_time_span(value)
        if span is None:
            return None
        total = span.total_seconds()
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
        f"{TIME_SPAN} from 00:00:00.1",
    ),
    "visibilityTimeout": (
        "visibility_timeout",
        _seconds(0, MAX_VISIBILITY_TIMEOUT),
        f"{TIME_SPAN} up to 7.00:00:00",
    ),
    "maxDequeueCount": ("max_dequeue_count", _integer(1), "an integer from 1"),
    "messageEncoding": ("message_encoding", _encoding, '"base64" or "none"'),
}
