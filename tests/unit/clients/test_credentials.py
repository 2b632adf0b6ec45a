"""Tokens: requested once, replaced before they expire, used while no new one is available."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from azure.identity import (
    AzureCliCredential,
    CredentialUnavailableError,
    EnvironmentCredential,
    ManagedIdentityCredential,
)

from shared.clients.credentials import (
    CREDENTIALS,
    ScopedCredential,
    TokenCache,
    make_credential,
)
from shared.errors import TokenError
from tests.unit.stubs import TIMEOUT, ManualClock, Response, serve

AUDIENCE = "https://monitoring.azure.com/"
HOUR = 3600


class StubCredential:
    """Returns tokens by a script: a lifetime in seconds, or an exception."""

    def __init__(self, clock: ManualClock, answers: list[int | Exception], name: str = "t") -> None:
        self.scopes: list[str] = []
        self._clock = clock
        self._answers = answers
        self._name = name

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.scopes.extend(scopes)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return AccessToken(f"{self._name}{len(self.scopes)}", int(self._clock.now) + answer)


def cache_of(*answers: int | Exception) -> tuple[TokenCache, StubCredential, ManualClock]:
    clock = ManualClock()
    credential = StubCredential(clock, list(answers))
    return TokenCache(lambda: credential, AUDIENCE, clock=clock, monotonic=clock), credential, clock


def numbered() -> tuple[TokenCache, list[StubCredential]]:
    """Return a cache, and the credentials that it makes."""
    clock = ManualClock()
    made: list[StubCredential] = []

    def make() -> StubCredential:
        made.append(StubCredential(clock, [HOUR] * 9, name=f"{len(made)}-"))
        return made[-1]

    return TokenCache(make, AUDIENCE, clock=clock, monotonic=clock), made


def test_a_token_is_requested_once_for_the_audience_with_its_slash() -> None:
    tokens, credential, _ = cache_of(HOUR)
    assert [tokens.get() for _ in range(3)] == ["t1"] * 3
    assert credential.scopes == ["https://monitoring.azure.com//.default"]


def test_a_token_is_replaced_300_seconds_before_it_expires() -> None:
    tokens, _, clock = cache_of(HOUR, HOUR)
    tokens.get()
    clock.sleep(HOUR - 301)
    assert tokens.get() == "t1"
    clock.sleep(1)
    assert tokens.get() == "t2"


UNEXPECTED = "the identity endpoint returned an unexpected answer"
FAILURES: dict[str, tuple[Exception, str]] = {
    "no credential": (CredentialUnavailableError("no identity"), "no identity"),
    "refused": (ClientAuthenticationError("wrong secret"), "wrong secret"),
    "no connection": (ServiceRequestError("no route"), "no route"),
    "file of a token": (FileNotFoundError("no such file"), "no such file"),
    **{
        type(failure).__name__: (
            failure,
            f"{UNEXPECTED} ({type(failure).__name__}: {failure})",
        )
        for failure in (
            ValueError("invalid literal for int()"),
            KeyError("access_token"),
            TypeError("list indices"),
            AttributeError("no get"),
            OverflowError("infinity"),
            RecursionError("too deep"),
        )
    },
}


@pytest.mark.parametrize(("failure", "text"), FAILURES.values(), ids=FAILURES)
def test_a_failure_is_remembered_for_15_seconds(failure: Exception, text: str) -> None:
    tokens, credential, clock = cache_of(failure, HOUR)
    for wait in (0, 14):  # All targets ask for a token; each would wait for the same failure.
        clock.sleep(wait)
        with pytest.raises(TokenError) as caught:
            tokens.get()
        assert str(caught.value) == f"StubCredential: {text}"
    assert len(credential.scopes) == 1
    clock.sleep(1)
    assert tokens.get() == "t2"


def test_a_token_that_cannot_be_replaced_is_used_until_it_expires() -> None:
    failure = ServiceRequestError("odd")
    tokens, credential, clock = cache_of(HOUR, failure, failure, failure, HOUR)
    tokens.get()
    clock.sleep(HOUR - 200)
    assert [tokens.get() for _ in range(3)] == ["t1"] * 3
    assert len(credential.scopes) == 2
    clock.sleep(30)
    tokens.get()
    assert len(credential.scopes) == 3
    clock.sleep(170)
    with pytest.raises(TokenError, match=r"^StubCredential: odd$"):
        tokens.get()
    clock.sleep(15)
    assert tokens.get() == "t5"


def test_a_credential_that_cannot_be_created_is_an_error() -> None:
    def make() -> StubCredential:
        raise ValueError("client_id should be a GUID")

    text = "^the credential cannot be created: client_id should be a GUID$"
    with pytest.raises(TokenError, match=text):
        TokenCache(make, AUDIENCE).get()


@pytest.mark.parametrize("token", ["secret\n", "secret\r\nX: y", "sécret", "secret ", ""])
def test_a_token_that_a_header_cannot_hold_is_not_quoted(token: str) -> None:
    class Odd(StubCredential):
        def get_token(self, *_: str, **__: Any) -> AccessToken:
            return AccessToken(token, 9_999_999_999)

    text = "^Odd: the token has characters that a header cannot hold$"
    with pytest.raises(TokenError, match=text):
        TokenCache(lambda: Odd(ManualClock(), []), AUDIENCE).get()


def test_a_refused_token_is_discarded_with_its_credential_once() -> None:
    tokens, made = numbered()
    tokens.discard("0-1")  # There is no token yet.
    refused = tokens.get()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(tokens.discard, [refused] * 8))
        assert set(threads.map(lambda _: tokens.get(), range(8))) == {"1-1"}
    tokens.discard(refused)  # It was replaced since.
    assert tokens.get() == "1-1"
    assert len(made) == 2


def test_a_token_that_is_replaced_is_discarded_without_a_wait() -> None:
    requested, go = threading.Event(), threading.Event()

    def slow() -> StubCredential:
        requested.set()
        assert go.wait(TIMEOUT)
        return StubCredential(ManualClock(), [HOUR])

    tokens = TokenCache(slow, AUDIENCE)
    with ThreadPoolExecutor(2) as threads:
        new = threads.submit(tokens.get)
        assert requested.wait(TIMEOUT)
        threads.submit(tokens.discard, "refused").result(TIMEOUT)
        assert not new.done()
        go.set()
        assert new.result(TIMEOUT) == "t1"


def test_threads_wait_for_one_request() -> None:
    requested, go = threading.Event(), threading.Event()

    class Slow(StubCredential):
        def get_token(self, *scopes: str, **_: Any) -> AccessToken:
            requested.set()
            assert go.wait(TIMEOUT)
            return super().get_token(*scopes)

    clock = ManualClock()
    slow = Slow(clock, [HOUR])
    tokens = TokenCache(lambda: slow, AUDIENCE, clock=clock, monotonic=clock)
    with ThreadPoolExecutor(8) as threads:
        results = [threads.submit(tokens.get) for _ in range(8)]
        assert requested.wait(TIMEOUT)
        go.set()
        assert {result.result() for result in results} == {"t1"}
    assert len(slow.scopes) == 1


KINDS: dict[str, type] = {
    "managed_identity": ManagedIdentityCredential,
    "environment": EnvironmentCredential,
    "azure_cli": AzureCliCredential,
}


@pytest.mark.parametrize("kind", CREDENTIALS)
@pytest.mark.parametrize("client_id", [None, "5b2f8c1d-1111-4222-8333-944455566677"])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_make_credential(kind: str, client_id: str | None) -> None:
    first, second = make_credential(kind, client_id), make_credential(kind, client_id)
    assert type(first) is KINDS[kind]
    assert first is not second


ODD_ANSWERS: dict[str, Any] = {
    "array": [],
    "null": None,
    "text": "x",
    "nothing": {},
    "no expiry": {"access_token": "t"},
    "expiry of letters": {"access_token": "t", "expires_on": "soon"},
    "expiry that is a date": {"access_token": "t", "expires_on": "1/10/2030 8:01:28 AM +00:00"},
    "expiry that is an array": {"access_token": "t", "expires_on": []},
    "token that is a number": {"access_token": 5, "expires_on": "9999999999"},
}


@pytest.mark.parametrize("answer", ODD_ANSWERS.values(), ids=ODD_ANSWERS)
def test_an_odd_answer_of_the_identity_endpoint_is_an_error(
    answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = Response(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})
    with serve(lambda _: body) as server:
        monkeypatch.setenv("IDENTITY_ENDPOINT", server.url)
        monkeypatch.setenv("IDENTITY_HEADER", "x")
        tokens = TokenCache(lambda: make_credential("managed_identity", None), AUDIENCE)
        with pytest.raises(TokenError, match=r"^ManagedIdentityCredential: "):
            tokens.get()


def test_a_scoped_credential_serves_one_scope() -> None:
    credential = ScopedCredential(
        StubCredential(ManualClock(), [60]), "https://storage.azure.com/.default"
    )
    assert credential.get_token("https://storage.azure.com/.default", tenant_id="t").token
    for scopes in (("https://management.azure.com/.default",), (), ("a", "b")):
        with pytest.raises(ClientAuthenticationError, match="was refused"):
            credential.get_token(*scopes)


def test_a_valid_token_is_used_while_another_thread_renews_it() -> None:
    tokens, credential, clock = cache_of(400, 3600)
    first = tokens.get()
    clock.sleep(200)  # It is to be renewed, and still valid.
    with tokens._lock:
        assert tokens.get() == first
    assert len(credential.scopes) == 1
    assert tokens.get() != first
