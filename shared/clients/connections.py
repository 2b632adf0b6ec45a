"""Which storage account a connection names, as the Functions host finds it.

The host of the queue trigger looks a connection up by itself. The relay puts messages back into
the same account, so it resolves a connection as the host does, and refuses what the host ignores
or what its versions read in different ways. Sources: `WebJobsConfigurationExtensions` and
`StorageClientProvider` of Microsoft.Azure.WebJobs.Extensions.Clients, `ClientFactory` of
Microsoft.Extensions.Azure, `StorageConnectionString` of Azure.Storage.Common.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from shared.clients.http import validate_url
from shared.errors import ConfigurationError
from shared.text import masked

__all__ = ["MEMBERS", "Connection", "may_be_secret", "resolve_connection", "validate_account_url"]

# The members of a section that the relay reads as the host does.
_MEMBERS = (
    "queueServiceUri",
    "serviceUri",
    "accountName",
    "credential",
    "clientId",
    "managedIdentityResourceId",
)
# Those that it allows; the host uses the other services of an account.
MEMBERS = (*_MEMBERS, "blobServiceUri", "tableServiceUri", "fileServiceUri")
_SPELLINGS = {member.lower(): member for member in MEMBERS}
# Source: "Storage account overview".
_ACCOUNT_NAME = re.compile("[a-z0-9]{3,24}", re.IGNORECASE)
# An account in Azure, perhaps in a DNS zone; the SDK for Python ignores its path.
_OTHER_SERVICE = re.compile(
    r"https://[^./]+\.(?:[^./]+\.)?(blob|dfs|file|table|web)\.", re.IGNORECASE
)
_QUEUE_PATH = re.compile(r"https://[^./]+\.(?:[^./]+\.)?queue\.[^/]+/+[^/]", re.IGNORECASE)
# Source: "Use the Azurite emulator", well-known storage account and key; not a secret.
_DEVELOPMENT = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "QueueEndpoint={}:10001/devstoreaccount1;"
)


@dataclass(frozen=True, slots=True)
class Connection:
    """The queues of a storage account, and how to authenticate."""

    name: str  # Of the section in the app settings that was found.
    connection_string: str | None = field(default=None, repr=False)
    queue_service_uri: str | None = None
    managed_identity: bool = False
    client_id: str | None = None
    identity_resource_id: str | None = None


def may_be_secret(text: str) -> bool:
    """Return whether a text looks like a connection string or a URL with a signature."""
    return ";" in text or "=" in text


def resolve_connection(settings: Mapping[str, str], name: str) -> Connection:
    """Return the connection of that name. Raises ConfigurationError with what is wrong."""
    if may_be_secret(name):
        raise ConfigurationError(
            "expected the name of the setting that holds a connection string, "
            "found a connection string"
        )
    sections = [
        section
        for prefixed in (f"AzureWebJobs{name}", name)
        for section in (f"ConnectionStrings__{prefixed}", prefixed)
        if _get(settings, section) is not None or _member_keys(settings, section)
    ]
    if not sections:
        raise ConfigurationError(
            f"{name} is not set, nor {name}__queueServiceUri, nor {name}__accountName: "
            "expected a storage connection string or the URL of an account's queue service"
            + _unread(settings, name)
        )
    section = sections[0]
    if len(sections) > 1 and any("ConnectionStrings__" in found for found in sections):
        raise ConfigurationError(f"{' and '.join(sections)} are both set: remove one of them")
    text = _get(settings, section)
    if text is None:
        return _identity_connection(settings, section)
    if not text.strip():
        raise ConfigurationError(
            f"{section} is empty: remove it, or set it to a storage connection string; the "
            "Functions host looks no further than a setting that exists"
        )
    try:
        return Connection(section, connection_string=_connection_string(text.strip()))
    except ValueError as exc:
        raise ConfigurationError(f"{section} is not a valid connection string: {exc}") from exc


def validate_account_url(url: str) -> str:
    """Return the URL of a queue service that gets a token. Raises ValueError."""
    try:
        https = validate_url(url).scheme == "https"
    except ValueError:
        https = False
    expected = "expected a URL such as https://….queue.core.windows.net"
    if not https or re.search(r"[^!-~]|[?#@\\]", url):
        raise ValueError(expected)
    if other := _OTHER_SERVICE.match(url):
        raise ValueError(f"{expected}, not that of the {other[1].lower()} service")
    return url


def _identity_connection(settings: Mapping[str, str], section: str) -> Connection:
    _check_members(settings, section)
    found = {member: _get(settings, f"{section}__{member}") for member in _MEMBERS}
    for member in ("queueServiceUri", "serviceUri", "accountName"):
        text = found[member]
        if text is not None and not text.strip():
            raise ConfigurationError(f"{section}__{member} is empty: remove it, or set it")
    uri, account = found["queueServiceUri"] or found["serviceUri"], found["accountName"]
    if account is not None:
        if not _ACCOUNT_NAME.fullmatch(account):
            raise ConfigurationError(
                f"{section}__accountName is {masked(account)}: expected the name of a storage "
                "account: 3 to 24 letters and digits"
            )
        url = f"https://{account}.queue.core.windows.net"
        if uri is not None and uri.rstrip("/").lower() != url.lower():
            raise ConfigurationError(
                f"{section}__accountName is {masked(account)} and the URL {masked(uri)}: remove "
                "one of them; versions of the Functions host differ in which they use"
            )
        uri = uri or url
    if uri is None:
        raise ConfigurationError(
            f"{section} names no account: set {section}__queueServiceUri or {section}__accountName"
        )
    member = "serviceUri" if found["queueServiceUri"] is None else "queueServiceUri"
    _check_uri(f"{section}__{member}", uri)
    kind = found["credential"] or ""
    if kind.lower() not in ("", "managedidentity"):
        raise ConfigurationError(
            f"{section}__credential is {masked(kind)}: expected managedidentity, or nothing locally"
        )
    client_id, resource_id = found["clientId"] or None, found["managedIdentityResourceId"] or None
    if resource_id and (client_id or not kind):
        raise ConfigurationError(
            f"{section}__managedIdentityResourceId needs {section}__credential=managedidentity "
            f"and no {section}__clientId"
        )
    return Connection(section, None, uri, bool(kind), client_id, resource_id)


def _check_uri(name: str, uri: str) -> None:
    """Raise ConfigurationError for a URI that is not that of a queue service."""
    try:
        validate_account_url(uri)
    except ValueError as exc:
        raise ConfigurationError(f"{name} is {masked(uri)}: {exc}") from exc
    if _QUEUE_PATH.match(uri):
        raise ConfigurationError(
            f"{name} is {masked(uri)}: remove the path; the Functions host would look for the "
            "queue in it"
        )


def _check_members(settings: Mapping[str, str], section: str) -> None:
    """Raise ConfigurationError for a member that the host or the relay would ignore."""
    for key in _member_keys(settings, section):
        member = key.replace(":", "__")[len(section) + 2 :]
        spelling = _SPELLINGS.get(member.lower())
        if spelling is None:
            similar = difflib.get_close_matches(member, _SPELLINGS.values(), n=1, cutoff=0.8)
            hint = f"did you mean {similar[0]}? " if similar else ""
            raise ConfigurationError(
                f"{key} is not a known member of a connection: {hint}expected one of "
                f"{', '.join(_MEMBERS)}"
            )
        if _get(settings, f"{section}__{spelling}") is None:
            raise ConfigurationError(
                f"{key} is ignored by the Functions host: names are case-sensitive on Linux; "
                f"expected {section}__{spelling}"
            )


def _connection_string(text: str) -> str:
    """Return a connection string; SDKs for Python do not know all forms of the emulator's."""
    members = dict(part.partition("=")[::2] for part in text.lower().split(";") if part)
    if members.pop("usedevelopmentstorage", "") != "true":
        return text
    proxy = urlsplit(members.pop("developmentstorageproxyuri", "http://127.0.0.1"))
    if members or not proxy.hostname:
        raise ValueError("UseDevelopmentStorage=true allows only DevelopmentStorageProxyUri beside")
    # As in the host, scheme and host of the proxy count, its port does not.
    return _DEVELOPMENT.format(f"{proxy.scheme}://{proxy.hostname}")


def _get(settings: Mapping[str, str], key: str) -> str | None:
    """Return the value of a key; the host looks for it with colons first."""
    return settings.get(key.replace("__", ":"), settings.get(key))


def _member_keys(settings: Mapping[str, str], section: str) -> list[str]:
    """Return the settings under a section; the host finds them without case."""
    prefix = f"{section}__".lower()
    return [key for key in settings if key.replace(":", "__").lower().startswith(prefix)]


def _unread(settings: Mapping[str, str], name: str) -> str:
    """Return a hint at a setting of a similar name, which the host does not read."""
    names = {name.lower(), f"azurewebjobs{name}".lower()}
    for key in settings:
        if key.rpartition("CONNSTR_")[2].lower() in names:
            return f"; the Functions host does not read {key}: make it the app setting {name}"
    return ""
