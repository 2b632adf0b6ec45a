"""Storage connections by the Functions convention: a name stands for one or several settings.

`NAME` is a connection string; or `NAME__queueServiceUri` (or `NAME__accountName`) with
`NAME__credential` and `NAME__clientId` is an identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shared.clients.credentials import CREDENTIAL_OPTIONS
from shared.errors import ConfigurationError

if TYPE_CHECKING:  # The SDKs are slow to import and are loaded by the first connection opened.
    from azure.core.credentials import TokenCredential
    from azure.storage.queue import QueueServiceClient

__all__ = [
    "Connection",
    "Patience",
    "account_client",
    "may_be_secret",
    "open_connection",
    "resolve_connection",
]

# Source: "Use the Azurite emulator", well-known storage account and key; no secret.
_AZURITE = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
)
# Seconds. The SDK's own default waits 15 s before its first retry, which is half of what an
# invocation has before its message is better seen again.
_CONNECT_TIMEOUT = 5


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a request to storage is waited for, and tried again."""

    retries: int = 3  # The waits grow: 1, 3, 5, 9, 17 s, each up to 3 s more or less.
    read_timeout: float = 20.0  # Seconds.


_PATIENCE = Patience()


@dataclass(frozen=True, slots=True)
class Connection:
    """Where a storage account's queues are and how to sign in to them."""

    name: str
    connection_string: str | None = field(default=None, repr=False)
    queue_service_uri: str | None = None
    managed_identity: bool = False
    client_id: str | None = None


def may_be_secret(text: str) -> bool:
    """Whether it looks like a connection string or an address with a signature, not to be shown."""
    return ";" in text or "=" in text


def resolve_connection(settings: Mapping[str, str], name: str) -> Connection:
    """Find a connection in the app settings. Raises ConfigurationError naming what is missing."""
    if may_be_secret(name):
        raise ConfigurationError(
            "a connection string stands where the name of the setting that holds it is expected"
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
            "expected a storage connection string or the address of an account's queues"
        )
    kind = settings.get(f"{name}__credential", "").strip().lower()
    if kind not in ("", "managedidentity"):
        raise ConfigurationError(
            f"{name}__credential is {kind!r}: expected managedidentity, or nothing on a laptop"
        )
    client_id = settings.get(f"{name}__clientId", "").strip() or None
    return Connection(name, queue_service_uri=uri, managed_identity=bool(kind), client_id=client_id)


def open_connection(connection: Connection, patience: Patience = _PATIENCE) -> QueueServiceClient:
    """A client for the connection's queues. Raises ConfigurationError for a wrong string."""
    from azure.storage.queue import QueueServiceClient

    if connection.connection_string is None:
        assert connection.queue_service_uri is not None  # noqa: S101 (one of the two is there)
        try:
            return account_client(connection.queue_service_uri, _credential(connection), patience)
        except ValueError as exc:
            raise ConfigurationError(
                f"{connection.name} is no address of an account's queues: {exc}"
            ) from exc
    try:
        return QueueServiceClient.from_connection_string(
            connection.connection_string, **_options(patience)
        )
    except ValueError as exc:
        # The text of the SDK's error never holds the string itself.
        raise ConfigurationError(f"{connection.name} is no connection string: {exc}") from exc


def account_client(
    url: str, credential: TokenCredential, patience: Patience = _PATIENCE
) -> QueueServiceClient:
    """A client for the queues of the account at that address, signed in with an identity."""
    from azure.storage.queue import QueueServiceClient

    return QueueServiceClient(url, credential=credential, **_options(patience))


def _credential(connection: Connection) -> TokenCredential:
    """What the Functions host itself would sign in with."""
    from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

    if connection.managed_identity:
        return ManagedIdentityCredential(client_id=connection.client_id, **CREDENTIAL_OPTIONS)
    return DefaultAzureCredential(managed_identity_client_id=connection.client_id)


def _options(patience: Patience) -> dict[str, Any]:
    from azure.storage.queue import ExponentialRetry

    return {
        "retry_policy": ExponentialRetry(
            initial_backoff=1, increment_base=2, retry_total=patience.retries
        ),
        "connection_timeout": _CONNECT_TIMEOUT,
        "read_timeout": patience.read_timeout,
    }
