"""Sending that ends early: what was sent is known, and the rest goes neither lost nor twice."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from azure.core.exceptions import (
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
)
from azure.storage.queue import QueueClient
from hypothesis import given
from hypothesis import strategies as st

from local.stack import ROOT, Backend
from shared.clients.storage import Connection, StorageRetry, open_queue_service
from tools.dispatch import Outcome, Put, dispatch, explained
from tools.packer import Address
from tools.send_report import failed, left_over
from tools.spool import Spool
from tools.stopping import Stop

from .toll import Answer, Passage, toll

LIMIT = 300


class Shelf:
    """A queue that keeps what is put, up to where it breaks."""

    queue_name = "metrics"
    url = "http://127.0.0.1/devstoreaccount1/metrics?sig=secret-1"

    def __init__(self, breaks_at: int = 10**9) -> None:
        self.texts: list[str] = []
        self._lock = threading.Lock()
        self._breaks_at = breaks_at
        self._calls = 0

    def send_message(self, text: str, **_: object) -> Any:
        with self._lock:
            self._calls += 1
            if self._calls == self._breaks_at:
                raise ServiceRequestError("away")
            self.texts.append(text)
            return _Message(len(self.texts))


class _Message:
    def __init__(self, number: int) -> None:
        self.id = str(number)
        self.pop_receipt = "receipt"


@contextmanager
def spooled(lines: list[list[int]], addresses: int, window: int = 1000) -> Iterator[Spool]:
    """Lines of points, which are numbers; a point's address follows from its number."""
    with Spool(LIMIT, window) as spool:
        for entry, points in enumerate(lines, 1):
            for point in points:
                where = Address("", f"/{point % addresses}", "")
                spool.add(entry, where, json.dumps({"value": point}).encode())
        spool.finish()
        yield spool


def numbers(texts: list[str]) -> list[int]:
    bodies = [json.loads(text) for text in texts]
    documents = [one for body in bodies for one in (body if isinstance(body, list) else [body])]
    return sorted(point["value"] for one in documents for point in one["points"])


def put_all(spool: Spool, shelf: Shelf, stop_at: int = 0, times: int = 1) -> Outcome:
    """Dispatch; while the stop_at-th message is put it is asked to stop, so many times."""
    stop = Stop()
    sent = 0

    def count() -> None:
        nonlocal sent
        sent += 1
        if sent == stop_at:
            for _ in range(times):
                stop.ask()

    return dispatch(spool, cast(QueueClient, shelf), threads=1, stop=stop, sent=count)


lines_of_points = st.lists(st.integers(0, 4), min_size=40, max_size=200).map(
    lambda sizes: [
        list(range(sum(sizes[:index]), sum(sizes[: index + 1]))) for index in range(len(sizes))
    ]
)


@given(lines_of_points, st.integers(1, 5), st.integers(1, 6), st.sampled_from([1, 2]))
def test_what_is_stopped_goes_on_where_it_says(
    lines: list[list[int]], addresses: int, stop_at: int, times: int
) -> None:
    everything = [point for line in lines for point in line]
    shelf = Shelf()
    with spooled(lines, addresses) as spool:
        assert sum(stored.points for stored in spool.messages) == len(everything)
        assert all(stored.size <= LIMIT for stored in spool.messages)
        outcome = put_all(spool, shelf, stop_at, times)
        # One more may be on its way; asked once, it goes on to the end of an entry.
        ends = (at for at, one in enumerate(spool.messages, 1) if at > stop_at and one.resume)
        most = stop_at + 1 if times == 2 else next(ends, len(spool.messages))
        assert len(outcome.put) <= most
        if len(outcome.put) == len(spool.messages):
            assert numbers(shelf.texts) == everything
            return
        resume = outcome.resume(spool, 1)
        rest = [spool.read(stored).decode() for stored in outcome.unsent(spool)]
    assert sorted(numbers(shelf.texts) + numbers(rest)) == everything
    if times == 1:
        assert resume > 1
    if resume:
        assert numbers(rest) == [point for line in lines[resume - 1 :] for point in line]


@given(lines_of_points, st.integers(1, 5), st.integers(1, 40))
def test_what_breaks_goes_on_where_it_says(
    lines: list[list[int]], addresses: int, breaks_at: int
) -> None:
    shelf = Shelf(breaks_at)
    with spooled(lines, addresses) as spool:
        outcome = put_all(spool, shelf)
        resume = outcome.resume(spool, 1)
        rest = [spool.read(stored).decode() for stored in outcome.unsent(spool)]
    assert sorted(numbers(shelf.texts) + numbers(rest)) == [p for line in lines for p in line]
    assert bool(rest) is (outcome.failure == "ServiceRequestError: away")
    if resume and rest:
        assert numbers(rest) == [point for line in lines[resume - 1 :] for point in line]


def test_a_gap_is_not_gone_on_from_by_line() -> None:
    with spooled([[number] for number in range(100)], 1) as spool:
        outcome = Outcome(put={0: Put("1", ""), 2: Put("2", "")})
        assert outcome.resume(spool, 1) == 0
        assert Outcome().resume(spool, 7) == 7
        assert len(outcome.unsent(spool)) == len(spool.messages) - 2


def test_what_is_left_is_kept_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with spooled([[number] for number in range(100)], 1) as spool:
        outcome = Outcome(put={1: Put("1", "")}, failure="away")
        said = list(left_over(spool, outcome, "points.jsonl", 1, "python -m tools send"))
        (file,) = tmp_path.glob("unsent-*.jsonl")
        assert said[0] == "away"
        assert said[1].startswith("What is left, ")
        assert said[1].endswith(f"is in {file.name}; go on with: python -m tools send {file.name}")
        in_file = numbers(file.read_text(encoding="utf-8").splitlines())
        in_queue = numbers([spool.read(spool.messages[1]).decode()])
    assert sorted(in_file + in_queue) == list(range(100))


def test_the_point_at_which_to_go_on_is_named_with_the_file() -> None:
    with spooled([[number] for number in range(100)], 1) as spool:
        following = spool.messages[0].points + 1
        said = left_over(spool, Outcome(put={0: Put("1", "")}), "my points.jsonl", 1, "send -x")
        assert list(said) == [f"Go on with: send -x 'my points.jsonl' --from-line {following}"]


@pytest.fixture
def points(tmp_path: Path) -> Callable[[int], Path]:
    """Writes a file of so many points, numbered from 0, one on each line."""

    def write(count: int) -> Path:
        file = tmp_path / "points.jsonl"
        every = ({"points": [{"metric": "x", "value": number}]} for number in range(count))
        file.write_text("".join(f"{json.dumps(one)}\n" for one in every), encoding="utf-8")
        return file

    return write


@contextmanager
def sending(file: Path, queue: str, storage: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The command that sends a file to a queue of this storage; it is ended at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tools", "send", str(file), "--queue", queue, *options],
        cwd=ROOT,
        env={**os.environ, "MetricsStorage": storage},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_ctrl_c_while_reading_sends_nothing(backend: Backend, queue: str, tmp_path: Path) -> None:
    client = backend.storage.create_queue(queue)
    fifo = tmp_path / "points"
    os.mkfifo(fifo)
    with (
        sending(fifo, queue, backend.azurite.connection_string) as process,
        fifo.open("w", encoding="utf-8") as out,
    ):
        for number in range(2000):
            point = {"metric": "x", "value": number}
            out.write(json.dumps({"points": [point]}) + "\n")
        out.flush()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert said.endswith("Error: stopped: nothing was sent\n")
    assert process.returncode == 1
    assert client.peek_messages() == []


class Held:
    """Holds back one of the messages that are put, until it is let go."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.there = threading.Event()
        self.let_go = threading.Event()

    def __call__(self, passage: Passage) -> Answer:
        if (passage.kind, passage.number) == ("put", self._number):
            self.there.set()
            self.let_go.wait(60)
        return passage.forward()


def stopped_at(
    number: int, file: Path, queue: str, backend: Backend, times: int = 1
) -> tuple[int, str, str]:
    """Send a file, with Ctrl-C while message `number` is put: exit code, output and errors.

    What was sent is to be waited for, and nobody empties the queue.
    """
    held = Held(number)
    options = ("--threads", "1", "--watch")
    with (
        toll(backend.azurite.connection_string, held) as storage,
        sending(file, queue, storage, *options) as process,
    ):
        try:
            assert held.there.wait(60)
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            assert any(line.startswith("Stopping") for line in process.stderr)
            for _ in range(times - 1):
                process.send_signal(signal.SIGINT)
                time.sleep(0.1)  # Else two of them may be taken for one.
        finally:
            held.let_go.set()
        out, errors = process.communicate(timeout=60)
    return process.returncode, out, errors


@pytest.mark.parametrize("times", [1, 3])
def test_ctrl_c_while_sending_says_where_to_go_on(
    times: int, backend: Backend, queue: str, points: Callable[[int], Path]
) -> None:
    count = 10_000
    file = points(count)
    client = backend.storage.create_queue(queue)
    code, out, errors = stopped_at(2, file, queue, backend, times)
    resume = re.search(r"Go on with: (.*points\.jsonl) --from-line (\d+)$", errors)
    assert resume, errors
    sent = int(resume[2]) - 1
    assert (code, out.startswith(f"Sent {sent:,} of {count:,} points, ")) == (1, True)
    words = shlex.split(resume[1])
    words[words.index("python")] = sys.executable
    words.remove("--watch")
    env = {**os.environ, "MetricsStorage": backend.azurite.connection_string}
    again = subprocess.check_output(
        [*words, "--from-line", resume[2]], cwd=ROOT, env=env, text=True, timeout=60
    )
    assert again.startswith(f"Sent {count - sent:,} points in ")
    found = [message.content for message in client.receive_messages(messages_per_page=32)]
    assert numbers(found) == list(range(count))


def test_ctrl_c_while_the_last_is_sent_does_not_wait_for_what_was_sent(
    backend: Backend, queue: str, points: Callable[[int], Path]
) -> None:
    client = backend.storage.create_queue(queue)
    code, out, errors = stopped_at(1, points(3), queue, backend)
    assert (code, out.startswith("Sent 3 points in 1 message")) == (1, True)
    assert errors == "Error: stopped waiting; what was sent stays sent\n"
    assert numbers([message.content for message in client.receive_messages()]) == [0, 1, 2]


def test_ctrl_c_while_it_waits_ends_that(
    backend: Backend, queue: str, points: Callable[[int], Path]
) -> None:
    backend.storage.create_queue(queue)
    storage = backend.azurite.connection_string
    with sending(points(3), queue, storage, "--watch") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Sent 3 points in 1 message")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.endswith("Error: stopped waiting; what was sent stays sent\n")


def test_what_the_queue_says_is_explained() -> None:
    queue = cast(QueueClient, Shelf())
    refused = HttpResponseError("This request is not authorized.\nRequestId: 5")
    refused.status_code = 403
    assert explained(refused, queue) == (
        "This request is not authorized. (it takes the role Storage Queue Data Message Sender)"
    )
    missing = explained(ResourceNotFoundError("no"), queue)
    assert missing == "there is no queue 'metrics' at http://127.0.0.1/devstoreaccount1"
    assert explained(ValueError("a\nb"), queue) == "ValueError: a"


def test_only_what_may_have_been_heard_is_in_doubt() -> None:
    with socket.socket() as closed, spooled([[1]], 1) as spool:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/x"
        string = f"AccountName=x;AccountKey=eA==;QueueEndpoint={url}"
        connection = Connection("x", connection_string=string)
        with open_queue_service(connection, StorageRetry(retries=0)) as client:
            queue = client.get_queue_client("metrics")
            outcome = dispatch(spool, queue, threads=1, stop=Stop(), sent=lambda: None)
    assert outcome.failure.startswith("ServiceRequestError: ")
    assert outcome.in_doubt == set()
    outcome = Outcome(failure="no answer", in_doubt={0})
    assert list(failed(outcome))[1].startswith("1 message may be in the queue already, ")
