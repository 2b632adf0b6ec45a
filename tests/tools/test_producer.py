"""The client for producers: threads, limits, time, a queue that is away; all arrives once."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, cast

import pytest
from azure.core.exceptions import AzureError
from azure.storage.queue import QueueClient, TextBase64EncodePolicy
from hypothesis import given
from hypothesis import strategies as st

from local.azurite import Azurite
from local.stack import Backend
from shared.clients.storage import Connection, StorageRetry, open_queue_service
from shared.messages.parser import MessageParser
from shared.messages.validation import Defaults
from shared.text import utc_text
from tests.manual_host import manual_host
from tests.unit.rollups import NOW, REGION, RESOURCE
from tools.outbox import LEAST_BYTES_HELD
from tools.point_entry import DEFAULT_WINDOW, PointEntry
from tools.producer import NotSentError, PointError, Producer

PATIENCE = 60  # Seconds; for what should not take one.
NOT_NOW = 1e9


class Time:
    """A clock that stands until it is moved, and whoever waits by it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float | None] = []
        self._news: threading.Condition | None = None

    def clock(self) -> float:
        return self.now

    def wait(self, news: threading.Condition, seconds: float | None) -> None:
        self._news = news
        self.waits.append(seconds)
        news.wait()

    def advance(self, seconds: float) -> None:
        self.now += seconds
        assert self._news is not None
        with self._news:
            self._news.notify_all()


class Slow:
    """A queue that lets messages in one by one, as it is told."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.failing: Exception | None = None
        self.asked = threading.Semaphore(0)
        self.free = threading.Semaphore(0)

    def send_message(self, text: str, **_: object) -> None:
        self.asked.release()
        assert self.free.acquire(timeout=PATIENCE)
        if self.failing is not None:
            raise self.failing
        self.texts.append(text)

    def let(self, messages: int = 1) -> None:
        self.free.release(messages)


def slow_producer(queue: Slow, **options: Any) -> Producer:
    return Producer(cast(QueueClient, queue), flush_seconds=NOT_NOW, **options)


@pytest.fixture
def ingress(backend: Backend, queue: str) -> Iterator[QueueClient]:
    with backend.storage.create_queue(queue) as client:
        yield client


def texts(ingress: QueueClient) -> list[str]:
    """All messages, which are gone from the queue then."""
    return [message.content for message in ingress.receive_messages(messages_per_page=32)]


def values(text: str) -> list[float]:
    body = json.loads(text)
    documents = body if isinstance(body, list) else [body]
    return [point["value"] for document in documents for point in document["points"]]


async def test_threads_put_and_every_point_is_stored_once(backend: Backend, queue: str) -> None:
    threads, each = 16, 1500
    with manual_host(backend, queue) as host:
        with Producer(
            backend.storage.get_queue_client(queue),
            region=REGION,
            namespace="Shop",
            flush_seconds=0.05,
        ) as metrics:

            def produce(thread: int) -> None:
                for number in range(each):
                    metrics.put(
                        "Orders",
                        thread * each + number,
                        dimensions={"Thread": str(thread)},
                        resource_id=f"{RESOURCE}{number % 3}",
                    )
                    if number % 500 == 0:
                        metrics.flush()

            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(produce, range(threads)))
        assert host.queue_length() > 1
        assert await host.process_queue() == []
        assert (host.queue_length(), host.rejections()) == (0, [])
        stored = backend.metrics(namespace="Shop")
    counts: dict[str, float] = {}
    sums: dict[str, float] = {}
    for one in stored:
        thread = one["dimensions"]["Thread"]
        counts[thread] = counts.get(thread, 0) + one["count"]
        sums[thread] = sums.get(thread, 0) + one["sum"]
    assert counts == {str(thread): each for thread in range(threads)}
    assert sums == {
        str(thread): sum(range(thread * each, (thread + 1) * each)) for thread in range(threads)
    }


def test_a_message_carries_what_was_put(ingress: QueueClient) -> None:
    moment = datetime.now(UTC).replace(microsecond=0)
    with Producer(ingress, resource_id=RESOURCE, region=REGION, now=moment.timestamp) as metrics:
        metrics.put("Orders", 7, dimensions={"Country": "NL"})
        metrics.put("Latency", values=[12, 18.5, 11], time=moment - timedelta(minutes=3))
        metrics.put("Latency", min=1, max=3, sum=4, count=2, time=moment.isoformat())
        metrics.put("Orders", 8, region="eastus", resource_id=f"{RESOURCE}2", namespace="Shop")
    (text,) = texts(ingress)
    time = moment.isoformat().replace("+00:00", "Z")
    earlier = (moment - timedelta(minutes=3)).isoformat().replace("+00:00", "Z")
    latency = {"metric": "Latency", "time": time, "min": 1.0, "max": 3.0, "sum": 4.0, "count": 2}
    assert json.loads(text) == [
        {
            "resourceId": RESOURCE,
            "region": REGION,
            "points": [
                {"metric": "Orders", "dimensions": {"Country": "NL"}, "time": time, "value": 7.0},
                {**latency, "time": earlier, "min": 11.0, "max": 18.5, "sum": 41.5, "count": 3},
                latency,
            ],
        },
        {
            "resourceId": f"{RESOURCE}2",
            "region": "eastus",
            "namespace": "Shop",
            "points": [{"metric": "Orders", "time": time, "value": 8.0}],
        },
    ]


def test_a_point_has_the_time_at_which_it_was_put(ingress: QueueClient) -> None:
    moment = datetime.now(UTC).replace(second=58, microsecond=0)
    times = iter([moment.timestamp()] * 2 + [moment.timestamp() + second for second in range(4)])
    with Producer(ingress, now=lambda: next(times)) as metrics:
        metrics.put("Orders", 1)  # Asks twice: the first of a series is read as a message is.
        metrics.put("Orders", 2)
        metrics.put("Orders", 3)
        metrics.put("Orders", 4)
    (text,) = texts(ingress)
    found = [datetime.fromisoformat(point["time"]) for point in json.loads(text)["points"]]
    assert [int((time - moment).total_seconds()) for time in found] == [0, 0, 1, 2]


# --- Limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("more", "messages"), [(0, 1), (1, 2)], ids=["N", "N+1"])
@pytest.mark.parametrize(
    ("base64", "room"), [(False, 65536), (True, 49152)], ids=["text", "base64"]
)
def test_a_message_is_filled_to_the_last_byte_that_the_queue_takes(
    backend: Backend, queue: str, base64: bool, room: int, more: int, messages: int
) -> None:
    backend.storage.create_queue(queue)
    policy = TextBase64EncodePolicy() if base64 else None
    around, point = (
        len('{"points":[]}'),
        len('{"metric":"","time":"2026-11-23T07:25:30Z","value":1.0},'),
    )
    count = room // (point + 100)
    # Characters of all names together, which XML escapes: they count as they are.
    names, rest = divmod(room + 1 - around - count * point, count)
    with backend.storage.get_queue_client(queue, message_encode_policy=policy) as client:
        with Producer(client, now=NOW.timestamp) as metrics:
            for number in range(count):
                metrics.put("&" * (names + (number < rest) + (more if number == 0 else 0)), 1)
        found = texts(client)
    assert len(found) == messages
    assert more or len(found[0]) == 65536
    assert max(map(len, found)) <= 65536


async def test_a_producer_that_encodes_is_understood(backend: Backend, queue: str) -> None:
    with manual_host(backend, queue) as host:
        policy = TextBase64EncodePolicy()
        client = backend.storage.get_queue_client(queue, message_encode_policy=policy)
        with client, Producer(client, resource_id=RESOURCE, region=REGION) as metrics:
            for number in range(1000):
                metrics.put("Orders", number)
        assert await host.process_queue() == []
        assert host.stored(RESOURCE) == {"Orders": (499500.0, 1000)}


# --- Wrong points --------------------------------------------------------------------------------

WRONG: dict[str, dict[str, Any]] = {
    "no value": {},
    "two values": {"value": 1, "count": 2},
    "not a number": {"value": float("nan")},
    "infinite": {"values": [1, float("-inf")]},
    "too large": {"value": 10**400},
    "text": {"value": "7"},
    "true": {"value": True},
    "no samples": {"values": []},
    "min above max": {"min": 3, "max": 1, "sum": 4, "count": 2},
    "no name": {"metric": "", "value": 1},
    "a long name": {"metric": "m" * 257, "value": 1},
    "no name at all": {"metric": 5, "value": 1},
    "an empty dimension": {"value": 1, "dimensions": {"Country": ""}},
    "a dimension that is a number": {"value": 1, "dimensions": {"Till": 3}},
    "eleven dimensions": {"value": 1, "dimensions": {f"D{number}": "x" for number in range(11)}},
    "twice without case": {"value": 1, "dimensions": {"till": "1", "Till": "2"}},
    "a subscription": {"value": 1, "resourceId": "/subscriptions/5"},
    "no region": {"value": 1, "region": "evil.example/#"},
    "no time": {"value": 1, "time": "yesterday"},
    "too old": {"value": 1, "time": utc_text(NOW - timedelta(seconds=1201))},
    "too new": {"value": 1, "time": utc_text(NOW + timedelta(seconds=241))},
}


def put(metrics: Producer, members: dict[str, Any]) -> None:
    given = {"metric": "Orders", **members}
    if "resourceId" in given:
        given["resource_id"] = given.pop("resourceId")
    metrics.put(**given)


@pytest.mark.parametrize("members", WRONG.values(), ids=WRONG)
def test_a_wrong_point_raises_what_its_dead_letter_would_say(
    members: dict[str, Any], ingress: QueueClient
) -> None:
    body = json.dumps({"points": [{"metric": "Orders", **members}]}).encode()
    parser = MessageParser(Defaults("QueueProcessing", RESOURCE), DEFAULT_WINDOW)
    (refused,) = parser.parse(body, enqueued=NOW, now=NOW).rejections
    with Producer(ingress, resource_id=RESOURCE, now=NOW.timestamp) as metrics:
        metrics.put("Orders", 1)  # That a series is known changes nothing.
        with pytest.raises(PointError) as raised:
            put(metrics, members)
    said = refused.detail.removeprefix("points[0]").removeprefix(".").removeprefix(": ")
    assert str(raised.value) == said
    assert [values(text) for text in texts(ingress)] == [[1]]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"resource_id": "/subscriptions/5/"},
            "resourceId: '/subscriptions/5/' is a subscription;",
        ),
        ({"region": "West-Europe"}, "region: 'West-Europe' is not a region"),
        ({"namespace": "n" * 257}, "namespace: Expected `str` of length <= 256"),
    ],
)
def test_a_wrong_address_is_refused_at_once(
    options: dict[str, str], said: str, ingress: QueueClient
) -> None:
    with pytest.raises(PointError) as raised:
        Producer(ingress, **options)  # type: ignore[arg-type]
    assert str(raised.value).startswith(said)


def test_what_no_json_can_hold_is_refused(ingress: QueueClient) -> None:
    with Producer(ingress) as metrics:
        with pytest.raises(PointError, match="cannot hold object"):
            metrics.put("Orders", object())  # type: ignore[arg-type]
        with pytest.raises(PointError, match="not valid JSON"):
            metrics.put("Orders", 1, dimensions={"Country": "\ud800"})


def test_numbers_of_other_libraries_are_numbers(ingress: QueueClient) -> None:
    with Producer(ingress) as metrics:
        metrics.put("Orders", Decimal("1.5"))  # type: ignore[arg-type]
        metrics.put("Orders", cast(float, Fraction(1, 4)))
        metrics.put("Orders", values=(number for number in (1.0, 2.0)))
    (text,) = texts(ingress)
    points = json.loads(text)["points"]
    assert [point.get("value", point.get("sum")) for point in points] == [1.5, 0.25, 3.0]


@given(
    st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**18), 10**18),
    st.dictionaries(st.text(min_size=1, max_size=5), st.text(min_size=1), max_size=3),
    st.sampled_from([(None, None, None), (RESOURCE, "eastus", "n")]),
)
def test_a_series_that_is_known_is_written_as_at_first(
    value: float, dimensions: dict[str, str], address: tuple[str | None, str | None, str | None]
) -> None:
    entry = PointEntry(f"{RESOURCE}2", REGION, None, NOW.timestamp)
    given = ("Orders", {"value": value}, dimensions, None, address)
    try:
        first = entry.write(*given)
    except PointError:  # Names that are the same without case.
        with pytest.raises(PointError):
            entry.write(*given)
        return
    assert entry.write(*given) == first


# --- Time ----------------------------------------------------------------------------------------


def test_what_waits_goes_out_in_time(ingress: QueueClient, eventually: Any) -> None:
    time = Time()
    with Producer(ingress, flush_seconds=10, clock=time.clock, wait=time.wait) as metrics:
        metrics.put("Orders", 1)
        eventually(lambda: time.waits[-1:], lambda last: last == [10])
        time.advance(4)
        metrics.put("Orders", 2)
        time.advance(5.9)
        eventually(lambda: time.waits[-1] or 0, lambda left: left < 1)
        assert ingress.peek_messages() == []
        time.advance(0.1)
        (text,) = eventually(lambda: texts(ingress), bool)
        assert values(text) == [1, 2]
        eventually(lambda: time.waits[-1:], lambda last: last == [None])
        time.advance(1000)
        metrics.put("Orders", 3)
        eventually(lambda: time.waits[-1:], lambda last: last == [10])
        assert ingress.peek_messages() == []
    assert [values(text) for text in texts(ingress)] == [[3]]


def test_a_full_message_does_not_wait(ingress: QueueClient, eventually: Any) -> None:
    with Producer(ingress, flush_seconds=NOT_NOW) as metrics:
        for number in range(1500):
            metrics.put("Orders", number)
        eventually(lambda: ingress.get_queue_properties().approximate_message_count, bool)
    found = [value for text in texts(ingress) for value in values(text)]
    assert found == list(range(1500))


def test_put_waits_for_room_while_the_queue_takes_what_there_is(eventually: Any) -> None:
    queue = Slow()
    metrics = slow_producer(queue, most_bytes_held=200_000)
    put: list[int] = []

    def produce() -> None:
        for number in range(10_000):
            metrics.put("Orders", number)
            put.append(number)

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(produce)
        assert queue.asked.acquire(timeout=PATIENCE)
        stuck = eventually(lambda: len(put), lambda count: count > 3000)
        assert stuck < 5000
        queue.let(1000)
        done.result(PATIENCE)
    metrics.close()
    assert [value for text in queue.texts for value in values(text)] == list(range(10_000))


# --- A queue that is away ------------------------------------------------------------------------


@contextmanager
def own_queue(azurite: Azurite) -> Iterator[QueueClient]:
    """A queue whose client does not try again by itself."""
    connection = Connection("test", connection_string=azurite.connection_string)
    with open_queue_service(connection, StorageRetry(retries=0)).get_queue_client(
        "metrics"
    ) as client:
        yield client


def test_a_queue_that_is_away_gets_everything_when_it_is_back(tmp_path: Any) -> None:
    told: list[NotSentError] = []
    with Azurite(folder=tmp_path) as azurite, own_queue(azurite) as client:
        client.create_queue()
        with Producer(client, flush_seconds=NOT_NOW, on_error=told.append) as metrics:
            for number in range(1000):
                metrics.put("Orders", number)
            azurite.stop()
            for number in range(1000, 2000):
                metrics.put("Orders", number)
            with pytest.raises(NotSentError) as raised:
                metrics.flush()
            assert "points were not sent: ServiceRequestError: " in str(raised.value)
            unsent = raised.value.points
            assert sum(len(values(body.decode())) for body in raised.value.messages) == unsent
            azurite.start()
            metrics.flush()
            assert told[-1] is raised.value
            found = [value for text in texts(client) for value in values(text)]
            assert found == list(range(2000))
            assert unsent >= 1000
        assert texts(client) == []


def test_a_producer_that_may_hold_little_still_sends() -> None:
    queue = Slow()
    queue.let(1000)
    with slow_producer(queue, most_bytes_held=LEAST_BYTES_HELD) as metrics:
        for number in range(20_000):
            metrics.put("Orders", number)
    assert [value for text in queue.texts for value in values(text)] == list(range(20_000))


def test_what_waits_for_a_queue_that_is_away_is_bounded() -> None:
    queue = Slow()
    queue.failing = AzureError("away")
    queue.let(1000)
    metrics = slow_producer(queue, most_bytes_held=200_000, on_error=lambda _: None)
    taken = 0

    def produce() -> None:
        nonlocal taken
        for number in range(10_000):
            metrics.put("Orders", number)
            taken += 1

    with pytest.raises(NotSentError, match="points were not sent: AzureError: away"):
        produce()
    assert 2000 < taken < 5000
    with pytest.raises(NotSentError) as raised:
        metrics.close()
    assert raised.value.points == taken  # None is lost in silence: the caller has them.
    assert [v for body in raised.value.messages for v in values(body.decode())] == list(
        range(taken)
    )


def test_it_is_tried_again_each_flush_seconds(eventually: Any) -> None:
    time, queue = Time(), Slow()
    queue.failing = AzureError("away")
    queue.let(1000)
    told: list[NotSentError] = []
    metrics = Producer(
        cast(QueueClient, queue),
        flush_seconds=10,
        on_error=told.append,
        clock=time.clock,
        wait=time.wait,
    )
    metrics.put("Orders", 1)
    for attempt in range(1, 4):
        eventually(lambda: time.waits[-1:], lambda last: last == [10])
        time.waits.clear()
        time.advance(10)
        eventually(lambda: len(told), lambda count, attempt=attempt: count == attempt)
        assert len(told) == attempt
    queue.failing = None
    eventually(lambda: time.waits[-1:], lambda last: last == [10])
    time.advance(10)
    eventually(lambda: len(queue.texts), bool)
    metrics.close()
    assert [values(text) for text in queue.texts] == [[1]]


def test_without_on_error_a_warning_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    queue = Slow()
    queue.failing = AzureError("away\nRequestId: 5")
    queue.let(10)
    metrics = slow_producer(queue)
    metrics.put("Orders", 1)
    with pytest.raises(NotSentError):
        metrics.flush()
    queue.failing = None
    metrics.close()
    assert caplog.messages == ["1 points were not sent: AzureError: away; it is tried again"]


def test_an_on_error_that_breaks_breaks_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: NotSentError) -> None:
        raise LookupError("broken")

    queue = Slow()
    queue.failing = AzureError("away")
    queue.let(10)
    metrics = slow_producer(queue, on_error=broken)
    metrics.put("Orders", 1)
    with pytest.raises(NotSentError):
        metrics.flush()
    queue.failing = None
    metrics.close()
    assert (len(queue.texts), caplog.messages) == (1, ["on_error of a Producer broke"])


# --- The end -------------------------------------------------------------------------------------


def test_after_close_nothing_is_taken(ingress: QueueClient) -> None:
    metrics = Producer(ingress)
    metrics.put("Orders", 1)
    metrics.close()
    metrics.close()
    uses: list[Callable[[], None]] = [lambda: metrics.put("Orders", 2), metrics.flush]
    for use in uses:
        with pytest.raises(RuntimeError, match="this Producer is closed"):
            use()
    assert [values(text) for text in texts(ingress)] == [[1]]


def test_what_is_put_while_it_closes_is_sent_or_refused() -> None:
    queue = Slow()
    queue.let(10_000)
    metrics = slow_producer(queue)
    taken: list[list[int]] = []
    begun = threading.Barrier(5)

    def produce(thread: int) -> None:
        mine: list[int] = []
        taken.append(mine)
        begun.wait(PATIENCE)
        for number in range(thread, 10**9, 4):
            metrics.put("Orders", number)
            mine.append(number)

    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(produce, thread) for thread in range(4)]
        begun.wait(PATIENCE)
        assert queue.asked.acquire(timeout=PATIENCE)
        metrics.close()
        for one in done:
            with pytest.raises(RuntimeError, match="this Producer is closed"):
                one.result(PATIENCE)
    found = sorted(value for text in queue.texts for value in values(text))
    assert found == sorted(number for mine in taken for number in mine)
    assert found


NO_POINTS: dict[str, dict[str, Any]] = {
    "an object": {"value": object()},
    "a name that is none": {"metric": object(), "value": 1},
    "text for dimensions": {"value": 1, "dimensions": "ab"},
    "no text for dimensions": {"value": 1, "dimensions": ""},
    "pairs for dimensions": {"value": 1, "dimensions": [("a", "b")]},
    "a dimension of no text": {"value": 1, "dimensions": {"a": object()}},
    "an object for a time": {"value": 1, "time": object()},
    "more than a double": {"value": Fraction(10**400)},
}


@pytest.mark.parametrize("point", NO_POINTS.values(), ids=NO_POINTS)
def test_what_is_of_a_wrong_type_is_a_wrong_point(point: dict[str, Any]) -> None:
    entry = PointEntry(RESOURCE, REGION, None)
    entry.write(
        "x", {"value": 1}, None, None, (None, None, None)
    )  # Known, so the quick way is open.
    with pytest.raises(PointError):
        entry.write(
            point.get("metric", "x"),
            {"value": point["value"]},
            point.get("dimensions"),
            point.get("time"),
            (None, None, None),
        )


WRONG_NUMBERS: list[dict[str, Any]] = [
    {"flush_seconds": -1},
    {"flush_seconds": float("nan")},
    {"flush_seconds": float("inf")},
    {"most_bytes_held": 5},
]


@pytest.mark.parametrize("options", WRONG_NUMBERS, ids=str)
def test_a_number_that_cannot_be_is_refused(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=f"^{name} is "):
        Producer(cast(QueueClient, Slow()), **options)
