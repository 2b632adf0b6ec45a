"""JSON client: errors in one line, limits, a busy service, and pages."""

from __future__ import annotations

import contextlib
import json
import math
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.clients.http import Deadline
from shared.clients.json_client import JsonClient
from shared.clients.rate_limiter import RateLimiter
from shared.clients.sessions import open_session
from shared.errors import SourceError, TokenError
from tests.unit.stubs import (
    ManualClock,
    Request,
    Response,
    StubTokens,
    StubTransport,
    json_response,
    routes,
    serve,
    session_with,
)

HOST = "https://host.example"
LATER = Deadline(1e9)
BUSY = '{"error":{"code":"Throttled","message":"Too many."}}'


def client_of(transport: StubTransport, **options: Any) -> JsonClient:
    limiter = RateLimiter(max_concurrent=8, per_second=1e6)
    return JsonClient(session_with(transport), limiter, options.pop("tokens", None), **options)


@pytest.fixture
def client() -> Iterator[JsonClient]:
    """Return a client with a real session, and time-outs that a test can wait for."""
    with open_session(4) as session:
        limiter = RateLimiter(max_concurrent=8, per_second=1e6)
        yield JsonClient(session, limiter, StubTokens("a"), read_timeout=0.1)


def error_of(call: Callable[[], object]) -> str:
    """Return the text of the SourceError: one line, without the query string."""
    with pytest.raises(SourceError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    assert "secret" not in text
    return text


def next_link(page: Any) -> Any:
    return page.get("nextLink")


# --- One response ---------------------------------------------------------------------------------


def test_a_document_is_read(client: JsonClient) -> None:
    with serve(routes({"/a?b=c": json_response([1, 2.5, "ü"])})) as server:
        assert client.get(f"{server.url}/a?b=c", LATER) == [1, 2.5, "ü"]
    headers = server.requests[0].headers
    assert (headers["Accept"], headers["Authorization"]) == ("application/json", "Bearer for-a-0")
    assert "gzip" in headers["Accept-Encoding"]


def test_without_tokens_a_request_is_anonymous() -> None:
    transport = StubTransport(Response(200, b"{}"))
    client_of(transport).get(HOST, LATER)
    assert "Authorization" not in transport.requests[0].headers


ERRORS: dict[str, tuple[Response, str]] = {
    "Azure": (Response(403, b'{"error":{"code":"A","message":"B\\nC"}}'), "403 A B C"),
    "text": (Response(502, b"<h1>\r\n502</h1>\n"), "502 <h1> 502</h1>"),
    "no body": (Response(500), "500"),
    "busy without a Retry-After": (Response(429, BUSY.encode()), "429 Throttled Too many."),
    "busy with an invalid one": (Response(503, b"", {"Retry-After": "soon"}), "503"),
    "no content": (Response(204), "204"),
    "redirect": (Response(302, b"", {"Location": "https://evil.example/"}), "302"),
}  # fmt: skip


@pytest.mark.parametrize(("response", "text"), ERRORS.values(), ids=ERRORS)
def test_an_error_status_is_one_line(response: Response, text: str) -> None:
    transport = StubTransport(response)
    found = error_of(lambda: client_of(transport).get(f"{HOST}/a?code=secret", LATER))
    assert found == f"{HOST}/a: {text}"
    assert len(transport.requests) == 1


def test_a_token_that_is_refused_is_replaced() -> None:
    transport = StubTransport(Response(401), Response(403), Response(200, b"{}"))
    client = client_of(transport, tokens=StubTokens("a"))
    error_of(lambda: client.get(HOST, LATER))
    error_of(lambda: client.get(HOST, LATER))  # A missing role is not the token's fault.
    assert client.get(HOST, LATER) == {}
    assert transport.tokens() == ["for-a-0", "for-a-1", "for-a-1"]


def test_without_a_token_no_request_is_sent() -> None:
    class NoTokens(StubTokens):
        def get(self) -> str:
            raise TokenError("no endpoint")

    transport = StubTransport(Response(200, b"{}"))
    client = client_of(transport, tokens=NoTokens("a"))
    assert error_of(lambda: client.get(HOST, LATER)) == f"{HOST}: no endpoint"
    assert transport.requests == []


NOT_JSON = {
    "empty": b"",
    "text": b"<html></html>",
    "cut off": b'{"value": [1',
    "two documents": b"{}{}",
    "not UTF-8": b'"\xff"',
    "nested": b"[" * 100_000,
}


ODD_VALUES: dict[str, tuple[bytes, Any]] = {
    "byte order mark": (b'\xef\xbb\xbf{"value": 1}', {"value": 1}),
    "UTF-16": ('{"value": 1}'.encode("utf-16"), {"value": 1}),
    "number out of range": (b'{"value": 1e999}', {"value": math.inf}),
    "infinity": (b'{"value": -Infinity}', {"value": -math.inf}),
    "half of a surrogate pair": (rb'{"value": "cut \ud83d"}', {"value": "cut \ud83d"}),
}


@pytest.mark.parametrize(("body", "document"), ODD_VALUES.values(), ids=ODD_VALUES)
def test_an_odd_value_does_not_lose_the_document(body: bytes, document: Any) -> None:
    assert client_of(StubTransport(Response(200, body))).get(HOST, LATER) == document


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
def test_a_body_that_is_not_json_is_an_error(body: bytes) -> None:
    client = client_of(StubTransport(Response(200, body)))
    text = error_of(lambda: client.get(HOST, LATER))
    assert text.startswith(f"{HOST}: the response is not valid JSON: ")


def test_a_body_over_the_limit_is_an_error() -> None:
    client = client_of(StubTransport(Response(200, b"[1]")), max_bytes=2)
    assert error_of(lambda: client.get(HOST, LATER)) == (
        f"{HOST}: the response has more than 2 bytes"
    )


# --- Time-outs and broken connections -------------------------------------------------------------


def never(request: Request) -> None:
    request.stopped.wait()


def stall(request: Request) -> Response:
    def body() -> Iterator[bytes]:
        yield b"["
        request.stopped.wait()

    return Response(body=body())


BROKEN: dict[str, tuple[Callable[[Request], Response | None], str]] = {
    "never answers": (never, "ReadTimeout: "),
    "stops in the middle": (stall, "ReadTimeoutError: "),
    "closes the connection": (lambda _: None, "ConnectionError: "),
    "closes it in the middle": (
        lambda _: Response(body=b"[", headers={"Content-Length": "9"}),
        "ProtocolError: ",
    ),
}


@pytest.mark.parametrize(("handler", "text"), BROKEN.values(), ids=BROKEN)
def test_a_broken_connection_is_an_error(
    handler: Callable[[Request], Response | None], text: str, client: JsonClient
) -> None:
    with serve(handler) as server:
        found = error_of(lambda: client.get(f"{server.url}/a?code=secret", LATER))
    assert found.startswith(f"{server.url}/a: {text}")


def test_a_slow_body_ends_at_the_deadline(client: JsonClient) -> None:
    clock = ManualClock()

    def body() -> Iterator[bytes]:
        while True:
            clock.sleep(1.0)
            yield b" "

    with serve(lambda _: Response(body=body())) as server:
        found = error_of(lambda: client.get(server.url, Deadline(5.0, clock)))
    assert found == f"{server.url}: no complete response before the deadline"


@pytest.mark.parametrize("host", ["a..b", f"{'a' * 64}.example", "127.0.0.1:1"])
def test_a_host_that_cannot_be_reached_is_an_error(host: str, client: JsonClient) -> None:
    assert error_of(lambda: client.get(f"https://{host}/?code=secret", LATER))


def test_a_header_that_cannot_be_parsed_leaves_no_key_in_the_log(
    client: JsonClient, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def respond() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                lines = ("HTTP/1.1 200 OK", "no header", "Content-Length: 2", "", "{}")
                connection.sendall("\r\n".join(lines).encode())

        thread = threading.Thread(target=respond)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/?sv=1&sig=TOPSECRET"
        with contextlib.suppress(SourceError):
            client.get(url, LATER)
        thread.join()
    assert "TOPSECRET" not in caplog.text


@pytest.mark.parametrize(
    ("left", "timeouts"), [(60.0, (5.0, 15.0)), (10.0, (5.0, 10.0)), (2.0, (2.0, 2.0))]
)
def test_time_outs_end_before_the_deadline(left: float, timeouts: tuple[float, float]) -> None:
    transport = StubTransport(Response(200, b"{}"))
    client_of(transport).get(HOST, Deadline(left, ManualClock()))
    assert transport.timeouts == [timeouts]


# --- A busy service -------------------------------------------------------------------------------


class BusyService:
    """A service behind a rate limiter, on one clock."""

    def __init__(self, *responses: Response) -> None:
        self.clock = ManualClock()
        self.transport = StubTransport(*responses)
        limiter = RateLimiter(
            max_concurrent=8, per_second=1000.0, clock=self.clock, sleep=self.clock.sleep
        )
        self._client = JsonClient(session_with(self.transport), limiter, None)

    def get(self, path: str = "", seconds: float = 30.0) -> Any:
        return self._client.get(f"{HOST}{path}", Deadline(seconds, self.clock))


def busy(retry_after: str, status: int = 429) -> Response:
    return Response(status, BUSY.encode(), {"Retry-After": retry_after})


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("asked", "waited"), [("3", 3.0), ("0", 1.0), ("1,5", 1.5), ("30", 30.0)])
def test_a_busy_service_is_asked_again_after_its_pause(
    status: int, asked: str, waited: float
) -> None:
    service = BusyService(busy(asked, status), Response(200, b"[1]"))
    assert service.get(seconds=30.01) == [1]
    assert len(service.transport.requests) == 2
    assert waited <= service.clock.now - 1000 <= waited + 0.01


def test_a_service_that_stays_busy_is_an_error() -> None:
    service = BusyService(busy("3"), busy("4"), Response(200, b"{}"))
    assert error_of(service.get) == f"{HOST}: 429 Throttled Too many."
    assert len(service.transport.requests) == 2


def test_no_request_is_sent_during_a_pause() -> None:
    service = BusyService(busy("17"), Response(200, b"[1]"))
    why = f"{HOST}/a: 429 Throttled Too many.; retry after 17 s"
    # The pause is longer than the deadline: nothing waits.
    assert error_of(lambda: service.get("/a?code=secret", 10.0)) == why
    assert error_of(lambda: service.get("/b", 10.0)) == why
    assert len(service.transport.requests) == 1
    assert service.clock.now < 1000.01
    service.clock.sleep(17)
    assert service.get("/b", 10.0) == [1]


# --- Pages ----------------------------------------------------------------------------------------


def linked(*links: Any) -> StubTransport:
    """Return a transport whose pages have these next links."""
    return StubTransport(
        *(Response(200, json.dumps({"nextLink": link}).encode()) for link in links)
    )


def test_pages_are_followed_with_the_token() -> None:
    transport = linked("/list?page=1", f"{HOST}/list?page=2", None)
    client = client_of(transport, tokens=StubTokens("a"))
    assert len(list(client.pages(f"{HOST}/list", next_link, LATER))) == 3
    paths = [request.path_url for request in transport.requests]
    assert paths == ["/list", "/list?page=1", "/list?page=2"]
    assert transport.tokens() == ["for-a-0"] * 3


@pytest.mark.parametrize("page", [{}, {"nextLink": None}, {"nextLink": ""}])
def test_a_page_without_a_link_is_the_last(page: Any) -> None:
    transport = StubTransport(json_response(page))
    assert list(client_of(transport).pages(HOST, next_link, LATER)) == [page]


SAME_ORIGIN = {
    "/next?p=2": "/next?p=2",
    "next": "/next",
    "?p=2": "/list?p=2",
    "https://host.example:443/next": "/next",
    "HTTPS://Host.Example/next": "/next",
}


@pytest.mark.parametrize(("link", "target"), SAME_ORIGIN.items())
def test_a_link_to_the_same_origin_is_followed(link: str, target: str) -> None:
    transport = linked(link, None)
    assert len(list(client_of(transport).pages(f"{HOST}/list", next_link, LATER))) == 2
    assert transport.requests[1].path_url == target


NOT_FOLLOWED: list[Any] = [
    "https://evil.example/?p=secret",
    "//evil.example/",
    "https://host.example:444/",
    "http://host.example/",
    "http://host.example:443/",
    "https://me@host.example/",
    "https://host.example@evil.example/",
    "https://host.example\\@evil.example/",
    "https://host.example.evil.example/",
    "/\\evil.example/",
    "https://host.example/\\x",
    "file:///etc/passwd",
    "https://[",
    "https://host.example:x/",
    5,
    True,
    ["/"],
    {"href": "/"},
]


@pytest.mark.parametrize("link", NOT_FOLLOWED, ids=str)
def test_the_token_does_not_go_to_another_origin(link: Any) -> None:
    transport = linked(link, None)
    pages = client_of(transport, tokens=StubTokens("a")).pages(f"{HOST}/a?b", next_link, LATER)
    next(pages)
    found = str(link).partition("?")[0]
    text = f"{HOST}/a: the next link is not a URL of this origin: {found}"
    assert error_of(lambda: next(pages)) == text
    assert len(transport.requests) == 1


@pytest.mark.parametrize("links", [["/0"], ["/1", "/0"], ["/1", "/2", "/1"]])
def test_a_pagination_loop_is_an_error(links: list[str]) -> None:
    transport = linked(*links)
    text = error_of(lambda: list(client_of(transport).pages(f"{HOST}/0", next_link, LATER)))
    assert text.endswith(": pagination loop")
    assert len(transport.requests) == len(links)


@pytest.mark.parametrize("pages", [3, 4])
def test_pages_have_a_limit(pages: int) -> None:
    transport = linked(*(f"/{number}" for number in range(1, pages)), None)
    client = client_of(transport, max_pages=3)
    if pages == 3:
        assert len(list(client.pages(HOST, next_link, LATER))) == 3
    else:
        text = error_of(lambda: list(client.pages(HOST, next_link, LATER)))
        assert text == f"{HOST}/3: more than 3 pages"
        assert len(transport.requests) == 3


def test_each_page_waits_for_the_rate_limiter() -> None:
    waits: list[float] = []
    limiter = RateLimiter(max_concurrent=1, per_second=10.0, clock=lambda: 0.0, sleep=waits.append)
    client = JsonClient(session_with(linked("/1", "/2", None)), limiter, None)
    assert len(list(client.pages(HOST, next_link, LATER))) == 3
    assert [round(wait, 6) for wait in waits] == [0.1, 0.2, 0.3]
