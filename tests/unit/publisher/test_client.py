"""One POST: what is sent, and how each answer, broken ones too, becomes a response."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import msgspec
import pytest
import requests
import urllib3

from shared.clients.sessions import open_session
from shared.errors import TokenError
from shared.publisher.client import MAX_ANSWER_BYTES, READ_TIMEOUT, AzureMonitorStore
from shared.publisher.responses import Action, Response
from tests.unit.rollups import MINUTE, NOW, REGION, RESOURCE, TARGET, series, value_of
from tests.unit.stubs import ManualClock, Request, StubServer, StubTransport, serve, session_with
from tests.unit.stubs import Response as Answer

TOKEN = "secret-1"
DATA = b'{"time":"2026-11-23T07:25:00Z"}\n' * 3
AZURE = "https://{region}.monitoring.azure.com"
URL = f"https://westeurope.monitoring.azure.com{RESOURCE}/metrics"


class StubToken:
    """One token, until it is discarded."""

    def __init__(self) -> None:
        self.discarded: list[str] = []

    def get(self) -> str:
        if TOKEN in self.discarded:
            raise TokenError("ManagedIdentityCredential: no identity")
        return TOKEN

    def discard(self, refused: str) -> None:
        self.discarded.append(refused)


def store_of(session: requests.Session, endpoint: str = AZURE, **options: Any) -> AzureMonitorStore:
    defaults = {"tokens": StubToken(), "clock": ManualClock(), "now": lambda: NOW}
    options = {**defaults, "max_body_bytes": 65_536, **options}
    return AzureMonitorStore(endpoint=endpoint, session=session, **options)


def post_to(server: StubServer, **options: Any) -> Response:
    """Post over a real session."""
    with open_session(1) as session:
        return store_of(session, f"{server.url}/{{region}}", **options).post(TARGET, DATA, TOKEN)


# --- The request ----------------------------------------------------------------------------------


def test_a_request_is_what_the_api_expects() -> None:
    with serve(lambda _: Answer(200)) as server:
        for _ in range(2):
            assert post_to(server).status == 200
    first, second = server.requests
    assert (first.method, first.target) == ("POST", f"/{REGION}{RESOURCE}/metrics")
    assert gzip.decompress(first.body) == DATA
    assert second.body == first.body  # Without the time, which gzip would write.
    expected = {
        "Content-Type": "application/x-ndjson",
        "Content-Encoding": "gzip",
        "Content-Length": str(len(first.body)),
        "Authorization": "Bearer secret-1",
    }
    assert first.headers.items() >= expected.items()
    assert first.headers.keys().isdisjoint({"Transfer-Encoding", "Expect"})


def test_the_region_is_a_part_of_the_host() -> None:
    transport = StubTransport(Answer(200))
    store_of(session_with(transport)).post(TARGET, DATA, TOKEN)
    assert [request.url for request in transport.requests] == [URL]
    assert transport.timeouts == [(5.0, 30.0)]


def test_a_token_that_is_refused_is_not_used_again() -> None:
    transport = StubTransport(Answer(403), Answer(401))
    store = store_of(session_with(transport))
    store.post(TARGET, DATA, store.token())
    assert store.post(TARGET, DATA, store.token()).status == 401
    with pytest.raises(TokenError):
        store.token()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    moved = Answer(status, b"", {"Location": "https://evil.example/"})
    transport = StubTransport(moved, Answer(200))
    response = store_of(session_with(transport)).post(TARGET, DATA, TOKEN)
    assert (response.status, len(transport.requests)) == (status, 1)


# --- The answer -----------------------------------------------------------------------------------

ERROR = b'{"error":{"code":"BadRequest","message":"too old\\r\\n"}}'
GZIP = {"Content-Encoding": "gzip"}
ANSWERS = {
    "published": (Answer(200, b'{"statusCode": 200}'), Response(200)),
    "no content": (Answer(204), Response(204)),
    "error": (Answer(400, ERROR), Response(400, "BadRequest", "too old")),
    "compressed": (
        Answer(400, gzip.compress(ERROR), GZIP),
        Response(400, "BadRequest", "too old"),
    ),
    "no body": (Answer(404), Response(404)),
    "text": (Answer(503, b"<h1>Oops</h1>\n"), Response(503, "", "<h1>Oops</h1>")),
    "wait": (Answer(429, b"", {"Retry-After": "17"}), Response(429, retry_after=17.0)),
    "wait, badly": (Answer(429, b"", {"Retry-After": "soon"}), Response(429)),
    "wait until a date": (
        Answer(503, b"", {"Retry-After": format_datetime(NOW + timedelta(seconds=9), usegmt=True)}),
        Response(503, retry_after=9.0),
    ),
    "wait until a past date": (
        Answer(503, b"", {"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"}),
        Response(503, retry_after=0.0),
    ),
}


@pytest.mark.parametrize(("answer", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_is_read(
    answer: Answer, expected: Response, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    response = store_of(session_with(StubTransport(answer))).post(TARGET, DATA, TOKEN)
    assert msgspec.structs.replace(response, seconds=0.0) == expected
    assert "secret" not in caplog.text + repr(response) + str(response)


def slow(clock: ManualClock) -> Iterator[bytes]:
    while True:
        clock.sleep(READ_TIMEOUT / 2)
        yield b"x"


def endless(_: ManualClock) -> Iterator[bytes]:
    while True:
        yield b"x" * MAX_ANSWER_BYTES


BROKEN: dict[str, tuple[Callable[[ManualClock], Answer], str]] = {
    "cut": (lambda _: Answer(200, b"[", {"Content-Length": "9"}), "IncompleteRead"),
    "not gzip": (lambda _: Answer(200, b"[]", GZIP), "gzip"),
    "cut gzip": (lambda _: Answer(200, gzip.compress(b"[]")[:-9], GZIP), ""),
    "a gzip bomb": (lambda _: Answer(200, gzip.compress(bytes(10_000_000)), GZIP), "more than"),
    "endless": (lambda clock: Answer(200, endless(clock)), "more than 65,536 bytes"),
    "slow": (lambda clock: Answer(200, slow(clock)), "not complete before the deadline"),
}


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize(("answer", "text"), BROKEN.values(), ids=BROKEN)
def test_an_answer_keeps_its_status_without_its_body(
    answer: Callable[[ManualClock], Answer], text: str, status: int
) -> None:
    clock = ManualClock()
    given = answer(clock)
    with serve(lambda _: Answer(status, given.body, given.headers)) as server:
        response = post_to(server, clock=clock)
    assert (response.status, response.code) == (status, "")
    if text:
        assert response.message.startswith("unreadable body: ")
        assert text in response.message


@pytest.mark.parametrize(("extra", "readable"), [(0, True), (1, False)])
def test_an_answer_has_a_limit(extra: int, readable: bool) -> None:
    transport = StubTransport(Answer(500, b"x" * (MAX_ANSWER_BYTES + extra)))
    response = store_of(session_with(transport)).post(TARGET, DATA, TOKEN)
    assert response.message.startswith("x") is readable


def exceptions_of(base: type[Exception]) -> Iterator[type[Exception]]:
    yield base
    for derived in base.__subclasses__():
        yield from exceptions_of(derived)


RAISED: set[type[Exception]] = {
    *exceptions_of(requests.RequestException),
    OSError,  # A CA bundle that is missing.
    urllib3.exceptions.HTTPError,
}


@pytest.mark.parametrize("kind", sorted(RAISED, key=str))
def test_every_error_of_a_request_is_a_response(kind: type[Exception]) -> None:
    error = kind.__new__(kind)
    error.args = ("broken",)
    response = store_of(session_with(StubTransport(error))).post(TARGET, DATA, TOKEN)
    assert (response.status, response.code) == (None, kind.__name__)


def test_a_connection_that_ends_without_an_answer_is_a_response() -> None:
    def close(_: Request) -> None:
        return None

    with serve(close) as server:
        response = post_to(server)
    refused = post_to(server)  # It has stopped.
    assert (response.status, response.code) == (None, "ConnectionError")
    assert (refused.status, refused.code) == (None, "ConnectionError")
    assert "refused" in refused.message


def test_a_response_says_how_long_it_took() -> None:
    clock = ManualClock()

    def answer(_: Request) -> Answer:
        clock.sleep(2.5)
        return Answer(200)

    with serve(answer) as server:
        assert post_to(server, clock=clock).seconds == 2.5


def test_the_store_knows_its_bodies_and_its_answers() -> None:
    store = store_of(requests.Session(), max_body_bytes=10)
    group = {series("a"): value_of(1.0), series("b"): value_of(2.0)}
    assert [list(body.contents()) for body in store.encode({MINUTE: group})] == [
        [(MINUTE, series("a"))],
        [(MINUTE, series("b"))],
    ]
    assert store.classify(Response(401)).action is Action.RENEW_TOKEN
