"""From a stored message or a tick to the argument a function gets.

The last step is azure-functions' own converters, as in the Python worker. Before it the host has
its say: it reads a body that is a JSON object and puts its members over the message's metadata.
Sources: QueueTriggerBinding of the Storage.Queues extension; Utility.ApplyBindingData and
GrpcMessageConversionExtensions of the Functions host.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from azure.functions import meta

if TYPE_CHECKING:
    from local.functions.queue_storage import Message

__all__ = ["UndecodableError", "accepts", "decode", "queue_argument", "timer_argument"]

_meta: Any = meta  # Its functions carry no annotations.
_converters: Any = _meta.get_binding_registry()

# What the host's JSON reader (Json.NET) takes for a date.
DATE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,7})?(?:Z|[+-]\d\d(?::?\d\d)?)?", re.ASCII
)
NET_DATE = "%m/%d/%Y %H:%M:%S"  # How .NET writes it down again; the offset gets lost.


class UndecodableError(ValueError):
    """The body is not in the encoding that host.json names."""


def accepts(kind: str, annotation: object) -> bool:
    """Whether the converter of trigger `kind` makes what a parameter is annotated with."""
    return isinstance(annotation, type) and bool(
        _converters.get(kind).check_input_type_annotation(annotation)
    )


def decode(text: str, encoding: str) -> bytes:
    """The body that a message stands for. Raises UndecodableError."""
    if encoding == "none":
        return text.encode()
    try:
        # White space is skipped as .NET does; all else must be base64.
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise UndecodableError(str(exc)) from exc


def queue_argument(message: Message, body: bytes, *, binary: bool, plain: bool) -> Any:
    """The QueueMessage for a function, or the body alone. Raises ValueError for a bad member."""
    metadata = _built_in(message)
    if binary:
        data = _meta.Datum(body, "bytes")
    else:
        text = body.decode()
        data = _meta.Datum(text, "string")
        metadata["QueueTrigger"] = data
        _overwrite(metadata, text)
    return (
        data.value
        if plain
        else _converters.get("queueTrigger").decode(data, trigger_metadata=metadata)
    )


def timer_argument(*, past_due: bool) -> Any:
    """The TimerRequest for a function; no schedule status is kept."""
    timer = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": None, "IsPastDue": past_due}
    data = _meta.Datum(json.dumps(timer), "json")
    return _converters.get("timerTrigger").decode(data, trigger_metadata=None)


def _built_in(message: Message) -> dict[str, Any]:
    """What the extension itself says about a message."""
    return {
        "DequeueCount": _meta.Datum(str(message.dequeue_count), "json"),
        "ExpirationTime": _time(message.expires_on),
        "Id": _meta.Datum(message.id, "string"),
        "InsertionTime": _time(message.inserted_on),
        "NextVisibleTime": _time(message.next_visible_on),
        "PopReceipt": _meta.Datum(message.pop_receipt, "string"),
    }


def _overwrite(metadata: dict[str, Any], text: str) -> None:
    """Put the members of a JSON object over the metadata of the same name, whatever its case."""
    stripped = text.strip()
    if not (stripped.startswith("{") and stripped.endswith("}")):
        return
    try:
        members = json.loads(stripped)
    except (ValueError, RecursionError):
        return
    names = {name.lower(): name for name in metadata}
    for member, value in members.items():
        if value is not None and not isinstance(value, list):
            metadata[names.setdefault(member.lower(), member)] = _member(value)


def _member(value: object) -> Any:
    """An object travels as JSON, everything else as the text .NET makes of it."""
    if isinstance(value, dict):
        return _meta.Datum(json.dumps(value), "json")
    if isinstance(value, str) and DATE.fullmatch(value):
        with contextlib.suppress(ValueError):  # 31 February stays text.
            moment = datetime.fromisoformat(value)
            utc = moment.astimezone(UTC) if moment.tzinfo else moment
            value = utc.strftime(NET_DATE)
    return _meta.Datum(str(value), "string")


def _time(moment: datetime) -> Any:
    """A time as the host sends it: JSON, hence in quotation marks."""
    return _meta.Datum(json.dumps(moment.astimezone(UTC).isoformat()), "json")
