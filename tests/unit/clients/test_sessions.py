"""Sessions: cookies, redirects, proxies, the time of headers, and responses to an SDK."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from shared.clients import sessions
from shared.clients.http import BearerAuth, Deadline, NoAuth, read_body
from shared.clients.sessions import open_session
from tests.unit.stubs import Response, json_response, routes, serve

LATER = Deadline(1e9)


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with open_session(4) as opened:
        yield opened


def test_requests_is_not_imported_before_the_first_session() -> None:
    code = "import sys, shared.clients.json_client; sys.exit('requests' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_redirects_are_not_followed_and_cookies_not_kept(session: requests.Session) -> None:
    moved = Response(302, b"", {"Location": "/elsewhere", "Set-Cookie": "a=b; Path=/"})
    with serve(lambda _: moved) as server:
        for _ in range(2):
            assert session.get(server.url).status_code == 302
    assert server.targets == ["/", "/"]
    assert "Cookie" not in server.requests[1].headers


def test_plain_http_goes_past_every_proxy(
    session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    with serve(lambda _: json_response({})) as server:
        assert session.get(server.url).status_code == 200
    assert session.merge_environment_settings("https://a.example", {}, None, None, None)["proxies"]


@pytest.mark.parametrize(
    ("auth", "expected"), [(BearerAuth("t"), "Bearer t"), (NoAuth(), None)], ids=["token", "none"]
)
def test_a_netrc_file_is_ignored(
    auth: Any, expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with serve(lambda _: json_response({})) as server, open_session(1) as session:
        session.get(server.url, auth=auth)
    assert server.requests[0].headers.get("Authorization") == expected


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("REQUESTS_CA_BUNDLE", "/nothing.pem", "TLS CA certificate bundle, invalid path"),
        ("https_proxy", "http://user:€@127.0.0.1:1", "'latin-1' codec can't encode"),
    ],
)
def test_a_wrong_variable_of_the_environment_is_an_error_of_requests(
    name: str, value: str, text: str, session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(requests.RequestException, match=text):
        session.get("https://a.example/")


def test_a_connection_is_used_again_once_a_body_is_read(session: requests.Session) -> None:
    responses = {
        "/plain": Response(body=b"{}"),
        "/chunks": Response(body=[b"{", b"}"]),
        "/gzip": Response(body=gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"}),
        "/error": Response(500, b"{}"),
    }
    with serve(routes(responses)) as server:
        for path in responses:
            with session.get(f"{server.url}{path}", stream=True) as response:
                assert read_body(response, 100, LATER) == b"{}"
    assert len({request.connection for request in server.requests}) == 1


# --- Responses to an SDK --------------------------------------------------------------------------


def test_a_response_to_an_sdk_is_read_whole() -> None:
    with serve(lambda _: json_response({"a": 1})) as server, open_session(1) as session:
        assert session.get(server.url, timeout=30).json() == {"a": 1}


@pytest.mark.parametrize("packed", [False, True])
def test_a_response_to_an_sdk_has_a_limit(*, packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MAX_RESPONSE_BYTES", 1000)
    body = b"x" * 100_000
    headers = {"Content-Encoding": "gzip"} if packed else {}
    answer = Response(200, [gzip.compress(body) if packed else body], headers)
    with (
        serve(lambda _: answer) as server,
        open_session(1) as session,
        pytest.raises(requests.RequestException, match="the response has more than 1,000 bytes"),
    ):
        session.get(server.url, timeout=30)


def test_a_response_to_an_sdk_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "RESPONSE_DEADLINE", 0.0)
    with (
        serve(lambda _: json_response({})) as server,
        open_session(1) as session,
        pytest.raises(requests.RequestException, match="not complete before the deadline"),
    ):
        session.get(server.url, timeout=30)
