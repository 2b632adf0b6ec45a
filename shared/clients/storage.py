"""Storage queues: clients for a connection or an account, and sending to a queue."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from shared.clients.connections import Connection, may_be_secret, resolve_connection
from shared.clients.credentials import ScopedCredential, make_credential, make_default_credential
from shared.clients.sessions import open_transport
from shared.errors import ConfigurationError

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
# XML 1.0, in which a message is sent, cannot hold these two; JSON has escapes for them.
_NOT_IN_XML = re.compile("[\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class StorageRetry:
    """How long a request to storage may take, and how often it is retried."""

    retries: int = 3  # After 1, 3 and 5 s, each up to 3 s more or less; at most 3.
    read_timeout: float = 20.0  # Seconds.


_DEFAULT_RETRY = StorageRetry()


def open_queue_service(
    connection: Connection, retry: StorageRetry = _DEFAULT_RETRY
) -> QueueServiceClient:
    """Return a client for the queues of a connection. Raises ConfigurationError."""
    from azure.storage.queue import QueueServiceClient

    text, uri = connection.connection_string, connection.queue_service_uri
    try:
        if text is not None:
            return QueueServiceClient.from_connection_string(text, **_options(retry))
        return account_client(uri or "", _open_credential(connection), retry)
    except ValueError as exc:  # The text of the SDK never contains a connection string.
        what = "connection string" if text is not None else "URL of a queue service"
        raise ConfigurationError(f"{connection.name} is not a valid {what}: {exc}") from exc


def _open_credential(connection: Connection) -> TokenCredential:
    """Return the same identity as that of the Functions host. Raises ConfigurationError."""
    client_id, resource_id = connection.client_id, connection.identity_resource_id
    try:
        if connection.managed_identity:
            return make_credential("managed_identity", client_id, resource_id)
        return make_default_credential(client_id)
    except (OSError, ValueError) as exc:  # For AZURE_TENANT_ID, say, or a missing certificate.
        raise ConfigurationError(
            f"the credential for {connection.name} cannot be created: {exc}"
        ) from exc


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
    from azure.storage.queue import ExponentialRetry

    return {
        "transport": open_transport(MAX_CONNECTIONS, _CONNECT_TIMEOUT, retry.read_timeout),
        "retry_policy": ExponentialRetry(
            initial_backoff=1, increment_base=2, retry_total=retry.retries
        ),
    }
