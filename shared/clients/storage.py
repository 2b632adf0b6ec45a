"""Storage queues: connections by the Functions convention, and sending to a queue.

A connection `NAME` is a connection string; or `NAME__queueServiceUri` (or `NAME__accountName`)
with `NAME__credential` and `NAME__clientId` names an account and an identity.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from shared.clients.credentials import ScopedCredential, make_credential
from shared.clients.http import open_session
from shared.errors import ConfigurationError
from shared.text import masked

if TYPE_CHECKING:  # Slow to import: loaded when the first connection is opened.
    from azure.core.credentials import TokenCredential
    from azure.storage.queue import QueueClient, QueueServiceClient

__all__ = [
    "NO_EXPIRY",
    "QUEUE_NAME",
    "QUEUE_NAME_RULE",
    "STORAGE_SCOPE",
    "Connection",
    "Queue",
    "StorageRetry",
    "account_client",
    "may_be_secret",
    "message_text",
    "open_queue_service",
    "resolve_connection",
]

# Source: "Naming Queues and Metadata".
QUEUE_NAME = re.compile(r"(?=.{3,63}\Z)[a-z0-9]+(?:-[a-z0-9]+)*")
QUEUE_NAME_RULE = "3 to 63 lower-case letters, digits and single hyphens between"
# Time to live of a message; the default is seven days.
NO_EXPIRY = -1
# Source: "Authorize access to queues using Microsoft Entra ID".
STORAGE_SCOPE = "https://storage.azure.com/.default"
# Connections that are kept to an account.
MAX_CONNECTIONS = 10
# Seconds.
_CONNECT_TIMEOUT = 5
# Source: "Use the Azurite emulator", well-known storage account and key; not a secret.
_AZURITE = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
)
# XML 1.0, in which a message is sent, cannot hold these two; JSON has escapes for them.
_NOT_IN_XML = re.compile("[\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class StorageRetry:
    """How long a request to storage may take, and how often it is retried."""

    retries: int = 3  # After 1, 3 and 5 s, each up to 3 s more or less; at most 3.
    read_timeout: float = 20.0  # Seconds.


_DEFAULT_RETRY = StorageRetry()


@dataclass(frozen=True, slots=True)
class Connection:
    """The queues of a storage account, and how to authenticate."""

    name: str
    connection_string: str | None = field(default=None, repr=False)
    queue_service_uri: str | None = None
    managed_identity: bool = False
    client_id: str | None = None


def may_be_secret(text: str) -> bool:
    """Return whether a text looks like a connection string or a URL with a signature."""
    return ";" in text or "=" in text


def resolve_connection(settings: Mapping[str, str], name: str) -> Connection:
    """Return the connection of that name. Raises ConfigurationError with what is missing."""
    if may_be_secret(name):
        raise ConfigurationError(
            "expected the name of the setting that holds a connection string, "
            "found a connection string"
        )
    if value := settings.get(name, "").strip():
        development = value.lower() == "usedevelopmentstorage=true"
        return Connection(name, connection_string=_AZURITE if development else value)
    uri = settings.get(f"{name}__queueServiceUri", "").strip()
    if not uri and (account := settings.get(f"{name}__accountName", "").strip()):
        uri = f"https://{account}.queue.core.windows.net"
    if not uri:
        raise ConfigurationError(
            f"{name} is not set, nor {name}__queueServiceUri, nor {name}__accountName: "
            "expected a storage connection string or the URL of an account's queue service"
        )
    kind = settings.get(f"{name}__credential", "").strip().lower()
    if kind not in ("", "managedidentity"):
        raise ConfigurationError(
            f"{name}__credential is {masked(kind)}: expected managedidentity, or nothing locally"
        )
    client_id = settings.get(f"{name}__clientId", "").strip() or None
    return Connection(name, queue_service_uri=uri, managed_identity=bool(kind), client_id=client_id)


def open_queue_service(
    connection: Connection, retry: StorageRetry = _DEFAULT_RETRY
) -> QueueServiceClient:
    """Return a client for the queues of a connection. Raises ConfigurationError."""
    from azure.identity import DefaultAzureCredential
    from azure.storage.queue import QueueServiceClient

    text, uri = connection.connection_string, connection.queue_service_uri
    try:
        if text is not None:
            return QueueServiceClient.from_connection_string(text, **_options(retry))
        # The same identity as that of the Functions host.
        credential = (
            make_credential("managed_identity", connection.client_id)
            if connection.managed_identity
            else DefaultAzureCredential(managed_identity_client_id=connection.client_id)
        )
        return account_client(uri or "", credential, retry)
    except ValueError as exc:  # The text of the SDK never contains a connection string.
        what = "connection string" if text is not None else "URL of a queue service"
        raise ConfigurationError(f"{connection.name} is not a valid {what}: {exc}") from exc


def account_client(
    url: str, credential: TokenCredential, retry: StorageRetry = _DEFAULT_RETRY
) -> QueueServiceClient:
    """Return a client for the queues of the account at a URL, authenticated by an identity."""
    from azure.storage.queue import QueueServiceClient

    scoped = ScopedCredential(credential, STORAGE_SCOPE)
    return QueueServiceClient(url, credential=scoped, **_options(retry))


def message_text(message: bytes) -> str:
    """Return a JSON message as text that a queue can hold and that parses to the same."""
    return _NOT_IN_XML.sub(lambda found: f"\\u{ord(found[0]):04x}", message.decode())


class Queue:
    """Sends messages to a queue without blocking the event loop; creates it if it is missing."""

    def __init__(self, open_client: Callable[[], QueueClient], executor: Executor) -> None:
        """The client is opened for the first message: most instances never send one."""
        self._client = cache(open_client)
        self._executor = executor

    async def send(self, message: bytes, delay: timedelta = timedelta()) -> None:
        """Enqueue a JSON message that is visible after `delay`. Raises AzureError."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executor, self._send, message, delay)

    def _send(self, message: bytes, delay: timedelta) -> None:
        from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

        text = message_text(message)
        options = {"visibility_timeout": int(delay.total_seconds()), "time_to_live": NO_EXPIRY}
        client = self._client()
        try:
            client.send_message(text, **options)
        except ResourceNotFoundError:
            with contextlib.suppress(ResourceExistsError):  # Another instance created it.
                client.create_queue()
            client.send_message(text, **options)


def _options(retry: StorageRetry) -> dict[str, Any]:
    from azure.core.pipeline.transport import RequestsTransport
    from azure.storage.queue import ExponentialRetry

    session = open_session(MAX_CONNECTIONS)
    session.headers["Accept-Encoding"] = "identity"
    return {
        "transport": RequestsTransport(
            session=session,
            session_owner=False,
            connection_timeout=_CONNECT_TIMEOUT,
            read_timeout=retry.read_timeout,
        ),
        "retry_policy": ExponentialRetry(
            initial_backoff=1, increment_base=2, retry_total=retry.retries
        ),
    }
