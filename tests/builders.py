"""What the tests of the product share: a moment, an address, messages and points."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.messages.parser import Address, Parsed, parse
from shared.model import Lane, Point, Series, Window, utc_text

__all__ = [
    "ADDRESS",
    "DEFAULTS",
    "LANE",
    "NOW",
    "REGION",
    "RESOURCE",
    "SEED",
    "WINDOW",
    "as_base64",
    "at",
    "document",
    "message",
    "point",
    "read",
]

NOW = datetime(2026, 11, 23, 7, 25, 30, tzinfo=UTC)
GROUP = "/subscriptions/5b2f8c1d-1111-4222-8333-944455566677/resourceGroups/orders"
RESOURCE = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/ordersqueues"
REGION = "westeurope"
LANE = Lane(REGION, RESOURCE)
WINDOW = Window(timedelta(minutes=20), timedelta(minutes=4))
# Nothing is configured but the namespace, which always has a default.
DEFAULTS = Address("QueueProcessing")
ADDRESS = {"resourceId": RESOURCE, "region": REGION}

# The document of "Send custom metrics for an Azure resource to the Azure Monitor metrics store by
# using a REST API", as it stands there.
SEED = """
    { 
        "time": "2023-01-03T11:00:20", 
        "data": { 
            "baseData": { 
                "metric": "QueueDepth", 
                "namespace": "QueueProcessing", 
                "dimNames": [ 
                  "QueueName", 
                  "MessageType" 
                ], 
                "series": [ 
                  { 
                    "dimValues": [ 
                      "ImagesToProcess", 
                      "JPEG" 
                    ], 
                    "min": 3, 
                    "max": 20, 
                    "sum": 28, 
                    "count": 3 
                  } 
                ] 
            } 
        } 
    } 
"""  # noqa: W291 (it has spaces at the ends of its lines)


def at(seconds: float = 0) -> str:
    """NOW plus an offset, as a producer writes it."""
    return utc_text(NOW + timedelta(seconds=seconds))


def message(*points: Any, **members: Any) -> dict[str, Any]:
    """A message of points with an address; a member that is None is left out."""
    whole = {**ADDRESS, **members, "points": list(points)}
    return {name: value for name, value in whole.items() if value is not None}


def document(*series: Any, base: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    """A document of the ingestion API with an address; a member that is None is left out."""
    base_data = {"metric": "QueueDepth", "dimNames": ["QueueName"], "series": list(series)}
    base_data |= base or {}
    whole = {**ADDRESS, "time": at(), "data": {"baseData": base_data}, **members}
    return {name: value for name, value in whole.items() if value is not None}


def as_base64(body: bytes) -> bytes:
    """The body as most SDKs of Azure once sent it."""
    return base64.b64encode(body)


def read(body: Any, *, defaults: Address = DEFAULTS, enqueued: datetime = NOW) -> Parsed:
    """Parse a body at NOW: bytes or text as they are, anything else as JSON."""
    if isinstance(body, str):
        body = body.encode()
    elif not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return parse(body, enqueued=enqueued, now=NOW, defaults=defaults, window=WINDOW)


def point(value: float = 1.0, metric: str = "QueueDepth", **changes: Any) -> Point:
    """A point of one value, unless min, max, sum and count say otherwise."""
    series = Series.of(
        changes.pop("namespace", "QueueProcessing"), metric, changes.pop("dimensions", ())
    )
    members: dict[str, Any] = {
        "lane": LANE,
        "time": NOW,
        "min": value,
        "max": value,
        "sum": value,
        "count": 1,
        **changes,
    }
    return Point(series=series, **members)
