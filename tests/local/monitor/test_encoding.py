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


JSON, NDJSON = "application/json", "application/x-ndjson"


@pytest.mark.parametrize("given", [JSON, f"{JSON}; charset=utf-8", "Application/JSON", NDJSON])
def test_content_types(client: Client, given: str) -> None:
    assert client.post(document(), Content_Type=given).ok


@pytest.mark.parametrize(
    ("header", "given"),
    [
        *(
            ("Content_Type", each)
            for each in ("text/plain", "", "application/x-www-form-urlencoded")
        ),
        *(("Content_Encoding", each) for each in ("deflate", "br", "gzip, gzip")),
    ],
)
def test_other_types_and_encodings_are_415(client: Client, header: str, given: str) -> None:
    body = zlib.compress(json.dumps(document()).encode())
    assert error(client.post(body, **{header: given})) == (415, "UnsupportedMediaType")


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


def test_the_limit_holds_before_and_after_decompression(small: Client) -> None:
    accepted = padded(LIMIT)
    assert small.post(accepted).ok
    assert small.post(gzip.compress(accepted), Content_Encoding="gzip").ok
    bomb = gzip.compress(bytes(1_200_000))
    stored = gzip.compress(accepted, compresslevel=0)
    assert len(bomb) < LIMIT < len(stored)
    for body, encoding in (
        (padded(LIMIT + 1), "identity"),
        (gzip.compress(padded(LIMIT + 1)), "gzip"),
        (bomb, "gzip"),
        (stored, "gzip"),
    ):
        response = small.post(body, Content_Encoding=encoding)
        assert error(response) == (413, "RequestEntityTooLarge")
    (value,) = small.values()
    assert value["count"] == 6


def test_the_default_limit(client: Client) -> None:
    start = json.dumps(document()).encode()
    assert client.post(padded(4_000_000, start)).ok
    assert error(client.post(padded(4_000_001, start))) == (413, "RequestEntityTooLarge")
