"""Convert a stored message or a tick to the argument of a function.

The last step is azure-functions' own converters, as in the Python worker. Every trigger here has
data_type BINARY, so the host passes the body on as it is and leaves the metadata alone.
Sources: QueueTriggerBinding of the Storage.Queues extension; GrpcMessageConversionExtensions of
the Functions host.
"""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from typing import Any

from azure.functions import meta
from azure.storage.queue import QueueMessage

__all__ = ["accepts", "decode", "queue_argument", "timer_argument"]

NEVER = datetime.max.replace(tzinfo=UTC)  # When a message without an end expires.

_meta: Any = meta  # Its functions carry no annotations.
_converters: Any = _meta.get_binding_registry()


def accepts(kind: str, annotation: object) -> bool:
    """Say whether the converter of trigger `kind` makes what a parameter is annotated with."""
    return isinstance(annotation, type) and bool(
        _converters.get(kind).check_input_type_annotation(annotation)
    )


def decode(text: str, encoding: str) -> bytes:
    """Return the body that a message stands for. Raises ValueError."""
    if encoding == "none":
        return text.encode()
    # .NET skips this white space alone.
    return base64.b64decode(re.sub("[ \t\r\n]", "", text), validate=True)


def queue_argument(message: QueueMessage, body: bytes) -> Any:
    """Return the QueueMessage for a function."""
    metadata = {
        "DequeueCount": _meta.Datum(str(message.dequeue_count), "json"),
        "ExpirationTime": _time(message.expires_on),
        "Id": _meta.Datum(message.id, "string"),
        "InsertionTime": _time(message.inserted_on),
        "NextVisibleTime": _time(message.next_visible_on),
        "PopReceipt": _meta.Datum(message.pop_receipt, "string"),
    }
    data = _meta.Datum(body, "bytes")
    return _converters.get("queueTrigger").decode(data, trigger_metadata=metadata)


def timer_argument() -> Any:
    """Return the TimerRequest for a function.

    Azure marks a run as past due at the start alone, when it finds in its storage that a tick was
    missed; nothing is stored here, so no run is.
    """
    timer = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": None, "IsPastDue": False}
    data = _meta.Datum(json.dumps(timer), "json")
    return _converters.get("timerTrigger").decode(data, trigger_metadata=None)


def _time(moment: datetime | None) -> Any:
    """Return a time as the host sends it: JSON, hence in quotation marks."""
    return _meta.Datum(json.dumps((moment or NEVER).astimezone(UTC).isoformat()), "json")
