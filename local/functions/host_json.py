"""Read the part of host.json that a queue trigger obeys, as .NET does, with Azure's defaults.

.NET compares names without case and takes numbers as strings, comments and trailing commas.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from local.functions.errors import ConfigurationError

__all__ = ["QueueOptions", "parse_time_span", "read"]

HOST_JSON = "host.json"
SECTION = "extensions.queues"
# https://learn.microsoft.com/azure/azure-functions/functions-host-json#override-hostjson-values
SETTING = "AzureFunctionsJobHost__extensions__queues__"
MAX_BATCH_SIZE = 32  # Messages in one answer of the Queue service.
MAX_DAYS = 10_675_199  # Of a TimeSpan.
# What time spans may be. Sources: QueuesOptions of the Storage.Queues extension; Put Message.
TIME_SPANS = {
    "maxPollingInterval": (timedelta(milliseconds=100), timedelta(MAX_DAYS)),
    "visibilityTimeout": (timedelta(), timedelta(days=7)),
}
# A string, which stays; a comment; a comma before the end of an object or array.
COMMENT = re.compile(r'("(?:[^"\\]|\\.)*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
TRAILING_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])', re.DOTALL)
# [-][d.]hh:mm[:ss[.fffffff]], d:hh:mm:ss[.fffffff], or d. Source: "TimeSpan.Parse Method".
TIME_SPAN = re.compile(
    r"(?P<sign>-?)(?=\d)(?:(?P<days>\d{1,8})(?:\.(?=\d+:)|:(?=\d+:\d+:)|$))?"
    r"(?:(?P<hours>\d{1,8}):(?P<minutes>\d{1,8})"
    r"(?::(?P<seconds>\d{1,8})(?:\.(?P<fraction>\d{1,7}))?)?)?",
    re.ASCII,
)


class QueueOptions(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """Holds `extensions.queues`, times in seconds. Source of the defaults: QueuesOptions."""

    batch_size: Annotated[int, msgspec.Meta(ge=1, le=MAX_BATCH_SIZE)] = 16
    new_batch_threshold: Annotated[int, msgspec.Meta(ge=0)] = 8
    max_polling_interval: float = 60.0
    visibility_timeout: float = 0.0
    max_dequeue_count: Annotated[int, msgspec.Meta(ge=1)] = 5
    message_encoding: Literal["base64", "none"] = "base64"


NAMES = {
    field.encode_name.lower(): field.encode_name for field in msgspec.structs.fields(QueueOptions)
}


def read(app: Path, environ: Mapping[str, str]) -> QueueOptions:
    """Return the options in `app`/host.json, or in the app settings that replace single ones.

    All are defaults without the file. Azure ignores a name that it does not know; here it is an
    error. Raises ConfigurationError.
    """
    file = app / HOST_JSON
    section = _section(file) if file.exists() else {}
    replaced = {
        name[len(SETTING) :]: text
        for name, text in environ.items()
        if name.lower().startswith(SETTING.lower())
    }
    section |= replaced
    values: dict[str, Any] = {}
    try:
        for given, value in section.items():
            name = NAMES.get(given.lower(), given)
            values[name] = _seconds(name, value) if name in TIME_SPANS else value
        encoding = values.get("messageEncoding")
        if isinstance(encoding, str):
            values["messageEncoding"] = encoding.lower()
        options = msgspec.convert(values, QueueOptions, strict=False)
    except ValueError as exc:
        where = f" or an app setting {SETTING}*" if replaced else ""
        raise ConfigurationError(f"{file}: {SECTION}{where}: {exc}") from exc
    if "newBatchThreshold" in values:
        return options
    # Half a batch for each processor; one processor here, so that every machine does the same.
    return msgspec.structs.replace(options, new_batch_threshold=options.batch_size // 2)


def _section(file: Path) -> dict[str, Any]:
    """Return a copy of `extensions.queues`. Raises ConfigurationError."""
    try:
        document = _parse_json(file.read_text("utf-8-sig"))
    except ValueError as exc:
        raise ConfigurationError(f"{file}: not JSON: {exc}") from exc
    if not isinstance(document, dict) or document.get("version") != "2.0":
        raise ConfigurationError(f'{file}: must be an object with "version": "2.0"')
    section: Any = document
    for name in SECTION.split("."):
        section = next((value for key, value in section.items() if key.lower() == name), {})
        if not isinstance(section, dict):
            raise ConfigurationError(f"{file}: {name}: must be an object")
    return dict(section)


def _parse_json(text: str) -> Any:
    """Return the value of a text with comments and trailing commas. Raises ValueError."""
    for pattern in (COMMENT, TRAILING_COMMA):
        text = pattern.sub(lambda found: found[1] or " ", text)
    return json.loads(text)


def _seconds(name: str, value: object) -> float:
    """Return the seconds of a time span. Raises ValueError."""
    span = parse_time_span(value)
    if span is None:
        raise ValueError(f"{name}: {json.dumps(value)} is not a time span hh:mm:ss")
    least, most = TIME_SPANS[name]
    if not least <= span <= most:
        raise ValueError(
            f"{name}: {json.dumps(value)}, which .NET reads as {span}, "
            f"must be from {least} to {most}"
        )
    return span.total_seconds()


def parse_time_span(value: object) -> timedelta | None:
    """Return what TimeSpan.Parse makes of a text or number, None if it refuses.

    A number alone is in days. So is the first of three numbers if it is 24 or more: 24:00:00 is
    24 days, 23:00:00 are 23 hours.
    """
    text = str(value).strip() if isinstance(value, str | int) else ""
    match = TIME_SPAN.fullmatch(text)
    if match is None:
        return None
    days, hours, minutes, seconds = (
        int(match[name] or 0) for name in ("days", "hours", "minutes", "seconds")
    )
    if hours > 23 and match["seconds"] and not (match["days"] or match["fraction"]):
        days, hours, minutes, seconds = hours, minutes, seconds, 0
    if days > MAX_DAYS or hours > 23 or minutes > 59 or seconds > 59:
        return None
    microseconds = int((match["fraction"] or "").ljust(7, "0")) // 10
    span = timedelta(days, seconds, microseconds, minutes=minutes, hours=hours)
    return -span if match["sign"] else span
