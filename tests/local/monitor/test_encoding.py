"""The body around the documents: types, encodings, lengths and the size limit."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator

import pytest

from local.monitor.state import Options

from .client import Client, document, error

TIME = "2026-11-23T07:25:00Z"
LIMIT = 2_000


def padded(size: int, start: bytes = b"") -> bytes:
    """A body of exactly so many bytes: one document and blanks."""
    return (start or json.dumps(document(time=TIME)).encode()).ljust(size)


@pytest.fixture
def small(start: Callable[[Options], Client]) -> Client:
    """A client of an emulator that takes bodies of 2,000 bytes."""
    return start(Options(max_body_bytes=LIMIT))


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/x-ndjson",
    ],
)
def test_content_types(client: Client, content_type: str) -> None:
    assert client.post(document(), Content_Type=content_type).ok


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/x-www-form-urlencoded"])
def test_other_content_types_are_415(client: Client, content_type: str) -> None:
    response = client.post(document(), Content_Type=content_type)
    assert error(response) == (415, "UnsupportedMediaType")


def test_ndjson_has_one_document_on_each_line(client: Client) -> None:
    first, second = (json.dumps(document(metric=name)) for name in ("A", "B"))

    def post(body: str) -> int:
        return client.post(body, Content_Type="application/x-ndjson").status_code

    assert post(f"{first}\n{second}") == 200
    assert post(f"\n{first}\r\n  \r\n\n{second}\n") == 200
    assert [value["count"] for value in client.values()] == [6, 6]
    for body in (f"{first}{second}", f"{first},\n{second}", f"[{first}]", "", "\n \n"):
        assert post(body) == 400
    assert post(json.dumps(document(), indent=1)) == 400


def test_json_is_exactly_one_document(client: Client) -> None:
    one = json.dumps(document())
    assert client.post(json.dumps(document(), indent=1)).ok
    for body in (f"{one}\n{one}", f"[{one}]"):
        assert error(client.post(body)) == (400, "BadRequest")


def test_gzip_is_accepted(client: Client) -> None:
    body = gzip.compress(json.dumps(document()).encode())
    assert client.post(body, Content_Encoding="gzip").ok
    assert client.post(body, Content_Encoding="GZIP").ok
    assert client.values()[0]["count"] == 6


def test_bad_gzip_is_400(client: Client) -> None:
    plain = json.dumps(document()).encode()
    body = gzip.compress(plain)
    for bad in (plain, body[:-4], body + b"x", body + body, b""):
        assert error(client.post(bad, Content_Encoding="gzip")) == (400, "BadRequest")
    assert client.values() == []


@pytest.mark.parametrize("encoding", ["deflate", "br", "gzip, gzip"])
def test_other_encodings_are_refused(client: Client, encoding: str) -> None:
    body = zlib.compress(json.dumps(document()).encode())
    response = client.post(body, Content_Encoding=encoding)
    assert error(response) == (415, "UnsupportedMediaType")


def test_chunked_is_refused(client: Client) -> None:
    def chunks() -> Iterator[bytes]:
        yield json.dumps(document()).encode()

    response = client.http.post(
        client.metrics_url(),
        data=chunks(),
        headers={"Authorization": f"Bearer {client.token}", "Content-Type": "application/json"},
        timeout=30,
    )
    assert error(response) == (411, "LengthRequired")
    assert client.values() == []


def test_the_limit_holds_for_the_plain_body(small: Client) -> None:
    assert small.post(padded(LIMIT)).ok
    assert error(small.post(padded(LIMIT + 1))) == (413, "RequestEntityTooLarge")
    assert len(small.values()) == 1


def test_the_limit_holds_for_the_decompressed_body(small: Client) -> None:
    assert small.post(gzip.compress(padded(LIMIT)), Content_Encoding="gzip").ok
    bomb = gzip.compress(bytes(1_200_000))
    assert len(bomb) < LIMIT
    for body in (gzip.compress(padded(LIMIT + 1)), bomb):
        response = small.post(body, Content_Encoding="gzip")
        assert error(response) == (413, "RequestEntityTooLarge")


def test_the_limit_holds_for_the_compressed_body(small: Client) -> None:
    body = gzip.compress(padded(LIMIT), compresslevel=0)
    assert len(body) > LIMIT
    response = small.post(body, Content_Encoding="gzip")
    assert error(response) == (413, "RequestEntityTooLarge")


def test_the_default_limit(client: Client) -> None:
    start = json.dumps(document()).encode()
    assert client.post(padded(4_000_000, start)).ok
    assert error(client.post(padded(4_000_001, start))) == (413, "RequestEntityTooLarge")
