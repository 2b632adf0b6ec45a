"""Sources: what METRICS_SOURCES may hold, and what a storage queue gives."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from azure.core.credentials import AccessToken
from builders import LANE, NOW, REGION, RESOURCE

from shared.connections import Connection, resolve_connection
from shared.errors import ConfigurationError
from shared.model import Point
from shared.refusal import RefusedError
from shared.sources import KINDS, Context, Source, load_sources
from shared.sources.base import SourceConfig, Target

ENVIRON = {
    "OrdersStorage": "UseDevelopmentStorage=true",
    "BrokenStorage": "AccountKey=c2VjcmV0",
}


class Nobody:
    """A credential that is never asked."""

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        raise AssertionError(scopes)


def find(name: str) -> Connection:
    return resolve_connection(ENVIRON, name)


CONTEXT = Context(find, Nobody, "QueueProcessing", None)
ENTRY = {
    "kind": "storage_queue",
    "resourceId": RESOURCE,
    "region": REGION,
    "account": "https://orders.queue.core.windows.net",
    "queues": ["orders"],
}


def entry(**changes: Any) -> dict[str, Any]:
    """An entry with changes; a member that is None is left out."""
    return {name: value for name, value in {**ENTRY, **changes}.items() if value is not None}


def load(*entries: Any, context: Context = CONTEXT) -> tuple[list[Source], list[str]]:
    return load_sources(json.dumps(entries), context)


GOOD = {
    "account": entry(),
    "connection": entry(account=None, connection="OrdersStorage"),
    "several queues": entry(queues=["orders", "orders-poison"]),
    "namespace": entry(namespace="n" * 256),
    "dimensions": entry(dimensions={f"d{number}": "x" for number in range(9)}),
}


@pytest.mark.parametrize("given", GOOD.values(), ids=GOOD)
def test_a_source_is_opened(given: Any) -> None:
    sources, problems = load(given)
    assert problems == []
    assert [source.name for source in sources] == ["METRICS_SOURCES[0]"]


def test_no_sources_are_no_problem() -> None:
    assert load_sources("[]", CONTEXT) == ([], [])


def test_the_region_may_come_from_the_settings() -> None:
    context = Context(find, Nobody, "QueueProcessing", REGION)
    assert load(entry(region=None), context=context)[1] == []


NOT_AN_ARRAY = {
    "word": ("queues", "not JSON: JSON is malformed: invalid character (byte 0)"),
    "object": ("{}", "found an object, expected an array"),
    "cut off": ('[{"kind": ', "not JSON: Input data was truncated"),
    "bytes that are no text": (
        '["\udcff"]',
        r"'utf-8' codec can't encode character '\udcff' in position 2: surrogates not allowed",
    ),
}


@pytest.mark.parametrize(("text", "found"), NOT_AN_ARRAY.values(), ids=NOT_AN_ARRAY)
def test_what_is_no_array_is_a_wrong_setting(text: str, found: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_sources(text, CONTEXT)
    assert str(caught.value) == f"METRICS_SOURCES: {found}; expected a JSON array of sources"


RESOURCES = "/subscriptions/…/resourceGroups/…/providers/Microsoft.Storage/storageAccounts/…"
KNOWN = ", ".join(KINDS)
REGIONS = "is not a region: lower-case letters and digits, such as westeurope"
NO_TLS = "is not an address that begins with https://"
CONNECTION = "expected a storage connection string or the address of an account's queues"
ONE_OF = "give exactly one of account and connection"
BAD = {
    "number": (5, ": found 5, expected an object"),
    "no kind": (entry(kind=None), f".kind: missing; known kinds are {KNOWN}"),
    "unknown kind": (entry(kind="queue"), f".kind: 'queue' is not one of {KNOWN}"),
    "kind that is a number": (entry(kind=5), f".kind: '5' is not one of {KNOWN}"),
    "kind that is an array": (entry(kind=["x"]), f".kind: \"['x']\" is not one of {KNOWN}"),
    "unknown member": (entry(queue="orders"), ": unknown member 'queue'; did you mean queues?"),
    "no resource ID": (entry(resourceId=None), ": member resourceId is missing"),
    "not a resource ID": (
        entry(resourceId="orders"),
        f".resourceId: 'orders' is not a resource ID: {RESOURCES}",
    ),
    "no region": (entry(region=None), ".region: missing, and METRICS_REGION is not set"),
    "a stranger's region": (
        entry(region="evil.example/#"),
        f".region: 'evil.example/#' {REGIONS}",
    ),
    "no queues": (entry(queues=[]), ".queues: 0 members, at least 1"),
    "short name of a queue": (
        entry(queues=["orders", "ab"]),
        ".queues[1]: 2 characters, at least 3",
    ),
    "long namespace": (entry(namespace="n" * 257), ".namespace: 257 characters, at most 256"),
    "empty dimension": (
        entry(dimensions={"d": ""}),
        ".dimensions[...]: wrong number of characters, at least 1",
    ),
    "ten dimensions and its own": (
        entry(dimensions={f"d{number}": "x" for number in range(10)}),
        ".dimensions: 11 dimensions, at most 10",
    ),
    "its own dimension": (
        entry(dimensions={"QueueName": "x"}),
        ".dimensions: 'QueueName' is given twice",
    ),
    "its own dimension in another case": (
        entry(dimensions={"queuename": "x"}),
        ".dimensions: 'queuename' is given twice, as 'QueueName' too",
    ),
    "account and connection": (entry(connection="OrdersStorage"), f": {ONE_OF}"),
    "neither account nor connection": (entry(account=None), f": {ONE_OF}"),
    "account without TLS": (
        entry(account="http://orders.queue.core.windows.net"),
        f".account: 'http://orders.queue.core.windows.net' {NO_TLS}",
    ),
    "unknown connection": (
        entry(account=None, connection="Other"),
        f": Other is not set, nor Other__queueServiceUri, nor Other__accountName: {CONNECTION}",
    ),
}


@pytest.mark.parametrize(("given", "text"), BAD.values(), ids=BAD)
def test_a_bad_source_is_named_and_the_others_are_opened(given: Any, text: str) -> None:
    sources, problems = load(entry(), given, entry())
    assert [source.name for source in sources] == ["METRICS_SOURCES[0]", "METRICS_SOURCES[2]"]
    assert problems == [f"METRICS_SOURCES[1]{text}"]


def test_a_connection_that_cannot_be_opened_is_not_quoted() -> None:
    _, (problem,) = load(entry(account=None, connection="BrokenStorage"))
    assert problem.startswith("METRICS_SOURCES[0]: BrokenStorage is no connection string: ")
    assert "c2VjcmV0" not in problem


def test_a_target_has_dimensions_of_both_in_the_order_of_names() -> None:
    config = SourceConfig(kind="x", resource_id=RESOURCE, dimensions={"z": "1", "A": "2"})
    target = Target.of(config, Context(find, Nobody, "n", REGION), own=("Queue",))
    assert target.point("m", 2.0, NOW, {"Queue": "q"}) == Point(
        LANE, "n", "m", (("A", "2"), ("Queue", "q"), ("z", "1")), NOW, 2.0, 2.0, 2.0, 1
    )


def test_a_target_needs_a_region() -> None:
    config = SourceConfig(kind="x", resource_id=RESOURCE)
    with pytest.raises(RefusedError, match=r"^region: missing, and METRICS_REGION is not set$"):
        Target.of(config, CONTEXT, own=())


# --- Storage queues, through the real client ----------------------------------------------------


class Account(ThreadingHTTPServer):
    """The two operations that are needed, answered as Queue Storage does."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Operations)
        # Name -> messages, and how many seconds ago each that can be seen was put there.
        self.queues: dict[str, tuple[int, list[float]]] = {}
        self.peeked: list[str] = []


class Operations(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Account)
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        name = url.path.split("/")[2]
        if name not in self.server.queues:
            self._answer(404, "<Error><Code>QueueNotFound</Code><Message>Gone.</Message></Error>")
            return
        count, ages = self.server.queues[name]
        if query.get("comp") == ["metadata"]:
            self._answer(200, "", {"x-ms-approximate-messages-count": str(count)})
            return
        assert query["peekonly"] == ["true"]
        self.server.peeked.extend(query["numofmessages"])
        messages = "".join(map(message_xml, ages))
        self._answer(200, f"<QueueMessagesList>{messages}</QueueMessagesList>")

    def _answer(self, status: int, body: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for header, value in {"Content-Type": "application/xml", **(headers or {})}.items():
            self.send_header(header, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing on the terminal."""


def message_xml(age: float) -> str:
    put = format_datetime(NOW - timedelta(seconds=age), usegmt=True)
    return (
        f"<QueueMessage><MessageId>1</MessageId><InsertionTime>{put}</InsertionTime>"
        f"<ExpirationTime>{put}</ExpirationTime><DequeueCount>0</DequeueCount>"
        "<MessageText>x</MessageText></QueueMessage>"
    )


@pytest.fixture
def account() -> Iterator[Account]:
    with Account() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def open_source(account: Account, *queues: str) -> Source:
    endpoint = f"http://127.0.0.1:{account.server_port}/orders"
    text = f"AccountName=orders;AccountKey=c2VjcmV0;QueueEndpoint={endpoint}"
    context = Context(
        lambda name: Connection(name, connection_string=text), Nobody, "QueueProcessing", REGION
    )
    given = entry(account=None, connection="S", queues=list(queues), dimensions={"Env": "test"})
    (source,), _ = load(given, context=context)
    return source


AGES = {
    "two that can be seen": (5, [90.0, 30.0], 5.0, 90.0),
    "the oldest is not the first": (2, [30.0, 90.0], 2.0, 90.0),
    "all are being worked on": (7, [], 7.0, 0.0),
    "empty": (0, [], 0.0, 0.0),
    "a clock that is ahead": (1, [-30.0], 1.0, 0.0),
}


@pytest.mark.parametrize(("count", "ages", "depth", "age"), AGES.values(), ids=AGES)
def test_a_queue_gives_its_depth_and_the_age_of_its_oldest_message(
    account: Account, count: int, ages: list[float], depth: float, age: float
) -> None:
    account.queues["orders"] = (count, ages)
    sample = open_source(account, "orders").sample(NOW)
    dimensions = (("Env", "test"), ("QueueName", "orders"))
    assert sample.problems == []
    assert sample.points == [
        Point(LANE, "QueueProcessing", "QueueDepth", dimensions, NOW, depth, depth, depth, 1),
        Point(LANE, "QueueProcessing", "QueueOldestMessageAge", dimensions, NOW, age, age, age, 1),
    ]
    assert account.peeked == ["32"]


def test_a_queue_that_is_not_there_stops_no_other(account: Account) -> None:
    account.queues["orders"] = (3, [])
    sample = open_source(account, "gone", "orders").sample(NOW)
    assert [dict(one.dimensions)["QueueName"] for one in sample.points] == ["orders", "orders"]
    (problem,) = sample.problems
    assert problem.startswith("METRICS_SOURCES[0]: queue gone: ")
    assert "\n" not in problem
