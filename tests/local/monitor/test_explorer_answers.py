"""What the explorer page asks for under /_local, without a browser."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from azure.storage.queue import QueueClient

from local.azurite import Azurite
from local.monitor.state import Options

from .client import QUEUE_ACCOUNT, document, series
from .conftest import NOW
from .explorer import at, publish_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .client import Client


@pytest.fixture
def azurite() -> Iterator[Azurite]:
    """A storage service of this module alone."""
    with Azurite() as running:
        yield running


MINUTE = int(NOW // 60)  # 07:25
UNKNOWN = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Web/sites/unknown"


def ask(client: Client, minutes: int, interval: str) -> list[dict[str, Any]]:
    """The sums of the last minutes."""
    answer = client.local(
        "GET",
        "query",
        resourceId=QUEUE_ACCOUNT,
        namespace="QueueProcessing",
        metric="QueueDepth",
        aggregation="total",
        minutes=minutes,
        interval=interval,
    )
    assert answer.ok, answer.text
    data: list[dict[str, Any]] = answer.json()["value"][0]["timeseries"][0]["data"]
    return data


def minute(value: dict[str, Any]) -> int:
    """When a value begins, in minutes since the epoch."""
    return int(dt.datetime.fromisoformat(value["timeStamp"]).timestamp() // 60)


@pytest.mark.parametrize("offset", [0, -30])  # Within a minute, and at its very start.
@pytest.mark.parametrize(
    ("minutes", "interval", "grain"),
    [(15, "PT1M", 1), (180, "PT1M", 1), (716, "PT5M", 5), (1426, "PT15M", 15), (15, "PT1H", 60)],
)
def test_the_last_minutes_end_with_the_running_one(
    frozen: Client, minutes: int, interval: str, grain: int, offset: int
) -> None:
    publish_at(frozen, 0, images=1)
    frozen.set("PUT", "clock", {"offsetSeconds": offset})
    found = ask(frozen, minutes, interval)
    first = (MINUTE + 1 - minutes) // grain * grain
    assert [minute(each) for each in found] == list(range(first, MINUTE + 1, grain))
    assert found[-1]["total"] == 1


@pytest.mark.parametrize(("minutes", "interval"), [(716, "PT5M"), (1426, "PT15M"), (60, "PT1M")])
def test_a_value_of_the_past_stays_as_it_is(frozen: Client, minutes: int, interval: str) -> None:
    seen: dict[str, float | None] = {}
    for ago in range(29):
        publish_at(frozen, ago, images=ago + 1)
    # A day later, too, when those are forgotten one by one.
    for later in (*range(20), *range(1405, 1445)):
        frozen.set("PUT", "clock", {"offsetSeconds": 60 * later})
        newest = document(series("other", "JPEG", sum=1000), time=at(-later))
        assert frozen.post(newest, token=frozen.fetch_token()).ok
        *past, _running = ask(frozen, minutes, interval)
        for each in past:
            value = each.get("total")
            assert seen.setdefault(each["timeStamp"], value) == value
    assert sum(value or 0 for value in seen.values()) % 1000 == sum(range(30))


def test_the_body_of_a_fault_is_told(frozen: Client) -> None:
    for body in ({"error": {"code": "Oops"}}, "x" * 1001, ""):
        frozen.fault(status=500, next=1, body=body)
        assert frozen.post(document(time=at(0))).status_code == 500
    frozen.fault(status=503, next=1)
    assert frozen.post(document(time=at(0))).status_code == 503
    refusals = frozen.local("GET", "refusals").json()["refusals"]
    assert [each["message"] for each in refusals] == [
        "",
        "",
        "x" * 1000,
        '{"error":{"code":"Oops"}}',
    ]
    assert {each["code"] for each in refusals} == {"Fault"}


@pytest.mark.parametrize("path", ["/", "/bad", "/bad/", "/westeurope/subscriptions/x/metrics"])
def test_a_post_to_a_bad_address_is_told(frozen: Client, path: str) -> None:
    answer = frozen.http.post(frozen.url + path, json={}, timeout=30)
    assert (answer.status_code, answer.content) == (404, b"")
    (refusal,) = frozen.local("GET", "refusals").json()["refusals"]
    assert refusal["message"] == f"Not the metrics of a resource: {path}"


def test_the_page_asks_for_nothing_from_elsewhere(client: Client) -> None:
    answer = client.http.get(client.url, timeout=30)
    assert answer.headers["Content-Security-Policy"].startswith(
        "default-src 'none'; script-src 'self'"
    )
    folder = Path(__file__).parents[3] / "local" / "monitor" / "page"
    for path in folder.glob("*.*"):
        assert "http://" not in path.read_text(encoding="utf-8")
        assert "https://" not in path.read_text(encoding="utf-8")
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 300
        assert client.http.get(f"{client.url}/_local/page/{path.name}", timeout=30).ok


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("query?minutes=0", "minutes: '0' is not a whole number from 1 to 1440"),
        ("query?minutes=1441", "minutes: '1441' is not a whole number from 1 to 1440"),
        ("query?resourceId=/x", "resourceId: '/x' does not name a resource"),
        ("catalogue?x=1", "x is not a parameter of this request"),
        ("dimensions?x=1", "x is not a parameter of this request"),
        ("dead_letters?x=1", "x is not a parameter of this request"),
        ("refusals?x=1", "x is not a parameter of this request"),
    ],
)
def test_what_the_page_may_ask(client: Client, path: str, message: str) -> None:
    answer = client.http.get(f"{client.url}/_local/{path}", timeout=30)
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, message)


def test_dead_letters_have_reasons(azurite: Azurite, start: Callable[[Options], Client]) -> None:
    storage = azurite.connection_string
    name = f"dead-{uuid.uuid4().hex}"
    client = start(Options(dead_letters=name, storage=storage))
    assert client.local("GET", "dead_letters").json() == {"queue": name, "deadLetters": []}
    with QueueClient.from_connection_string(storage, name) as queue:
        queue.create_queue()
        refused = [{"detail": "points[0]: too old"}, {"detail": "points[1]: too old"}]
        queue.send_message(json.dumps({"reason": "expired", "refused": refused}))
        queue.send_message("neither")
        found = client.local("GET", "dead_letters").json()["deadLetters"]
        assert [(each["reason"], each["detail"]) for each in found] == [
            ("unknown", "The message is not a dead letter."),
            ("expired", "points[0]: too old"),
            ("expired", "points[1]: too old"),
        ]
        assert queue.get_queue_properties().approximate_message_count == 2


def test_without_a_queue_there_are_no_dead_letters(client: Client) -> None:
    assert client.local("GET", "dead_letters").json() == {"queue": None, "deadLetters": []}
