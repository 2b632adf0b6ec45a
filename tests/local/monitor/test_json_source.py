"""Documents of any JSON, served as they were put, and as no client would want them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from .client import AUDIENCE, Client


def put(client: Client, **document: Any) -> None:
    client.set("PUT", "documents", {"path": "/stats", **document})


def get(client: Client, path: str = "/stats", token: str | None = None) -> requests.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return client.http.get(f"{client.url}/_local/documents{path}", headers=headers, timeout=30)


@pytest.mark.parametrize(
    "body",
    ['{"depth": 3, "depth": 4}', "null", "[1.50, 1e400]", "12345678901234567890123", '""', "{}"],
)
def test_a_document_is_served_as_it_was_put(client: Client, body: str) -> None:
    content = f'{{"path": "/stats", "body": {body}}}'.encode()
    response = client.http.put(f"{client.url}/_local/documents", data=content, timeout=30)
    assert (response.status_code, response.content) == (200, content)
    response = get(client)
    assert (response.status_code, response.text) == (200, body)
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Content-Length"] == str(len(body))


def test_status_and_headers(client: Client) -> None:
    headers = {"Retry-After": "3", "Content-Type": "application/problem+json"}
    put(client, body={"error": "busy"}, status=429, headers=headers)
    response = get(client)
    assert (response.status_code, response.json()) == (429, {"error": "busy"})
    assert headers.items() <= response.headers.items()


def test_what_is_no_json(client: Client) -> None:
    put(client, text="<html>é</html>")
    response = get(client)
    assert response.content == "<html>é</html>".encode()
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_no_body(client: Client) -> None:
    put(client, status=204)
    assert (get(client).status_code, get(client).content) == (204, b"")


def test_paths(client: Client) -> None:
    put(client, path="/a/b c", body=1)
    put(client, path="/a", body=2)
    put(client, path="/a", body=3)
    assert get(client, "/a/b%20c?q=1").json() == 1
    assert get(client, "/a").json() == 3
    response = get(client, "/a/b")
    assert response.status_code == 404
    assert response.json()["error"]["message"] == "There is no document /a/b."


def test_a_token_is_needed_for_an_audience_only(client: Client) -> None:
    put(client, body=1, audience="api://stats")
    assert get(client).status_code == 401
    response = get(client, token=client.token)
    assert response.status_code == 401
    assert response.json()["error"] == {
        "code": "InvalidAudience",
        "message": "The access token has been obtained for wrong audience or resource"
        f" '{AUDIENCE}'. It should exactly match 'api://stats'.",
    }
    assert get(client, token=client.fetch_token(resource="api://stats")).json() == 1
    put(client, path="/public", body=1)
    assert get(client, "/public").ok
    assert client.local("GET", "documents").json() == {
        "documents": [
            {"path": "/stats", "requests": 3, "authorized": 2},
            {"path": "/public", "requests": 1, "authorized": 0},
        ]
    }


@pytest.mark.parametrize("size", [1, 2, 65_536, 65_537, 65_538, 1_000_001])
def test_bytes_of_a_string_that_is_never_closed(client: Client, size: int) -> None:
    put(client, bytes=size)
    response = get(client)
    assert response.content == b'"' + b"x" * (size - 1)
    assert "Content-Length" not in response.headers


def chunks(client: Client) -> Iterator[bytes]:
    with client.http.get(
        f"{client.url}/_local/documents/stats", stream=True, timeout=30
    ) as response:
        yield from response.iter_content(chunk_size=None)


def test_a_client_may_leave_a_body_that_does_not_end(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    put(client, bytes=2**50)
    assert next(chunks(client)) == b'"'
    assert client.requests()["totals"] == {}
    assert [record.getMessage() for record in caplog.records] == []


def test_a_trickle(client: Client) -> None:
    put(client, body=[1, 2], trickle=0.001)
    assert b"".join(chunks(client)) == b"[1, 2]"
    put(client, bytes=10, trickle=3600)
    assert list(itertools.islice(chunks(client), 1)) == [b'"']
    with pytest.raises(requests.ConnectionError, match="Read timed out"):
        client.http.get(f"{client.url}/_local/documents/stats", timeout=0.05)


def test_resetting_forgets_them(client: Client) -> None:
    put(client, body=1)
    client.set("DELETE", "state")
    assert get(client).status_code == 404


BAD = [
    ({}, "Object missing required field `path`"),
    ({"path": "stats"}, "Expected `str` matching regex '^/' - at `$.path`"),
    ({"path": "/s", "body": 1, "bytes": 2}, "body, text and bytes exclude each other"),
    ({"path": "/s", "body": None, "text": ""}, "body, text and bytes exclude each other"),
    ({"path": "/s", "bytes": 0}, "Expected `int` >= 1 - at `$.bytes`"),
    ({"path": "/s", "trickle": -1}, "Expected `float` >= 0.0 - at `$.trickle`"),
    ({"path": "/s", "headers": {"Content-Length": "1"}}, "headers: content-length cannot be set"),
    ({"path": "/s", "repeat": 1}, "Object contains unknown field `repeat`"),
]


@pytest.mark.parametrize(("given", "message"), BAD)
def test_bad_input_is_named(client: Client, given: dict[str, Any], message: str) -> None:
    response = client.local("PUT", "documents", given)
    assert response.status_code == 400
    assert response.json() == {"error": {"code": "BadRequest", "message": message}}


@pytest.mark.parametrize("header", [{"a b": "c"}, {"a": "b\r\nc: d"}, {"a": ""}])
def test_headers_that_would_break_the_answer(client: Client, header: dict[str, str]) -> None:
    response = client.local("PUT", "documents", {"path": "/s", "headers": header})
    assert response.status_code == 400


def test_the_number_of_documents_is_bounded(client: Client) -> None:
    for index in range(1_000):
        put(client, path=f"/{index}", body=index)
    response = client.local("PUT", "documents", {"path": "/more", "body": 1})
    assert response.status_code == 400
    message = "1000 documents are there; reset the state first"
    assert response.json()["error"]["message"] == message
    put(client, path="/999", body="again")
