"""A replay cut short at any moment: nothing is lost, and nothing counts twice unasked."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import gaierror
from typing import Any

import pytest
import requests
from azure.core.exceptions import AzureError, ServiceRequestError
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.queue import QueueClient
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NameResolutionError,
    ProtocolError,
    ProxyError,
    ResponseError,
    SSLError,
)

from local.processes import Child
from local.stack import OURS, ROOT, Backend
from shared.clients.storage import message_text
from shared.model import Origin, Reason, Rejection
from shared.pipeline.dead_letters import write_dead_letters
from tests.manual_host import manual_host
from tools.dead_letter.holding import QueueError, queue_errors
from tools.dead_letter.replaying import refused

from .letter_shell import Shell, letters, points
from .toll import Answer, Keeper, Passage, toll

Ask = Callable[[Callable[[], Any], Callable[[Any], bool]], Any]

# Letters of a third of a message each, so that a replay has several to put back.
LETTERS, POINTS = 10, 60
ENDED = 30.0


@pytest.fixture
def box(backend: Backend, queue: str, site: str) -> Iterator[Box]:
    """A dead-letter queue with letters of each kind."""
    made = Box(backend, queue, site)
    made.ingress.create_queue()
    made.letters.create_queue()
    yield made
    made.letters.delete_queue()


class Box(Shell):
    """A shell with letters: of one entry, of several of which one stays, of a compressed one."""

    def __init__(self, backend: Backend, queue: str, site: str) -> None:
        super().__init__(backend, queue)
        self.backend = backend
        self.queue = queue
        self.site = site
        self.names: list[str] = []

    def fill(self) -> None:
        for number in range(LETTERS):
            self.put(*letters(self._points(f"plain{number}", POINTS)))
        mixed = [self._points("mixed", 3), points(self.site, ""), self._points("other", 3)]
        rejections = [Rejection(Reason.INVALID, "why", one.encode()) for one in mixed]
        now = datetime.now(UTC)
        self.put(*map(message_text, write_dead_letters(rejections, Origin("m", now), now)))
        self.put(*letters(self._points("long", 235)))

    def _points(self, name: str, count: int) -> str:
        names = [f"{name}-{number}".ljust(240, "x") for number in range(count)]
        self.names += names
        return points(self.site, *names)

    @contextmanager
    def replaying(self, *options: str, keeper: Keeper, hold: int = 600) -> Iterator[Child]:
        """The command as a process of its own, all its requests past the keeper."""
        command = [sys.executable, "-m", "tools", "dead-letter", "replay", "--yes", *options]
        shell = {name: text for name, text in os.environ.items() if not name.startswith(OURS)}
        settings = self.backend.app_settings(self.queue)
        with toll(settings["MetricsStorage"], keeper) as way:
            env = {**shell, **settings, "MetricsStorage": way}
            command += ["--hold", str(hold)]
            with Child("replay", command, env=env, cwd=ROOT) as child:
                yield child

    def put_back(self) -> Counter[str]:
        """How often each point is in the ingress queue."""
        found: Counter[str] = Counter()
        for message in self.ingress.peek_messages(32):
            body = json.loads(message.content)
            for one in body if isinstance(body, list) else [body]:
                found.update(point["metric"] for point in one["points"])
        return found

    def refused(self, *filters: str) -> Counter[str]:
        """The good points that are in letters."""
        return Counter(
            point["metric"]
            for letter in self.shown(*filters)
            if "broken" not in letter  # What is left of a thing that is back already.
            for entry in letter["refused"]
            for point in entry["message"]["points"]
            if point["metric"]
        )

    def all_visible(self) -> bool:
        count = self.letters.get_queue_properties().approximate_message_count
        return self.visible() == count

    async def stored(self) -> dict[str, int]:
        """How often each point counts, once all that was put back is drained."""
        with manual_host(self.backend, self.queue) as host:
            while host.queue_length():
                await host.process_queue()
            return {name: count for name, (_, count) in host.stored(self.site).items()}


def let_through(passage: Passage) -> Answer:
    return passage.forward()


class Signal:
    """A keeper that sends the child a signal at one request, and goes on."""

    def __init__(self, number: signal.Signals, kind: str, nth: int, when: str) -> None:
        self._signal = number
        self._at = (kind, nth)
        self._when = when
        self._started = threading.Event()
        self.sent = False

    def watch(self, child: Child) -> None:
        self._child = child
        self._started.set()

    def __call__(self, passage: Passage) -> Answer | None:
        if (passage.kind, passage.number) != self._at:
            return passage.forward()
        self._started.wait()
        answer = passage.forward() if self._when == "after" else None
        self.sent = True
        self._child.signal(self._signal)
        if self._signal == signal.SIGKILL:
            self._child.wait(ENDED)
            return None
        return answer or passage.forward()


MOMENTS = [
    ("take", 1, "after"),
    ("rewrite", 1, "before"),
    ("rewrite", 3, "after"),
    ("put", 1, "before"),
    ("put", 1, "after"),
    ("drop", 1, "before"),
    ("drop", 3, "after"),
    ("put", 6, "after"),  # The first of the two messages of a long thing.
    ("drop", 11, "before"),  # The last one.
    ("give back", 1, "before"),
]
moments = pytest.mark.parametrize(
    ("kind", "nth", "when"), MOMENTS, ids=[" ".join(map(str, one)) for one in MOMENTS]
)


@moments
async def test_killed_nothing_is_lost_and_what_may_count_twice_is_known(
    box: Box, eventually: Ask, kind: str, nth: int, when: str
) -> None:
    box.fill()
    keeper = Signal(signal.SIGKILL, kind, nth, when)
    with box.replaying(keeper=keeper, hold=2) as child:
        keeper.watch(child)
        assert child.wait(ENDED) == -signal.SIGKILL, child.output
    assert eventually(box.all_visible, bool)

    box.run("replay", "--yes", code=1)
    back, doubtful = box.put_back(), box.refused("--in-doubt")
    assert set(back) | set(doubtful) == set(box.names)
    assert set(back.values()) <= {1}
    assert set(doubtful.values()) <= {1}

    box.run("replay", "--in-doubt", "--yes", code=None)
    stored = await box.stored()
    assert stored.keys() == set(box.names)
    assert {name for name, count in stored.items() if count > 1} <= set(doubtful)
    assert set(stored.values()) <= {1, 2}
    box.run("purge", "--in-doubt", "--yes")
    assert box.counts() == {"invalid": 1}


@moments
async def test_asked_to_end_it_counts_everything_once(
    box: Box, kind: str, nth: int, when: str
) -> None:
    box.fill()
    number = signal.SIGINT if nth == 1 else signal.SIGTERM
    keeper = Signal(number, kind, nth, when)
    with box.replaying(keeper=keeper) as child:
        keeper.watch(child)
        assert child.wait(ENDED) == 1, child.output
    assert keeper.sent
    assert "Ending once what is under way is done" in child.output
    assert box.all_visible()
    assert box.counts("--in-doubt") == {}

    box.run("replay", "--yes", code=1)
    assert await box.stored() == dict.fromkeys(box.names, 1)
    assert box.counts() == {"invalid": 1}


async def test_undisturbed_it_counts_everything_once_in_full_messages(box: Box) -> None:
    box.fill()
    puts: list[int] = []

    def keeper(passage: Passage) -> Answer:
        puts.append(passage.kind == "put")
        return passage.forward()

    with box.replaying(keeper=keeper) as child:
        assert child.wait(ENDED) == 1, child.output
    assert sum(puts) == 7
    assert f"{len(box.names)} points of 12 letters put back" in child.output
    assert await box.stored() == dict.fromkeys(box.names, 1)


async def test_two_operators_at_once_count_everything_once(box: Box) -> None:
    box.fill()
    with (
        box.replaying(keeper=let_through) as one,
        box.replaying(keeper=let_through) as other,
    ):
        assert {one.wait(ENDED), other.wait(ENDED)} <= {0, 1}
    box.run("replay", "--yes", code=1)
    assert await box.stored() == dict.fromkeys(box.names, 1)
    assert box.counts() == {"invalid": 1}


def taker(
    box: Box, eventually: Ask, when: Callable[[Passage], bool]
) -> Callable[[Passage], Answer]:
    """Another who takes the letter at that moment, once its hold has ended."""

    def keeper(passage: Passage) -> Answer:
        if when(passage):
            assert eventually(box.visible, bool)
            next(box.letters.receive_messages(visibility_timeout=1).by_page())
        return passage.forward()

    return keeper


async def test_a_letter_that_another_took_meanwhile_is_not_put_back(
    box: Box, eventually: Ask
) -> None:
    box.put(*letters(points(box.site, "a")))
    box.names = ["a"]

    keeper = taker(box, eventually, lambda one: (one.kind, one.number) == ("rewrite", 1))
    with box.replaying(keeper=keeper, hold=1) as child:
        assert child.wait(ENDED) == 1
    assert "1 letter taken by another meanwhile." in child.output
    assert box.waiting() == 0
    assert eventually(box.visible, bool)
    assert box.counts("--in-doubt") == {}


async def test_a_letter_that_another_took_after_the_put_is_told(box: Box, eventually: Ask) -> None:
    box.put(*letters(points(box.site, "a")))

    keeper = taker(box, eventually, lambda one: one.kind == "drop")
    with box.replaying(keeper=keeper, hold=1) as child:
        assert child.wait(ENDED) == 1
    assert "1 letter taken by another once the points were back: marked" in child.output
    assert box.put_back() == {"a": 1}
    assert eventually(box.visible, bool)
    assert box.counts("--in-doubt") == {"invalid": 1}


def test_an_answer_that_was_lost_leaves_letters_in_doubt(box: Box) -> None:
    box.put(*letters(points(box.site, "a")))

    def keeper(passage: Passage) -> Answer | None:
        answer = passage.forward()
        return None if passage.kind == "put" else answer

    with box.replaying(keeper=keeper, hold=1) as child:
        assert child.wait(ENDED) == 1
    assert "Error: 1 point of 1 letter may be in" in child.output
    assert "Letters that were taken are back within 1 s." in child.output
    assert box.put_back() == {"a": 1}


REFUSALS = {
    408: b"<Error><Code>OperationTimedOut</Code><Message>Late.</Message></Error>",
    403: b"<Error><Code>AuthorizationPermissionMismatch</Code><Message>No.</Message></Error>",
    503: b"<Error><Code>ServerBusy</Code><Message>Busy.</Message></Error>",
}


def refusal(status: int) -> Answer:
    return status, {"Content-Type": "application/xml"}, REFUSALS[status]


async def test_a_put_that_is_refused_leaves_letters_as_they_were(box: Box, eventually: Ask) -> None:
    box.put(*letters(points(box.site, "a")))

    def keeper(passage: Passage) -> Answer:
        return refusal(403) if passage.kind == "put" else passage.forward()

    with box.replaying(keeper=keeper, hold=1) as child:
        assert child.wait(ENDED) == 1
    assert "Error: 1 point of 1 letter were not put into" in child.output
    assert eventually(box.visible, bool)
    assert box.counts("--in-doubt") == {}
    assert box.counts() == {"invalid": 1}


def test_a_time_out_that_storage_tells_of_leaves_letters_in_doubt(
    box: Box, eventually: Ask
) -> None:
    box.put(*letters(points(box.site, "a")))

    def keeper(passage: Passage) -> Answer:
        answer = passage.forward()
        return refusal(408) if passage.kind == "put" else answer

    with box.replaying(keeper=keeper, hold=1) as child:
        assert child.wait(ENDED) == 1
    assert "Error: 1 point of 1 letter may be in" in child.output
    assert eventually(box.visible, bool)
    assert box.counts("--in-doubt") == {"invalid": 1}
    assert box.put_back() == {"a": 1}


def gave_up(reason: Exception) -> MaxRetryError:
    """What requests is told by urllib3, which was told not to try again."""
    return MaxRetryError(HTTPConnectionPool("storage"), "/letters/messages", reason)


# How a put failed -> whether the message is surely not in the queue.
FAILURES = {
    requests.exceptions.SSLError(gave_up(SSLError("bad record mac"))): False,
    requests.exceptions.SSLError(SSLError("decryption failed")): False,
    requests.exceptions.ProxyError(gave_up(ProxyError("cut", OSError("reset")))): False,
    requests.exceptions.ConnectionError(gave_up(ResponseError("too many"))): False,
    requests.exceptions.ConnectionError(ProtocolError("aborted", ConnectionResetError())): False,
    requests.exceptions.ReadTimeout("no answer"): False,
    requests.exceptions.ConnectTimeout(gave_up(ConnectTimeoutError("no way"))): True,
    requests.exceptions.ConnectionError(
        gave_up(NameResolutionError("storage", HTTPConnection("storage"), gaierror("unknown")))
    ): True,
}


class Failing(requests.adapters.BaseAdapter):
    """A way to storage on which every request fails."""

    def __init__(self, failure: Exception) -> None:
        super().__init__()
        self._failure = failure

    def send(self, *_: Any, **__: Any) -> Any:
        raise self._failure

    def close(self) -> None:
        """There is nothing to close."""


@pytest.mark.parametrize(("failure", "sure"), FAILURES.items(), ids=range(len(FAILURES)))
def test_only_what_could_not_connect_is_surely_not_put(
    backend: Backend, failure: Exception, sure: bool
) -> None:
    session = requests.Session()
    session.mount("http://", Failing(failure))
    assert (
        refused(put_by(backend.azurite.connection_string, RequestsTransport(session=session)))
        is sure
    )


def test_where_nobody_listens_nothing_is_put(backend: Backend) -> None:
    with toll(backend.azurite.connection_string, let_through) as way:
        pass
    assert refused(put_by(way, RequestsTransport()))


def put_by(way: str, transport: Any) -> AzureError:
    """The error of a put, once."""
    client = QueueClient.from_connection_string(way, "letters", transport=transport, retry_total=0)
    with client, pytest.raises(AzureError) as caught:
        client.send_message("text")
    return caught.value


async def test_a_queue_that_is_too_busy_is_asked_again(box: Box) -> None:
    box.put(*letters(points(box.site, "a")))

    def keeper(passage: Passage) -> Answer:
        busy = (passage.kind, passage.number) == ("put", 1)
        return refusal(503) if busy else passage.forward()

    with box.replaying(keeper=keeper) as child:
        assert child.wait(ENDED) == 0, child.output
    assert box.put_back() == {"a": 1}
    assert box.counts() == {}


async def test_what_a_replay_brings_about_is_left_for_the_next_one(
    box: Box, eventually: Ask
) -> None:
    box.fill()
    taken: list[datetime] = []

    def keeper(passage: Passage) -> Answer:
        if passage.kind == "take":
            taken.append(datetime.now(UTC))
        if (passage.kind, passage.number) == ("put", 1):  # Storage tells times by the second.
            later = taken[0] + timedelta(seconds=1)
            assert eventually(lambda: datetime.now(UTC) > later, bool)
            box.put(*letters(points(box.site, "late")))
        return passage.forward()

    with box.replaying(keeper=keeper) as child:
        assert child.wait(ENDED) == 1, child.output
    assert box.refused()["late"] == 1
    assert box.put_back() == dict.fromkeys(box.names, 1)


async def test_what_came_later_hides_nothing_that_was_there_before(
    box: Box, eventually: Ask
) -> None:
    def keeper(passage: Passage) -> Answer:
        if (passage.kind, passage.number) == ("take", 1):
            later = datetime.now(UTC) + timedelta(seconds=1)  # Storage tells times by the second.
            assert eventually(lambda: datetime.now(UTC) > later, bool)
            for message in early:
                box.letters.update_message(message, visibility_timeout=0)
            box.put(*letters(*(points(box.site, f"late{number}") for number in range(40))))
            held = list(box.letters.receive_messages(messages_per_page=32, visibility_timeout=1))
            assert len(held) == 41
            for message in sorted(held, key=lambda one: "early" in one.content):
                box.letters.update_message(message, visibility_timeout=0)
        return passage.forward()

    box.put(*letters(points(box.site, "early")))
    early = list(box.letters.receive_messages(visibility_timeout=600))
    with box.replaying(keeper=keeper) as child:
        assert child.wait(ENDED) == 0, child.output
    assert box.put_back() == {"early": 1}
    assert box.counts() == {"invalid": 40}


def test_no_signature_of_a_url_is_printed() -> None:
    url = "Max retries exceeded with url: /q?sv=2024&sig=b3Jk%3D (Caused by"
    with pytest.raises(QueueError) as caught, queue_errors("letters"):
        raise ServiceRequestError(f"{url}\nsecond line")
    assert str(caught.value) == f"letters: {url.replace('b3Jk%3D', '…')}"


@pytest.mark.slow
async def test_a_long_queue_is_replayed_once_by_and_by(box: Box, tmp_path: Path) -> None:
    names = [f"m{number}" for number in range(1000)]
    box.put(*letters(*(points(box.site, name) for name in names)))
    assert "1,000 letters, 1,000 points" in box.run("list").stdout
    done = box.run("replay", "--yes").stdout
    assert "1,000 points of 1,000 letters put back" in done
    assert box.waiting() <= 4
    assert await box.stored() == dict.fromkeys(names, 1)
    assert box.counts() == {}
