"""Read-back and control under /_local."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
import requests

from .client import AUDIENCE, QUEUE_ACCOUNT, TIMEOUT, Client, document, error


def test_the_log_tells_what_came_in_and_what_was_answered(frozen: Client) -> None:
    assert frozen.token  # Fetched before, so that its request is not counted below.
    frozen.set("DELETE", "state")
    body = "\n".join(json.dumps(document(time="2026-11-23T07:25:00Z")) for _ in "ab").encode()
    packed = gzip.compress(body)
    frozen.post(packed, Content_Type="application/x-ndjson", Content_Encoding="gzip")
    frozen.post(document(time="2026-11-23T06:00:00Z"))
    frozen.fault(status=503, next=1)
    frozen.post(document())
    frozen.post(document(), region="WestEurope", resource="/subscriptions/s")
    frozen.identity()
    report = frozen.requests()
    assert report["requests"][0] == {
        "time": "2026-11-23T07:25:30.000Z",
        "region": "westeurope",
        "resourceId": QUEUE_ACCOUNT,
        "status": 200,
        "code": "",
        "message": "",
        "documents": 2,
        "series": 2,
        "bytes": len(body),
        "encodedBytes": len(packed),
    }
    seen = [(each["status"], each["code"], each["documents"]) for each in report["requests"][1:]]
    assert seen == [(400, "BadRequest", 0), (503, "Fault", 0), (404, "", 0)]
    assert report["requests"][1]["message"].startswith("'time' should not be older")
    path = "/WestEurope/subscriptions/s/metrics"
    assert report["requests"][3]["message"] == f"Not the metrics of a resource: {path}"
    assert report["totals"] == {"200": 1, "400": 1, "503": 1, "404": 1}
    assert report["identityTotals"] == {"200": 1}
    assert report["stored"] == {"documents": 2, "series": 2}


def test_the_log_is_bounded_and_the_totals_are_not(client: Client) -> None:
    for index in range(1_005):
        client.post(b"", resource=f"/r{index}")
    report = client.requests()
    assert len(report["requests"]) == 1_000
    assert report["requests"][0]["resourceId"] == "/r5"
    assert report["totals"] == {"404": 1_005}
    last = client.requests(limit=2)
    assert [each["resourceId"] for each in last["requests"]] == ["/r1003", "/r1004"]
    assert last["totals"] == {"404": 1_005}


def test_the_clock_moves_the_window(frozen: Client) -> None:
    body = document(time="2026-11-23T08:00:00Z")
    assert frozen.post(body).status_code == 400
    frozen.set("PUT", "clock", {"offsetSeconds": 1800.5})
    assert frozen.post(document(time="2026-11-23T07:59:30Z")).ok
    assert frozen.requests()["requests"][-1]["time"] == "2026-11-23T07:55:30.500Z"


def test_every_answer_has_the_date_of_the_emulators_clock(frozen: Client) -> None:
    frozen.set("PUT", "clock", {"offsetSeconds": -60})
    answers = (frozen.identity(), frozen.post(document()), frozen.local("GET", "faults"))
    dates = {answer.headers["Date"] for answer in answers}
    assert dates == {"Mon, 23 Nov 2026 07:24:30 GMT"}


def test_a_metric_can_be_refused(client: Client) -> None:
    client.set("PUT", "refused", {"metrics": ["QUEUEDEPTH"]})
    answer = client.post(document())
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "The metric 'QueueDepth' is not accepted.\r\n"
    client.set("PUT", "refused", {"metrics": []})
    assert client.post(document()).status_code == 200


def test_resetting_forgets_everything_but_tokens(client: Client) -> None:
    token = client.token
    assert client.post(document()).ok
    client.fault(status=503)
    client.set("PUT", "roles", {"assignments": []})
    client.set("PUT", "clock", {"offsetSeconds": 7200})
    resources = [{"resourceId": QUEUE_ACCOUNT, "region": "eastus"}]
    client.set("PUT", "resources", {"resources": resources})
    client.set("DELETE", "state")
    assert client.values() == []
    assert client.requests() == {
        "requests": [],
        "totals": {},
        "identityTotals": {},
        "stored": {"documents": 0, "series": 0},
        "armRequests": [],
        "armTotals": {},
        "batchRequests": [],
        "batchTotals": {},
    }
    assert client.post(document(), region="northeurope", token=token).ok


def get(client: Client, path: str, token: str | None = None) -> requests.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return client.http.get(f"{client.url}/_local/documents{path}", headers=headers, timeout=TIMEOUT)


@pytest.mark.parametrize("body", ['{"depth": 3, "depth": 4}', "null", "[1.50, 1e400]", "{}"])
def test_a_document_is_served_as_it_was_put(client: Client, body: str) -> None:
    content = f'{{"path": "/a/b c", "body": {body}}}'.encode()
    url = f"{client.url}/_local/documents"
    assert client.http.put(url, data=content, timeout=TIMEOUT).ok
    response = get(client, "/a/b%20c?q=1")
    assert (response.status_code, response.text) == (200, body)
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"


def test_a_document_can_be_replaced_and_is_forgotten_at_a_reset(client: Client) -> None:
    for body in (1, 2):
        put = {"path": "/stats", "body": body}
        assert client.local("PUT", "documents", put).json() == put
    assert get(client, "/stats").json() == 2
    client.set("DELETE", "state")
    response = get(client, "/stats")
    assert response.status_code == 404
    assert response.json()["error"]["message"] == "There is no document /stats."


def test_a_document_with_an_audience_needs_a_token(client: Client) -> None:
    put = {"path": "/stats", "body": 1, "audience": "api://stats"}
    client.set("PUT", "documents", put)
    assert get(client, "/stats").status_code == 401
    assert get(client, "/stats", client.token).json()["error"] == {
        "code": "InvalidAudience",
        "message": "The access token has been obtained for wrong audience or resource"
        f" '{AUDIENCE}'. It should exactly match 'api://stats'.",
    }
    assert get(client, "/stats", client.fetch_token(resource="api://stats")).json() == 1


BAD = [
    ("PUT", "roles", {}, "Object missing required field `assignments`"),
    (
        "PUT",
        "roles",
        {"assignments": [{"scope": "/", "principal": "x"}]},
        "Object contains unknown field `principal` - at `$.assignments[0]`",
    ),
    (
        "PUT",
        "roles",
        {"assignments": [{"scope": "/"}, {"scope": "subscriptions/s"}]},
        "Expected `str` matching regex '^/' - at `$.assignments[1].scope`",
    ),
    (
        "PUT",
        "resources",
        {"resources": [{"resourceId": "/subscriptions/s", "region": "westeurope"}]},
        "'/subscriptions/s' does not name a resource - at `$.resources[0]`",
    ),
    (
        "PUT",
        "resources",
        {"resources": [{"resourceId": QUEUE_ACCOUNT, "region": "West Europe"}]},
        "Expected `str` matching regex '^[a-z][a-z0-9]*$' - at `$.resources[0].region`",
    ),
    (
        "PUT",
        "clock",
        {"offsetSeconds": 1e12},
        "Expected `float` <= 3162240000.0 - at `$.offsetSeconds`",
    ),
    (
        "PUT",
        "service_bus",
        {"namespaces": [{"resourceId": QUEUE_ACCOUNT}]},
        f"'{QUEUE_ACCOUNT}' does not name a Service Bus namespace - at `$.namespaces[0]`",
    ),
    ("PUT", "service_bus", {"pageSize": 101}, "Expected `int` <= 100 - at `$.pageSize`"),
    (
        "PUT",
        "documents",
        {"path": "s", "body": 1},
        "Expected `str` matching regex '^/' - at `$.path`",
    ),
    ("PUT", "documents", {"path": "/s"}, "Object missing required field `body`"),
    ("GET", "requests?limit=0", None, "limit: '0' is not a whole number of at least 1"),
    ("GET", "metrics?resourceID=x", None, "resourceID is not a parameter of this request"),
]


@pytest.mark.parametrize(("method", "path", "content", "message"), BAD)
def test_bad_input_is_named(
    client: Client, method: str, path: str, content: Any, message: str
) -> None:
    response = client.local(method, path, content)
    assert response.status_code == 400
    assert response.json() == {"error": {"code": "BadRequest", "message": message}}


@pytest.mark.parametrize(("method", "path"), [("POST", "metrics"), ("GET", "state"), ("GET", "x")])
def test_what_is_not_there_is_said(client: Client, method: str, path: str) -> None:
    response = client.local(method, path)
    assert response.status_code == 404
    assert response.json()["error"]["message"] == f"There is no {method} /_local/{path} here."


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"body":' + b"[" * 500_000])
def test_a_body_that_is_not_json(client: Client, body: bytes) -> None:
    response = client.http.put(f"{client.url}/_local/documents", data=body, timeout=30)
    assert error(response) == (400, "BadRequest")
