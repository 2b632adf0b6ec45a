"""Dead letters for the explorer: the first messages of the queue, left where they are.

GET /_local/dead_letters
    {"queue": name or null, "deadLetters": [{"time", "reason", "detail"}], "error"?}: one entry for
    each rejected part of a message; at most 32 messages, as a queue shows no more.
    `queue` is null if the emulator was started without --dead-letters.
"""

from __future__ import annotations

from typing import Any

import msgspec
from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.queue import QueueClient
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from .answers import json, only
from .state import MonitorState

__all__ = ["routes"]

_MAX_PEEKED = 32  # Messages; the queue service's limit.


def routes(state: MonitorState) -> list[BaseRoute]:
    """Return the route of the tab of dead letters."""
    options = state.options
    queue, storage = options.dead_letters, options.storage

    async def dead_letters(request: Request) -> Response:
        only(request, set())
        if queue is None or storage is None:
            return json({"queue": None, "deadLetters": []})
        try:
            found = await run_in_threadpool(_peek, storage, queue)
        except AzureError:
            error = f"The queue {queue} cannot be read: the storage service does not answer."
            return json({"queue": queue, "deadLetters": [], "error": error})
        return json({"queue": queue, "deadLetters": found})

    return [Route("/_local/dead_letters", dead_letters, methods=["GET"])]


def _peek(storage: str, queue: str) -> list[dict[str, Any]]:
    """Return the rejected parts, newest first. Raises AzureError."""
    with QueueClient.from_connection_string(storage, queue, retry_total=0) as client:
        try:
            messages = client.peek_messages(_MAX_PEEKED)
        except ResourceNotFoundError:  # Nothing was dead-lettered yet.
            return []
    found: list[dict[str, Any]] = []
    for message in reversed(messages):
        time = message.inserted_on.isoformat() if message.inserted_on else ""
        found += [{"time": time, **entry} for entry in _entries(message.content)]
    return found


def _entries(content: str) -> list[dict[str, str]]:
    """Return reason and detail of each rejected part."""
    try:
        dead_letter = msgspec.json.decode(content)
        reason = str(dead_letter["reason"])
        refused = [str(each["detail"]) for each in dead_letter.get("refused") or []]
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
        return [{"reason": "unknown", "detail": "The message is not a dead letter."}]
    details = refused or [str(dead_letter.get("detail", ""))]
    return [{"reason": reason, "detail": detail} for detail in details]
