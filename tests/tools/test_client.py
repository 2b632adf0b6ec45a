"""The Python client: what it sends, when, and what becomes of values that cannot be sent."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
from azure.core.exceptions import AzureError
from azure.storage.queue import QueueClient, TextBase64EncodePolicy
from hypothesis import given
from hypothesis import strategies as st
from metric_relay_client import MetricClient, NotSentError
from metric_relay_client import _points as limits

from local.stack import ROOT, Backend
from shared import model, resource_ids
from shared.messages.parser import MessageParser
from shared.messages.validation import Defaults
from shared.model import TimeWindow
from tests.manual_host import manual_host
from tests.unit.rollups import NOW, REGION, RESOURCE

CLIENT = ROOT / "tools" / "client"
NEVER = 1e6  # Seconds.
SECOND = NOW.timestamp()


class Recorder:
    """A queue that keeps what is sent, or fails."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.error: BaseException | None = None
        self.takes = sys.maxsize  # Messages until it fails.

    def send_message(self, text: str, *, time_to_live: int) -> None:
        assert time_to_live == -1
        self.takes -= 1
        if self.error is not None and self.takes < 0:
            raise self.error
        self.texts.append(text)

    @property
    def points(self) -> list[dict[str, Any]]:
        return [point for text in self.texts for point in json.loads(text)["points"]]


@contextmanager
def recorded(**options: Any) -> Iterator[tuple[MetricClient, Recorder]]:
    """A client that sends when it is told to."""
    queue = Recorder()
    options = {"flush_seconds": NEVER, "now": lambda: SECOND, **options}
    client = MetricClient(cast(QueueClient, queue), **options)
    try:
        yield client, queue
    finally:
        queue.error = None
        client.close()


def numbers(queue: Recorder) -> list[int]:
    """The values of dimension N."""
    return [int(point["dimensions"]["N"]) for point in queue.points]


def send_series(client: MetricClient, count: int, begin: int = 0) -> None:
    for number in range(begin, begin + count):
        client.send("Orders", number, dimensions={"N": str(number)})


# --- What is sent ---------------------------------------------------------------------------------


def test_a_message_holds_value_sets_by_series_and_minute() -> None:
    earlier = NOW - timedelta(minutes=3)
    with recorded(resource_id=RESOURCE, region=REGION) as (client, queue):
        client.send("Orders", 7, dimensions={"Country": "NL"})
        client.send("Latency", values=[12, 18.5, 11])
        client.send("Latency", min=1, max=3, sum=4, count=2, time=NOW - timedelta(seconds=1))
        client.send("Latency", 5, time=earlier.replace(tzinfo=None))
        client.send("Orders", 8, region="eastus", resource_id=f"{RESOURCE}2", namespace="Shop")
        client.flush()
        (text,) = queue.texts
    time = NOW.isoformat().replace("+00:00", "Z")
    latency = {"metric": "Latency", "time": time, "min": 1.0, "max": 18.5, "sum": 45.5, "count": 5}
    before = {"metric": "Latency", "time": f"{earlier:%Y-%m-%dT%H:%M:%SZ}", "value": 5.0}
    orders = {"metric": "Orders", "time": time, "value": 7.0}
    elsewhere = {"resourceId": f"{RESOURCE}2", "region": "eastus", "namespace": "Shop"}
    assert json.loads(text) == {
        "resourceId": RESOURCE,
        "region": REGION,
        "points": [
            {**orders, "dimensions": {"Country": "NL"}},
            latency,
            before,
            {**orders, **elsewhere, "value": 8.0},
        ],
    }


@pytest.mark.parametrize("policy", [None, TextBase64EncodePolicy()], ids=["text", "base64"])
async def test_threads_send_and_every_value_is_stored_once(
    backend: Backend, queue: str, policy: TextBase64EncodePolicy | None
) -> None:
    with manual_host(backend, queue) as host:
        storage = backend.storage.get_queue_client(queue, message_encode_policy=policy)
        with MetricClient(storage, region=REGION, namespace="Shop", flush_seconds=0.01) as client:

            def produce(thread: int) -> None:
                for number in range(1000):
                    client.send(
                        "Orders",
                        number,
                        dimensions={"Thread": str(thread), "N": str(number % 300)},
                        resource_id=f"{RESOURCE}{number % 3}",
                    )

            with ThreadPoolExecutor(4) as pool:
                list(pool.map(produce, range(4)))
        assert await host.process_queue() == []
        assert host.rejections() == []
        stored = backend.metrics(namespace="Shop")
    assert sum(one["count"] for one in stored) == 4000
    assert sum(one["sum"] for one in stored) == 4 * sum(range(1000))


names = st.text(min_size=1, max_size=256)


@given(
    st.floats() | st.integers(),
    names,
    st.dictionaries(names, names, max_size=12),
    st.none() | st.sampled_from([RESOURCE, "/subscriptions/1", "x"]),
    st.none() | st.sampled_from([REGION, "West Europe", "evil.example/#"]),
)
def test_what_the_client_takes_the_relay_takes(
    value: float,
    metric: str,
    dimensions: Mapping[str, str],
    resource_id: str | None,
    region: str | None,
) -> None:
    with recorded() as (client, queue):
        try:
            client.send(
                metric, value, dimensions=dimensions, resource_id=resource_id, region=region
            )
        except ValueError:
            return
        client.flush()
        (text,) = queue.texts
    assert len(text.encode()) <= limits.MAX_MESSAGE_BYTES
    assert "\uffff" not in text  # XML cannot hold it.
    window = TimeWindow(timedelta(minutes=20), timedelta(minutes=4))
    parser = MessageParser(Defaults("QueueProcessing", RESOURCE), window)
    parsed = parser.parse(text.encode(), enqueued=NOW, now=NOW)
    assert parsed.rejections == []
    (rollup,) = parsed.rollups
    ((series, values),) = next(iter(rollup.minutes.values())).items()
    assert (series.metric, series.dimensions, values) == (metric, dimensions, [float(value)])


def test_the_limits_are_those_of_the_relay() -> None:
    assert limits.MAX_NAME_LENGTH == model.MAX_NAME_LENGTH
    assert limits.MAX_DIMENSIONS == model.MAX_DIMENSIONS
    assert limits.MAX_COUNT == model.MAX_COUNT
    assert limits.MAX_RESOURCE_ID_LENGTH == resource_ids.MAX_RESOURCE_ID_LENGTH


def test_messages_are_filled_up_to_their_limit_in_order() -> None:
    address = limits.Address("/é", None, None)
    sets = [
        (limits.Key(0, address, "é" * number, ()), limits.ValueSet(1, 1, 1, 1, 0))
        for number in range(50)
    ]
    (whole, count), *others = limits.write_messages(address, sets, 10_000)
    assert (count, others) == (50, [])
    length = len(whole.encode())
    assert len([*limits.write_messages(address, sets, length)]) == 1
    for limit in (length - 1, 1000, 200, 1):
        messages = list(limits.write_messages(address, sets, limit))
        assert 1 < len(messages) <= 50
        found = [json.loads(text)["points"] for text, _ in messages]
        assert [len(group) for group in found] == [count for _, count in messages]
        assert [len(point["metric"]) for group in found for point in group] == list(range(50))
        for (text, count), (following, _) in pairwise(messages):
            assert len(text.encode()) <= limit or count == 1
            point = json.loads(following)["points"][0]
            added = json.dumps(point, separators=(",", ":"), ensure_ascii=False)
            assert len(f"{text},{added}".encode()) > limit


WRONG: dict[str, dict[str, Any]] = {
    "no value": {},
    "two forms": {"value": 1, "values": [1]},
    "not finite": {"value": float("nan")},
    "a sum that is not finite": {"values": [1e308, 1e308]},
    "more than a double": {"value": Fraction(10**400)},
    "no values": {"values": []},
    "a part of a set": {"min": 1, "max": 2},
    "min above max": {"min": 2, "max": 1, "sum": 3, "count": 2},
    "a sum outside": {"min": 1, "max": 2, "sum": 30, "count": 2},
    "no count": {"min": 1, "max": 2, "sum": 0, "count": 0},
    "half a count": {"min": 1, "max": 1, "sum": 1.5, "count": 1.5},
    "an empty name": {"metric": "", "value": 1},
    "a long name": {"metric": "n" * 257, "value": 1},
    "half a character": {"value": 1, "dimensions": {"Country": "\ud800"}},
    "an empty dimension": {"value": 1, "dimensions": {"Country": ""}},
    "eleven dimensions": {"value": 1, "dimensions": {f"D{number}": "x" for number in range(11)}},
    "one twice": {"value": 1, "dimensions": {"till": "1", "Till": "2"}},
    "a subscription": {"value": 1, "resource_id": "/subscriptions/5"},
    "a host": {"value": 1, "region": "evil.example/#"},
    "a long namespace": {"value": 1, "namespace": "n" * 257},
    "an object": {"value": object()},
    "text": {"value": "7"},
    "a number as a name": {"metric": 7, "value": 1},
    "a text as a time": {"value": 1, "time": "2026-11-30T12:00:00Z"},
    "a time after the year 9999 in UTC": {"value": 1, "time": datetime.max.replace(tzinfo=UTC)},
    "a year of three digits": {"value": 1, "time": datetime(999, 1, 1, tzinfo=UTC)},
    "a long resource ID": {"value": 1, "resource_id": RESOURCE.ljust(1901, "x")},
    "a list of dimensions": {"value": 1, "dimensions": ["Country"]},
    "a number as a dimension": {"value": 1, "dimensions": {"Till": 7}},
}


@pytest.mark.parametrize("members", WRONG.values(), ids=WRONG)
def test_wrong_points_raise(members: dict[str, Any]) -> None:
    with recorded(resource_id=RESOURCE) as (client, queue):
        client.send("Orders", 1)
        with pytest.raises((ValueError, TypeError)):
            client.send(**{"metric": "Orders", **members})
        client.flush()
        assert [point["value"] for point in queue.points] == [1]


def test_numbers_of_other_libraries_are_numbers() -> None:
    with recorded() as (client, queue):
        client.send("a", cast(float, Decimal("1.5")))
        client.send("b", cast(float, Fraction(1, 4)))
        client.send("c", values=(number for number in (1.0, 2.0)))
        client.flush()
        assert [point.get("value", point.get("sum")) for point in queue.points] == [1.5, 0.25, 3]


@pytest.mark.parametrize(
    "options",
    [
        {"flush_seconds": 0},
        {"flush_seconds": float("nan")},
        {"max_buffered": 0},
        {"resource_id": "/subscriptions/5"},
        {"region": "west-europe"},
    ],
    ids=str,
)
def test_a_wrong_option_raises(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=f"^{name} is "):
        MetricClient(cast(QueueClient, Recorder()), **options)


# --- When -----------------------------------------------------------------------------------------


def test_what_is_buffered_is_sent_in_time(eventually: Callable[..., Any]) -> None:
    with recorded(flush_seconds=0.01) as (client, queue):
        client.send("Orders", 1)
        eventually(lambda: len(queue.texts), bool)
        client.send("Orders", 2)
        eventually(lambda: len(queue.texts), lambda count: count == 2)
        assert [point["value"] for point in queue.points] == [1, 2]


def test_nothing_is_sent_for_an_empty_buffer() -> None:
    with recorded() as (client, queue):
        client.flush()
        assert queue.texts == []


def test_after_close_nothing_is_taken() -> None:
    with recorded() as (client, queue):
        client.send("Orders", 1)
        client.close()
        client.close()
        with pytest.raises(RuntimeError, match="this MetricClient is closed"):
            client.send("Orders", 2)
        assert [point["value"] for point in queue.points] == [1]


# --- A queue that fails ---------------------------------------------------------------------------


def test_what_was_not_sent_is_sent_later_and_once() -> None:
    with recorded() as (client, queue):
        queue.error, queue.takes = AzureError("away\nRequestId: 5"), 1
        send_series(client, 1000)
        with pytest.raises(NotSentError, match=r"^\d+ values not sent: AzureError: away$"):
            client.flush()
        assert 0 < len(queue.points) < 1000
        client.send("Orders", 0, dimensions={"N": "999"})  # Is added to what waits.
        queue.error = None
        client.flush()
        assert sorted(numbers(queue)) == list(range(1000))
        assert sum(point.get("count", 1) for point in queue.points) == 1001


def test_ctrl_c_while_sending_loses_nothing() -> None:
    with recorded() as (client, queue):
        client.send("Orders", 1)
        queue.error, queue.takes = KeyboardInterrupt(), 0
        with pytest.raises(KeyboardInterrupt):
            client.close()
        queue.error = None
        client.close()
        assert [point["value"] for point in queue.points] == [1]


def test_the_buffer_is_bounded_and_what_is_dropped_is_counted() -> None:
    with recorded(max_buffered=100) as (client, queue):
        send_series(client, 150)
        client.send("Orders", 1, dimensions={"N": "0"})  # A series that is there.
        client.send("New", values=[1, 2])
        assert client.dropped == 52
        client.flush()
        assert sorted(numbers(queue)) == list(range(100))


def test_values_that_do_not_add_up_are_dropped_and_counted() -> None:
    with recorded() as (client, queue):
        client.send("Orders", 1e308)
        client.send("Orders", 1e308)
        client.send("Orders", min=0, max=0, sum=0, count=model.MAX_COUNT)
        assert client.dropped == 1 + model.MAX_COUNT
        client.flush()
        assert [point["value"] for point in queue.points] == [1e308]


def test_what_close_cannot_send_is_tried_again() -> None:
    with recorded() as (client, queue):
        queue.error, queue.takes = AzureError("away"), 0
        client.send("Orders", values=[1, 2])
        with pytest.raises(NotSentError, match="2 values not sent"):
            client.close()
        assert queue.texts == []
        queue.error = None
        client.close()
        assert [point["sum"] for point in queue.points] == [3]


def test_the_thread_logs_and_tries_again(
    eventually: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    with recorded(flush_seconds=0.01, max_buffered=1) as (client, queue):
        queue.error, queue.takes = AzureError("away"), 0
        send_series(client, 2)
        eventually(lambda: len(caplog.messages), lambda count: count >= 3)
        queue.error = None
        eventually(lambda: len(queue.texts), bool)
    levels = dict(zip(caplog.messages, [one.levelno for one in caplog.records], strict=True))
    assert levels == {
        "1 value not sent: AzureError: away; retrying in 0.01 s": logging.WARNING,
        "Values dropped so far (buffer full, or sum too large): 1": logging.ERROR,
    }


# --- The end of a program -------------------------------------------------------------------------

BEGIN = """
import os, signal, sys, threading
from metric_relay_client import MetricClient
metrics = MetricClient.connect(os.environ["STORAGE"], os.environ["QUEUE"], flush_seconds=1e6)
for number in range(10):
    metrics.send("Orders", number, dimensions={"N": str(number)})
"""


def run(connection: str, queue: str, program: str, path: Path = CLIENT) -> tuple[int, str]:
    """Return exit code and output of a program that finds nothing of the project but the client."""
    done = subprocess.run(
        [sys.executable, "-P", "-W", "ignore", "-c", BEGIN + program],
        cwd=path,
        env={"PYTHONPATH": str(path), "STORAGE": connection, "QUEUE": queue, "NO_PROXY": "*"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def sent(client: QueueClient) -> list[int]:
    found = [json.loads(message.content) for message in client.receive_messages()]
    return sorted(int(point["dimensions"]["N"]) for one in found for point in one["points"])


ENDINGS = {
    "the last line": ("", 0, ""),
    "sys.exit": ("sys.exit(3)", 3, ""),
    "an exception": ("with metrics:\n    raise LookupError('missing')", 1, "LookupError: missing"),
    "Ctrl-C": ("signal.raise_signal(signal.SIGINT)", -signal.SIGINT, "KeyboardInterrupt"),
    "a thread that goes on": ("threading.Thread(target=lambda: metrics.flush()).start()", 0, ""),
    "a fork": (
        """
if os.fork() == 0:
    try:
        metrics.send("Orders", 5000)
    except RuntimeError as exc:
        print(exc, flush=True)
    sys.exit()
os.wait()
""",
        0,
        "this MetricClient was created before a fork; create one in each process",
    ),
}


@pytest.mark.parametrize(("program", "status", "said"), ENDINGS.values(), ids=ENDINGS)
def test_what_is_buffered_is_sent_at_the_end_of_the_program(
    backend: Backend, queue: str, program: str, status: int, said: str
) -> None:
    client = backend.storage.create_queue(queue)
    found, output = run(backend.azurite.connection_string, queue, program)
    assert (found, said in output) == (status, True), output
    assert sent(client) == list(range(10))


def test_what_is_lost_at_the_end_is_logged(backend: Backend, queue: str) -> None:
    status, output = run(backend.azurite.connection_string, queue, "")  # There is no such queue.
    assert status == 0
    assert output.startswith("10 values not sent: ResourceNotFoundError: ")
    assert output.endswith("; dropping them, because the program ends\n")


# --- The package ----------------------------------------------------------------------------------


def test_the_client_needs_nothing_of_the_project(backend: Backend, queue: str) -> None:
    client = backend.storage.create_queue(queue)
    program = """
metrics.close()
roots = {name.partition(".")[0] for name in sys.modules}
assert roots.isdisjoint({"shared", "tools", "local", "msgspec", "click"}), roots
"""
    assert run(backend.azurite.connection_string, queue, program) == (0, "")
    assert sent(client) == list(range(10))


@pytest.mark.slow
def test_the_folder_can_be_installed(backend: Backend, queue: str, tmp_path: Path) -> None:
    pytest.importorskip("flit_core")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    options = ["--no-build-isolation", "--target", str(tmp_path)]
    subprocess.run(
        [*pip, *options, str(CLIENT)], check=True, env={**os.environ, "PIP_CONFIG_FILE": os.devnull}
    )
    installed = tmp_path / "metric_relay_client"
    assert (installed / "py.typed").exists()
    client = backend.storage.create_queue(queue)
    assert run(backend.azurite.connection_string, queue, "", tmp_path) == (0, "")
    assert sent(client) == list(range(10))
