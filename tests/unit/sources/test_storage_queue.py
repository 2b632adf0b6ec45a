"""Storage queues in the real Azurite: depths and ages, what is chosen, what it costs."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from azure.core.credentials import AccessToken
from azure.identity import CredentialUnavailableError
from azure.storage.queue import QueueClient
from builders import LANE, NOW, REGION, RESOURCE
from scripted import Asked, Said, Server, forward_to, serving
from sourcing import Standing, make_context, open_gate, open_one, take, values

from local.azurite import ACCOUNT, ACCOUNT_KEY
from local.stack import Backend
from shared.clients.deadline import Deadline
from shared.clients.rate_limiter import Gate
from shared.model import Point, Series
from shared.sources import Source
from shared.sources.sampler import Sample, fill

WHERE = "METRICS_SOURCES[0]"
METRICS = ("QueueDepth", "QueueVisibleDepth", "QueueOldestMessageAge", "PoisonQueueDepth")


def connection_string(endpoint: str) -> str:
    return f"AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};QueueEndpoint={endpoint}/{ACCOUNT}"


def entry(*queues: str, **members: Any) -> dict[str, Any]:
    return {
        "kind": "storage_queue",
        "resourceId": RESOURCE,
        "region": REGION,
        "connection": "Orders",
        "queues": list(queues),
        **members,
    }


@pytest.fixture
def prefix() -> str:
    """What the names of this test's queues begin with, and no other's."""
    return f"q{uuid.uuid4().hex[:8]}"


class Account:
    """Azurite, with queues that all begin alike."""

    def __init__(self, backend: Backend, prefix: str) -> None:
        self._backend = backend
        self.prefix = prefix

    def queue(self, name: str, messages: int = 0) -> QueueClient:
        """A new queue with so many messages in it."""
        client = self._backend.storage.create_queue(f"{self.prefix}-{name}")
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(client.send_message, map(str, range(messages))))
        return client

    def source(self, *queues: str, **members: Any) -> Source:
        """A source of queues, named without the beginning; a pattern may begin with ! too."""
        whole = [
            f"!{self.prefix}-{name[1:]}" if name.startswith("!") else f"{self.prefix}-{name}"
            for name in queues
        ]
        context = make_context({"Orders": self._backend.azurite.connection_string})
        return open_one(entry(*whole, **members), context)

    def values(self, sample: Sample) -> dict[tuple[str, ...], float]:
        """Queue without the beginning, metric -> value."""
        return {
            (key[0].removeprefix(f"{self.prefix}-"), *key[1:]): value
            for key, value in values(sample, "QueueName").items()
        }


@pytest.fixture
def account(backend: Backend, prefix: str) -> Account:
    return Account(backend, prefix)


def of_queue(name: str, *of: float) -> dict[tuple[str, ...], float]:
    return {(name, metric): value for metric, value in zip(METRICS, of, strict=True)}


# --- Values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("messages", [0, 1, 31, 32, 33])
def test_depth_and_visible_depth(messages: int, account: Account) -> None:
    began = datetime.now(UTC).replace(microsecond=0)  # As a queue tells times.
    account.queue("a", messages)
    now = datetime.now(UTC)
    sample = take(account.source("a"), now)
    assert sample.problems == []
    found = account.values(sample)
    age = found.pop(("a", "QueueOldestMessageAge"))
    assert found == {
        ("a", "QueueDepth"): messages,
        ("a", "QueueVisibleDepth"): messages,
        ("a", "PoisonQueueDepth"): 0,
    }
    assert 0 <= age <= (now - began).total_seconds()


HIDDEN = {
    # messages, taken of them, depth, visible depth
    "some": (5, 2, 5, 3),
    "all": (3, 3, 3, 0),
    "so that 31 are seen": (40, 9, 40, 31),
    # A peek shows 32 at the most, and then the depth is all there is to say.
    "so that 32 are seen": (40, 8, 40, 40),
}


@pytest.mark.parametrize(("messages", "taken", "depth", "visible"), HIDDEN.values(), ids=HIDDEN)
def test_messages_that_are_being_worked_on(
    messages: int, taken: int, depth: int, visible: int, account: Account
) -> None:
    queue = account.queue("a", messages)
    assert len(list(queue.receive_messages(max_messages=taken, visibility_timeout=600))) == taken
    found = account.values(take(account.source("a"), datetime.now(UTC)))
    assert found["a", "QueueDepth"] == depth
    assert found["a", "QueueVisibleDepth"] == visible
    if visible == 0:
        assert found["a", "QueueOldestMessageAge"] == 0


def test_the_age_is_that_of_the_oldest_visible_message_at_the_tick(account: Account) -> None:
    queue = account.queue("a")
    put = queue.send_message("oldest").inserted_on
    assert put is not None
    queue.send_message("newer")
    source = account.source("a", metrics=["QueueOldestMessageAge"])
    for seconds in (300.0, 0.5, 0.0):
        sample = take(source, put + timedelta(seconds=seconds))
        assert account.values(sample) == {("a", "QueueOldestMessageAge"): seconds}
    # The service's clock is ahead of ours.
    assert account.values(take(source, put - timedelta(seconds=5))) == {
        ("a", "QueueOldestMessageAge"): 0.0
    }


def test_points_carry_tick_address_and_dimensions(account: Account) -> None:
    account.queue("a", 2)
    source = account.source("a", metrics=["QueueDepth"], dimensions={"Env": "test"}, namespace="N")
    dimensions = (("Env", "test"), ("QueueName", f"{account.prefix}-a"))
    sample = take(source, NOW)
    assert sample.points == [
        Point.of_one(LANE, Series.of("N", "QueueDepth", dimensions), NOW, 2.0),
    ]
    assert sample.errors == 0


def test_a_poison_queue_is_nothing_until_it_appears(account: Account) -> None:
    account.queue("a", 1)
    source = account.source("a", metrics=["PoisonQueueDepth"])
    assert account.values(take(source, NOW)) == {("a", "PoisonQueueDepth"): 0}
    poison = account.queue("a-poison", 3)
    assert account.values(take(source, NOW)) == {("a", "PoisonQueueDepth"): 3}
    poison.delete_queue()
    assert account.values(take(source, NOW)) == {("a", "PoisonQueueDepth"): 0}


@pytest.mark.parametrize("metric", METRICS)
def test_metrics_are_chosen(metric: str, account: Account) -> None:
    account.queue("a", 2)
    account.queue("a-poison", 3)
    found = account.values(take(account.source("a", metrics=[metric]), datetime.now(UTC)))
    assert list(found) == [("a", metric)]
    if metric != "QueueOldestMessageAge":
        assert found["a", metric] == (3 if metric == "PoisonQueueDepth" else 2)


def test_visible_depth_without_depth(account: Account) -> None:
    """Beyond what a peek shows the depth is needed, but not published."""
    account.queue("a", 40)
    found = account.values(take(account.source("a", metrics=["QueueVisibleDepth"]), NOW))
    assert found == {("a", "QueueVisibleDepth"): 40}


# --- Which queues ---------------------------------------------------------------------------------

CHOSEN: dict[str, tuple[list[str], list[str]]] = {
    "a name": (["b"], ["b"]),
    "names": (["c", "a"], ["a", "c"]),
    "a pattern": (["img-[0-9]"], ["img-1", "img-2"]),
    "names and patterns, each once": (["img-2", "img-*", "a"], ["a", "img-1", "img-2", "img-x"]),
    "exclusions": (["*", "!img-*", "!*-poison"], ["a", "b", "c"]),
    "a poison queue by name": (["a-poison"], ["a-poison"]),
    "poison queues by pattern": (["a*"], ["a", "a-poison"]),
    "nothing that is there": (["none-*"], []),
}


@pytest.mark.parametrize(("patterns", "expected"), CHOSEN.values(), ids=CHOSEN)
def test_queues_are_chosen(patterns: list[str], expected: list[str], account: Account) -> None:
    for name in ("a", "a-poison", "b", "c", "img-1", "img-2", "img-x"):
        account.queue(name)
    sample = take(account.source(*patterns, metrics=["QueueDepth"]), NOW)
    assert sample.problems == []
    assert [key[0] for key in account.values(sample)] == expected


def test_a_poison_queue_has_no_poison_queue(account: Account) -> None:
    account.queue("a", 1)
    account.queue("a-poison", 2)
    found = account.values(take(account.source("a*"), datetime.now(UTC)))
    assert {key[0] for key in found if key[1] == "PoisonQueueDepth"} == {"a"}
    assert found["a", "PoisonQueueDepth"] == found["a-poison", "QueueDepth"] == 2


def test_a_queue_that_appears_is_found(account: Account) -> None:
    source = account.source("new-*", metrics=["QueueDepth"])
    sample = take(source, NOW)
    assert (sample.points, sample.errors) == ([], 0)
    account.queue("new-1", 1)
    assert account.values(take(source, NOW)) == {("new-1", "QueueDepth"): 1}


def test_a_named_queue_that_is_missing_stops_no_other(account: Account) -> None:
    account.queue("a", 1)
    account.queue("b", 2)
    sample = take(account.source("a", "missing", "b"), datetime.now(UTC))
    assert sample.problems == [
        f"queue {account.prefix}-missing: The specified queue does not exist."
    ]
    found = account.values(sample)
    assert {name: value for (name, metric), value in found.items() if metric == "QueueDepth"} == {
        "a": 1,
        "b": 2,
    }
    assert {name for name, _ in found} == {"a", "b"}


# --- What it costs --------------------------------------------------------------------------------


class Watched:
    """Azurite behind a proxy that remembers what was asked, and may do something in between."""

    def __init__(self, backend: Backend) -> None:
        self._forward = forward_to(backend.azurite.queue_endpoint)
        self.after: Callable[[Asked], None] = lambda _: None
        self.server: Server

    def answer(self, asked: Asked) -> Said:
        answer = self._forward(asked)
        self.after(asked)
        return answer

    def source(self, account: Account, *queues: str, **members: Any) -> Source:
        context = make_context({"Orders": connection_string(self.server.url)})
        return open_one(entry(*(f"{account.prefix}-{name}" for name in queues), **members), context)

    def kinds(self) -> list[str]:
        """What each request asked for, in order of names: list, properties, peek."""
        found = []
        for asked in self.server.asked:
            if "comp" in asked.query:
                found.append({"list": "list", "metadata": "properties"}[asked.query["comp"]])
            else:
                assert asked.query["peekonly"] == "true"
                assert asked.query["numofmessages"] == "32"
                found.append("peek")
        return sorted(found)

    def statuses(self) -> set[int]:
        return {status for _, status in self.server.answered}


@pytest.fixture
def watched(backend: Backend) -> Iterator[Watched]:
    watched = Watched(backend)
    with serving(watched.answer) as watched.server:
        yield watched


def test_many_queues_are_listed_once_and_none_is_asked_for_in_vain(
    account: Account, watched: Watched
) -> None:
    for number in range(20):
        account.queue(f"a{number:02}", number % 3)
    account.queue("a05-poison", 4)
    source = watched.source(account, "a??")
    for tick in range(1, 4):
        sample = take(source, datetime.now(UTC))
        assert (len(sample.points), sample.problems) == (80, [])
        assert account.values(sample)["a05", "PoisonQueueDepth"] == 4
        expected = ["list"] + ["peek"] * 20 + ["properties"] * 21
        assert watched.kinds() == sorted(expected * tick)
    assert watched.statuses() == {200}


REQUESTS = {
    # metrics, patterns, requests
    "depth": (["QueueDepth"], ["a", "b"], "properties properties"),
    "age": (["QueueOldestMessageAge"], ["a"], "peek"),
    "visible depth": (["QueueVisibleDepth"], ["a"], "peek properties"),
    "all of one": (list(METRICS), ["a"], "list peek properties"),
    "all of one with a poison queue": (list(METRICS), ["b"], "list peek properties properties"),
    "poison of one": (["PoisonQueueDepth"], ["a"], "list"),
    "poison by pattern": (["PoisonQueueDepth"], ["[ab]"], "list properties"),
    "nothing that is there": (list(METRICS), ["none-*"], "list"),
}


@pytest.mark.parametrize(("metrics", "queues", "requests"), REQUESTS.values(), ids=REQUESTS)
def test_no_more_is_asked_than_is_needed(
    metrics: list[str], queues: list[str], requests: str, account: Account, watched: Watched
) -> None:
    for name in ("a", "b", "b-poison"):
        account.queue(name)
    sample = take(watched.source(account, *queues, metrics=metrics), NOW)
    assert sample.problems == []
    assert watched.kinds() == requests.split()
    assert watched.statuses() == {200}


@pytest.mark.parametrize(("names", "lists"), [(10, 10), (11, 1)])
def test_for_many_names_poison_queues_are_looked_for_in_one_list(
    names: int, lists: int, account: Account, watched: Watched
) -> None:
    chosen = [f"a{number:02}" for number in range(names)]
    for name in chosen:
        account.queue(name)
    account.queue("a00-poison", 1)
    sample = take(watched.source(account, *chosen), datetime.now(UTC))
    assert account.values(sample)["a00", "PoisonQueueDepth"] == 1
    assert (len(sample.points), sample.problems) == (4 * names, [])
    assert watched.kinds().count("list") == lists


def test_queues_that_are_too_many_for_a_tick_take_turns(account: Account, watched: Watched) -> None:
    names = [f"q{number}" for number in range(6)]
    for name in names:
        account.queue(name)
    clock = Standing()

    def gate(name: str, per_second: float) -> Gate:
        return Gate(at_once=1, per_second=1.0, clock=clock, sleep=clock.sleep)

    context = make_context({"Orders": connection_string(watched.server.url)}, gate=gate)
    source = open_one(entry(f"{account.prefix}-*", metrics=["QueueDepth"]), context)
    read: list[list[str]] = []
    for _ in range(3):
        sample = Sample()
        fill(sample, source, NOW, Deadline(5.5, clock=clock))
        clock.now += 60
        read.append([key[0] for key in account.values(sample)])
        assert sample.errors == 1
    # One request is for the list; after a pause one more goes at once.
    assert read == [
        ["q0", "q1", "q2", "q3"],
        ["q4", "q5", "q0", "q1", "q2"],
        ["q3", "q4", "q5", "q0", "q1"],
    ]


def test_a_queue_that_is_deleted_after_the_listing_stops_no_other(
    account: Account, watched: Watched
) -> None:
    clients = {name: account.queue(name, 1) for name in ("a", "b", "c")}

    def delete(asked: Asked) -> None:
        if asked.query.get("comp") == "list":
            clients["b"].delete_queue()

    watched.after = delete
    sample = take(watched.source(account, "*"), datetime.now(UTC))
    assert sample.problems == [f"queue {account.prefix}-b: The specified queue does not exist."]
    assert {key[0] for key in account.values(sample)} == {"a", "c"}


def test_a_poison_queue_that_is_deleted_after_the_listing_is_nothing(
    account: Account, watched: Watched
) -> None:
    account.queue("a", 1)
    poison = account.queue("a-poison", 1)

    def delete(asked: Asked) -> None:
        if asked.query.get("comp") == "list":
            poison.delete_queue()

    watched.after = delete
    sample = take(watched.source(account, "a"), datetime.now(UTC))
    assert sample.problems == []
    assert account.values(sample)["a", "PoisonQueueDepth"] == 0
    assert account.values(sample)["a", "QueueDepth"] == 1


def test_messages_that_come_between_two_requests(account: Account, watched: Watched) -> None:
    """The depth was 0 when it was asked for, and a peek then sees more than it can show."""
    queue = account.queue("a")

    def fill(asked: Asked) -> None:
        if asked.query.get("comp") == "metadata":
            with ThreadPoolExecutor(8) as threads:
                list(threads.map(queue.send_message, map(str, range(35))))

    watched.after = fill
    found = account.values(take(watched.source(account, "a"), datetime.now(UTC)))
    assert found["a", "QueueDepth"] == 0
    assert found["a", "QueueVisibleDepth"] == 32


def test_requests_go_through_the_gate_of_the_account(account: Account, backend: Backend) -> None:
    account.queue("a")
    account.queue("b")
    pauses: list[float] = []
    opened: list[tuple[str, float]] = []

    def gate(name: str, per_second: float) -> Gate:
        opened.append((name, per_second))
        return Gate(at_once=2, per_second=1000.0, clock=lambda: 0.0, sleep=pauses.append)

    context = make_context({"Orders": backend.azurite.connection_string}, gate=gate)
    sample = take(open_one(entry(f"{account.prefix}-*"), context), NOW)
    assert len(sample.points) == 8
    assert len(pauses) == 1 + 2 * 2
    assert opened == [(backend.azurite.queue_endpoint.removeprefix("http://"), 1000.0)]


def test_a_signature_is_in_no_name_of_a_thread() -> None:
    opened: list[str] = []

    def gate(name: str, per_second: float) -> Gate:
        opened.append(name)
        return open_gate()

    text = "QueueEndpoint=https://orders.queue.core.windows.net;SharedAccessSignature=sig=c2VjcmV0"
    open_one(entry("orders"), make_context({"Orders": text}, gate=gate))
    assert opened == ["orders.queue.core.windows.net"]


# --- Traffic --------------------------------------------------------------------------------------


class Traffic:
    """Two messages in, one out, again and again; counts before and after each step."""

    def __init__(self, queue: QueueClient) -> None:
        self._queue = queue
        # Begun and done: what is between may or may not be seen.
        self.put = [0, 0]
        self.taken = [0, 0]
        self.deleted = [0, 0]

    def run(self, rounds: int) -> None:
        for number in range(rounds):
            for _ in range(2):
                self.put[0] += 1
                self._queue.send_message(str(number))
                self.put[1] += 1
            self.taken[0] += 1
            (message,) = self._queue.receive_messages(max_messages=1, visibility_timeout=600)
            self.taken[1] += 1
            self.deleted[0] += 1
            self._queue.delete_message(message)
            self.deleted[1] += 1


def test_values_are_right_while_messages_come_and_go(account: Account) -> None:
    began = datetime.now(UTC).replace(microsecond=0)
    traffic = Traffic(account.queue("a"))
    source = account.source("a*")
    thread = threading.Thread(target=traffic.run, args=(60,))
    thread.start()
    samples = 0
    while thread.is_alive() or samples == 0:
        put, taken, deleted = traffic.put[1], traffic.taken[1], traffic.deleted[1]
        now = datetime.now(UTC)
        sample = take(source, now)
        samples += 1
        assert sample.problems == []
        found = account.values(sample)
        least, most = put - traffic.deleted[0], traffic.put[0] - deleted
        assert least <= found["a", "QueueDepth"] <= most
        visible = found["a", "QueueVisibleDepth"]
        assert min(put - traffic.taken[0], 32) <= visible
        assert visible <= (traffic.put[0] - taken if visible < 32 else most)
        assert 0 <= found["a", "QueueOldestMessageAge"] <= (now - began).total_seconds()
    thread.join()
    found = account.values(take(source, datetime.now(UTC)))
    assert found["a", "QueueDepth"] == found["a", "QueueVisibleDepth"] == 60


# --- Accounts that cannot be sampled --------------------------------------------------------------


def storage_error(status: int, code: str, message: str) -> Said:
    """A refusal as the queue service sends it."""
    body = (
        f'\ufeff<?xml version="1.0" encoding="utf-8"?>\n<Error><Code>{code}</Code>'
        f"<Message>{message}\nRequestId:5b2f8c1d\nTime:2026-11-23T07:25:30Z</Message></Error>"
    )
    headers = {"Content-Type": "application/xml", "x-ms-error-code": code}
    return Said(status, body.encode(), headers)


NOT_ALLOWED = "This request is not authorized to perform this operation using this permission."
FORBIDDEN = storage_error(403, "AuthorizationPermissionMismatch", NOT_ALLOWED)


def test_an_account_that_may_not_be_listed_is_one_problem() -> None:
    with serving(lambda _: FORBIDDEN) as server:
        context = make_context({"Orders": connection_string(server.url)})
        sample = take(open_one(entry("*"), context), NOW)
        assert sample.points == []
        assert sample.problems == [f"queues cannot be listed: {NOT_ALLOWED}"]
        assert len(server.asked) == 1


def test_queues_that_may_not_be_read_are_named() -> None:
    with serving(lambda _: FORBIDDEN) as server:
        context = make_context({"Orders": connection_string(server.url)})
        sample = take(open_one(entry("one", "two"), context), NOW)
        assert len(server.asked) == 2
    assert sample.points == []
    assert sample.problems == [f"queue {name}: {NOT_ALLOWED}" for name in ("one", "two")]


def test_depths_are_had_where_the_list_may_not_be_read(account: Account, backend: Backend) -> None:
    """A signature for messages alone does not allow to look for the poison queue."""
    account.queue("a", 2)
    forward = forward_to(backend.azurite.queue_endpoint)

    def answer(asked: Asked) -> Said:
        return FORBIDDEN if asked.query.get("comp") == "list" else forward(asked)

    with serving(answer) as server:
        context = make_context({"Orders": connection_string(server.url)})
        sample = take(open_one(entry(f"{account.prefix}-a"), context), NOW)
    assert {key[1] for key in account.values(sample)} == set(METRICS[:3])
    (problem,) = sample.problems
    assert problem == (f"queue {account.prefix}-a: queues cannot be listed: {NOT_ALLOWED}")


def test_the_depth_is_had_where_messages_may_not_be_peeked(
    account: Account, backend: Backend
) -> None:
    account.queue("a", 2)
    forward = forward_to(backend.azurite.queue_endpoint)

    def answer(asked: Asked) -> Said:
        return FORBIDDEN if "peekonly" in asked.query else forward(asked)

    with serving(answer) as server:
        context = make_context({"Orders": connection_string(server.url)})
        sample = take(open_one(entry(f"{account.prefix}-a"), context), NOW)
    assert account.values(sample) == {("a", "QueueDepth"): 2, ("a", "PoisonQueueDepth"): 0}
    assert sample.problems == [f"queue {account.prefix}-a: {NOT_ALLOWED}"]


def test_what_is_given_by_name_is_had_where_the_list_may_not_be_read(
    account: Account, backend: Backend
) -> None:
    account.queue("a", 2)
    forward = forward_to(backend.azurite.queue_endpoint)

    def answer(asked: Asked) -> Said:
        return FORBIDDEN if asked.query.get("comp") == "list" else forward(asked)

    with serving(answer) as server:
        context = make_context({"Orders": connection_string(server.url)})
        sample = take(open_one(entry(f"{account.prefix}-a", "x*"), context), NOW)
        assert len(server.asked) == 3
    # Whether there is a poison queue is not known: 0 would be a lie.
    assert {key[1] for key in account.values(sample)} == set(METRICS[:3])
    assert sample.problems == [f"queues cannot be listed: {NOT_ALLOWED}"]


def test_an_identity_without_a_token_is_one_problem() -> None:
    class NoIdentity:
        def get_token(self, *scopes: str, **_: Any) -> AccessToken:
            assert scopes == ("https://storage.azure.com/.default",)
            raise CredentialUnavailableError("no managed identity endpoint found")

    context = msgspec.structs.replace(make_context(), credential=NoIdentity)
    given = {**entry("orders", "b*"), "account": "https://orders.queue.core.windows.net"}
    del given["connection"]
    sample = take(open_one(given, context), NOW)
    assert (sample.points, sample.problems) == ([], ["no managed identity endpoint found"])


XML = {"Content-Type": "application/xml"}
COUNT = XML | {"x-ms-approximate-messages-count": "1"}


def listed(*names: str, more: str = "") -> bytes:
    """A page of a list of queues, and where the next one begins."""
    queues = "".join(f"<Queue><Name>{name}</Name></Queue>" for name in names)
    return (
        f"<EnumerationResults><Queues>{queues}</Queues><NextMarker>{more}</NextMarker>"
        "</EnumerationResults>"
    ).encode()


def test_a_list_without_end_is_left() -> None:
    page = listed("orders", more="again")
    with serving(lambda _: Said(200, page, XML)) as server:
        context = make_context({"Orders": connection_string(server.url)})
        sample = take(open_one(entry("*"), context), NOW, 0.5)
        assert len(server.asked) > 1
    assert sample.problems == ["queues cannot be listed: not read in time"]


def test_a_queue_that_hangs_stops_no_other() -> None:
    """What was read until the deadline is kept; what was not is counted."""
    page = listed("aaa", "bbb", "ccc")

    # Not Azurite, which may itself be slow for as long as the others have.
    def answer(asked: Asked) -> Said | None:
        if asked.path.endswith("/bbb"):
            asked.ended.wait(60)
            return None
        return Said(200, page if asked.query.get("comp") == "list" else b"", COUNT)

    with serving(answer) as server:
        context = make_context({"Orders": connection_string(server.url)})
        source = open_one(entry("*", metrics=["QueueDepth"]), context)
        for _ in range(2):
            sample = take(source, NOW, 4.0)
            assert values(sample, "QueueName") == {
                ("aaa", "QueueDepth"): 1,
                ("ccc", "QueueDepth"): 1,
            }
            assert sample.problems == ["1 of 3 queues not read in time: no answer yet"]


LIST = "queues cannot be listed: "


def peeked(put: str, count: str = "0") -> bytes:
    return (
        f"<QueueMessagesList><QueueMessage><MessageId>1</MessageId><InsertionTime>{put}"
        f"</InsertionTime><ExpirationTime>{put}</ExpirationTime><DequeueCount>{count}"
        "</DequeueCount><MessageText>x</MessageText></QueueMessage></QueueMessagesList>"
    ).encode()


ODD: dict[str, tuple[Said, str, str]] = {
    # answer to everything, problem of a queue, problem of a pattern
    "text": (
        Said(200, b"It works!", COUNT | {"Content-Type": "text/plain"}),
        "no answer of a queue service: ",
        f"{LIST}no answer of a queue service: ",
    ),
    "a page": (
        Said(200, b"<html></html>", XML),
        "no count in the answer",
        f"{LIST}no answer of a queue service: ",
    ),
    "nothing": (
        Said(200, b"", COUNT),
        "no answer of a queue service: ",
        f"{LIST}no answer of a queue service: ",
    ),
    "cut off": (Said(200, b"<html><body>", COUNT), "", LIST),
    "no characters": (Said(200, b"\xff", COUNT), "no answer of", f"{LIST}no answer of"),
    "a count of letters": (
        Said(200, b"<x/>", COUNT | {"x-ms-approximate-messages-count": "many"}),
        "no answer of a queue service: invalid literal for int()",
        LIST,
    ),
    "a time of letters": (Said(200, peeked("yesterday"), COUNT), "no answer of", LIST),
    "a redirect": (
        Said(302, b"", {"Location": "/else"}),
        "Reached maximum redirect attempts.",
        f"{LIST}Reached maximum redirect attempts.",
    ),
}


@pytest.mark.parametrize(("answer", "of_name", "of_pattern"), ODD.values(), ids=ODD)
def test_what_is_no_queue_service_is_a_problem(answer: Said, of_name: str, of_pattern: str) -> None:
    with serving(lambda _: answer) as server:
        context = make_context({"Orders": connection_string(server.url)})
        named = take(open_one(entry("orders"), context), NOW).problems[0]
        (listed,) = take(open_one(entry("*"), context), NOW).problems
    assert named.startswith(f"queue orders: {of_name}")
    assert listed.startswith(of_pattern)
    assert "\n" not in named + listed


def test_an_account_that_is_not_there() -> None:
    with serving(lambda _: None) as server:
        url = server.url
    source = open_one(entry("*"), make_context({"Orders": connection_string(url)}))
    (problem,) = take(source, NOW).problems
    assert re.match(r"queues cannot be listed: .*refused", problem)
