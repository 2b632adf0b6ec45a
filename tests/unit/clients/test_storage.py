"""Storage: connections by the Functions convention, and sending to a queue."""

from __future__ import annotations

import json
import logging
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError, ServiceRequestError
from azure.identity import DefaultAzureCredential, ManagedIdentityCredential
from hypothesis import given
from hypothesis import strategies as st

from shared.clients.storage import (
    NO_EXPIRY,
    Connection,
    Queue,
    StorageRetry,
    account_client,
    message_text,
    open_queue_service,
    resolve_connection,
)
from shared.errors import ConfigurationError

URI = "https://orders.queue.core.windows.net"
KEY = "c2VjcmV0LWFjY291bnQta2V5"
AZURITE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

BY_URI = Connection("S", queue_service_uri=URI)


def test_the_account_of_the_emulator_has_its_key() -> None:
    with open_queue_service(resolve_connection({"S": "UseDevelopmentStorage=true"}, "S")) as client:
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


def test_an_error_of_a_connection_has_no_signature(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as listener:  # It accepts no connection.
        listener.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}/orders"
        text = f"QueueEndpoint={endpoint};SharedAccessSignature=sv=2024-01-01&ss=q&sig=SECRET"
        with open_queue_service(Connection("S", text), StorageRetry(retries=0)) as client:
            with pytest.raises(ServiceRequestError) as caught:
                client.get_queue_client("metrics").send_message("{}")
            logging.getLogger("test").error("failed", exc_info=caught.value)
    assert "/orders/metrics/messages?…" in caplog.text
    assert "SECRET" not in caplog.text


def test_an_identity_needs_tls() -> None:
    connection = Connection("S", queue_service_uri="http://orders.example")
    with pytest.raises(ConfigurationError, match=r"^S is not a valid URL of a queue service: "):
        open_queue_service(connection)


def test_an_identity_that_cannot_be_created_is_not_an_error_of_the_url(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in (("TENANT_ID", "a b"), ("CLIENT_ID", "c"), ("CLIENT_SECRET", "d")):
        monkeypatch.setenv(f"AZURE_{name}", value)
    text = "^the credential for S cannot be created: Invalid tenant ID"
    with pytest.raises(ConfigurationError, match=text):
        open_queue_service(BY_URI)


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
