"""The storage account of the queues: whether it answers, and what may be done there."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.queue import QueueServiceClient

from shared.clients import storage
from shared.clients.credentials import make_credential, request_token
from shared.clients.http import describe_error, is_loopback
from shared.errors import TokenError
from tools.doctor.context import AZURITE, CONNECTION, Account, Context
from tools.doctor.findings import Finding, failed, ok
from tools.doctor.fixes import NETWORK, Home, Template, quoted, storage_id
from tools.doctor.identity import fix_token, read_principal

__all__ = ["account_name", "check_storage", "queue_names", "use_identity"]

_APP_ROLE = "Storage Queue Data Contributor"
_RETRY = storage.StorageRetry(retries=0, read_timeout=10)
_MAX_LISTED = 200  # Queues.
# A message that does not exist: permissions are checked before it is looked for.
_NO_MESSAGE = ("00000000-0000-4000-8000-000000000000", "AgAAAAMAAAAAAAAAAAAAAAAAAAA=")
# AzureError, and what the SDK raises for a key that is not base64, or an answer that is not XML.
_SDK_ERRORS = (AzureError, ValueError, SyntaxError, TypeError, LookupError)
_ROLE_MISSING = "AuthorizationPermissionMismatch"


def check_storage(context: Context) -> list[Finding]:
    """Connect to the account and authenticate."""
    settings, kind = context.settings, context.credential
    connection = context.connection(CONNECTION)
    if kind and connection.queue_service_uri:
        credential = make_credential(kind, connection.client_id)
        service = storage.account_client(connection.queue_service_uri, credential, _RETRY)
    else:
        service = storage.open_queue_service(connection, _RETRY)
    principal = None  # A key or a signature.
    try:
        if hasattr(service.credential, "get_token"):
            token = request_token(service.credential, storage.STORAGE_SCOPE)
            principal = read_principal(token.token)
    except TokenError as exc:
        fix = fix_token(context, str(exc), kind or "managed_identity", f"{CONNECTION}__clientId")
        return [failed(f"{connection.name} gets no token: {exc}", *fix)]
    by_key = "accountkey=" in (connection.connection_string or "").lower()
    account = Account(service, account_name(service), by_key, principal)
    try:
        service.get_queue_client(settings.queue).get_queue_properties()
    except ResourceNotFoundError:
        pass  # The queue is checked on its own.
    except _SDK_ERRORS as exc:
        if _ROLE_MISSING not in str(exc):
            return [explain(exc, account, context)]
    how = "its key" if by_key else str(principal or "a signature")
    answers = ok(f"{service.primary_hostname} ({connection.name}) answers, and accepts {how}")
    return [answers, *_check_roles(account, context)]


def _check_roles(account: Account, context: Context) -> list[Finding]:
    """Try what the app does, on a message that does not exist; nothing changes."""
    settings = context.settings
    ingress = account.service.get_queue_client(settings.queue)
    rejected = account.service.get_queue_client(settings.dead_letter_queue)
    read, peek = "read queue properties", "peek at messages"
    requests: dict[str, Callable[[], Any]] = {
        read: ingress.get_queue_properties,
        peek: ingress.peek_messages,
        "delete messages": lambda: ingress.delete_message(*_NO_MESSAGE),
        "update messages": lambda: ingress.update_message(*_NO_MESSAGE, visibility_timeout=0),
        "write dead letters": lambda: rejected.update_message(*_NO_MESSAGE, visibility_timeout=0),
    }
    refused = [what for what, request in requests.items() if _is_refused(request)]
    if not {read, peek} & {*refused}:
        context.storage_account = account
    if not refused:
        return []
    fix = _replace_secret(account, context)
    if account.principal:
        fix = context.fixes.grant(_APP_ROLE, account.principal, storage_id(account.name))
    who, what = account.principal or "The signature", ", nor ".join(refused)
    return [failed(f"{who} may not {what}: the app needs {_APP_ROLE} on {account.name}", *fix)]


def account_name(service: QueueServiceClient) -> str:
    """Return the name of an account."""
    host, _, path = (service.primary_hostname or "").partition("/")
    # Azurite has the account in the path.
    return service.account_name or path or host.partition(".")[0]


def queue_names(service: QueueServiceClient) -> list[str]:
    """Return the names of the first queues of an account, none if they may not be listed."""
    try:
        return [queue.name for queue in islice(service.list_queues(), _MAX_LISTED)]
    except AzureError:
        return []


def use_identity(account: str, context: Context, name: str = CONNECTION) -> list[str]:
    """Connect to a storage account with the identity of the app, in place of a key."""
    fixes = context.fixes
    lines = ["# With the identity of the app, without a key:"]
    lines += fixes.unset(name) if context.environ.get(name) else []
    lines += fixes.set(f"{name}__accountName", account)
    if fixes.home is Home.APP:
        lines += fixes.set(f"{name}__credential", "managedidentity")
    return lines


def _is_refused(request: Callable[[], Any]) -> bool:
    """Return whether the role for a request is missing, whether or not the message exists."""
    with contextlib.suppress(ResourceNotFoundError):
        try:
            request()
        except HttpResponseError as exc:
            return _ROLE_MISSING in str(exc)
    return False


def explain(exc: Exception, account: Account, context: Context) -> Finding:
    """Return the finding for the error of a first request to an account."""
    text, url, name = describe_error(exc), account.service.url, account.name
    parts, show = urlsplit(url), f"az storage account show --name {quoted(account.name)}"
    start_azurite = context.fixes.start_azurite(parts.port)
    if is_loopback(parts.hostname) and "refused" in text:
        return failed(f"Nothing listens at {parts.netloc}", *start_azurite)
    if "InvalidHeaderValue" in text:
        stop = "# Stop the Azurite that runs."
        return failed(f"Azurite needs --skipApiVersionCheck: {text}", stop, *start_azurite)
    if "KeyBasedAuthenticationNotPermitted" in text:
        return failed(f"The keys of {name} are disabled: {text}", *use_identity(name, context))
    if re.search("AuthenticationFailed|base64|padding", text) and not account.principal:
        fix = _replace_secret(account, context)
        return failed(f"The key or signature is not, or no longer, valid: {text}", *fix)
    if "resolve" in text:
        text = f"No account has the name {name}, or its network is private: {text}"
        return failed(text, f"{show} --query primaryEndpoints.queue")
    return failed(
        f"{parts.netloc}: {text}",
        NETWORK,
        "# If the storage firewall blocks this address:",
        f'{show} --query "{{public: publicNetworkAccess, rules: networkRuleSet}}"',
        f"az storage account network-rule add --account-name {quoted(name)} "
        '--ip-address "$(curl -s https://api.ipify.org)"',
    )


def _replace_secret(account: Account, context: Context) -> list[str]:
    """Replace a key by that of today, and a signature by an identity, which does not expire."""
    if account.name == AZURITE:
        set_it = context.fixes.set(CONNECTION, "UseDevelopmentStorage=true")
        return ["# The account and key of Azurite, with its queues at port 10001:", *set_it]
    if account.by_key:
        show = f"az storage account show-connection-string --name {quoted(account.name)}"
        return context.fixes.set(CONNECTION, Template(f"$({show} --query connectionString -o tsv)"))
    return use_identity(account.name, context)
