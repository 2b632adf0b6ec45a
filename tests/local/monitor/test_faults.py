"""Each fault, as a client sees it."""

from __future__ import annotations

import asyncio
import http.client
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from local.monitor.answers import NoAnswer, RefusalError
from local.monitor.faults import Fault, Faults
from local.monitor.journal import Record
from local.monitor.state import MonitorState

from .client import QUEUE_ACCOUNT, REGION, Client, document


def statuses(client: Client, number: int, **arguments: Any) -> list[int]:
    return [client.post(document(), **arguments).status_code for _ in range(number)]


def test_a_status_for_the_next_requests(client: Client) -> None:
    client.fault(status=503, next=2)
    client.fault(status=429, next=1)
    assert statuses(client, 4) == [503, 503, 429, 200]
    assert client.values()[0]["count"] == 3
    assert client.local("GET", "faults").json() == {"faults": []}


def test_a_status_until_cleared(client: Client) -> None:
    client.fault(status=500)
    assert statuses(client, 3) == [500] * 3
    assert client.local("GET", "faults").json() == {
        "faults": [{"status": 500, "hits": 3}],
    }
    client.set("DELETE", "faults")
    assert statuses(client, 1) == [200]


@pytest.mark.parametrize(
    ("given", "seen"),
    [("2", "2"), (2, "2"), ("Mon, 23 Nov 2026 07:30:00 GMT", "Mon, 23 Nov 2026 07:30:00 GMT")],
)
def test_retry_after(client: Client, given: str | int, seen: str) -> None:
    client.fault(status=429, retryAfter=given)
    response = client.post(document())
    assert (response.status_code, response.headers["Retry-After"]) == (429, seen)
    assert response.content == b""


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ({"error": {"code": "Busy"}}, b'{"error":{"code":"Busy"}}'),
        ("<html>Bad Gateway</html>", b"<html>Bad Gateway</html>"),
        ("", b""),
        (None, b""),
    ],
)
def test_body(client: Client, given: Any, seen: bytes) -> None:
    client.fault(status=502, body=given)
    assert client.post(document()).content == seen


def test_a_status_without_a_body_never_has_one(client: Client) -> None:
    client.fault(status=204, body="no content", next=1)
    response = client.post(document())
    assert (response.status_code, response.content) == (204, b"")
    assert statuses(client, 1) == [200]


def test_drop_before_stores_nothing(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    client.fault(drop="before", next=1)
    with pytest.raises(requests.ConnectionError):
        client.post(document())
    assert client.values() == []
    assert statuses(client, 1) == [200]
    assert client.values()[0]["count"] == 3
    assert [record.getMessage() for record in caplog.records] == []


def test_drop_after_stores(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    client.fault(drop="after", next=1)
    with pytest.raises(requests.ConnectionError):
        client.post(document())
    assert client.values()[0]["count"] == 3
    (entry,) = client.requests()["requests"]
    assert (entry["status"], entry["code"], entry["documents"]) == (None, "DroppedAfter", 1)
    assert client.requests()["totals"] == {"dropped": 1}
    assert [record.getMessage() for record in caplog.records] == []


@contextmanager
def sent(client: Client) -> Iterator[socket.socket]:
    """A connection on which a request was sent, and no answer read."""
    address = urlsplit(client.url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=30) as peer:
        peer.sendall(
            f"POST /westeurope{QUEUE_ACCOUNT}/metrics HTTP/1.1\r\nHost: localhost\r\n"
            "Content-Length: 2\r\n\r\n{}".encode()
        )
        yield peer


def test_a_dropped_connection_is_closed_with_not_a_byte_sent(client: Client) -> None:
    client.fault(drop="before", next=1)
    with sent(client) as peer:
        assert peer.recv(1) == b""


def test_a_large_body_can_be_dropped(client: Client) -> None:
    client.fault(drop="before")
    for _ in range(3):
        with pytest.raises(requests.ConnectionError):
            client.post(b" " * 3_000_000)


def test_latencies_add_up() -> None:
    faults = Faults()
    faults.add(Fault(latency=1))
    faults.add(Fault(status=503, next=1, latency=2))
    (both, decisive), (one, other) = (faults.draw("ingestion") for _ in range(2))
    assert (both, one) == (3, 1)
    assert decisive is not None
    assert (decisive.status, other) == (503, None)


def test_a_delayed_request_holds_up_no_other(client: Client) -> None:
    client.fault(latency=0.001)
    client.fault(latency=3600, next=1)
    with sent(client):
        for _ in range(10_000):
            if len(client.local("GET", "faults").json()["faults"]) == 1:
                break  # The request has come, and waits.
        assert statuses(client, 1) == [200]


async def test_a_request_delayed_beyond_a_reset_leaves_no_trace() -> None:
    state = MonitorState()
    state.faults.add(Fault(latency=0.001, next=1))
    record = Record(state.now_iso(), REGION, QUEUE_ACCOUNT)
    answer = asyncio.create_task(
        state.answer("ingestion", record, lambda: pytest.fail("It was handled."))
    )
    await asyncio.sleep(0)
    assert not state.faults.report()  # It waits, and goes on when this test waits for it.
    state.reset()
    assert isinstance(await answer, NoAnswer)
    assert state.journal.report(1)["totals"] == {}
    state.store.close()


def test_a_share_is_drawn_from_a_seed(client: Client) -> None:
    def run(**fault: Any) -> list[int]:
        client.set("DELETE", "faults")
        client.fault(status=503, **fault)
        return statuses(client, 40)

    first = run(share=0.5, seed=7)
    assert set(first) == {200, 503}
    assert run(share=0.5, seed=7) == first
    assert run(share=0.5, seed=8) != first
    assert run(share=0.5) == run(share=0.5)
    assert set(run(share=0)) == {200}
    assert set(run(share=1)) == {503}


def test_a_fault_may_be_for_a_region_or_a_scope(client: Client) -> None:
    other = QUEUE_ACCOUNT + "2"
    client.fault(status=503, region="NorthEurope")
    client.fault(status=504, resourceId=QUEUE_ACCOUNT.upper())
    assert statuses(client, 1) == [504]
    assert statuses(client, 1, resource=f"{QUEUE_ACCOUNT}/queueServices/default") == [504]
    assert statuses(client, 1, resource=other) == [200]
    assert statuses(client, 1, region="northeurope", resource=other) == [503]
    assert client.identity().ok


def test_the_identity_endpoint_has_faults_of_its_own(client: Client) -> None:
    token = client.token
    client.fault(status=500, target="identity", next=1)
    client.fault(drop="after", target="identity", next=1)
    assert statuses(client, 1, token=token) == [200]
    assert client.identity().status_code == 500
    with pytest.raises(requests.ConnectionError):
        client.identity()
    assert client.identity().ok
    assert client.requests()["identityTotals"]["dropped"] == 1


ACCOUNT, WEST = {"resourceId": QUEUE_ACCOUNT}, {"region": "westeurope"}
BAD: dict[str, dict[str, Any]] = {
    "one of status, drop and latency is required": {},
    "status and drop exclude each other": {"status": 500, "drop": "before"},
    "body and retryAfter need a status": {"drop": "before", "retryAfter": "2"},
    "next and share exclude each other": {"status": 500, "next": 1, "share": 0.5},
    "region does not apply to the target identity": {"status": 500, "target": "identity", **WEST},
    "region does not apply to the target arm": {"status": 500, "target": "arm", **WEST},
    "resourceId does not apply to the target identity": {
        "status": 500,
        "target": "identity",
        **ACCOUNT,
    },
    "resourceId does not apply to the target batch": {"status": 500, "target": "batch", **ACCOUNT},
    "Object contains unknown field `retry-after`": {"status": 429, "retry-after": "2"},
}


@pytest.mark.parametrize(("message", "fault"), BAD.items(), ids=BAD)
def test_a_bad_fault_is_refused(client: Client, message: str, fault: dict[str, Any]) -> None:
    response = client.local("POST", "faults", fault)
    assert response.status_code == 400
    assert response.json() == {"error": {"code": "BadRequest", "message": message}}
    assert client.local("GET", "faults").json() == {"faults": []}


def test_the_number_of_faults_waiting_is_bounded() -> None:
    faults = Faults()
    for _ in range(1_000):
        faults.add(Fault(status=500))
    with pytest.raises(RefusalError, match="1000 faults are waiting; delete them first"):
        faults.add(Fault(status=500))


def test_a_client_that_leaves_halfway_is_no_error(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    address = urlsplit(client.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    connection.putrequest("POST", f"/westeurope{QUEUE_ACCOUNT}/metrics")
    connection.putheader("Content-Length", "100")
    connection.endheaders(b"{")
    connection.close()
    assert statuses(client, 1) == [200]
    assert [record.getMessage() for record in caplog.records] == []
