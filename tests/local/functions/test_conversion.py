"""What becomes of a message on its way to a function."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from azure import functions as azf

from local.functions.conversion import UndecodableError, decode, queue_argument, timer_argument
from local.functions.queue_storage import Message

INSERTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EXPIRES = datetime(2026, 1, 9, 3, 4, 5, tzinfo=UTC)
VISIBLE = datetime(2026, 1, 2, 3, 14, 5, 250000, tzinfo=UTC)


def message(text: str) -> Message:
    """A message as Azurite gives it out."""
    return Message("an-id", "a-receipt", text, 3, INSERTED, EXPIRES, VISIBLE)


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
    made = queue_argument(message("?"), body, plain=False)
    assert isinstance(made, azf.QueueMessage)
    assert made.get_body() == body
    assert made.id == "an-id"
    assert made.pop_receipt == "a-receipt"
    assert made.dequeue_count == 3
    # The worker reads JSON strings as they are, so times keep their offset and their type.
    assert made.insertion_time == INSERTED
    assert made.expiration_time == EXPIRES
    assert made.time_next_visible == VISIBLE


def test_an_app_that_wants_bytes() -> None:
    assert queue_argument(message("?"), b"\xff", plain=True) == b"\xff"


def test_encodings() -> None:
    assert decode("{}", "none") == b"{}"
    assert decode(base64.b64encode(b"{}").decode(), "base64") == b"{}"
    assert decode(" e3 0=\n", "base64") == b"{}"
    assert decode("", "base64") == b""


@pytest.mark.parametrize("text", ["{}", "e30", "e30=x", "ü", "e3-_"])
def test_what_is_no_base64(text: str) -> None:
    with pytest.raises(UndecodableError):
        decode(text, "base64")


def test_a_tick() -> None:
    made = timer_argument(past_due=True)
    assert isinstance(made, azf.TimerRequest)
    assert made.past_due is True
    unmarked = timer_argument(past_due=False)
    assert unmarked.past_due is False
    assert unmarked.schedule_status == {}
    assert unmarked.schedule == {"AdjustForDST": True}
