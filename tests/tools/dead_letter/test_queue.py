"""Every message is read once and is visible again afterwards; errors say what storage said."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.storage.queue import QueueClient

from tests.tools.fault_proxy import Answer, Request, fault_proxy
from tools.dead_letter.queue import StorageError, check_connection, reading, storage_errors

from .shell import Shell

Eventually = Callable[[Callable[[], Any], Callable[[Any], bool]], Any]


def proxied(shell: Shell, way: str) -> QueueClient:
    return QueueClient.from_connection_string(way, shell.dead_letters.queue_name, retry_total=0)


@pytest.mark.parametrize("count", [0, 1, 32, 33, 70])
def test_each_message_is_looked_at_once_and_visible_afterwards(shell: Shell, count: int) -> None:
    names = [f"m{number}" for number in range(count)]
    shell.put(*names)
    with reading(shell.dead_letters) as reader:
        assert Counter(message.text for message in reader.look()) == Counter(names)
        reader.print_unseen()
    found = shell.dead_letters.receive_messages(messages_per_page=32)
    assert Counter(message.content for message in found) == Counter(names)


def test_up_to_32_messages_are_only_peeked(shell: Shell) -> None:
    shell.put("a", "b")
    with reading(shell.dead_letters) as reader:
        assert len(list(reader.look())) == 2
    assert [message.dequeue_count for message in shell.dead_letters.peek_messages(32)] == [0, 0]


def test_what_is_deleted_is_gone_and_the_rest_is_released_after_an_error(shell: Shell) -> None:
    shell.put("a", "b", "c")

    def delete_one() -> None:
        with reading(shell.dead_letters) as reader:
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
    with reading(shell.dead_letters) as reader:
        assert [message.text for message in reader.look()] == ["b"]
        reader.print_unseen()
    assert "1 more message by the queue's approximate count" in capsys.readouterr().err


def test_what_another_received_since_is_not_deleted(shell: Shell) -> None:
    shell.put("a")
    with reading(shell.dead_letters) as reader:
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
        reading(client) as reader,
    ):
        found = [message.text for batch in reader.receive() for message in batch]
    assert found == ["early"]
    assert sorted(shell.left()) == ["early", "late"]


def test_after_an_error_the_calls_under_way_end_and_their_results_count(shell: Shell) -> None:
    def action(number: int) -> int:
        if number == 1:
            raise StorageError("no")
        return number

    done: list[int] = []
    with reading(shell.dead_letters) as reader, pytest.raises(StorageError):
        done.extend(reader.run(action, range(100)))
    assert 1 not in done
    assert 0 in done


def test_a_missing_queue_is_named(shell: Shell) -> None:
    client = shell.backend.storage.get_queue_client("nothing-here")
    with pytest.raises(StorageError) as caught, reading(client):
        pass
    text = "nothing-here: QueueNotFound: The specified queue does not exist; its name is wrong"
    assert str(caught.value).startswith(text)


ERROR = (
    "<Error><Code>AuthenticationFailed</Code><Message>Server failed.\nRequestId:1\nTime:2</Message>"
    "<AuthenticationErrorDetail>The MAC signature found in the HTTP request "
    f"'{'A' * 43}=' is not the same.\x7f\nText: 'GET\n\n'</AuthenticationErrorDetail></Error>"
)
NO_ROLE = "<Error><Code>AuthorizationPermissionMismatch</Code><Message>No.</Message></Error>"
ERRORS = {
    ERROR: "q: AuthenticationFailed: Server failed: "
    "The MAC signature found in the HTTP request '…' is not the same.",
    NO_ROLE: "q: AuthorizationPermissionMismatch: No"
    "; this needs the role Storage Queue Data Contributor",
}


@pytest.mark.parametrize(("body", "text"), ERRORS.items(), ids=["detail", "role"])
def test_an_error_has_code_message_and_detail(shell: Shell, body: str, text: str) -> None:
    def handle(_: Request) -> Answer:
        return 403, {"Content-Type": "application/xml"}, body.encode()

    with (
        fault_proxy(shell.connection_string, handle) as way,
        proxied(shell, way) as client,
        pytest.raises(StorageError) as caught,
        storage_errors("q"),
    ):
        client.get_queue_properties()
    assert str(caught.value) == text


def test_no_signature_of_a_url_is_in_an_error() -> None:
    url = "Max retries exceeded with url: /q?sv=2024&sig=b3Jk%3D (Caused by"
    with pytest.raises(StorageError) as caught, storage_errors("q"):
        raise ServiceRequestError(f"{url}\nsecond line")
    assert str(caught.value) == f"q: {url.replace('b3Jk%3D', '…')}"


def test_a_port_where_nothing_listens_is_an_error_at_once() -> None:
    with socket.socket() as bound:  # Bound, and not listening.
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        with pytest.raises(StorageError, match=f"nothing listens at 127.0.0.1:{port}"):
            check_connection(f"http://127.0.0.1:{port}/account/queue")
    check_connection("https://orders.queue.core.windows.net/metrics")
