"""The storage account of the queues: whether it answers, what may be done there, and errors."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from urllib.parse import unquote, urlsplit

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.queue import QueueClient, QueueServiceClient

from shared.clients.credentials import make_credential
from shared.clients.storage import (
    STORAGE_SCOPE,
    StorageRetry,
    account_client,
    open_queue_service,
)
from tools.doctor.claims import Claims, read_claims
from tools.doctor.context import Account, Context, is_loopback, proxy_note, require
from tools.doctor.findings import Finding, failed, ok, skipped
from tools.doctor.fixes import CERTIFICATE, TIME_SYNC, Home, Template, quoted
from tools.doctor.identity import has_managed_identity, no_managed_identity
from tools.doctor.settings import CONNECTION

__all__ = [
    "APP_ROLE",
    "DEVELOPMENT",
    "RETRY",
    "account_id",
    "account_name",
    "check_roles",
    "check_storage",
    "describe",
    "explain",
    "firewall",
    "queue_names",
]

APP_ROLE = "Storage Queue Data Contributor"
_PRODUCER_ROLE = "Storage Queue Data Message Sender"
RETRY = StorageRetry(retries=0, read_timeout=10)
_MAX_LISTED = 200  # Queues.
# A message that does not exist: permissions are checked before it is looked for.
_NO_MESSAGE = ("00000000-0000-4000-8000-000000000000", "AgAAAAMAAAAAAAAAAAAAAAAAAAA=")
# AzureError, and what the SDK raises for a key that is not base64, or an answer that is not XML.
_SDK_ERRORS = (AzureError, ValueError, SyntaxError, TypeError, LookupError)
_ROLE_MISSING = "AuthorizationPermissionMismatch"
DEVELOPMENT = "devstoreaccount1"  # The account of Azurite.
# Seconds. Source: "Authorize with Shared Key".
_MAX_SKEW = 15 * 60
_NEW_SIGNATURE = timedelta(days=90)
_DETAIL = re.compile(r"^authenticationerrordetail:\s*(.+)", re.IGNORECASE | re.MULTILINE)
_EXPIRY = re.compile(r"[?&;=]se=([^&;]+)")


def check_storage(context: Context) -> Iterator[Finding]:
    """Connect to the account and authenticate."""
    settings = require(context.settings, "settings")
    connection, kind = context.connection(CONNECTION), context.options.credential
    if connection.managed_identity and not has_managed_identity(context.environ):
        yield no_managed_identity(context)
        return
    if kind and connection.queue_service_uri:
        credential = make_credential(kind, connection.client_id)
        service = account_client(connection.queue_service_uri, credential, RETRY)
    else:
        service = open_queue_service(connection, RETRY)
    try:
        claims = _authenticate(service)
    except (AzureError, ValueError) as exc:
        yield failed(
            f"no token for storage: {describe(exc)}",
            "# The identity of the connection, by client ID; without one it is the app's own:",
            f"az functionapp identity show {context.fixes.app_options}",
            *context.fixes.set(f"{CONNECTION}__clientId", Template("$CLIENT_ID")),
        )
        return
    by_key = "accountkey=" in (connection.connection_string or "").lower()
    account = Account(service, account_name(service), by_key, claims)

    def note(response: Any) -> None:
        context.note_date("storage", response.http_response.headers.get("Date"))

    try:
        service.get_queue_client(settings.queue).get_queue_properties(raw_response_hook=note)
    except ResourceNotFoundError:
        pass  # The queue is checked on its own.
    except _SDK_ERRORS as exc:
        if _code_of(exc) != _ROLE_MISSING:
            yield explain(exc, account, context)
            return
    context.account = account
    how = "with its key" if by_key else f"as {claims.bearer}" if claims else "with a signature"
    yield ok(f"{service.primary_hostname} answers{proxy_note(service.url)}, {how}")


def check_roles(context: Context) -> Iterator[Finding]:
    """Try what the app does, on a message that does not exist; nothing changes."""
    account = require(context.account, "storage")
    settings = require(context.settings, "settings")
    if account.by_key:
        context.queues_readable = True
        yield skipped("not checked: a key needs no roles")
        return
    ingress = account.service.get_queue_client(settings.queue)
    dead_letters = account.service.get_queue_client(settings.dead_letter_queue)
    reads: dict[str, Callable[[], Any]] = {
        "read queue properties": ingress.get_queue_properties,
        "peek at messages": ingress.peek_messages,
    }
    writes: dict[str, Callable[[], Any]] = {
        "delete messages": lambda: ingress.delete_message(*_NO_MESSAGE),
        "put back what is deferred": lambda: _update(ingress),
        "write dead letters": lambda: _update(dead_letters),
    }
    refused = [what for what, request in (reads | writes).items() if _is_refused(request)]
    context.queues_readable = reads.keys().isdisjoint(refused)
    if not refused:
        yield ok(f"all that {APP_ROLE} allows; a producer needs {_PRODUCER_ROLE} only")
        return
    bearer = account.claims.bearer if account.claims else "the signature"
    scope = account_id(account.name)
    yield failed(
        f"{bearer} may not {', nor '.join(refused)}: the app needs {APP_ROLE} on {account.name}",
        *(
            context.fixes.grant(APP_ROLE, account.claims, scope)
            if account.claims
            else _new_signature(account, context)
        ),
    )


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


def account_id(account: str) -> Template:
    """Return the resource ID of a storage account, as a command that prints it."""
    return Template(f"$(az storage account show --name {quoted(account)} --query id -o tsv)")


def _authenticate(service: QueueServiceClient) -> Claims | None:
    """Return the claims of the identity's token, None for a key or a signature."""
    if not hasattr(service.credential, "get_token"):
        return None
    return read_claims(service.credential.get_token(STORAGE_SCOPE).token)


def _update(queue: QueueClient) -> None:
    queue.update_message(*_NO_MESSAGE, visibility_timeout=0)


def _is_refused(request: Callable[[], Any]) -> bool:
    """Return whether the role for a request is missing, whether or not the message exists."""
    with contextlib.suppress(ResourceNotFoundError):
        try:
            request()
        except HttpResponseError as exc:
            return _code_of(exc) == _ROLE_MISSING
    return False


def _code_of(exc: Exception) -> str:
    """Return the error code of an answer of storage, empty if there was no answer."""
    code: Any = getattr(exc, "error_code", None) or ""
    return str(getattr(code, "value", code))


def describe(exc: Exception) -> str:
    """Return status, code and message of an error, and what storage adds about authentication."""
    text = str(exc).strip()
    first = text.partition("\n")[0] or type(exc).__name__
    status, detail = getattr(exc, "status_code", None), _DETAIL.search(text)
    words = (str(status or ""), _code_of(exc), first, f"({detail[1].strip()})" if detail else "")
    return " ".join(filter(None, words))


def explain(exc: Exception, account: Account, context: Context) -> Finding:
    """Return the finding for the error of a first request to an account."""
    text, url = describe(exc), account.service.url
    if getattr(exc, "status_code", None) is not None:
        cause, fix = _refused(_code_of(exc), text, account, context)
        return failed(f"{text.rstrip(' .')}: {cause}" if cause else text, *fix)
    host = urlsplit(url).netloc
    if is_loopback(url) and "refused" in text:
        fix = context.fixes.start_azurite(urlsplit(url).port)
        return failed(f"nothing listens at {host}", *fix)
    if "base64" in text or "padding" in text:
        return failed(f"{text}: the account key is incomplete", *_new_key(account, context))
    message = f"{host} cannot be reached{proxy_note(url)}: {text}"
    if "resolve" in text:
        return failed(
            message,
            "# No account has that name, or its network is private. Its address:",
            f"az storage account show --name {quoted(account.name)} --query primaryEndpoints.queue",
        )
    if "ssl" in text.lower() or "certificate" in text.lower():
        return failed(message, *CERTIFICATE)
    return failed(message, *firewall(account.name), f"curl -sSI https://{quoted(host)}/")


def firewall(account: str) -> list[str]:
    """Show whom the firewall of a storage account lets pass, and let this machine pass."""
    show = f"az storage account show --name {quoted(account)}"
    add = f"az storage account network-rule add --account-name {quoted(account)}"
    return [
        "# Does the storage firewall block this address?",
        f'{show} --query "{{public: publicNetworkAccess, rules: networkRuleSet}}"',
        f'{add} --ip-address "$(curl -s https://api.ipify.org)"',
    ]


def _new_signature(account: Account, context: Context) -> list[str]:
    """Make a shared access signature that allows what the app does."""
    if account.name == DEVELOPMENT:
        return _new_key(account, context)
    url = account.service.url.partition("?")[0].rstrip("/")
    if not re.fullmatch(r"https?://[\w.:/-]+", url):  # The shell would expand it.
        url = "$QUEUE_ENDPOINT"
    generate = f"az storage account generate-sas --account-name {quoted(account.name)} --https-only"
    generate += " --services q --resource-types sco --permissions rwdlacup --output tsv"
    return [
        "# Better an identity, see docs/settings.md; or a new signature:",
        f"SAS=$({generate} --expiry {context.now() + _NEW_SIGNATURE:%Y-%m-%d})",
        *context.fixes.set(CONNECTION, Template(f"QueueEndpoint={url};SharedAccessSignature=$SAS")),
    ]


def _refused(code: str, text: str, account: Account, context: Context) -> tuple[str, list[str]]:
    """Return cause and fix of an error answer."""
    fixes, local = context.fixes, account.name == DEVELOPMENT
    match code:
        case "InvalidHeaderValue" if local:
            fix = fixes.start_azurite(urlsplit(account.service.url).port)
            return "stop Azurite, and start it with --skipApiVersionCheck", fix
        case "AuthenticationFailed" | "AuthorizationFailure" if _has_expired(text, context):
            return "the shared access signature has expired", _new_signature(account, context)
        case "AuthorizationFailure" | "PublicAccessNotPermitted" if not local:
            return "", firewall(account.name)
        case "AuthenticationFailed" if account.by_key and _is_skewed(context):
            return "a request is valid for 15 minutes, and this clock is wrong", [*TIME_SYNC]
        case "AuthenticationFailed" | "KeyBasedAuthenticationNotPermitted" if account.claims:
            show = ["az account show --query tenantId --output tsv"]
            return f"is the account in the tenant of the token, {account.claims.tenant}?", show
        case "KeyBasedAuthenticationNotPermitted":
            fix = fixes.unset(CONNECTION) + fixes.set(f"{CONNECTION}__accountName", account.name)
            if fixes.home is Home.APP:
                fix += fixes.set(f"{CONNECTION}__credential", "managedidentity")
            return "its keys are disabled; use an identity", fix
        case "AuthenticationFailed" | "AuthorizationFailure" if account.by_key:
            return "it is not, or no longer, a key of the account", _new_key(account, context)
        case "AuthenticationFailed" | "AuthorizationFailure":
            return "the shared access signature is not valid", _new_signature(account, context)
        case _:
            return "", [f"az storage account show --name {quoted(account.name)}"]


def _is_skewed(context: Context) -> bool:
    return any(abs(ahead) > _MAX_SKEW for _, ahead in context.clocks)


def _has_expired(text: str, context: Context) -> bool:
    """Return whether the signature has expired, by its own words or those of storage."""
    string = context.settings.storage.connection_string if context.settings else None
    if not string or "sig=" not in string:
        return False
    expiry = _EXPIRY.search(string)
    try:
        end = datetime.fromisoformat(unquote(expiry[1])) if expiry else None
    except ValueError:
        end = None
    if end is None:
        return "time frame" in text
    return end.replace(tzinfo=end.tzinfo or UTC) < context.now()


def _new_key(account: Account, context: Context) -> list[str]:
    if account.name == DEVELOPMENT:
        set_it = context.fixes.set(CONNECTION, "UseDevelopmentStorage=true")
        return ["# The account and key of Azurite, with its queues at port 10001:", *set_it]
    show = f"az storage account show-connection-string --name {quoted(account.name)}"
    return context.fixes.set(CONNECTION, Template(f"$({show} --query connectionString -o tsv)"))
