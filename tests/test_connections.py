"""Storage connections: every way of the Functions convention to name one."""

from __future__ import annotations

import pytest
from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

from shared.clients.storage import Connection, account_client, open_connection, resolve_connection
from shared.errors import ConfigurationError

URI = "https://orders.queue.core.windows.net"
KEY = "c2VjcmV0LWFjY291bnQta2V5"
SECRET = f"DefaultEndpointsProtocol=https;AccountName=orders;AccountKey={KEY}"
AZURITE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

FOUND = {
    "string": ({"S": SECRET}, Connection("S", connection_string=SECRET)),
    "string with white space": ({"S": f" {SECRET}\n"}, Connection("S", connection_string=SECRET)),
    "address": ({"S__queueServiceUri": URI}, Connection("S", queue_service_uri=URI)),
    "account": ({"S__accountName": "orders"}, Connection("S", queue_service_uri=URI)),
    "address before account": (
        {"S__accountName": "other", "S__queueServiceUri": URI},
        Connection("S", queue_service_uri=URI),
    ),
    "string before address": (
        {"S": SECRET, "S__queueServiceUri": URI},
        Connection("S", connection_string=SECRET),
    ),
    "empty string": (
        {"S": " ", "S__accountName": "orders"},
        Connection("S", queue_service_uri=URI),
    ),
    "managed identity": (
        {"S__accountName": "orders", "S__credential": "managedidentity"},
        Connection("S", queue_service_uri=URI, managed_identity=True),
    ),
    "managed identity in another case": (
        {"S__accountName": "orders", "S__credential": "ManagedIdentity"},
        Connection("S", queue_service_uri=URI, managed_identity=True),
    ),
    "user-assigned identity": (
        {"S__accountName": "orders", "S__credential": "managedidentity", "S__clientId": "5b2f"},
        Connection("S", queue_service_uri=URI, managed_identity=True, client_id="5b2f"),
    ),
    "nothing of others": (
        {"S__accountName": "orders", "T": SECRET, "T__clientId": "x"},
        Connection("S", queue_service_uri=URI),
    ),
}


@pytest.mark.parametrize(("settings", "expected"), FOUND.values(), ids=FOUND)
def test_a_connection_is_found(settings: dict[str, str], expected: Connection) -> None:
    assert resolve_connection(settings, "S") == expected


NOTHING = (
    "S is not set, nor S__queueServiceUri, nor S__accountName: "
    "expected a storage connection string or the address of an account's queues"
)
REFUSED = {
    "nothing": ({}, NOTHING),
    "empty": ({"S": "", "S__accountName": " ", "S__queueServiceUri": ""}, NOTHING),
    "identity without an account": ({"S__credential": "managedidentity"}, NOTHING),
    "address of blobs": ({"S__blobServiceUri": URI}, NOTHING),
    "credential": (
        {"S__accountName": "orders", "S__credential": "password"},
        "S__credential is 'password': expected managedidentity, or nothing on a laptop",
    ),
}


@pytest.mark.parametrize(("settings", "expected"), REFUSED.values(), ids=REFUSED)
def test_a_connection_is_refused(settings: dict[str, str], expected: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        resolve_connection(settings, "S")
    assert str(caught.value) == expected


@pytest.mark.parametrize("text", ["UseDevelopmentStorage=true", " usedevelopmentstorage=TRUE "])
def test_development_storage_is_azurite_with_its_known_key(text: str) -> None:
    connection = resolve_connection({"S": text}, "S")
    with open_connection(connection) as client:
        assert client.url == "http://127.0.0.1:10001/devstoreaccount1/"
        assert client.credential.account_key == AZURITE_KEY


def test_a_string_is_opened() -> None:
    with open_connection(Connection("S", connection_string=SECRET)) as client:
        assert client.url == f"{URI}/"
        assert client.account_name == "orders"


MALFORMED = {
    "a word": "orders",
    "no account": f"DefaultEndpointsProtocol=https;AccountKey={KEY}",
    "no end": f"AccountName=orders;AccountKey={KEY};EndpointSuffix",
    "a key alone": f"AccountKey={KEY}",
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
def test_a_wrong_string_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^S is no connection string: ") as caught:
        open_connection(Connection("S", connection_string=text))
    assert KEY not in str(caught.value)
    assert text not in str(caught.value).removeprefix("S is no connection string: ")


def test_a_managed_identity_signs_in_as_itself() -> None:
    connection = Connection("S", queue_service_uri=URI, managed_identity=True, client_id="5b2f")
    with open_connection(connection) as client:
        assert client.url == f"{URI}/"
        assert type(client.credential) is ManagedIdentityCredential


def test_on_a_laptop_whoever_is_signed_in_signs_in() -> None:
    with open_connection(Connection("S", queue_service_uri=URI)) as client:
        assert type(client.credential) is DefaultAzureCredential


def test_an_account_is_opened_with_a_given_identity() -> None:
    credential = ManagedIdentityCredential()
    with account_client(f"{URI}/", credential) as client:
        assert (client.url, client.credential) == (f"{URI}/", credential)


def test_what_is_shown_of_a_connection_holds_no_secret() -> None:
    assert repr(resolve_connection({"S": SECRET}, "S")) == (
        "Connection(name='S', queue_service_uri=None, managed_identity=False, client_id=None)"
    )


def test_a_string_in_the_place_of_a_name_is_not_quoted() -> None:
    with pytest.raises(ConfigurationError, match=r"^a connection string stands where ") as caught:
        resolve_connection({}, SECRET)
    assert KEY not in str(caught.value)
