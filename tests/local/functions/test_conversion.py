"""What becomes of a message on its way to a function."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from azure import functions as azf
from azure.storage.queue import QueueMessage

from local.functions.conversion import decode, queue_argument, timer_argument

INSERTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EXPIRES = datetime(2026, 1, 9, 3, 4, 5, tzinfo=UTC)
VISIBLE = datetime(2026, 1, 2, 3, 14, 5, 250000, tzinfo=UTC)


BODIES = [
    "hello",
    "[1]",
    "{not json}",
    '{"other": 1}',
    # The names of the metadata are free, whatever their case and the type of their values.
    '{"id": "mine", "popReceipt": "x"}',
    '{"ID": {}, "dequeueCount": "many"}',
    '{"insertionTime": 1, "expirationTime": "soon", "nextVisibleTime": {}}',
    "{" * 100_000 + '"dequeueCount": 7' + "}" * 100_000,
]


@pytest.mark.parametrize("body", [*(text.encode() for text in BODIES), b"\xff\x00"])
def test_the_body_is_kept_and_the_metadata_is_the_queue_s(body: bytes) -> None:
    message = QueueMessage(
        id="an-id",
        pop_receipt="a-receipt",
        dequeue_count=3,
        inserted_on=INSERTED,
        expires_on=EXPIRES,
        next_visible_on=VISIBLE,
    )
    made = queue_argument(message, body)
    assert isinstance(made, azf.QueueMessage)
    assert made.get_body() == body
    assert made.id == "an-id"
    assert made.pop_receipt == "a-receipt"
    assert made.dequeue_count == 3
    # The worker reads JSON strings as they are, so times keep their offset and their type.
    assert made.insertion_time == INSERTED
    assert made.expiration_time == EXPIRES
    assert made.time_next_visible == VISIBLE


def test_a_message_that_never_expires() -> None:
    message = QueueMessage(
        id="an-id", dequeue_count=1, inserted_on=INSERTED, next_visible_on=VISIBLE
    )
    assert queue_argument(message, b"").expiration_time.year == 9999


def test_encodings() -> None:
    assert decode("{}", "none") == b"{}"
    assert decode(base64.b64encode(b"{}").decode(), "base64") == b"{}"
    assert decode(" e3 0=\n", "base64") == b"{}"
    assert decode("", "base64") == b""


@pytest.mark.parametrize("text", ["{}", "e30", "e30=x", "ü", "e3-_", "e3\u00a00="])
def test_what_is_no_base64(text: str) -> None:
    with pytest.raises(ValueError, match=r"base64|padding|ASCII"):
        decode(text, "base64")


def test_a_tick() -> None:
    assert isinstance(timer_argument(), azf.TimerRequest)
    made = timer_argument()
    assert made.past_due is False
    assert made.schedule_status == {}
    assert made.schedule == {"AdjustForDST": True}
