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


def argument(text: str) -> azf.QueueMessage:
    """What a function gets for a plain text."""
    made = queue_argument(message(text), text.encode(), binary=False, plain=False)
    assert isinstance(made, azf.QueueMessage)
    return made


@pytest.mark.parametrize("text", ["hello", "[1]", "{not json}", '{"other": 1}', '{"id": null}'])
def test_the_metadata_is_the_message_s_own(text: str) -> None:
    made = argument(text)
    assert made.get_body() == text.encode()
    assert made.id == "an-id"
    assert made.pop_receipt == "a-receipt"
    assert made.dequeue_count == 3
    # The worker reads JSON strings as they are, so times keep their offset and their type.
    assert made.insertion_time == INSERTED
    assert made.expiration_time == EXPIRES
    assert made.time_next_visible == VISIBLE


@pytest.mark.parametrize(
    ("text", "attribute", "value"),
    [
        ('{"id": "mine"}', "id", "mine"),
        ('{"ID": 5}', "id", "5"),
        (' {"iD": true} ', "id", "True"),
        ('{"id": "2026-01-02T03:04:05+01:00"}', "id", "01/02/2026 02:04:05"),
        ('{"id": "2026-02-31T03:04:05Z"}', "id", "2026-02-31T03:04:05Z"),
        ('{"id": {"a": 1}}', "id", "{'a': 1}"),
        ('{"id": ["kept"]}', "id", "an-id"),
        ('{"popreceipt": "x"}', "pop_receipt", "x"),
        ('{"dequeueCount": 70}', "dequeue_count", 70),
        ('{"DEQUEUECOUNT": "7"}', "dequeue_count", 7),
        ('{"dequeueCount": [7]}', "dequeue_count", 3),
        ('{"insertionTime": ""}', "insertion_time", None),
        ("{" * 100_000 + '"dequeueCount": 7' + "}" * 100_000, "dequeue_count", 3),
    ],
)
def test_members_of_an_object_come_first(text: str, attribute: str, value: object) -> None:
    assert getattr(argument(text), attribute) == value


@pytest.mark.parametrize(
    "text",
    [
        '{"dequeueCount": "x"}',
        '{"dequeueCount": 1.5}',
        '{"dequeueCount": true}',
        '{"insertionTime": 1}',
        '{"insertionTime": "2026-01-02T03:04:05Z"}',
        '{"expirationTime": "soon"}',
        '{"nextVisibleTime": {}}',
    ],
)
def test_members_of_the_wrong_type(text: str) -> None:
    with pytest.raises(ValueError, match=r"cannot convert value of field|does not match format"):
        argument(text)


def test_an_app_that_wants_bytes_or_text() -> None:
    text = '{"dequeueCount": "x"}'
    made = queue_argument(message(text), text.encode(), binary=True, plain=False)
    assert made.dequeue_count == 3
    assert queue_argument(message(text), text.encode(), binary=False, plain=True) == text
    assert queue_argument(message("?"), b"\xff", binary=True, plain=True) == b"\xff"
    with pytest.raises(UnicodeDecodeError):
        queue_argument(message("?"), b"\xff", binary=False, plain=False)


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
