"""Every message is read once and is visible again afterwards; errors say what storage said."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.storage.queue import QueueClient

from shared.clients.storage import Connection
from shared.errors import RelayError
from tests.tools.fault_proxy import Answer, Request, fault_proxy
from tools.dead_letter.queue import QueueReader, run_at_once
from tools.dead_letter.records import DeadLetter
from tools.ingress import Queues, storage_errors

from .shell import Shell

Eventually = Callable[[Callable[[], Any], Callable[[Any], bool]], Any]


def texts(pages: Iterable[list[DeadLetter]]) -> list[str]:
    """Return the texts of messages that are not dead letters."""
    return [str(one.refused[0].body) for page in pages for one in page]


def proxied(shell: Shell, way: str) -> QueueClient:
    return QueueClient.from_connection_string(way, shell.dead_letters.queue_name, retry_total=0)


@pytest.mark.parametrize("count", [0, 1, 32, 33, 70])
def test_each_message_is_looked_at_once_and_visible_afterwards(shell: Shell, count: int) -> None:
    names = [f"m{number}" for number in range(count)]
    shell.put(*names)
    with QueueReader(shell.dead_letters) as reader:
        assert Counter(texts(reader.look())) == Counter(names)
    found = shell.dead_letters.receive_messages(messages_per_page=32)
    assert Counter(message.content for message in found) == Counter(names)


def test_up_to_32_messages_are_only_peeked(shell: Shell) -> None:
    shell.put("a", "b")
    with QueueReader(shell.dead_letters) as reader:
        assert sorted(texts(reader.look())) == ["a", "b"]
    assert [message.dequeue_count for message in shell.dead_letters.peek_messages(32)] == [0, 0]


def test_what_is_deleted_is_gone_and_the_rest_is_released_after_an_error(shell: Shell) -> None:
    shell.put("a", "b", "c")

    def delete_one() -> None:
        with QueueReader(shell.dead_letters) as reader:
            for batch in reader.receive():
                assert len(batch) == 3
                reader.delete(batch[0])
                raise OSError("pipe")

    with pytest.raises(OSError, match="pipe"):
        delete_one()
    assert sorted(shell.left()) == ["b", "c"]


def test_what_another_received_is_left_to_it(
    shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.put("a", "b")
    next(shell.dead_letters.receive_messages(visibility_timeout=60, max_messages=1))
    with QueueReader(shell.dead_letters) as reader:
        assert texts(reader.look()) == ["b"]
    assert "the queue has 1 more message" in capsys.readouterr().err


def test_what_another_received_since_is_not_deleted(shell: Shell) -> None:
    shell.put("a")
    with QueueReader(shell.dead_letters) as reader:
        for batch in reader.receive():
            for message in batch:
                receipt = reader._receipts[message.id]
                shell.dead_letters.update_message(message.id, receipt, visibility_timeout=0)
                reader.delete(message)
    assert shell.left() == ["a"]


def test_later_messages_are_left(shell: Shell, eventually: Eventually) -> None:
    shell.put("early")

    def handle(request: Request) -> Answer:
        if (request.kind, request.number) == ("receive", 1):
            later = datetime.now(UTC) + timedelta(seconds=1)  # Storage tells times by the second.
            assert eventually(lambda: datetime.now(UTC) > later, bool)
            shell.put("late")
        return request.forward()

    with (
        fault_proxy(shell.connection_string, handle) as way,
        proxied(shell, way) as client,
        QueueReader(client) as reader,
    ):
        assert texts(reader.receive()) == ["early"]
    assert sorted(shell.left()) == ["early", "late"]


def test_after_an_error_the_calls_under_way_end() -> None:
    are_under_way = threading.Barrier(2)
    done: list[int] = []

    def action(number: int) -> None:
        are_under_way.wait()
        if number == 0:
            raise RelayError("no")
        done.append(number)

    with pytest.raises(RelayError):
        run_at_once(action, [0, 1])
    assert done == [1]


def test_a_missing_queue_is_named(shell: Shell) -> None:
    with pytest.raises(
        RelayError, match=r"there is no queue 'nothing-here' at http://127\.0\.0\.1:"
    ):
        QueueReader(shell.backend.storage.get_queue_client("nothing-here"))


ROLE = "Storage Queue Data Contributor"


@pytest.mark.parametrize(
    ("code", "is_role_named"),
    [("AuthorizationPermissionMismatch", True), ("AuthorizationFailure", False)],
)
def test_an_error_has_queue_message_and_code_and_names_a_missing_role(
    shell: Shell, code: str, is_role_named: bool
) -> None:
    body = f"<Error><Code>{code}</Code><Message>No.\nRequestId:1\nTime:2</Message></Error>"

    def handle(_: Request) -> Answer:
        return 403, {"Content-Type": "application/xml"}, body.encode()

    with (
        fault_proxy(shell.connection_string, handle) as way,
        proxied(shell, way) as client,
        pytest.raises(RelayError) as caught,
    ):
        QueueReader(client)
    text = str(caught.value)
    assert text.startswith(f"{client.queue_name}: ")
    assert "No." in text
    assert code in text
    assert "RequestId" not in text
    assert (ROLE in text) == is_role_named


def test_no_signature_of_a_url_is_in_an_error(shell: Shell) -> None:
    url = "Max retries exceeded with url: /q?sv=2024&sig=b3Jk%3D (Caused by"
    with pytest.raises(RelayError) as caught, storage_errors(shell.dead_letters):
        raise ServiceRequestError(f"{url}\nsecond line")
    name = shell.dead_letters.queue_name
    text = "Max retries exceeded with url: /q?… (Caused by second line"
    assert str(caught.value) == f"{name}: ServiceRequestError: {text}"


def test_a_port_where_nothing_listens_is_an_error_at_once() -> None:
    with socket.socket() as bound:  # Bound, and not listening.
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        text = f"AccountName=a;AccountKey=YQ==;QueueEndpoint=http://127.0.0.1:{port}/a"
        queues = Queues(Connection("--connection", connection_string=text), "q", "q-dead-letter")
        with pytest.raises(RelayError, match=f"nothing listens at 127.0.0.1:{port}"):
            queues.open("q")
