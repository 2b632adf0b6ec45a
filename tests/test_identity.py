"""Tokens: asked for once, replaced in time, used on while they are valid."""

from __future__ import annotations

import threading
from collections.abc import Callable
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

from shared.clients.credentials import CREDENTIALS, Tokens, make_credential
from shared.errors import TokenError

AUDIENCE = "https://monitoring.azure.com/"
HOUR = 3600


class Clock:
    """Seconds since 1970, as the test says."""

    def __init__(self) -> None:
        self.now = 1_795_418_730.0

    def __call__(self) -> float:
        return self.now


class Credential:
    """A credential that answers from a script: a lifetime in seconds, or an exception."""

    def __init__(self, clock: Clock, answers: list[int | Exception], name: str = "t") -> None:
        self.asked: list[str] = []
        self._clock = clock
        self._answers = answers
        self._name = name

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.asked.extend(scopes)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return AccessToken(f"{self._name}{len(self.asked)}", int(self._clock.now) + answer)


def tokens_of(*answers: int | Exception) -> tuple[Tokens, Credential, Clock]:
    clock = Clock()
    credential = Credential(clock, list(answers))
    return Tokens(lambda: credential, AUDIENCE, clock), credential, clock


def test_a_token_is_asked_for_once() -> None:
    tokens, credential, _ = tokens_of(HOUR)
    assert [tokens.get() for _ in range(3)] == ["t1"] * 3
    assert len(credential.asked) == 1


def test_the_audience_keeps_its_slash() -> None:
    tokens, credential, _ = tokens_of(HOUR)
    tokens.get()
    assert credential.asked == ["https://monitoring.azure.com//.default"]


def test_a_token_is_replaced_300_seconds_before_its_end() -> None:
    tokens, _, clock = tokens_of(HOUR, HOUR)
    tokens.get()
    clock.now += HOUR - 301
    assert tokens.get() == "t1"
    clock.now += 1
    assert tokens.get() == "t2"


FAILURES = {
    "no credential": CredentialUnavailableError("no identity"),
    "refused": ClientAuthenticationError("wrong secret"),
    "no connection": ServiceRequestError("no route"),
    "odd answer": ValueError("odd"),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_a_token_is_used_on_while_it_is_valid_and_no_other_is_to_be_had(failure: Exception) -> None:
    tokens, _, clock = tokens_of(HOUR, failure, failure, HOUR)
    tokens.get()
    clock.now += HOUR - 1
    assert tokens.get() == "t1"
    clock.now += 1
    with pytest.raises(TokenError) as caught:
        tokens.get()
    assert str(caught.value) == f"Credential: {failure}"
    clock.now += 15
    assert tokens.get() == "t4"


def test_a_replacement_that_was_not_to_be_had_is_not_asked_for_at_once_again() -> None:
    tokens, credential, clock = tokens_of(HOUR, ValueError("odd"), HOUR)
    tokens.get()
    clock.now += HOUR - 200
    assert [tokens.get() for _ in range(3)] == ["t1"] * 3
    assert len(credential.asked) == 2
    clock.now += 30
    assert tokens.get() == "t3"


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_without_a_token_there_is_an_error(failure: Exception) -> None:
    tokens, credential, clock = tokens_of(failure, HOUR)
    with pytest.raises(TokenError) as caught:
        tokens.get()
    assert str(caught.value) == f"Credential: {failure}"
    assert caught.value.__cause__ is failure
    # All lanes ask, and one after another would wait for the same failure.
    clock.now += 14
    with pytest.raises(TokenError, match=f"^Credential: {failure}$"):
        tokens.get()
    assert len(credential.asked) == 1
    clock.now += 1
    assert tokens.get() == "t2"


def test_a_credential_that_cannot_be_made_is_an_error() -> None:
    def make() -> Credential:
        raise ValueError("client_id should be a GUID")

    with pytest.raises(TokenError, match=r"^no credential: client_id should be a GUID$"):
        Tokens(make, AUDIENCE).get()


@pytest.mark.parametrize("name", ["secret\n", "secret\r\nX: y", "sécret", "secret ", ""])
def test_a_token_that_no_header_can_hold_is_never_quoted(name: str) -> None:
    clock = Clock()

    class Odd(Credential):
        def get_token(self, *scopes: str, **_: Any) -> AccessToken:
            assert scopes
            return AccessToken(name, int(clock.now) + HOUR)

    with pytest.raises(TokenError, match=r"^Odd: it gave a token that no header can hold$"):
        Tokens(lambda: Odd(clock, []), AUDIENCE, clock).get()


def remade() -> tuple[Tokens, list[Credential]]:
    """Tokens whose credentials are numbered as they are made."""
    clock = Clock()
    made: list[Credential] = []

    def make() -> Credential:
        made.append(Credential(clock, [HOUR] * 9, name=f"{len(made)}-"))
        return made[-1]

    return Tokens(make, AUDIENCE, clock), made


def test_a_refused_token_goes_with_the_credential_that_would_give_it_again() -> None:
    tokens, made = remade()
    first = tokens.get()
    tokens.discard(first)
    assert (first, tokens.get()) == ("0-1", "1-1")
    assert len(made) == 2


def test_a_token_that_was_replaced_meanwhile_stays() -> None:
    tokens, made = remade()
    tokens.discard(tokens.get())
    current = tokens.get()
    tokens.discard("0-1")
    assert tokens.get() == current
    assert len(made) == 2


def test_to_discard_before_there_is_one_does_nothing() -> None:
    tokens, made = remade()
    tokens.discard("0-1")
    assert (tokens.get(), len(made)) == ("0-1", 1)


def test_many_threads_ask_once() -> None:
    clock = Clock()
    asked = threading.Event()
    gate = threading.Event()

    class Slow(Credential):
        def get_token(self, *scopes: str, **_: Any) -> AccessToken:
            asked.set()
            assert gate.wait(60)
            return super().get_token(*scopes)

    slow = Slow(clock, [HOUR])
    tokens = Tokens(lambda: slow, AUDIENCE, clock)
    with ThreadPoolExecutor(16) as pool:
        answers = [pool.submit(tokens.get) for _ in range(16)]
        assert asked.wait(60)
        gate.set()
        assert {answer.result() for answer in answers} == {"t1"}
    assert len(slow.asked) == 1


def test_many_threads_with_one_refused_token_replace_it_once() -> None:
    tokens, made = remade()
    refused = tokens.get()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(tokens.discard, [refused] * 16))
        assert set(pool.map(lambda _: tokens.get(), range(16))) == {"1-1"}
    assert len(made) == 2


KINDS: dict[str, Callable[..., object]] = {
    "managed_identity": ManagedIdentityCredential,
    "environment": EnvironmentCredential,
    "azure_cli": AzureCliCredential,
}


@pytest.mark.parametrize(("kind", "expected"), KINDS.items(), ids=KINDS)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_credential_of_azure_identity_is_made(kind: str, expected: type) -> None:
    assert CREDENTIALS[kind] == expected.__name__
    for client_id in (None, "5b2f8c1d-1111-4222-8333-944455566677"):
        first, second = make_credential(kind, client_id), make_credential(kind, client_id)
        assert type(first) is expected
        assert first is not second


def test_every_credential_is_tried() -> None:
    assert KINDS.keys() == CREDENTIALS.keys()
