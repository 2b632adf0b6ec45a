"""A trigger's `connection` -> a client for that account's queues, as the Functions host finds it.

For NAME the first of these sections that exists is taken whole, even if it is empty:
ConnectionStrings__AzureWebJobsNAME, AzureWebJobsNAME, ConnectionStrings__NAME, NAME.

NAME                              a connection string, which beats the members
NAME__queueServiceUri             an account's queue endpoint, reached with an identity
NAME__serviceUri                  the same
NAME__accountName                 the account, where its endpoint is the usual one
NAME__credential                  `managedidentity`; anything else is the default credential
NAME__clientId                    which user-assigned identity
NAME__managedIdentityResourceId   the same

Values are found by their exact names, a section by any case of its members' names; members that
are not known are ignored. No name at all means Storage.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from azure.storage.queue import QueueServiceClient

from local.azurite import ACCOUNT_KEY
from local.functions.errors import ConfigurationError

__all__ = ["queue_service"]

PREFIX = "AzureWebJobs"
DEFAULT_NAME = "Storage"
# No proxy stands between this machine and itself, and looking for one takes a tenth of each call.
LOOPBACK = re.compile(
    r"http://(?:127\.0\.0\.1|localhost)\b|UseDevelopmentStorage=true", re.IGNORECASE
)
MEMBERS = (
    "queueServiceUri",
    "serviceUri",
    "accountName",
    "credential",
    "clientId",
    "managedIdentityResourceId",
)
EMULATOR_ACCOUNT = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    f"AccountKey={ACCOUNT_KEY};QueueEndpoint={{}}:10001/devstoreaccount1"
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
    for section in _sections(name):
        members = _members(section, environ)
        text = _value(section, environ)
        if text is None and not members:
            continue
        try:
            if text is not None:
                options = _options() | {"use_env_settings": not LOOPBACK.search(text)}
                return QueueServiceClient.from_connection_string(_written_out(text), **options)
            return QueueServiceClient(_account_url(members), _credential(members), **_options())
        except ValueError as exc:
            raise ConfigurationError(f"{where}: connection {section}: {exc}") from exc
    raise ConfigurationError(
        f"{where}: connection {name}: app setting {name}, {name}__queueServiceUri "
        f"or {name}__accountName is missing"
    )


def _sections(name: str) -> list[str]:
    """The sections that may hold a connection, in the order in which they are looked for."""
    return [
        section
        for prefixed in (PREFIX + name, name)
        for section in (f"ConnectionStrings__{prefixed}", prefixed)
    ]


def _value(key: str, environ: Mapping[str, str]) -> str | None:
    """The value of a key; in the environment its colons may be double underscores."""
    return environ.get(key.replace("__", ":"), environ.get(key))


def _members(section: str, environ: Mapping[str, str]) -> dict[str, str | None]:
    """The members of a section: the names without case, the values by their exact names."""
    prefix = f"{section}__".lower()
    if not any(key.replace(":", "__").lower().startswith(prefix) for key in environ):
        return {}
    return {member: _value(f"{section}__{member}", environ) for member in MEMBERS}


def _written_out(text: str) -> str:
    """A connection string without the short form of the storage emulator's."""
    if not text.strip():
        raise ValueError("the connection string is empty")
    parts = (part.partition("=") for part in text.split(";"))
    members = {name.lower(): value for name, _, value in parts}
    if members.get("usedevelopmentstorage", "").lower() != "true":
        return text
    # Of the proxy the scheme and the host count alone.
    proxy = urlsplit(members.get("developmentstorageproxyuri", "http://127.0.0.1"))
    return EMULATOR_ACCOUNT.format(f"{proxy.scheme}://{proxy.hostname}")


def _options() -> dict[str, Any]:
    """Options of a client whose requests are not logged one by one, as the app's may well be."""
    logger = logging.getLogger("local.functions.requests")
    logger.setLevel(logging.WARNING)
    return {**CLIENT_OPTIONS, "logger": logger}


def _account_url(members: Mapping[str, str | None]) -> str:
    """The queue endpoint of an identity-based connection. Raises ValueError."""
    uri = members["queueServiceUri"] or members["serviceUri"]
    if not uri and (account := members["accountName"]):
        uri = f"https://{account}.queue.core.windows.net"
    if not uri:
        raise ValueError("__queueServiceUri or __accountName is missing")
    if not urlsplit(uri).scheme:
        raise ValueError(f"{uri}: the format of the URI could not be determined")
    return uri


def _credential(members: Mapping[str, str | None]) -> Any:
    """The credential of an identity-based connection."""
    # Imported here: a connection string, the usual thing on a laptop, does without.
    from azure.identity import DefaultAzureCredential, ManagedIdentityCredential  # noqa: PLC0415

    client_id, resource_id = members["clientId"], members["managedIdentityResourceId"]
    if (members["credential"] or "").lower() != "managedidentity":
        return DefaultAzureCredential(managed_identity_client_id=client_id or None)
    if client_id and resource_id:
        raise ValueError("__clientId and __managedIdentityResourceId: only one may be set")
    config = {"resource_id": resource_id} if resource_id else None
    return ManagedIdentityCredential(client_id=client_id or None, identity_config=config)
