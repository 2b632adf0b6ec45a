"""Message bodies for tests, as producers write them, and what a parser makes of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from shared.messages.parser import MessageParser, Parsed
from shared.messages.validation import Defaults
from shared.model import Aggregates, Rollup, Target, TimeWindow
from shared.text import utc_text
from tests.unit.rollups import NOW, REGION, RESOURCE

__all__ = [
    "DEFAULTS",
    "SERIES",
    "TARGET_MEMBERS",
    "TEN_DIMENSIONS",
    "WINDOW",
    "aggregated",
    "at",
    "document",
    "encode",
    "message",
    "parse",
    "point",
    "without_none",
]

WINDOW = TimeWindow(past=timedelta(minutes=20), future=timedelta(minutes=4))
# Only the namespace has a default that is always set.
DEFAULTS = Defaults("n")
TARGET_MEMBERS = {"resourceId": RESOURCE, "region": REGION}
TEN_DIMENSIONS = {f"D{number}": "x" for number in range(10)}
# A series of a document.
SERIES = {"dimValues": ["orders"], "min": 1, "max": 3, "sum": 4, "count": 2}


def at(seconds: float = 0) -> str:
    """Return a time after NOW in ISO 8601."""
    return utc_text(NOW + timedelta(seconds=seconds))


def point(**members: Any) -> dict[str, Any]:
    """Return a point; a member that is None is left out."""
    return without_none({"metric": "m", "value": 1, **members})


def message(*points: Any, **members: Any) -> dict[str, Any]:
    """Return a message of points with a target; a member that is None is left out."""
    return without_none({**TARGET_MEMBERS, **members, "points": list(points)})


def document(*series: Any, base: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    """Return a document of the ingestion API with a target; a member that is None is left out."""
    base_data = {"metric": "m", "dimNames": ["Queue"], "series": list(series), **(base or {})}
    whole = {**TARGET_MEMBERS, "time": at(), "data": {"baseData": base_data}, **members}
    return without_none(whole)


def without_none(members: dict[str, Any]) -> dict[str, Any]:
    """Return the members that are not None."""
    return {name: value for name, value in members.items() if value is not None}


def encode(body: Any) -> bytes:
    """Return bytes as they are, text in UTF-8, anything else as JSON."""
    if isinstance(body, bytes):
        return body
    return (body if isinstance(body, str) else json.dumps(body)).encode()


def parse(
    body: Any,
    *,
    defaults: Defaults = DEFAULTS,
    enqueued: datetime = NOW,
    parser: type[MessageParser] = MessageParser,
) -> Parsed:
    """Parse a body at NOW with a new parser."""
    return parser(defaults, WINDOW).parse(encode(body), enqueued=enqueued, now=NOW)


def aggregated(rollups: Iterable[Rollup]) -> dict[Target, Aggregates]:
    """Return the value sets of roll-ups without overflow, by target."""
    return {rollup.target: rollup.aggregate() for rollup in rollups}
