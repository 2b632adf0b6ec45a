"""One POST: the exact request, and what is made of each answer."""

from __future__ import annotations

import gzip
import logging
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from builders import LANE, REGION, RESOURCE
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from scripted import Said, serving
from transport import Reply, Transport, session_with

from shared.clients.http import open_session
from shared.errors import TokenError
from shared.model import Lane
from shared.publisher.client import Answer, Publisher

ENDPOINT = "https://{region}.monitoring.azure.com"
URL = f"https://westeurope.monitoring.azure.com{RESOURCE}/metrics"
BODY = b'{"time":"2026-11-23T07:25:00Z"}\n' * 3


class TokenList:
    """Gives tokens one after another, the next one once the current one is refused."""

    def __init__(self, *tokens: str) -> None:
        self._tokens = list(tokens)
        self.discarded: list[str] = []

    def get(self) -> str:
        if not self._tokens:
            raise TokenError("ManagedIdentityCredential: no identity")
        return self._tokens[0]

    def discard(self, refused: str) -> None:
        self.discarded.append(refused)
        self._tokens.remove(refused)


def publisher(transport: Transport, tokens: TokenList | None = None) -> Publisher:
    return Publisher(
        endpoint=ENDPOINT,
        tokens=tokens or TokenList("secret-1", "secret-2"),
        session=session_with(transport),
        clock=lambda: 0.0,
    )


def post(*replies: Reply | Exception) -> Answer:
    return publisher(Transport(*replies)).post(LANE, BODY)


# --- The request --------------------------------------------------------------------------------


def test_a_request_is_what_the_service_wants() -> None:
    transport = Transport(Reply(200))
    publisher(transport).post(LANE, BODY)
    (request,) = transport.requests
    assert (request.method, request.url) == ("POST", URL)
    assert "//" not in URL.removeprefix("https://")
    assert isinstance(request.body, bytes)
    assert gzip.decompress(request.body) == BODY
    assert request.body[4:8] == bytes(4), "the time is in it"
    assert request.headers["Content-Type"] == "application/x-ndjson"
    assert request.headers["Content-Encoding"] == "gzip"
    assert request.headers["Content-Length"] == str(len(request.body))
    assert "Transfer-Encoding" not in request.headers
    assert request.headers["Authorization"] == "Bearer secret-1"
    (timeout,) = transport.timeouts
    assert timeout == (5.0, 30.0)


def test_the_region_stands_where_the_endpoint_wants_it() -> None:
    transport = Transport(Reply(200))
    Publisher(
        endpoint="http://127.0.0.1:8080/{region}",
        tokens=TokenList("t"),
        session=session_with(transport),
    ).post(Lane("eastus", RESOURCE), BODY)
    assert transport.requests[0].url == f"http://127.0.0.1:8080/eastus{RESOURCE}/metrics"


def test_a_netrc_does_not_replace_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password something\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert requests.utils.get_netrc_auth(URL) == ("somebody", "something")
    transport = Transport(Reply(200))
    session = session_with(transport)
    assert session.trust_env
    tokens = TokenList("secret-1")
    Publisher(endpoint=ENDPOINT, tokens=tokens, session=session).post(LANE, BODY)
    assert transport.tokens() == ["secret-1"]


class Recorder(HTTPServer):
    """A server that keeps the head and the body of each request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, dict[str, str], bytes]] = []


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Recorder)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.requestline, dict(self.headers.items()), body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing on the terminal."""


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with Recorder() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_the_bytes_that_leave_the_machine(recorder: Recorder) -> None:
    endpoint = f"http://127.0.0.1:{recorder.server_port}/{{region}}"
    with open_session(1) as session:
        answer = Publisher(endpoint=endpoint, tokens=TokenList("secret-1"), session=session).post(
            LANE, BODY
        )
    assert answer.status == 200
    ((line, headers, body),) = recorder.seen
    assert line == f"POST /{REGION}{RESOURCE}/metrics HTTP/1.1"
    assert gzip.decompress(body) == BODY
    assert headers["Authorization"] == "Bearer secret-1"
    assert headers["Content-Length"] == str(len(body))
    assert {"Transfer-Encoding", "Expect"}.isdisjoint(headers)


# --- The answer ---------------------------------------------------------------------------------

TOO_OLD = "'time' should not be older than 30 minutes and not more than 4 minutes in the future"
MISMATCH = "This endpoint : westeurope does not accept metrics for the resource's region : eastus"
NO_ROLE = (
    "The Azure AD object '0f1e' does not have permissions to perform action "
    f"'Microsoft.Insights/Metrics/write' over scope '{RESOURCE}'."
)


def error(code: str, message: str) -> str:
    """A refusal as the service writes it."""
    return f'{{"error":{{"code":"{code}","message":"{message}\\r\\n"}}}}'


ANSWERS = {
    "published": (Reply(200, '{"statusCode": 200}'), Answer(200)),
    "published with an empty body": (Reply(200), Answer(200)),
    "accepted": (Reply(202), Answer(202)),
    "no content": (Reply(204), Answer(204)),
    "too old": (Reply(400, error("BadRequest", TOO_OLD)), Answer(400, "BadRequest", TOO_OLD)),
    "another region": (
        Reply(400, error("RegionMismatch", MISMATCH)),
        Answer(400, "RegionMismatch", MISMATCH),
    ),
    "no role": (
        Reply(403, error("AuthenticationFailed", NO_ROLE)),
        Answer(403, "AuthenticationFailed", NO_ROLE),
    ),
    "not found": (Reply(404), Answer(404)),
    "time out of the service": (
        Reply(408, error("RequestTimeout", "Request failed")),
        Answer(408, "RequestTimeout", "Request failed"),
    ),
    "too large": (Reply(413), Answer(413)),
    "too many": (
        Reply(429, "", {"Retry-After": "17"}),
        Answer(429, retry_after="17"),
    ),
    "too many until": (
        Reply(429, "slow down", {"retry-after": "Mon, 23 Nov 2026 07:26:00 GMT"}),
        Answer(429, "", "slow down", "Mon, 23 Nov 2026 07:26:00 GMT"),
    ),
    "page of a proxy": (
        Reply(500, "<html>\n<h1>Oops</h1>\n</html>\n", {"Content-Type": "text/html"}),
        Answer(500, "", "<html>\n<h1>Oops</h1>\n</html>"),
    ),
    "unavailable": (Reply(503, '"busy"'), Answer(503, "", '"busy"')),
    "JSON of another form": (Reply(500, '{"Message":"x"}'), Answer(500, "", '{"Message":"x"}')),
    "array": (Reply(500, "[1]"), Answer(500, "", "[1]")),
    "null": (Reply(500, "null"), Answer(500, "", "null")),
    "number": (Reply(500, "5"), Answer(500, "", "5")),
    "error that is text": (Reply(500, '{"error":"x"}'), Answer(500, "", '{"error":"x"}')),
    "error without members": (Reply(500, '{"error":{}}'), Answer(500)),
    "error of nulls": (Reply(500, '{"error":{"code":null,"message":null}}'), Answer(500)),
    "error of numbers": (Reply(500, '{"error":{"code":7,"message":[1]}}'), Answer(500, "7", "[1]")),
    "nested too deeply": (Reply(500, "[" * 5000), Answer(500, "", "[" * 1000)),
    "long text": (Reply(500, "x" * 5000), Answer(500, "", "x" * 1000)),
    "long message": (Reply(500, error("c", "x" * 5000)), Answer(500, "c", "x" * 1000)),
    "long code": (Reply(500, error("c" * 5000, "x")), Answer(500, "c" * 1000, "x")),
    "not text at all": (
        Reply(500, b"\xff\xfe", {"Content-Type": "text/plain; charset=utf-8"}),
        Answer(500, "", "\ufffd\ufffd"),
    ),
    "charset that nobody knows": (
        Reply(500, "oops", {"Content-Type": "text/plain; charset=klingon"}),
        Answer(500, "", "oops"),
    ),
    "error that is not UTF-8": (
        Reply(500, b'{"error":{"code":"\xe9","message":"x"}}', {"Content-Type": "text/plain"}),
        Answer(500, "", '{"error":{"code":"\ufffd","message":"x"}}'),
    ),
    "redirect": (Reply(307, "", {"Location": "https://evil.example/"}), Answer(307)),
    "connection refused": (
        requests.ConnectionError("connection refused"),
        Answer(None, "ConnectionError", "connection refused"),
    ),
    "time out": (
        requests.ReadTimeout("read timed out"),
        Answer(None, "ReadTimeout", "read timed out"),
    ),
    "time out while connecting": (
        requests.ConnectTimeout("too slow"),
        Answer(None, "ConnectTimeout", "too slow"),
    ),
    "certificate": (requests.exceptions.SSLError("bad"), Answer(None, "SSLError", "bad")),
    "long text of an exception": (
        requests.ConnectionError("x" * 5000),
        Answer(None, "ConnectionError", "x" * 1000),
    ),
    "answer cut off": (
        requests.exceptions.ChunkedEncodingError("cut"),
        Answer(None, "ChunkedEncodingError", "cut"),
    ),
}


@pytest.mark.parametrize(("reply", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_is_read(
    reply: Reply | Exception, expected: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    transport = Transport(reply)
    answer = publisher(transport).post(LANE, BODY)
    assert answer == expected
    assert len(transport.requests) == 1
    assert "secret" not in caplog.text + repr(answer) + str(answer)


def test_a_redirect_takes_the_token_nowhere() -> None:
    for status in (301, 302, 303, 307, 308):
        transport = Transport(Reply(status, "", {"Location": "https://evil.example/"}), Reply(200))
        assert publisher(transport).post(LANE, BODY).status == status
        assert [request.url for request in transport.requests] == [URL]


def test_a_port_where_nobody_listens_is_no_answer() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}/{{region}}"
        with open_session(1) as session:
            tokens = TokenList("secret-1")
            answer = Publisher(endpoint=endpoint, tokens=tokens, session=session).post(LANE, BODY)
    assert (answer.status, answer.code) == (None, "ConnectionError")
    assert "refused" in answer.message
    assert "secret" not in str(answer)


def test_a_refused_token_is_replaced_once() -> None:
    transport = Transport(Reply(401), Reply(200))
    tokens = TokenList("secret-1", "secret-2", "secret-3")
    assert publisher(transport, tokens).post(LANE, BODY).status == 200
    assert transport.tokens() == ["secret-1", "secret-2"]
    assert tokens.discarded == ["secret-1"]
    assert transport.bodies() == [BODY, BODY]


def test_a_token_that_is_refused_again_is_an_answer() -> None:
    transport = Transport(Reply(401, error("InvalidAudience", "wrong audience")))
    tokens = TokenList("secret-1", "secret-2", "secret-3")
    answer = publisher(transport, tokens).post(LANE, BODY)
    assert answer == Answer(401, "InvalidAudience", "wrong audience")
    assert transport.tokens() == ["secret-1", "secret-2"]
    assert tokens.discarded == ["secret-1"]


def test_without_a_token_nothing_is_sent() -> None:
    transport = Transport(Reply(200))
    answer = publisher(transport, TokenList()).post(LANE, BODY)
    assert answer == Answer(None, "NoToken", "ManagedIdentityCredential: no identity")
    assert transport.requests == []


def test_without_another_token_a_refused_one_is_not_sent_again() -> None:
    transport = Transport(Reply(401))
    answer = publisher(transport, TokenList("secret-1")).post(LANE, BODY)
    assert answer == Answer(None, "NoToken", "ManagedIdentityCredential: no identity")
    assert transport.tokens() == ["secret-1"]


def test_an_answer_says_how_long_it_took() -> None:
    times = iter([10.0, 12.5])
    slow = Publisher(
        endpoint=ENDPOINT,
        tokens=TokenList("t"),
        session=session_with(Transport(Reply(200))),
        clock=lambda: next(times),
    )
    assert slow.post(LANE, BODY) == Answer(200, seconds=2.5)


TEXTS = {
    "published": (Answer(200), "200"),
    "refused": (Answer(400, "BadRequest", "too old"), "400 BadRequest too old"),
    "empty": (Answer(404), "404"),
    "no code": (Answer(500, "", "oops"), "500 oops"),
    "none": (Answer(None, "ReadTimeout", "slow"), "no answer ReadTimeout slow"),
}


@pytest.mark.parametrize(("answer", "text"), TEXTS.values(), ids=TEXTS)
def test_an_answer_reads_well(answer: Answer, text: str) -> None:
    assert str(answer) == text


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_session_keeps_connections_to_each_region(scheme: str) -> None:
    with open_session(7) as session:
        adapter = session.get_adapter(f"{scheme}://westeurope.monitoring.azure.com")
        assert isinstance(adapter, HTTPAdapter)
        regions = adapter.poolmanager
        for number in range(64):
            assert regions.connection_from_host(f"r{number}", scheme=scheme).pool.maxsize == 7
        assert len(regions.pools) == 64
        regions.connection_from_host("one-more", scheme=scheme)
        assert len(regions.pools) == 64


def test_a_proxy_is_for_the_way_out_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the machine's is used over TLS, and never on the loopback interface."""
    proxy = "http://proxy.example:3128"
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, proxy)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    used: dict[str, str | None] = {}

    class Noting(Transport):
        def send(self, request: requests.PreparedRequest, *args: Any, **named: Any) -> Any:
            proxies = named.pop("proxies")
            used[str(request.url)] = select_proxy(str(request.url), proxies)
            return super().send(request, *args, **named)

    with open_session(1) as session:
        session.mount("https://", Noting(Reply(200)))
        session.mount("http://", Noting(Reply(200)))
        session.get("https://westeurope.monitoring.azure.com/")
        session.get("http://127.0.0.1:1/")
    assert used == {"https://westeurope.monitoring.azure.com/": proxy, "http://127.0.0.1:1/": None}


def test_what_one_answer_sets_goes_with_no_other_request() -> None:
    with serving(lambda _: Said(200, b"", {"Set-Cookie": "session=1; Path=/"})) as server:
        with open_session(1) as session:
            session.get(server.url)
            session.get(server.url)
        assert len(server.asked) == 2
        assert not any("Cookie" in asked.headers for asked in server.asked)
