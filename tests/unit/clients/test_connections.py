"""Connections by the Functions convention: the account of the host, or an error."""

from __future__ import annotations

import pytest

from shared.clients.connections import Connection, resolve_connection
from shared.clients.storage import open_queue_service
from shared.errors import ConfigurationError
from tests.connections import KEY, ONE, SITUATIONS, STRING_ONE, Situation


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS)
def test_the_relay_uses_the_account_of_the_host_or_refuses(situation: Situation) -> None:
    if situation.error is None:
        with open_queue_service(resolve_connection(situation.settings, "C")) as client:
            assert client.url.partition("?")[0] == situation.host
        return
    with pytest.raises(ConfigurationError) as caught:
        resolve_connection(situation.settings, "C")
    assert str(caught.value) == situation.error


IDENTITY = {"C__accountName": "one", "C__credential": "ManagedIdentity"}
URI = ONE.rstrip("/")
IDENTITIES = {
    "default": ({"C__accountName": "one", "C__credential": ""}, Connection("C", None, URI)),
    "default with a client ID": (
        {"C__accountName": "one", "C__clientId": "5b2f"},
        Connection("C", None, URI, managed_identity=False, client_id="5b2f"),
    ),
    "system-assigned": (IDENTITY, Connection("C", None, URI, managed_identity=True)),
    "client ID": (
        IDENTITY | {"C__clientId": "5b2f", "C__managedIdentityResourceId": ""},
        Connection("C", None, URI, managed_identity=True, client_id="5b2f"),
    ),
    "resource ID": (
        IDENTITY | {"C__managedIdentityResourceId": "/subscriptions/…", "C__clientId": ""},
        Connection("C", None, URI, managed_identity=True, identity_resource_id="/subscriptions/…"),
    ),
}


@pytest.mark.parametrize(("settings", "expected"), IDENTITIES.values(), ids=IDENTITIES)
def test_the_identity(settings: dict[str, str], expected: Connection) -> None:
    assert resolve_connection(settings, "C") == expected


def test_the_name_is_that_of_the_section_that_was_found() -> None:
    assert resolve_connection({"AzureWebJobsC": STRING_ONE}, "C").name == "AzureWebJobsC"


def test_a_connection_string_in_place_of_a_name_is_not_quoted() -> None:
    with pytest.raises(ConfigurationError, match=r"^expected the name of the setting") as caught:
        resolve_connection({}, STRING_ONE)
    assert KEY not in str(caught.value)


def test_the_representation_of_a_connection_has_no_secret() -> None:
    assert KEY not in repr(resolve_connection({"C": STRING_ONE}, "C"))


def test_the_emulator_has_no_other_members() -> None:
    with pytest.raises(ConfigurationError, match=r"^C is not a valid connection string: UseDev"):
        resolve_connection({"C": "UseDevelopmentStorage=true;AccountName=one"}, "C")
