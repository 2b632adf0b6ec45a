"""The identity endpoint, by hand and by the real ManagedIdentityCredential."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import jwt
import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ManagedIdentityCredential

from local.monitor.state import Options

from .client import AUDIENCE, HEADER, TIMEOUT, Client, document
from .conftest import NOW

SCOPE = f"{AUDIENCE}/.default"
USER = "a3c5e7f9-1234-4abc-9def-0123456789ab"


def claims(token: str) -> dict[str, Any]:
    """What a token says, whoever signed it."""
    return jwt.decode(token, options={"verify_signature": False})


def test_the_answer(frozen: Client) -> None:
    response = frozen.identity()
    answer = response.json()
    assert response.status_code == 200
    assert answer["expires_on"] == str(int(NOW) + 24 * 60 * 60)
    assert (answer["resource"], answer["token_type"]) == (AUDIENCE, "Bearer")
    found = claims(answer["access_token"])
    assert found["aud"] == AUDIENCE
    assert found["iss"] == f"https://sts.windows.net/{uuid.UUID(found['tid'])}/"
    assert (found["iat"], found["nbf"], found["exp"]) == (NOW, NOW, NOW + 24 * 60 * 60)
    assert uuid.UUID(found["oid"]) != uuid.UUID(found["appid"])


def test_the_audience_is_the_resource_exactly_as_asked(client: Client) -> None:
    for audience in ("https://monitoring.azure.com", "https://storage.azure.com/", "x"):
        assert claims(client.fetch_token(resource=audience))["aud"] == audience


def test_a_client_id_has_a_principal_of_its_own(client: Client) -> None:
    first, again, other = (
        claims(client.fetch_token(client_id=each)) for each in (USER, USER.upper(), "other")
    )
    assert first["appid"] == USER
    assert first["oid"] == again["oid"]
    assert len({first["oid"], other["oid"], claims(client.token)["oid"]}) == 3


def test_the_life_of_a_token_is_an_option(start: Callable[[Options], Client]) -> None:
    assert claims(start(Options(token_life_seconds=600)).token)["exp"] == NOW + 600


@pytest.mark.parametrize(
    ("secret", "query", "status", "message"),
    [
        (None, {}, 401, "The X-IDENTITY-HEADER header is missing or wrong."),
        ("wrong", {}, 401, "The X-IDENTITY-HEADER header is missing or wrong."),
        (HEADER, {"resource": ""}, 400, "The resource is missing."),
        (
            HEADER,
            {"api-version": "2018-02-01"},
            400,
            "The api-version is missing or not supported; use 2019-08-01.",
        ),
        (
            HEADER,
            {"mi_res_id": "/subscriptions/s"},
            400,
            "The parameter mi_res_id is not supported by the emulator.",
        ),
    ],
)
def test_refused(
    client: Client, secret: str | None, query: dict[str, str], status: int, message: str
) -> None:
    response = client.identity(secret, **query)
    assert response.status_code == status
    assert (response.json()["statusCode"], response.json()["message"]) == (status, message)


def test_identities_may_be_restricted(start: Callable[[Options], Client]) -> None:
    client = start(Options(client_ids=frozenset({USER}), identity_header="s3cret"))
    assert client.identity("s3cret", client_id=USER.upper()).ok
    assert client.identity("s3cret").ok
    response = client.identity("s3cret", client_id="unknown")
    assert response.status_code == 400
    assert response.json()["message"] == "Unable to load the proper Managed Identity."
    assert client.identity(HEADER, client_id=USER).status_code == 401
    assert client.requests()["identityTotals"] == {"200": 2, "400": 1, "401": 1}


class TestManagedIdentityCredential:
    """The real credential, led here by the variables of App Service."""

    @pytest.fixture(autouse=True)
    def _environment(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{client.url}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", HEADER)

    def test_the_system_assigned_identity_can_post(self, client: Client) -> None:
        with ManagedIdentityCredential() as credential:
            token = credential.get_token(SCOPE)
        assert claims(token.token)["aud"] == "https://monitoring.azure.com/"
        assert token.expires_on == claims(token.token)["exp"]
        assert client.post(document(), token=token.token).ok

    def test_without_the_double_slash_the_audience_is_wrong(self, client: Client) -> None:
        with ManagedIdentityCredential() as credential:
            token = credential.get_token("https://monitoring.azure.com/.default").token
        assert claims(token)["aud"] == "https://monitoring.azure.com"
        assert client.post(document(), token=token).status_code == 401

    def test_a_user_assigned_identity(self, client: Client) -> None:
        with ManagedIdentityCredential(client_id=USER) as credential:
            token = credential.get_token(SCOPE).token
        assert claims(token)["oid"] == claims(client.fetch_token(client_id=USER))["oid"]

    def test_an_identity_that_the_app_does_not_have(
        self, start: Callable[[Options], Client], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = start(Options(client_ids=frozenset()))
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{client.url}/msi/token")
        with (
            ManagedIdentityCredential(client_id=USER) as credential,
            pytest.raises(ClientAuthenticationError, match="Unable to load the proper Managed"),
        ):
            credential.get_token(SCOPE)


def test_the_older_version(client: Client) -> None:
    """As Go's autorest asks, which Telegraf uses."""

    def ask(secret: str, **query: str) -> requests.Response:
        return client.http.get(
            f"{client.url}/msi/token",
            params={"api-version": "2017-09-01", "resource": AUDIENCE, **query},
            headers={"secret": secret},
            timeout=TIMEOUT,
        )

    answer = ask(HEADER).json()
    assert answer["expires_on"].isdecimal()
    assert client.post(document(), token=answer["access_token"]).ok
    assert ask(HEADER, clientid="some-id").json()["client_id"] == "some-id"
    assert ask("wrong").json()["message"] == "The SECRET header is missing or wrong."
    refusal = ask(HEADER, client_id="some-id")  # Of the newer version.
    assert refusal.json()["message"].startswith("The parameter client_id is not supported")
