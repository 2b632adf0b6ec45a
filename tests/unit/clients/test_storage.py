"""Storage: connections by the Functions convention, and sending to a queue."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.identity import DefaultAzureCredential, ManagedIdentityCredential
from hypothesis import given
from hypothesis import strategies as st

from shared.clients.storage import (
    NO_EXPIRY,
    Connection,
    Queue,
    account_client,
    message_text,
    open_queue_service,
    resolve_connection,
)
from shared.errors import ConfigurationError

URI = "https://orders.queue.core.windows.net"
KEY = "c2VjcmV0LWFjY291bnQta2V5"
SECRET = f"DefaultEndpointsProtocol=https;AccountName=orders;AccountKey={KEY}"
AZURITE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

BY_STRING = Connection("S", connection_string=SECRET)
BY_URI = Connection("S", queue_service_uri=URI)
IDENTITY = {"S__accountName": "orders", "S__credential": "ManagedIdentity"}
RESOLVED = {
    "string": ({"S": f" {SECRET}\n"}, BY_STRING),
    "URI": ({"S__queueServiceUri": URI}, BY_URI),
    "account": ({"S__accountName": "orders"}, BY_URI),
    "URI before account": ({"S__accountName": "other", "S__queueServiceUri": URI}, BY_URI),
    "string before URI": ({"S": SECRET, "S__queueServiceUri": URI}, BY_STRING),
    "empty string": ({"S": " ", "S__accountName": "orders"}, BY_URI),
    "managed identity": (
        IDENTITY,
        Connection("S", queue_service_uri=URI, managed_identity=True),
    ),
    "user-assigned identity": (
        IDENTITY | {"S__clientId": "5b2f"},
        Connection("S", queue_service_uri=URI, managed_identity=True, client_id="5b2f"),
    ),
    "another connection": ({"S__accountName": "orders", "T": SECRET, "T__clientId": "x"}, BY_URI),
}


@pytest.mark.parametrize(("settings", "expected"), RESOLVED.values(), ids=RESOLVED)
def test_a_connection_is_resolved(settings: dict[str, str], expected: Connection) -> None:
    assert resolve_connection(settings, "S") == expected


NOT_SET = (
    "S is not set, nor S__queueServiceUri, nor S__accountName: "
    "expected a storage connection string or the URL of an account's queue service"
)
UNRESOLVED = {
    "nothing": ({}, NOT_SET),
    "empty": ({"S": "", "S__accountName": " ", "S__queueServiceUri": ""}, NOT_SET),
    "identity without an account": ({"S__credential": "managedidentity"}, NOT_SET),
    "URI of blobs": ({"S__blobServiceUri": URI}, NOT_SET),
    "credential": (
        {"S__accountName": "orders", "S__credential": "password"},
        "S__credential is 'password': expected managedidentity, or nothing locally",
    ),
}


@pytest.mark.parametrize(("settings", "expected"), UNRESOLVED.values(), ids=UNRESOLVED)
def test_an_invalid_connection_is_an_error(settings: dict[str, str], expected: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        resolve_connection(settings, "S")
    assert str(caught.value) == expected


def test_a_connection_string_in_place_of_a_name_is_not_quoted() -> None:
    with pytest.raises(ConfigurationError, match=r"^expected the name of the setting") as caught:
        resolve_connection({}, SECRET)
    assert KEY not in str(caught.value)


def test_the_representation_of_a_connection_has_no_secret() -> None:
    assert KEY not in repr(BY_STRING)


@pytest.mark.parametrize("text", ["UseDevelopmentStorage=true", " usedevelopmentstorage=TRUE "])
def test_development_storage_is_azurite(text: str) -> None:
    with open_queue_service(resolve_connection({"S": text}, "S")) as client:
        assert client.url == "http://127.0.0.1:10001/devstoreaccount1/"
        assert client.credential.account_key == AZURITE_KEY


IDENTITIES = {
    "managed": (
        Connection("S", queue_service_uri=URI, managed_identity=True, client_id="5b2f"),
        ManagedIdentityCredential,
    ),
    "default": (BY_URI, DefaultAzureCredential),
}


@pytest.mark.parametrize(("connection", "credential"), IDENTITIES.values(), ids=IDENTITIES)
def test_a_connection_is_opened_with_an_identity(connection: Connection, credential: type) -> None:
    with open_queue_service(connection) as client:
        assert client.url == f"{URI}/"
        assert type(client.credential.credential) is credential


def test_an_account_is_opened_with_a_given_identity() -> None:
    credential = ManagedIdentityCredential()
    with account_client(f"{URI}/", credential) as client:
        assert (client.url, client.credential.credential) == (f"{URI}/", credential)


INVALID = {
    "word": "orders",
    "no account": f"DefaultEndpointsProtocol=https;AccountKey={KEY}",
    "no end": f"AccountName=orders;AccountKey={KEY};EndpointSuffix",
    "key alone": f"AccountKey={KEY}",
}


@pytest.mark.parametrize("text", INVALID.values(), ids=INVALID)
def test_an_invalid_connection_string_is_not_quoted(text: str) -> None:
    beginning = "S is not a valid connection string: "
    with pytest.raises(ConfigurationError, match=f"^{beginning}") as caught:
        open_queue_service(Connection("S", connection_string=text))
    assert KEY not in str(caught.value)
    assert text not in str(caught.value).removeprefix(beginning)


def test_an_identity_needs_tls() -> None:
    connection = Connection("S", queue_service_uri="http://orders.example")
    with pytest.raises(ConfigurationError, match=r"^S is not a valid URL of a queue service: "):
        open_queue_service(connection)


# --- Sending --------------------------------------------------------------------------------------


@given(st.text())
def test_a_message_survives_xml(text: str) -> None:
    message = json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogatepass")
    if not any("\ud800" <= character <= "\udfff" for character in text):
        sent = message_text(message)
        assert not set(sent) & {"\ufffe", "\uffff"}
        assert json.loads(sent) == text


class StubQueueClient:
    """A queue that does not exist until it is created."""

    def __init__(self, *, exists: bool, created_by_another: bool = False) -> None:
        self.exists = exists
        self.created_by_another = created_by_another
        self.sent: list[tuple[str, dict[str, Any]]] = []

    def send_message(self, text: str, **options: Any) -> None:
        if not self.exists:
            raise ResourceNotFoundError
        self.sent.append((text, options))

    def create_queue(self) -> None:
        self.exists = True
        if self.created_by_another:
            raise ResourceExistsError


@pytest.mark.parametrize(
    "client",
    [
        StubQueueClient(exists=True),
        StubQueueClient(exists=False),
        StubQueueClient(exists=False, created_by_another=True),
    ],
    ids=["exists", "missing", "created by another instance"],
)
async def test_a_message_is_sent_and_never_expires(client: Any) -> None:
    opened: list[None] = []

    def open_client() -> Any:
        opened.append(None)
        return client

    with ThreadPoolExecutor(1) as executor:
        queue = Queue(open_client, executor)
        assert opened == []
        await queue.send('{"a": "\uffff"}'.encode(), timedelta(seconds=30))
        await queue.send(b"{}")
    assert client.sent == [
        ('{"a": "\\uffff"}', {"visibility_timeout": 30, "time_to_live": NO_EXPIRY}),
        ("{}", {"visibility_timeout": 0, "time_to_live": NO_EXPIRY}),
    ]
    assert len(opened) == 1
