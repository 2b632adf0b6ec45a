"""`send --watch`: what became of what was sent, as far as it can be known."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from local.processes import Child
from local.stack import Backend, run_app
from shared.clients.storage import Connection
from tests.unit.rollups import REGION
from tools.__main__ import main
from tools.dispatch import Put
from tools.ingress import Queues
from tools.send_report import settled
from tools.settle import Refusal, Settled, Watcher

Send = Callable[..., Result]
ALLOWED = "/subscriptions/5b1fd1f4-2a3c-4f0e-9d53-0f8b6d3f5a10"
FORBIDDEN = "/subscriptions/1/resourceGroups/g/providers/Microsoft.Web/sites/x"


@pytest.fixture
def app(backend: Backend, queue: str) -> Iterator[Child]:
    """The app on a queue of its own, for one subscription."""
    settings = {"METRICS_SAMPLE_SCHEDULE": "0 0 0 1 1 *", "METRICS_ALLOWED_SCOPES": ALLOWED}
    with run_app(backend, settings, queue=queue) as host:
        yield host


@pytest.fixture
def send(backend: Backend, queue: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Send:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MetricsStorage", backend.azurite.connection_string)

    def run(*arguments: str, text: str) -> Result:
        given = ["send", "-", "--queue", queue, "--watch", *arguments]
        return CliRunner().invoke(main, given, input=text, catch_exceptions=False)

    return run


def message(resource_id: str) -> str:
    point = {"metric": "Orders", "value": 1, "time": datetime.now(UTC).isoformat()}
    address = {"resourceId": resource_id, "region": REGION}
    return json.dumps({**address, "points": [point]})


def test_what_is_published_is_settled(app: Child, backend: Backend, site: str, send: Send) -> None:
    done = send(text=message(site))
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "1 message is settled."
    assert len(backend.metrics(resourceId=site)) == 1


def test_what_is_dead_lettered_is_said(app: Child, backend: Backend, site: str, send: Send) -> None:
    done = send(text=f"{message(site)}\n{message(FORBIDDEN)}")
    assert (done.exit_code, done.stderr) == (1, "")
    assert done.stdout.splitlines()[-2:] == [
        "1 message is settled.",
        f"dead-lettered as forbidden_scope: {FORBIDDEN} is outside METRICS_ALLOWED_SCOPES",
    ]
    assert len(backend.metrics(resourceId=site)) == 1


def test_what_nobody_takes_is_said(backend: Backend, queue: str, site: str, send: Send) -> None:
    backend.storage.create_queue(queue)
    done = send("--timeout", "0.1", text=message(site))
    assert (done.exit_code, done.stderr) == (1, "")
    assert "Still in the queue: 1 of 1 message, not taken yet, or " in done.stdout


# --- Between others' messages --------------------------------------------------------------------


@pytest.fixture
def queues(backend: Backend, queue: str) -> Queues:
    backend.storage.create_queue(queue)
    connection = Connection("test", connection_string=backend.azurite.connection_string)
    return Queues(connection, queue, f"{queue}-dead-letter")


def look(watcher: Watcher, sent: list[Put]) -> Settled:
    """What is known now."""
    return watcher.wait(sent, 1e-9, lambda _: None)


def letter(reason: str, *ids: str) -> str:
    refused = [{"detail": f"of {one}", "messageId": one} for one in ids]
    return json.dumps({"reason": reason, "detail": "several", "refused": refused})


def test_our_messages_are_told_from_others(backend: Backend, queues: Queues) -> None:
    client = backend.storage.get_queue_client(queues.ingress)
    watcher = Watcher(queues, sleep=lambda _: None)
    client.send_message("of another")
    ours = [client.send_message("{}") for _ in range(3)]
    sent = [Put(one.id, one.pop_receipt or "") for one in ours]
    assert look(watcher, sent) == Settled(3, False, (), 0, 0)

    taken = {one.id: one for one in client.receive_messages(max_messages=4)}
    assert look(watcher, sent).waiting == 3  # They are being worked on.
    client.delete_message(taken[ours[1].id])
    assert look(watcher, sent).waiting == 2
    for one in (ours[0], ours[2]):
        client.delete_message(taken[one.id])
    assert look(watcher, sent) == Settled(0, False, (), 0, 0)
    client.clear_messages()
    assert look(watcher, sent) == Settled(0, True, (), 0, 0)


def test_asking_for_a_message_changes_nothing_of_it(backend: Backend, queues: Queues) -> None:
    client = backend.storage.get_queue_client(queues.ingress)
    one = client.send_message('{"points": []}')
    watcher = Watcher(queues, sleep=lambda _: None)
    for _ in range(3):
        assert look(watcher, [Put(one.id, one.pop_receipt or "")]).waiting == 1
        (seen,) = client.peek_messages()
        assert (seen.id, seen.content, seen.dequeue_count) == (one.id, '{"points": []}', 0)


def test_only_new_letters_of_our_messages_count(backend: Backend, queues: Queues) -> None:
    dead_letters = backend.storage.create_queue(queues.dead_letter)
    dead_letters.send_message(letter("invalid", "old"))
    dead_letters.send_message("not even JSON")
    watcher = Watcher(queues)
    dead_letters.send_message(letter("expired", "ours", "theirs"))
    one = {"reason": "invalid", "detail": "x", "messageId": "ours", "refused": [{"detail": "x"}]}
    dead_letters.send_message(json.dumps(one))
    found = look(watcher, [Put("ours", "")])
    assert [(one.reason, one.detail) for one in found.refusals] == [
        ("expired", "of ours"),
        ("invalid", "x"),
    ]
    assert found.hidden == 0


def test_letters_that_cannot_be_seen_are_counted(backend: Backend, queues: Queues) -> None:
    dead_letters = backend.storage.create_queue(queues.dead_letter)
    for _ in range(31):
        dead_letters.send_message(letter("invalid", "old"))
    watcher = Watcher(queues)
    for _ in range(3):
        dead_letters.send_message(letter("invalid", "theirs"))
    assert look(watcher, []) == Settled(0, True, (), 2, 0)


def test_messages_that_crash_the_function_are_counted(backend: Backend, queues: Queues) -> None:
    poison = backend.storage.create_queue(f"{queues.ingress}-poison")
    poison.send_message("old")
    watcher = Watcher(queues)
    poison.send_message("new")
    assert look(watcher, []) == Settled(0, True, (), 0, 1)


def test_what_a_letter_says_does_nothing_to_a_terminal() -> None:
    refusal = Refusal("1", "invalid", "\x1b[2J\rgone")
    said = list(settled(Settled(0, True, (refusal,), 0, 0), 1))
    assert said[1] == r"dead-lettered as invalid: \x1b[2J\rgone"
