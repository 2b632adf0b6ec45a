"""A trigger's `connection` -> a client for that account's queues, by Azure Functions' convention.

NAME                       a connection string
NAME__queueServiceUri      an account's queue endpoint, reached with an identity
NAME__accountName          the account, where its endpoint is the usual one
NAME__credential           `managedidentity`; without it whoever is logged in on this machine
NAME__clientId             which user-assigned identity

Each may be named AzureWebJobsNAME… too, which comes first; no name at all means Storage.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

from azure.storage.queue import QueueServiceClient

from local.functions.errors import ConfigurationError

__all__ = ["queue_service"]

PREFIX = "AzureWebJobs"
DEFAULT_NAME = "Storage"
# No proxy stands between this machine and itself, and looking for one takes a tenth of each call.
LOOPBACK = re.compile(
    r"http://(?:127\.0\.0\.1|localhost)\b|UseDevelopmentStorage=true", re.IGNORECASE
)
# Seconds. QueueStorage repeats a call, for as long as Azure does.
CLIENT_OPTIONS: dict[str, Any] = {
    "connection_timeout": 5,
    "read_timeout": 30,
    "retry_total": 0,
}


def queue_service(name: str, environ: Mapping[str, str], where: str) -> QueueServiceClient:
    """The client for connection `name`; `where` begins error messages.

    Raises ConfigurationError.
    """
    name = name or DEFAULT_NAME
    settings = {key.lower(): value for key, value in environ.items() if value}
    for candidate in (PREFIX + name, name):
        try:
            if (text := settings.get(candidate.lower())) is not None:
                options = _options() | {"use_env_settings": not LOOPBACK.search(text)}
                return QueueServiceClient.from_connection_string(text, **options)
            prefix = f"{candidate.lower()}__"
            identity = {
                key.removeprefix(prefix): value
                for key, value in settings.items()
                if key.startswith(prefix)
            }
            if identity:
                return QueueServiceClient(
                    _account_url(identity), _credential(identity), **_options()
                )
        except ValueError as exc:
            raise ConfigurationError(f"{where}: connection {candidate}: {exc}") from exc
    raise ConfigurationError(
        f"{where}: connection {name}: app setting {name}, {name}__queueServiceUri "
        f"or {name}__accountName is missing"
    )


def _options() -> dict[str, Any]:
    """Options of a client whose requests are not logged one by one, as the app's may well be."""
    logger = logging.getLogger("local.functions.requests")
    logger.setLevel(logging.WARNING)
    return {**CLIENT_OPTIONS, "logger": logger}


def _account_url(identity: Mapping[str, str]) -> str:
    """The queue endpoint of an identity-based connection. Raises ValueError."""
    if uri := identity.get("queueserviceuri") or identity.get("serviceuri"):
        return uri
    if account := identity.get("accountname"):
        return f"https://{account}.queue.core.windows.net"
    raise ValueError("__queueServiceUri or __accountName is missing")


def _credential(identity: Mapping[str, str]) -> Any:
    """The credential of an identity-based connection. Raises ValueError."""
    # Imported here: a connection string, the usual thing on a laptop, does without.
    from azure.identity import DefaultAzureCredential, ManagedIdentityCredential  # noqa: PLC0415

    kind, client_id = identity.get("credential"), identity.get("clientid")
    if kind is None:
        return DefaultAzureCredential(managed_identity_client_id=client_id)
    if kind.lower() == "managedidentity":
        return ManagedIdentityCredential(client_id=client_id)
    raise ValueError(f"__credential: {kind}: must be managedidentity or be left out")
