"""HTTP: bodies, errors, and URLs that may get a token."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import urllib3
from azure.core.exceptions import HttpResponseError
from hypothesis import given
from hypothesis import strategies as st

from shared.clients.http import (
    MAX_ERROR_TEXT,
    Deadline,
    HttpError,
    describe_error,
    parse_error,
    parse_retry_after,
    read_body,
    translate_errors,
    validate_url,
)
from shared.clients.sessions import open_session
from tests.unit.stubs import ManualClock, Response, serve

NOW = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)
LATER = Deadline(1e9)


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with open_session(4) as opened:
        yield opened


# --- Bodies ---------------------------------------------------------------------------------------

MAX_BYTES = 1_000_000


def endless() -> Iterator[bytes]:
    while True:
        yield b"x" * 50_000


def bomb() -> bytes:
    return gzip.compress(bytes(50_000_000))


TOO_LONG: dict[str, Callable[[], Response]] = {
    "one byte": lambda: Response(body=b"x" * (MAX_BYTES + 1)),
    "endless": lambda: Response(body=endless()),
    "endless redirect": lambda: Response(302, endless(), {"Location": "/"}),
    "gzip": lambda: Response(body=bomb(), headers={"Content-Encoding": "gzip"}),
    "gzip twice": lambda: Response(
        body=gzip.compress(bomb()), headers={"Content-Encoding": "gzip, gzip"}
    ),
}


@pytest.mark.parametrize("case", TOO_LONG)
def test_a_body_over_the_limit_is_not_read_to_its_end(case: str, session: requests.Session) -> None:
    answer = TOO_LONG[case]()
    with serve(lambda _: answer) as server:
        tracemalloc.start()
        with session.get(server.url, stream=True) as response:
            with pytest.raises(HttpError, match=r"^the response has more than 1,000,000 bytes$"):
                read_body(response, MAX_BYTES, LATER)
            peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 4 * MAX_BYTES


def test_a_body_of_the_limit_is_read(session: requests.Session) -> None:
    answer = Response(body=b"x" * MAX_BYTES)
    with serve(lambda _: answer) as server, session.get(server.url, stream=True) as response:
        assert len(read_body(response, MAX_BYTES, LATER)) == MAX_BYTES


def test_the_deadline_is_checked_for_each_chunk() -> None:
    clock = ManualClock()

    def read1(_: int, decode_content: bool) -> bytes:
        assert decode_content
        clock.sleep(1.0)
        return b"x"

    response: Any = SimpleNamespace(raw=SimpleNamespace(read1=read1))
    with pytest.raises(HttpError, match=r"^the response was not complete before the deadline$"):
        read_body(response, MAX_BYTES, Deadline(5.0, clock))
    assert clock.now == 1005.0


BROKEN = {
    "closed early": (Response(body=b"{", headers={"Content-Length": "9"}), "ProtocolError: "),
    "not gzip": (Response(body=b"{}", headers={"Content-Encoding": "gzip"}), "DecodeError: "),
}


@pytest.mark.parametrize(("answer", "text"), BROKEN.values(), ids=BROKEN)
def test_a_broken_body_is_an_error(answer: Response, text: str, session: requests.Session) -> None:
    with (
        serve(lambda _: answer) as server,
        session.get(server.url, stream=True) as response,
        pytest.raises(HttpError, match=f"^{text}"),
    ):
        read_body(response, MAX_BYTES, LATER)


# --- Errors ---------------------------------------------------------------------------------------

RAISED = {
    "requests": requests.ConnectionError("refused: /a?code=secret (x)"),
    "connection": OSError("broken"),
    "urllib3": urllib3.exceptions.LocationParseError("a..b"),
}


@pytest.mark.parametrize("raised", RAISED.values(), ids=RAISED)
def test_what_requests_and_urllib3_raise_is_one_error(raised: Exception) -> None:
    with pytest.raises(HttpError) as caught, translate_errors():
        raise raised
    assert caught.value.__cause__ is raised
    assert str(caught.value).startswith(f"{type(raised).__name__}: ")
    assert "secret" not in str(caught.value)


def test_an_unexpected_error_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), translate_errors():
        raise ZeroDivisionError


PAGE = "<html>502</html>"


def test_an_error_of_a_service_is_described_with_its_code_and_detail() -> None:
    error: Any = HttpResponseError(
        "Denied.\nRequestId:5b2f\nTime:2026\nErrorCode:No\ndetail:a\x00b\n"
    )
    error.response = SimpleNamespace(text=lambda: "<Error>twice</Error>")
    error.error_code = "No"
    assert describe_error(error) == "Denied. ErrorCode:No detail:a b"


def test_an_error_of_something_else_is_described_with_its_page() -> None:
    error: Any = HttpResponseError("Operation returned an invalid status 'Bad Gateway'")
    error.response = SimpleNamespace(text=lambda: PAGE)
    expected = f"Operation returned an invalid status 'Bad Gateway' Content: {PAGE}"
    assert describe_error(error) == expected
    assert describe_error(ValueError("x" * 9999)) == "x" * MAX_ERROR_TEXT + "…"


ERRORS: dict[str, tuple[bytes, tuple[str, str]]] = {
    "Azure": (b'{"error":{"code":"Nope","message":" Not \\n"}}', ("Nope", "Not")),
    "details": (
        b'{"error":{"code":"Bad","message":"No.","details":[{"message":"No."},{"message":"Why"}]}}',
        ("Bad", "No. Why"),
    ),
    "details that are text": (
        b'{"error":{"code":"Bad","details":"why"}}',
        ("", '{"error":{"code":"Bad","details":"why"}}'),
    ),
    "no message": (b'{"error":{"code":"Nope","message":null}}', ("Nope", "")),
    "error that is text": (b'{"error":"bad"}', ("", '{"error":"bad"}')),
    "array": (b"[]", ("", "[]")),
    "page of a proxy": (b"<h1>502</h1>\n", ("", "<h1>502</h1>")),
    "not UTF-8": (b"\xff", ("", "\ufffd")),
    "nested": (b"[" * 9999, ("", "[" * MAX_ERROR_TEXT + "…")),
    "empty": (b"", ("", "")),
    "long": (
        json.dumps({"error": {"code": "c" * 9999, "message": "m" * 9999}}).encode(),
        ("c" * MAX_ERROR_TEXT + "…", "m" * MAX_ERROR_TEXT + "…"),
    ),
}


@pytest.mark.parametrize(("body", "expected"), ERRORS.values(), ids=ERRORS)
def test_parse_error(body: bytes, expected: tuple[str, str]) -> None:
    assert parse_error(body) == expected


HEADERS = {
    "none": (None, None),
    "seconds": ("7", 7.0),
    "zero": ("0", 0.0),
    "spaces": (" 7 ", 7.0),
    "date": ("Mon, 23 Nov 2026 07:30:12 GMT", 12.0),
    "past date": ("Mon, 23 Nov 2026 07:29:00 GMT", 0.0),
    "date of RFC 850": ("Sunday, 06-Nov-94 08:49:37 GMT", 0.0),
    "date without a zone": ("Mon, 23 Nov 2026 07:30:12", None),
    "empty": ("", None),
    "negative": ("-1", None),
    "fraction": ("0.941641", 0.941641),
    "decimal comma": ("0,941641", 0.941641),
    "fraction without seconds": (".5", None),
    "two fractions": ("1.5.5", None),
    "two headers": ("7, 7", None),
    "word": ("soon", None),
    "digits outside ASCII": ("\u0667", None),
    "year out of range": ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
    "very long": ("9" * 400, 999_999_999.0),
    "very long fraction": ("1." + "5" * 400, 1.555_555_555),
}


@pytest.mark.parametrize(("header", "seconds"), HEADERS.values(), ids=HEADERS)
def test_parse_retry_after(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, NOW) == seconds


@given(st.text())
def test_any_retry_after_is_a_wait_or_none(header: str) -> None:
    seconds = parse_retry_after(header, NOW)
    assert seconds is None or seconds >= 0


# --- URLs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["https://a.example:8443/b?c=d@e", "http://127.0.0.1:80", "http://localhost", "http://[::1]/"],
)
def test_a_url_may_get_a_token(url: str) -> None:
    assert validate_url(url).geturl() == url


A_URL = "expected a URL such as https://host.example"
TLS = "expected https:// (http:// on the loopback interface only)"
BAD_URLS = {
    "": A_URL,
    "stats": A_URL,
    "https://": A_URL,
    "https:///a": A_URL,
    "https://[": A_URL,
    "https://a:x/": A_URL,
    "https://a:0/": A_URL,
    "https://a:65536/": A_URL,
    "https://me@a.example/": A_URL,
    "https://@a.example/": A_URL,
    "https://a.example\\@evil.example/": A_URL,
    "http://a.example": TLS,
    "http://127.0.0.1.example": TLS,
    "ftp://127.0.0.1": TLS,
}


@pytest.mark.parametrize(("url", "text"), BAD_URLS.items())
def test_a_url_may_not_get_a_token(url: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected") as caught:
        validate_url(url)
    assert str(caught.value) == text


def test_seconds_that_are_left_are_never_negative() -> None:
    clock = ManualClock()
    deadline = Deadline(5.0, clock)
    assert deadline.left() == 5.0
    clock.sleep(4.0)
    assert deadline.left() == 1.0
    clock.sleep(4.0)
    assert deadline.left() == 0.0
