"""A storage queue source against Azurite."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest

from local.stack import Backend
from tests.unit.rollups import REGION, RESOURCE
from tests.unit.sources.helpers import make_context, open_source, take, values


@pytest.mark.parametrize(
    ("messages", "received", "visible"), [(0, 0, 0), (31, 0, 31), (33, 3, 30), (40, 8, 40)]
)
def test_depth_visible_depth_and_age(
    messages: int, received: int, visible: int, backend: Backend
) -> None:
    began = datetime.now(UTC).replace(microsecond=0)  # The service has whole seconds.
    name = f"queue-{uuid.uuid4().hex[:8]}"
    queue = backend.storage.create_queue(name)
    for number in range(messages):
        queue.send_message(str(number))
    if received:
        list(queue.receive_messages(max_messages=received, visibility_timeout=600))
    backend.storage.create_queue(f"{name}-poison").send_message("x")
    entry = {
        "kind": "storage_queue",
        "resourceId": RESOURCE,
        "region": REGION,
        "connection": "Orders",
        "queues": [f"{name}*", "!*-poison"],
    }
    context = make_context({"Orders": backend.azurite.connection_string})
    now = datetime.now(UTC)
    sample = take(open_source(entry, context), now)
    assert sample.errors == []
    found = values(sample)
    assert 0 <= found.pop(("QueueOldestMessageAge",)) <= (now - began).total_seconds()
    assert found == {
        ("QueueDepth",): messages,
        ("QueueVisibleDepth",): visible,
        ("PoisonQueueDepth",): 1,
    }
