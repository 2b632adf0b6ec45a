"""JSON from where an operator points: answers, refusals, pages; what is hostile or broken."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import requests
from scripted import Asked, Said, Server, routes, said, serving
from sourcing import SOON, Named, open_gate
from transport import Reply, Transport, session_with

from shared.clients.deadline import Deadline
from shared.clients.http import open_session
from shared.clients.json_client import Bounds, JsonClient
from shared.clients.rate_limiter import Gate
from shared.errors import SourceError, TokenError

HOST = "https://host.example"


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with open_session(4) as opened:
        yield opened


def client_of(session: requests.Session, **options: Any) -> JsonClient:
    return JsonClient(session, open_gate(), options.pop("tokens", None), **options)


def failure(call: Callable[[], object]) -> str:
    """The text of the SourceError that a call ends with: one line."""
    with pytest.raises(SourceError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    return text


def soon() -> Deadline:
    return Deadline(SOON)


def next_link(page: Any) -> Any:
    return page.get("nextLink")


# --- One answer -----------------------------------------------------------------------------------


def test_an_answer_is_read(session: requests.Session) -> None:
    with serving(routes({"/a?b=c": said({"value": [1, 2.5, "ü"]})})) as server:
        client = client_of(session)
        assert client.get(f"{server.url}/a?b=c", soon()) == {"value": [1, 2.5, "ü"]}
    (asked,) = server.asked
    assert asked.headers["Accept"] == "application/json"
    assert "gzip" in asked.headers["Accept-Encoding"]
    assert "Authorization" not in asked.headers


def test_a_token_goes_with_the_request(session: requests.Session) -> None:
    with serving(lambda _: said({})) as server:
        client_of(session, tokens=Named("https://audience/")).get(server.url, soon())
    assert server.asked[0].headers["Authorization"] == "Bearer for-https://audience/-0"


@pytest.mark.parametrize("tokens", [None, Named("a")], ids=["anonymous", "token"])
def test_nothing_of_a_netrc_goes_with_it(
    tokens: Named | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with (
        serving(lambda _: said({})) as server,
        open_session(1) as session,
    ):
        client_of(session, tokens=tokens).get(server.url, soon())
    expected = None if tokens is None else "Bearer for-a-0"
    assert server.asked[0].headers.get("Authorization") == expected


def test_connections_are_used_again(session: requests.Session) -> None:
    answers = routes(
        {
            "/": said({}),
            "/chunks": Said(body=[b"{", b"}"]),
            "/gzip": Said(body=gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"}),
            "/refused": said({"error": {"code": "x", "message": "y"}}, 403),
        }
    )
    with serving(answers) as server:
        client = client_of(session)
        for _ in range(3):
            assert client.get(f"{server.url}/", soon()) == {}
            assert client.get(f"{server.url}/chunks", soon()) == {}
            assert client.get(f"{server.url}/gzip", soon()) == {}
            failure(lambda: client.get(f"{server.url}/refused", soon()))
        assert len(server.asked) == 12
        assert len({asked.connection for asked in server.asked}) == 1


AZURE = {"Content-Type": "application/json; charset=utf-8"}
NO_READER = (
    "The client '0f8f' with object id '0f8f' does not have authorization to perform action "
    "'Microsoft.ServiceBus/namespaces/queues/read' over scope '/subscriptions/5b2f' or the scope "
    "is invalid. If access was recently granted, please refresh your credentials."
)
REFUSALS: dict[str, tuple[Reply, str]] = {
    "401 of ARM": (
        Reply(
            401,
            json.dumps(
                {
                    "error": {
                        "code": "AuthenticationFailed",
                        "message": "Authentication failed. The 'Authorization' header is missing.",
                    }
                }
            ),
            AZURE,
        ),
        "401 AuthenticationFailed Authentication failed. The 'Authorization' header is missing.",
    ),
    "403 of ARM": (
        Reply(403, json.dumps({"error": {"code": "AuthorizationFailed", "message": NO_READER}})),
        f"403 AuthorizationFailed {NO_READER}",
    ),
    "404 of ARM": (
        Reply(404, '{"error":{"code":"ResourceNotFound","message":"The Resource was not found."}}'),
        "404 ResourceNotFound The Resource was not found.",
    ),
    "429 of ARM": (
        Reply(
            429,
            '{"error":{"code":"SubscriptionRequestsThrottled","message":"Number of requests for '
            "subscription '5b2f' and operation 'GET' exceeded the backend storage limit.\"}}",
        ),
        (
            "429 SubscriptionRequestsThrottled Number of requests for subscription '5b2f' and "
            "operation 'GET' exceeded the backend storage limit."
        ),
    ),
    "500 of ARM": (
        Reply(500, '{"error":{"code":"InternalServerError","message":"Encountered internal."}}'),
        "500 InternalServerError Encountered internal.",
    ),
    "error that is text": (Reply(400, '{"error":"bad","message":"no"}'), ": 400 "),
    "page of a proxy": (
        Reply(502, "<html>\r\n<h1>502 Bad Gateway</h1>\r\n</html>\n"),
        "502 <html> <h1>502 Bad Gateway</h1> </html>",
    ),
    "long text": (Reply(500, "x" * 5000), f"500 {'x' * 1000}"),
    "nothing": (Reply(503), "503"),
    "no content": (Reply(204), "204"),
    "redirect": (Reply(302, "", {"Location": "https://evil.example/"}), "302"),
}


@pytest.mark.parametrize(("reply", "text"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_one_line_in_the_words_of_the_service(reply: Reply, text: str) -> None:
    transport = Transport(reply)
    client = client_of(session_with(transport), tokens=Named("a"))
    found = failure(lambda: client.get(f"{HOST}/a?code=secret", soon()))
    assert found.startswith(f"{HOST}/a: ")
    assert found.endswith(text) if not text.startswith(":") else text in found
    assert "secret" not in found
    assert len(transport.requests) == 1


def test_a_token_that_is_refused_is_not_used_again() -> None:
    transport = Transport(Reply(401), Reply(403), Reply(200, "{}"))
    tokens = Named("a")
    client = client_of(session_with(transport), tokens=tokens)
    failure(lambda: client.get(HOST, soon()))
    assert tokens.discarded == ["for-a-0"]
    failure(lambda: client.get(HOST, soon()))  # A missing role is no fault of the token.
    assert client.get(HOST, soon()) == {}
    assert transport.tokens() == ["for-a-0", "for-a-1", "for-a-1"]


def test_without_a_token_there_is_no_request() -> None:
    class NoTokens(Named):
        def get(self) -> str:
            raise TokenError("ManagedIdentityCredential: no endpoint")

    transport = Transport(Reply(200, "{}"))
    client = client_of(session_with(transport), tokens=NoTokens("a"))
    assert failure(lambda: client.get(HOST, soon())) == (
        f"{HOST}: ManagedIdentityCredential: no endpoint"
    )
    assert transport.requests == []


NOT_JSON = {
    "nothing": b"",
    "text": b"<html></html>",
    "cut off": b'{"value": [1',
    "two documents": b"{}{}",
    "bytes that are no text": b'"\xff"',
    "a number beyond all": b'{"value": 1e999}',
    "not a number": b'{"value": NaN}',
    "half a character": b'"\\ud800"',
    "nested without end": b"[" * 100_000,
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_no_json_is_said(body: bytes) -> None:
    client = client_of(session_with(Transport(Reply(200, body))))
    assert failure(lambda: client.get(HOST, soon())).startswith(f"{HOST}: not JSON: ")


# --- Sizes ----------------------------------------------------------------------------------------

LIMIT = 1_000_000
SMALL = Bounds(most_bytes=LIMIT)


def endless(chunk: bytes) -> Iterator[bytes]:
    while True:
        yield chunk


def peak_of(call: Callable[[], object]) -> int:
    """The most bytes of Python objects that a call held at once."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_body_of_the_largest_size_is_read(session: requests.Session) -> None:
    whole = b'"' + b"x" * (LIMIT - 2) + b'"'
    with serving(routes({"/fits": Said(body=whole), "/over": Said(body=whole + b" ")})) as server:
        client = client_of(session, bounds=SMALL)
        assert len(client.get(f"{server.url}/fits", soon())) == LIMIT - 2
        text = failure(lambda: client.get(f"{server.url}/over", soon()))
    assert text == f"{server.url}/over: more than 1000000 bytes"


HUGE = 100_000_000


@cache
def bomb() -> bytes:
    """100 MB of zeros, compressed."""
    return gzip.compress(bytes(HUGE))


ENDLESS: dict[str, Callable[[], Said]] = {
    "in chunks": lambda: Said(body=endless(b"x" * 50_000)),
    "of a refusal": lambda: Said(500, endless(b"x" * 50_000)),
    "of a redirect": lambda: Said(302, endless(b"x" * 50_000), {"Location": "/elsewhere"}),
    "a bomb": lambda: Said(body=bomb(), headers={"Content-Encoding": "gzip"}),
    "a bomb in a bomb": lambda: Said(
        body=gzip.compress(bomb()),
        headers={"Content-Encoding": "gzip, gzip"},
    ),
    "a bomb in small chunks": lambda: Said(
        body=[bomb()[i : i + 1000] for i in range(0, len(bomb()), 1000)],
        headers={"Content-Encoding": "gzip"},
    ),
}


@pytest.mark.parametrize("case", ENDLESS)
def test_a_body_without_end_is_cut_off(case: str, session: requests.Session) -> None:
    answer = ENDLESS[case]()
    with serving(lambda _: answer) as server:
        client = client_of(session, bounds=SMALL)
        found: list[str] = []
        peak = peak_of(lambda: found.append(failure(lambda: client.get(server.url, soon()))))
        assert found == [f"{server.url}: more than 1000000 bytes"]
        assert len(server.asked) == 1
    # The growing body, its buffer and a chunk or two.
    assert peak < 3 * LIMIT


# --- Time and broken connections ------------------------------------------------------------------


def silence(asked: Asked) -> None:
    asked.ended.wait(30)


def stall(asked: Asked) -> Said:
    def body() -> Iterator[bytes]:
        yield b'{"value": '
        asked.ended.wait(30)

    return Said(body=body())


def trickle(asked: Asked) -> Said:
    def body() -> Iterator[bytes]:
        while not asked.ended.wait(0.01):
            yield b" "

    return Said(body=body())


def gzip_names(asked: Asked) -> Said:
    """The head of a gzip file may hold a name, which may be of any length."""

    def body() -> Iterator[bytes]:
        yield b"\x1f\x8b\x08\x08" + bytes(6)
        while not asked.ended.wait(0.01):
            yield b"n"

    return Said(body=body(), headers={"Content-Encoding": "gzip"})


def empty_blocks(asked: Asked) -> Said:
    """Compressed data that unpacks to nothing."""

    def body() -> Iterator[bytes]:
        yield b"\x1f\x8b\x08\x00" + bytes(6)
        while not asked.ended.wait(0.01):
            yield b"\x00\x00\x00\xff\xff"

    return Said(body=body(), headers={"Content-Encoding": "gzip"})


# How it hangs, what is said of that, and the deadline in seconds; a read may take 1.
SLOW: dict[str, tuple[Callable[[Asked], Said | None], str, float]] = {
    "never answers": (silence, "ReadTimeout: ", 60),
    "stops in the middle": (stall, "ReadTimeoutError: ", 60),
    "a byte now and then": (trickle, "not read in time", 0.3),
    "an endless name": (gzip_names, "not read in time", 0.3),
    "blocks of nothing": (empty_blocks, "not read in time", 0.3),
}


@pytest.mark.parametrize(("answer", "text", "seconds"), SLOW.values(), ids=SLOW)
def test_a_server_that_hangs_is_left(
    answer: Callable[[Asked], Said | None], text: str, seconds: float, session: requests.Session
) -> None:
    with serving(answer) as server:
        client = client_of(session, bounds=Bounds(read=1))
        found = failure(lambda: client.get(f"{server.url}/a?code=secret", Deadline(seconds)))
    assert found.startswith(f"{server.url}/a: {text}")
    assert "secret" not in found


@pytest.mark.parametrize("line", [b"X-More: 1\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_headers_without_end_are_left(line: bytes, session: requests.Session) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                if b"X-More" in line:
                    connection.sendall(b"HTTP/1.1 200 OK\r\n")
                for byte in itertools.cycle(line):
                    connection.sendall(bytes([byte]))
                    ended.wait(0.005)

        ended = threading.Event()
        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        found = failure(lambda: client_of(session).get(url, Deadline(0.3)))
        thread.join(60)
        assert not thread.is_alive()
    assert found == f"{url}: not read in time"


@pytest.mark.parametrize("secret", ["code=TOPSECRET", "sv=1&sig=TOPSECRET"])
def test_a_header_that_cannot_be_read_tells_the_log_no_key(
    secret: str, session: requests.Session, caplog: pytest.LogCaptureFixture
) -> None:
    """urllib3 warns of it with the whole address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                lines = ("HTTP/1.1 200 OK", "no header", "Content-Length: 2", "", "{}")
                connection.sendall("\r\n".join(lines).encode())

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/?{secret}"
        with contextlib.suppress(SourceError):
            client_of(session).get(url, soon())
        thread.join(60)
    assert "TOPSECRET" not in caplog.text


def test_a_deadline_before_there_is_a_connection_ends_it_too(
    session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name may take longer to be found out than there is time."""
    look_up = socket.getaddrinfo

    def slow(*arguments: Any, **named: Any) -> Any:
        threading.Event().wait(0.5)
        return look_up(*arguments, **named)

    with serving(trickle) as server:
        monkeypatch.setattr(socket, "getaddrinfo", slow)
        found = failure(lambda: client_of(session).get(server.url, Deadline(0.2)))
    assert found == f"{server.url}: not read in time"


def test_the_end_of_one_request_is_not_that_of_the_next(session: requests.Session) -> None:
    """They share a connection; the first one's deadline passes during the second."""

    def answer(asked: Asked) -> Said:
        if asked.path == "/slow":
            asked.ended.wait(first.left() + 0.5)
        return said({"path": asked.path})

    with serving(answer) as server:
        client = client_of(session)
        first = Deadline(3)
        client.get(f"{server.url}/quick", first)
        assert client.get(f"{server.url}/slow", soon()) == {"path": "/slow"}
        assert len({asked.connection for asked in server.asked}) == 1


def garbage(_: Asked) -> Said:
    return Said(body=b"no gzip at all", headers={"Content-Encoding": "gzip"})


def half(_: Asked) -> Said:
    return Said(body=b'{"value"', headers={"Content-Length": "100"})


BROKEN: dict[str, tuple[Callable[[Asked], Said | None], str]] = {
    "closes without an answer": (lambda _: None, "ConnectionError: "),
    "closes in the middle": (half, "ProtocolError: "),
    "sends no gzip": (garbage, "DecodeError: "),
}


@pytest.mark.parametrize(("answer", "text"), BROKEN.values(), ids=BROKEN)
def test_a_connection_that_breaks_is_a_problem_of_the_source(
    answer: Callable[[Asked], Said | None], text: str, session: requests.Session
) -> None:
    with serving(answer) as server:
        found = failure(lambda: client_of(session).get(f"{server.url}/a?code=secret", soon()))
    assert found.startswith(f"{server.url}/a: {text}")
    assert "secret" not in found


def test_where_nobody_listens(session: requests.Session) -> None:
    with serving(lambda _: None) as server:
        url = server.url
    found = failure(lambda: client_of(session).get(f"{url}/a?code=secret", soon()))
    assert found.startswith(f"{url}/a: ConnectionError: ")
    assert "refused" in found
    assert "secret" not in found


@pytest.mark.parametrize("host", ["a..b", f"{'a' * 64}.example", "-.example\u2603" + "a" * 64])
def test_a_host_that_cannot_be(host: str, session: requests.Session) -> None:
    assert failure(lambda: client_of(session).get(f"https://{host}/?code=secret", soon()))


@pytest.mark.parametrize(
    ("left", "timeouts"),
    [(60.0, (5.0, 15.0)), (10.0, (5.0, 10.0)), (2.0, (2.0, 2.0))],
)
def test_every_request_has_time_outs_within_the_deadline(
    left: float, timeouts: tuple[float, float]
) -> None:
    transport = Transport(Reply(200, "{}"))
    client_of(session_with(transport)).get(HOST, Deadline(left, clock=lambda: 0.0))
    assert transport.timeouts == [timeouts]


# --- A busy service -------------------------------------------------------------------------------

BUSY = '{"error":{"code":"SubscriptionRequestsThrottled","message":"Too many."}}'
WORDS = "429 SubscriptionRequestsThrottled Too many."


class Busy:
    """A service behind a gate, both on one clock that only sleep moves."""

    def __init__(self, *replies: Reply) -> None:
        self.now = 1000.0
        self.transport = Transport(*replies)
        gate = Gate(at_once=8, per_second=1000.0, clock=lambda: self.now, sleep=self._sleep)
        self._client = JsonClient(session_with(self.transport), gate, None)

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def get(self, path: str = "", seconds: float = 30.0) -> Any:
        return self._client.get(f"{HOST}{path}", Deadline(seconds, clock=lambda: self.now))


def busy(retry_after: str | None, status: int = 429) -> Reply:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return Reply(status, BUSY, headers)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("asked", "waited"), [("3", 3.0), ("0", 1.0), ("30", 30.0)])
def test_a_busy_service_is_asked_again_when_it_wants(
    status: int, asked: str, waited: float
) -> None:
    service = Busy(busy(asked, status), Reply(200, "[1]"))
    assert service.get(seconds=30.01) == [1]
    assert len(service.transport.requests) == 2
    assert waited <= service.now - 1000 <= waited + 0.01


def test_a_service_that_stays_busy_is_left() -> None:
    service = Busy(busy("3"), busy("4"), Reply(200, "{}"))
    assert failure(service.get) == f"{HOST}: {WORDS}"
    assert len(service.transport.requests) == 2


def test_nobody_asks_while_a_service_wants_to_be_left_alone() -> None:
    service = Busy(busy("17"), Reply(200, "[1]"))
    why = f"{HOST}/a: {WORDS}, come back in 17 s"
    # Longer than there is time: nobody waits, and nobody asks.
    assert failure(lambda: service.get("/a?code=secret", 10.0)) == why
    assert failure(lambda: service.get("/b", 10.0)) == why
    assert len(service.transport.requests) == 1
    assert service.now < 1000.01
    service.now += 17
    assert service.get("/b", 10.0) == [1]
    assert service.now < 1017.01


@pytest.mark.parametrize("asked", [None, "soon", "-1", "1.5"])
def test_a_busy_service_that_does_not_say_how_long_is_not_asked_again(asked: str | None) -> None:
    service = Busy(busy(asked), Reply(200, "{}"))
    assert failure(service.get) == f"{HOST}: {WORDS}"
    assert len(service.transport.requests) == 1


def test_a_wrong_retry_after_does_not_end_a_source() -> None:
    service = Busy(busy("999999999"), Reply(200, "[1]"))
    failure(service.get)
    service.now += 600
    assert service.get() == [1]


# --- Pages ----------------------------------------------------------------------------------------


def three_pages(server_url: Callable[[], str]) -> Callable[[Asked], Said]:
    def answer(asked: Asked) -> Said:
        number = int(asked.query.get("page", "0"))
        link = f"{server_url()}/list?page={number + 1}" if number < 2 else None
        return said({"number": number, "nextLink": link})

    return answer


def test_pages_are_followed(session: requests.Session) -> None:
    served: list[Server] = []
    with serving(three_pages(lambda: served[0].url)) as server:
        served.append(server)
        pages = client_of(session, tokens=Named("a")).pages(f"{server.url}/list", next_link, soon())
        assert [page["number"] for page in pages] == [0, 1, 2]
    assert server.targets == ["/list", "/list?page=1", "/list?page=2"]
    assert {asked.headers["Authorization"] for asked in server.asked} == {"Bearer for-a-0"}


LAST = {
    "no link": {},
    "null": {"nextLink": None},
    "empty": {"nextLink": ""},
}


@pytest.mark.parametrize("page", LAST.values(), ids=LAST)
def test_a_page_without_a_link_is_the_last(page: Any) -> None:
    transport = Transport(Reply(200, json.dumps(page)))
    assert list(client_of(session_with(transport)).pages(HOST, next_link, soon())) == [page]
    assert len(transport.requests) == 1


SAME = {
    "path": ("/next?p=2", "/next?p=2"),
    "path beside it": ("next", "/next"),
    "query": ("?p=2", "/list?p=2"),
    "address": ("https://host.example/next", "/next"),
    "with its port": ("https://host.example:443/next", "/next"),
    "in capitals": ("HTTPS://Host.Example/next", "/next"),
}


@pytest.mark.parametrize(("link", "target"), SAME.values(), ids=SAME)
def test_a_link_to_the_same_host_is_followed(link: str, target: str) -> None:
    transport = Transport(Reply(200, json.dumps({"nextLink": link})), Reply(200, "{}"))
    client = client_of(session_with(transport), tokens=Named("a"))
    assert len(list(client.pages(f"{HOST}/list", next_link, soon()))) == 2
    assert transport.requests[1].path_url == target
    assert transport.tokens() == ["for-a-0", "for-a-0"]


OTHER_HOST = "the next page is on another host: "
ELSEWHERE = {
    "host": ("https://evil.example/?p=secret", f"{OTHER_HOST}https://evil.example/"),
    "host without scheme": ("//evil.example/", f"{OTHER_HOST}https://evil.example/"),
    "port": ("https://host.example:444/", f"{OTHER_HOST}https://host.example:444/"),
    "without TLS": ("http://host.example/", f"{OTHER_HOST}http://host.example/"),
    "port without TLS": ("http://host.example:443/", f"{OTHER_HOST}http://host.example:443/"),
    "user": ("https://me@host.example/", f"{OTHER_HOST}https://me@host.example/"),
    "host after user": (
        "https://host.example@evil.example/",
        f"{OTHER_HOST}https://host.example@evil.example/",
    ),
    "backslash": (
        "https://host.example\\@evil.example/",
        f"{OTHER_HOST}https://host.example\\@evil.example/",
    ),
    "longer name": (
        "https://host.example.evil.example/",
        f"{OTHER_HOST}https://host.example.evil.example/",
    ),
    "another scheme": ("ftp://host.example/", f"{OTHER_HOST}ftp://host.example/"),
    "a file": ("file:///etc/passwd", f"{OTHER_HOST}file:///etc/passwd"),
    "bracket": ("https://[", "the link to the next page: Invalid IPv6 URL"),
    "port of letters": (
        "https://host.example:x/",
        "the link to the next page: Port could not be cast to integer value as 'x'",
    ),
    "number": (5, "the link to the next page is not text"),
    "object": ({"href": "/"}, "the link to the next page is not text"),
}


@pytest.mark.parametrize(("link", "text"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_link_elsewhere_is_not_followed(link: Any, text: str) -> None:
    transport = Transport(Reply(200, json.dumps({"nextLink": link})), Reply(200, "{}"))
    pages = client_of(session_with(transport), tokens=Named("a")).pages(
        f"{HOST}/a?b", next_link, soon()
    )
    next(pages)
    assert failure(lambda: next(pages)) == f"{HOST}/a: {text}"
    assert len(transport.requests) == 1


def test_the_token_does_not_go_to_another_host(session: requests.Session) -> None:
    with serving(lambda _: said({})) as stranger:
        link = {"nextLink": f"{stranger.url}/next"}
        moved = Said(307, b"", {"Location": f"{stranger.url}/moved"})
        with serving(routes({"/list": said(link), "/moved": moved})) as server:
            client = client_of(session, tokens=Named("a"))
            text = failure(lambda: list(client.pages(f"{server.url}/list", next_link, soon())))
            assert text.endswith(f"the next page is on another host: {stranger.url}/next")
            assert failure(lambda: client.get(f"{server.url}/moved", soon())).endswith(": 307")
        assert stranger.asked == []


@pytest.mark.parametrize("circle", [["/0"], ["/1", "/0"], ["/1", "/2", "/1"]])
def test_pages_in_a_circle_are_left(circle: list[str], session: requests.Session) -> None:
    pages = {f"/{number}": said({"nextLink": link}) for number, link in enumerate(circle)}
    with serving(routes(pages)) as server:
        text = failure(lambda: list(client_of(session).pages(f"{server.url}/0", next_link, soon())))
        assert len(server.asked) == len(circle)
    assert text.endswith(": the pages go round in a circle")


def test_pages_without_end_are_left(session: requests.Session) -> None:
    def answer(asked: Asked) -> Said:
        return said({"nextLink": f"/{int(asked.path[1:]) + 1}"})

    with serving(answer) as server:
        client = client_of(session, bounds=Bounds(most_pages=7))
        text = failure(lambda: list(client.pages(f"{server.url}/0", next_link, soon())))
        assert server.targets == [f"/{number}" for number in range(7)]
    assert text.endswith(": more than 7 pages")


def test_every_request_goes_through_the_gate(session: requests.Session) -> None:
    pauses: list[float] = []
    gate = Gate(at_once=1, per_second=10.0, clock=lambda: 0.0, sleep=pauses.append)
    served: list[Server] = []
    with serving(three_pages(lambda: served[0].url)) as server:
        served.append(server)
        assert len(list(JsonClient(session, gate, None).pages(server.url, next_link, soon()))) == 3
    assert [round(pause, 6) for pause in pauses] == [0.1, 0.2, 0.3]
