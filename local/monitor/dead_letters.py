"""Show the first dead letters of a queue in the explorer, and leave them in the queue.

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


class _Rejected(msgspec.Struct):
    detail: str


class _DeadLetter(msgspec.Struct):
    reason: str
    detail: str = ""
    refused: list[_Rejected] = []


def routes(state: MonitorState) -> list[BaseRoute]:
    """Return the route of the tab of dead letters."""
    storage = state.options.storage
    queue = state.options.dead_letters if storage else None

    async def dead_letters(request: Request) -> Response:
        only(request, set())
        answer: dict[str, Any] = {"queue": queue, "deadLetters": []}
        if queue and storage:
            try:
                answer["deadLetters"] = await run_in_threadpool(_peek, storage, queue)
            except AzureError:
                answer["error"] = (
                    f"The queue {queue} cannot be read: the storage service does not answer."
                )
        return json(answer)

    return [Route("/_local/dead_letters", dead_letters, methods=["GET"])]


def _peek(storage: str, queue: str) -> list[dict[str, str]]:
    """Return the rejected parts, newest first. Raises AzureError."""
    with QueueClient.from_connection_string(storage, queue, retry_total=0) as client:
        try:
            messages = client.peek_messages(_MAX_PEEKED)
        except ResourceNotFoundError:  # Nothing was dead-lettered yet.
            return []
    return [
        {"time": message.inserted_on.isoformat() if message.inserted_on else "", **part}
        for message in reversed(messages)
        for part in _parts(message.content)
    ]


def _parts(content: str) -> list[dict[str, str]]:
    """Return reason and detail of each rejected part."""
    try:
        dead_letter = msgspec.json.decode(content, type=_DeadLetter)
    except (msgspec.DecodeError, RecursionError):
        return [{"reason": "unknown", "detail": "The message is not a dead letter."}]
    details = [part.detail for part in dead_letter.refused] or [dead_letter.detail]
    return [{"reason": dead_letter.reason, "detail": detail} for detail in details]
