"""From a stored message or a tick to the argument a function gets.

The last step is azure-functions' own converters, as in the Python worker. Every trigger here has
data_type BINARY, so the host passes the body on as it is and leaves the metadata alone.
Sources: QueueTriggerBinding of the Storage.Queues extension; GrpcMessageConversionExtensions of
the Functions host.
"""

from __future__ import annotations

import base64
import binascii
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from azure.functions import meta

if TYPE_CHECKING:
    from local.functions.queue_storage import Message

__all__ = ["UndecodableError", "accepts", "decode", "queue_argument", "timer_argument"]

_meta: Any = meta  # Its functions carry no annotations.
_converters: Any = _meta.get_binding_registry()


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


def queue_argument(message: Message, body: bytes, *, plain: bool) -> Any:
    """The QueueMessage for a function, or the body alone."""
    data = _meta.Datum(body, "bytes")
    return (
        data.value
        if plain
        else _converters.get("queueTrigger").decode(data, trigger_metadata=_metadata(message))
    )


def timer_argument(*, past_due: bool) -> Any:
    """The TimerRequest for a function; no schedule status is kept."""
    timer = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": None, "IsPastDue": past_due}
    data = _meta.Datum(json.dumps(timer), "json")
    return _converters.get("timerTrigger").decode(data, trigger_metadata=None)


def _metadata(message: Message) -> dict[str, Any]:
    """What the extension says about a message."""
    return {
        "DequeueCount": _meta.Datum(str(message.dequeue_count), "json"),
        "ExpirationTime": _time(message.expires_on),
        "Id": _meta.Datum(message.id, "string"),
        "InsertionTime": _time(message.inserted_on),
        "NextVisibleTime": _time(message.next_visible_on),
        "PopReceipt": _meta.Datum(message.pop_receipt, "string"),
    }


def _time(moment: datetime) -> Any:
    """A time as the host sends it: JSON, hence in quotation marks."""
    return _meta.Datum(json.dumps(moment.astimezone(UTC).isoformat()), "json")
