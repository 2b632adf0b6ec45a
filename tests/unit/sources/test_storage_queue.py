"""Storage queue sources: depth and age, which queues, what they cost, and errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from azure.identity import CredentialUnavailableError

from shared.clients.http import Deadline
from shared.model import Series
from shared.sources import Context, Source
from tests.unit.rollups import NOW, REGION, RESOURCE, TARGET
from tests.unit.sources.helpers import (
    RecordingLimiters,
    make_context,
    open_source,
    slow_limiter,
    take,
    values,
)
from tests.unit.stubs import ManualClock, Request, Response, StubServer, serve

METRICS = ("QueueDepth", "QueueVisibleDepth", "QueueOldestMessageAge", "PoisonQueueDepth")
XML = {"Content-Type": "application/xml"}
NOT_FOUND = "The specified queue does not exist."
NOT_ALLOWED = "This request is not authorized to perform this operation using this permission."
NO_QUEUE = f"{NOT_FOUND} ErrorCode:QueueNotFound"
NO_ROLE = f"{NOT_ALLOWED} ErrorCode:AuthorizationPermissionMismatch"


def storage_error(status: int, code: str, message: str, more: str = "") -> Response:
    body = (
        f'\ufeff<?xml version="1.0" encoding="utf-8"?>\n<Error><Code>{code}</Code>'
        f"<Message>{message}\nRequestId:5b2f8c1d\nTime:2026-11-23T07:25:30Z</Message>{more}</Error>"
    )
    return Response(status, body.encode(), XML | {"x-ms-error-code": code})


def list_page(*names: str, marker: str = "") -> Response:
    queues = "".join(f"<Queue><Name>{name}</Name></Queue>" for name in names)
    body = (
        f"<EnumerationResults><Queues>{queues}</Queues>"
        f"<NextMarker>{marker}</NextMarker></EnumerationResults>"
    )
    return Response(200, body.encode(), XML)


FORBIDDEN = storage_error(403, "AuthorizationPermissionMismatch", NOT_ALLOWED)


class StubAccount:
    """The queue service of an account: for each queue, when its visible messages were enqueued.

    `hidden` messages count for the depth only. `after` is called after each request.
    """

    def __init__(self) -> None:
        self.queues: dict[str, list[datetime]] = {}
        self.hidden: dict[str, int] = {}
        self.forbidden: set[str] = set()
        self.after: Callable[[str], None] = lambda _: None
        self.server: StubServer

    @property
    def context(self) -> Context:
        return make_context({"Orders": connection_string(self.server)})

    def handle(self, request: Request) -> Response:
        kind = kind_of(request)
        queue = request.path.split("/")[2] if request.path.count("/") > 1 else ""
        response = FORBIDDEN if kind in self.forbidden else self._respond(kind, queue, request)
        self.after(kind)
        return response

    def _respond(self, kind: str, queue: str, request: Request) -> Response:
        if kind == "list":
            prefix = request.query.get("prefix", "")
            return list_page(*(name for name in sorted(self.queues) if name.startswith(prefix)))
        if queue not in self.queues:
            return storage_error(404, "QueueNotFound", NOT_FOUND)
        visible = self.queues[queue]
        if kind == "properties":
            count = str(len(visible) + self.hidden.get(queue, 0))
            return Response(200, b"", {"x-ms-approximate-messages-count": count})
        times = [format_datetime(time, usegmt=True) for time in visible[:32]]
        messages = "".join(
            f"<QueueMessage><MessageId>1</MessageId><InsertionTime>{time}</InsertionTime>"
            f"<ExpirationTime>{time}</ExpirationTime><DequeueCount>0</DequeueCount>"
            "<MessageText>x</MessageText></QueueMessage>"
            for time in times
        )
        body = f"<QueueMessagesList>{messages}</QueueMessagesList>"
        return Response(200, body.encode(), XML)

    def requested(self) -> list[str]:
        """Return the kinds of the requests, sorted: queues are sampled concurrently."""
        return sorted(map(kind_of, self.server.requests))


def kind_of(request: Request) -> str:
    if "comp" in request.query:
        return {"list": "list", "metadata": "properties"}[request.query["comp"]]
    assert (request.query["peekonly"], request.query["numofmessages"]) == ("true", "32")
    return "peek"


def connection_string(server: StubServer) -> str:
    return f"AccountName=orders;AccountKey=c2VjcmV0;QueueEndpoint={server.url}/orders"


@pytest.fixture
def account() -> Iterator[StubAccount]:
    account = StubAccount()
    with serve(account.handle) as account.server:
        yield account


def entry(*queues: str, **members: Any) -> dict[str, Any]:
    common = {"kind": "storage_queue", "resourceId": RESOURCE, "region": REGION}
    return {**common, "connection": "Orders", "queues": list(queues), **members}


def source_of(account: StubAccount, *queues: str, **members: Any) -> Source:
    return open_source(entry(*queues, **members), account.context)


def messages(count: int, *, age: float = 0.0) -> list[datetime]:
    """Return the times of messages that were enqueued some seconds before NOW."""
    return [NOW - timedelta(seconds=age)] * count


# --- Values ---------------------------------------------------------------------------------------

DEPTHS = {
    # Visible and hidden messages, visible depth.
    "empty": (0, 0, 0),
    "one": (1, 0, 1),
    "31": (31, 0, 31),
    "32": (32, 0, 32),
    "33": (33, 0, 33),
    "some are hidden": (3, 2, 3),
    "all are hidden": (0, 3, 0),
    "31 of 40 are visible": (31, 9, 31),
    # A peek returns at most 32 messages: the depth is the best that is known.
    "32 of 40 are visible": (32, 8, 40),
}


@pytest.mark.parametrize(("visible", "hidden", "depth"), DEPTHS.values(), ids=DEPTHS)
def test_depth_and_visible_depth(
    visible: int, hidden: int, depth: int, account: StubAccount
) -> None:
    account.queues["orders"] = messages(visible, age=5.0)
    account.hidden["orders"] = hidden
    sample = take(source_of(account, "orders"))
    assert sample.errors == []
    assert values(sample, "QueueName") == {
        ("orders", "QueueDepth"): visible + hidden,
        ("orders", "QueueVisibleDepth"): depth,
        ("orders", "QueueOldestMessageAge"): 5.0 if visible else 0.0,
        ("orders", "PoisonQueueDepth"): 0,
    }


@pytest.mark.parametrize(("ages", "expected"), [([1.0, 9.0, 3.0], 9.0), ([-5.0], 0.0)])
def test_the_age_is_that_of_the_oldest_message(
    ages: list[float], expected: float, account: StubAccount
) -> None:
    account.queues["orders"] = [NOW - timedelta(seconds=age) for age in ages]
    sample = take(source_of(account, "orders", metrics=["QueueOldestMessageAge"]))
    assert values(sample) == {("QueueOldestMessageAge",): expected}


def test_messages_may_arrive_between_two_requests(account: StubAccount) -> None:
    account.queues["orders"] = []

    def enqueue(kind: str) -> None:
        if kind == "properties":
            account.queues["orders"] = messages(35)

    account.after = enqueue
    found = values(take(source_of(account, "orders")))
    assert (found["QueueDepth",], found["QueueVisibleDepth",]) == (0, 32)


def test_measurements_have_the_dimensions_of_the_source(account: StubAccount) -> None:
    account.queues["orders"] = messages(2)
    source = source_of(
        account, "orders", metrics=["QueueDepth"], dimensions={"Env": "test"}, namespace="N"
    )
    rollup = take(source).rollup
    series = Series.of("N", "QueueDepth", (("Env", "test"), ("QueueName", "orders")))
    assert (rollup.target, list(rollup.minutes.values())) == (TARGET, [{series: [2.0]}])


def test_a_poison_queue_counts_once_it_exists(account: StubAccount) -> None:
    account.queues = {"orders": []}
    source = source_of(account, "orders", metrics=["PoisonQueueDepth"])
    assert values(take(source)) == {("PoisonQueueDepth",): 0}
    account.queues["orders-poison"] = messages(3)
    assert values(take(source)) == {("PoisonQueueDepth",): 3}


def test_a_poison_queue_has_no_poison_queue(account: StubAccount) -> None:
    account.queues = {"a": [], "a-poison": messages(2)}
    found = values(take(source_of(account, "a*")), "QueueName")
    assert {key[0] for key in found if key[1] == "PoisonQueueDepth"} == {"a"}
    assert found["a", "PoisonQueueDepth"] == found["a-poison", "QueueDepth"] == 2


# --- Which queues, and requests -------------------------------------------------------------------

CHOSEN: dict[str, tuple[list[str], list[str]]] = {
    "names": (["ccc", "aaa"], ["aaa", "ccc"]),
    "a pattern": (["img-[0-9]"], ["img-1", "img-2"]),
    "names and patterns": (["img-2", "img-*", "aaa"], ["aaa", "img-1", "img-2", "img-x"]),
    "exclusions": (["*", "!img-*", "!*-poison"], ["aaa", "ccc"]),
    "poison queues": (["a*"], ["aaa", "aaa-poison"]),
    "none": (["none-*"], []),
}


@pytest.mark.parametrize(("patterns", "expected"), CHOSEN.values(), ids=CHOSEN)
def test_queues_are_chosen(patterns: list[str], expected: list[str], account: StubAccount) -> None:
    account.queues = {name: [] for name in ("aaa", "aaa-poison", "ccc", "img-1", "img-2", "img-x")}
    sample = take(source_of(account, *patterns, metrics=["QueueDepth"]))
    assert sample.errors == []
    assert [key[0] for key in values(sample, "QueueName")] == expected


REQUESTS = {
    # Metrics, patterns, requests.
    "depth": (["QueueDepth"], ["aaa", "bbb"], "properties properties"),
    "age": (["QueueOldestMessageAge"], ["aaa"], "peek"),
    "visible depth": (["QueueVisibleDepth"], ["aaa"], "peek properties"),
    "all": (list(METRICS), ["aaa"], "list peek properties"),
    "all and a poison queue": (list(METRICS), ["bbb"], "list peek properties properties"),
    "poison queue": (["PoisonQueueDepth"], ["aaa"], "list"),
    "poison queues by pattern": (["PoisonQueueDepth"], ["[ab]??"], "list properties"),
    "none": (list(METRICS), ["none-*"], "list"),
}


@pytest.mark.parametrize(("metrics", "queues", "requests"), REQUESTS.values(), ids=REQUESTS)
def test_requests_are_as_few_as_possible(
    metrics: list[str], queues: list[str], requests: str, account: StubAccount
) -> None:
    account.queues = {name: messages(1) for name in ("aaa", "bbb", "bbb-poison")}
    sample = take(source_of(account, *queues, metrics=metrics))
    assert sample.errors == []
    assert {key[1] for key in values(sample, "QueueName")} <= set(metrics)
    assert account.requested() == requests.split()


@pytest.mark.parametrize(("count", "lists"), [(10, 10), (11, 1)])
def test_many_poison_queues_are_looked_up_in_one_list(
    count: int, lists: int, account: StubAccount
) -> None:
    names = [f"queue{number}" for number in range(count)]
    account.queues = {name: [] for name in (*names, "queue0-poison")}
    sample = take(source_of(account, *names))
    assert (sample.points, sample.errors) == (4 * count, [])
    assert account.requested().count("list") == lists


def test_queues_that_are_too_many_for_a_tick_take_turns(account: StubAccount) -> None:
    account.queues = {f"queue{number}": [] for number in range(6)}
    clock = ManualClock()
    context = make_context(
        {"Orders": connection_string(account.server)}, rate_limiter=slow_limiter(clock)
    )
    source = open_source(entry("*", metrics=["QueueDepth"]), context)
    read: list[str] = []
    for _ in range(3):
        sample = take(source, NOW, Deadline(5.5, clock))
        clock.sleep(60)
        read.append("".join(key[0][-1] for key in values(sample, "QueueName")))
        assert sample.error_count == 1
    # One request is for the list; after idle time, one more starts at once.
    assert read == ["0123", "45012", "34501"]


def test_an_account_has_its_rate_limiter_without_its_signature() -> None:
    limiters = RecordingLimiters()
    text = "QueueEndpoint=https://orders.queue.core.windows.net;SharedAccessSignature=sig=c2VjcmV0"
    open_source(entry("orders"), make_context({"Orders": text}, rate_limiter=limiters))
    assert limiters.made == [("orders.queue.core.windows.net", 1000.0)]


# --- Errors ---------------------------------------------------------------------------------------


def test_a_queue_that_does_not_exist_stops_no_other(account: StubAccount) -> None:
    account.queues = {"aaa": [], "bbb": []}
    sample = take(source_of(account, "aaa", "missing", "bbb"))
    assert sample.errors == [f"queue missing: {NO_QUEUE}"]
    assert {key[0] for key in values(sample, "QueueName")} == {"aaa", "bbb"}


def test_a_name_that_is_too_long_for_the_suffix_has_no_poison_queue(account: StubAccount) -> None:
    short, long = "a" * 56, "b" * 57
    account.queues = {short: [], long: []}
    sample = take(source_of(account, short, long, metrics=["PoisonQueueDepth"]))
    assert sample.errors == []
    assert values(sample, "QueueName") == {(short, "PoisonQueueDepth"): 0.0}


def test_a_signature_that_has_expired_is_said_to_have_expired(account: StubAccount) -> None:
    detail = (
        "Signature not valid in the specified time frame: Start [Sun, 01 Nov 2026 00:00:00 GMT] - "
        "Expiry [Sun, 22 Nov 2026 00:00:00 GMT] - Current [Mon, 23 Nov 2026 07:25:30 GMT]"
    )
    failed = storage_error(
        403,
        "AuthenticationFailed",
        "Server failed to authenticate the request.",
        f"<AuthenticationErrorDetail>{detail}</AuthenticationErrorDetail>",
    )
    account.server.handler = lambda _: failed
    sample = take(source_of(account, "aaa"))
    (error,) = sample.errors
    assert error == (
        "queue aaa: Server failed to authenticate the request. ErrorCode:AuthenticationFailed "
        f"authenticationerrordetail:{detail}"
    )


@pytest.mark.parametrize(
    ("deleted", "errors"),
    [("bbb", [f"queue bbb: {NO_QUEUE}"]), ("aaa-poison", [])],
    ids=["queue", "poison queue"],
)
def test_a_queue_may_be_deleted_after_it_is_listed(
    deleted: str, errors: list[str], account: StubAccount
) -> None:
    account.queues = {name: messages(1) for name in ("aaa", "bbb", "aaa-poison")}

    def delete(kind: str) -> None:
        if kind == "list":
            del account.queues[deleted]

    account.after = delete
    sample = take(source_of(account, "*", "!*-poison"))
    assert sample.errors == errors
    assert values(sample, "QueueName")["aaa", "PoisonQueueDepth"] == (1 if errors else 0)


NO_LIST = f"queues cannot be listed: {NO_ROLE}"
FORBIDDEN_REQUESTS: dict[str, tuple[set[str], list[str], set[str], list[str]]] = {
    # Refused requests, patterns, metrics, errors.
    "everything": (
        {"list", "properties", "peek"},
        ["aaa", "bbb"],
        set(),
        [f"queue aaa: {NO_ROLE}", f"queue bbb: {NO_ROLE}"],
    ),
    "everything, by pattern": ({"list", "properties", "peek"}, ["*"], set(), [NO_LIST]),
    # Whether there is a poison queue is unknown: 0 would be wrong.
    "list": ({"list"}, ["aaa"], set(METRICS[:3]), [f"queue aaa: {NO_LIST}"]),
    "list, with a pattern": ({"list"}, ["aaa", "x*"], set(METRICS[:3]), [NO_LIST]),
    "peek": (
        {"peek"},
        ["aaa"],
        {"QueueDepth", "PoisonQueueDepth"},
        [f"queue aaa: {NO_ROLE}"],
    ),
}


@pytest.mark.parametrize(
    ("forbidden", "queues", "metrics", "errors"),
    FORBIDDEN_REQUESTS.values(),
    ids=FORBIDDEN_REQUESTS,
)
def test_what_is_allowed_is_sampled(
    forbidden: set[str],
    queues: list[str],
    metrics: set[str],
    errors: list[str],
    account: StubAccount,
) -> None:
    account.queues = {"aaa": messages(2), "bbb": []}
    account.forbidden = forbidden
    sample = take(source_of(account, *queues))
    assert {key[0] for key in values(sample)} == metrics
    assert sample.errors == errors


@pytest.mark.parametrize(
    "failure", [CredentialUnavailableError("no identity"), KeyError("access_token")]
)
def test_an_identity_without_a_token_is_one_error(failure: Exception) -> None:
    class NoToken:
        def get_token(self, *scopes: str, **_: Any) -> Any:
            assert scopes == ("https://storage.azure.com/.default",)
            raise failure

    given = entry("orders", "b*") | {"account": "https://orders.queue.core.windows.net"}
    del given["connection"]
    sample = take(open_source(given, make_context(credential=NoToken)))
    (error,) = sample.errors
    assert error.startswith("NoToken: ")


def test_a_list_without_an_end_stops_at_the_deadline() -> None:
    clock = ManualClock()

    def page(_: Request) -> Response:
        clock.sleep(1.0)
        return list_page("orders", marker="again")

    with serve(page) as server:
        context = make_context({"Orders": connection_string(server)})
        sample = take(open_source(entry("*"), context), NOW, Deadline(5.0, clock))
        assert len(server.requests) == 5
    assert sample.errors == [
        "queues cannot be listed: the list was not complete before the deadline"
    ]


COUNT = XML | {"x-ms-approximate-messages-count": "1"}
NOT_A_QUEUE_SERVICE: dict[str, tuple[Response, str]] = {
    "text": (Response(200, b"It works!", COUNT | {"Content-Type": "text/plain"}), ""),
    "page": (Response(200, b"<html></html>", XML), "the response has no valid message count: None"),
    "empty": (Response(200, b"", COUNT), ""),
    "cut off": (Response(200, b"<html><body>", COUNT), "XML is invalid"),
    "not UTF-8": (Response(200, b"\xff", COUNT), ""),
    "count of letters": (
        Response(200, b"<x/>", COUNT | {"x-ms-approximate-messages-count": "many"}),
        "",
    ),
    "negative count": (
        Response(200, b"", COUNT | {"x-ms-approximate-messages-count": "-1"}),
        "the response has no valid message count: -1",
    ),
    "redirect": (Response(302, b"", {"Location": "/x"}), "Reached maximum redirect attempts."),
}


@pytest.mark.parametrize(("answer", "text"), NOT_A_QUEUE_SERVICE.values(), ids=NOT_A_QUEUE_SERVICE)
def test_a_server_that_is_not_a_queue_service_is_an_error(answer: Response, text: str) -> None:
    with serve(lambda _: answer) as server:
        context = make_context({"Orders": connection_string(server)})
        (error,) = take(open_source(entry("orders", metrics=METRICS[:2]), context)).errors
        (list_error,) = take(open_source(entry("*"), context)).errors
    assert error.startswith(f"queue orders: {text or 'not a queue service response: '}")
    assert list_error.startswith("queues cannot be listed: ")
    assert "\n" not in error + list_error
