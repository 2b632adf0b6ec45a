"""Find the account of a trigger's `connection` as the Functions host does.

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

from azure.storage.queue import LinearRetry, QueueServiceClient

from local.azurite import ACCOUNT_KEY
from local.functions.errors import DisabledError

__all__ = ["PATIENCE", "queue_service"]

# Seconds for which a failed call is repeated, as seen of the real host; one try a second.
PATIENCE = 21

PREFIX = "AzureWebJobs"
DEFAULT_NAME = "Storage"
# No proxy stands between this machine and itself, and looking for one takes a tenth of each call.
LOOPBACK = re.compile(
    r"http://(?:127\.0\.0\.1|localhost)\b|UseDevelopmentStorage=true", re.IGNORECASE
)
EMULATOR_ACCOUNT = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    f"AccountKey={ACCOUNT_KEY};QueueEndpoint={{}}:10001/devstoreaccount1"
)


def queue_service(
    name: str, environ: Mapping[str, str], where: str, patience: int = PATIENCE
) -> QueueServiceClient:
    """Return the client for connection `name`; `where` begins error messages.

    Raises DisabledError.
    """
    name = name or DEFAULT_NAME
    options = _options(patience)
    for prefixed in (PREFIX + name, name):
        for section in (f"ConnectionStrings__{prefixed}", prefixed):
            text = _value(section, environ)
            if text is None and not _has_members(section, environ):
                continue
            try:
                if text is None:
                    return QueueServiceClient(
                        _account_url(section, environ), _credential(section, environ), **options
                    )
                options["use_env_settings"] = not LOOPBACK.search(text)
                return QueueServiceClient.from_connection_string(_written_out(text), **options)
            except ValueError as exc:
                raise DisabledError(f"{where}: connection {section}: {exc}") from exc
    raise DisabledError(
        f"{where}: connection {name}: app setting {name}, {name}__queueServiceUri "
        f"or {name}__accountName is missing"
    )


def _options(patience: int) -> dict[str, Any]:
    """Return the options of a client whose requests are not logged, unlike those of the app."""
    logger = logging.getLogger("local.functions.requests")
    logger.setLevel(logging.WARNING)
    names = ("retry_total", "retry_connect", "retry_read", "retry_status")
    retries: dict[str, Any] = dict.fromkeys(names, patience)
    return {
        "connection_timeout": 5,  # Seconds, as the next one.
        "read_timeout": 30,
        "retry_policy": LinearRetry(backoff=1, random_jitter_range=0, **retries),
        "logger": logger,
    }


def _value(key: str, environ: Mapping[str, str]) -> str | None:
    """Return the value of a key; in the environment its colons may be double underscores."""
    return environ.get(key.replace("__", ":"), environ.get(key))


def _has_members(section: str, environ: Mapping[str, str]) -> bool:
    prefix = f"{section}__".lower()
    return any(key.replace(":", "__").lower().startswith(prefix) for key in environ)


def _written_out(text: str) -> str:
    """Return a connection string with the emulator's short form replaced. Raises ValueError."""
    if not text.strip():
        raise ValueError("the connection string is empty")
    parts = (part.partition("=") for part in text.split(";"))
    members = {name.lower(): value for name, _, value in parts}
    if members.get("usedevelopmentstorage", "").lower() != "true":
        return text
    # Of the proxy the scheme and the host count alone.
    proxy = urlsplit(members.get("developmentstorageproxyuri", "http://127.0.0.1"))
    return EMULATOR_ACCOUNT.format(f"{proxy.scheme}://{proxy.hostname}")


def _account_url(section: str, environ: Mapping[str, str]) -> str:
    """Return the queue endpoint of an identity-based connection. Raises ValueError."""
    uri = _value(f"{section}__queueServiceUri", environ) or _value(
        f"{section}__serviceUri", environ
    )
    if not uri and (account := _value(f"{section}__accountName", environ)):
        uri = f"https://{account}.queue.core.windows.net"
    if not uri:
        raise ValueError("__queueServiceUri or __accountName is missing")
    if not urlsplit(uri).scheme:
        raise ValueError(f"{uri}: the format of the URI could not be determined")
    return uri


def _credential(section: str, environ: Mapping[str, str]) -> Any:
    """Return the credential of an identity-based connection. Raises ValueError."""
    # Imported here: a connection string, the usual thing on a laptop, does without.
    from azure.identity import DefaultAzureCredential, ManagedIdentityCredential  # noqa: PLC0415

    client_id = _value(f"{section}__clientId", environ) or None
    resource_id = _value(f"{section}__managedIdentityResourceId", environ)
    if (_value(f"{section}__credential", environ) or "").lower() != "managedidentity":
        return DefaultAzureCredential(managed_identity_client_id=client_id)
    if client_id and resource_id:
        raise ValueError("__clientId and __managedIdentityResourceId: only one may be set")
    config = {"resource_id": resource_id} if resource_id else None
    return ManagedIdentityCredential(client_id=client_id, identity_config=config)
