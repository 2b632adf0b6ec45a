"""The storage account of the queues: whether it answers, and what may be done there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

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
from tools.doctor.context import Account, Context, proxy_note, require
from tools.doctor.findings import Finding, failed, ok, skipped
from tools.doctor.fixes import Template, quoted
from tools.doctor.identity import has_managed_identity, no_managed_identity
from tools.doctor.settings import CONNECTION
from tools.doctor.storage_errors import ROLE_MISSING, code_of, describe, explain, new_signature

__all__ = [
    "APP_ROLE",
    "RETRY",
    "account_id",
    "account_name",
    "check_roles",
    "check_storage",
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
        if code_of(exc) != ROLE_MISSING:
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
            else new_signature(account, context)
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
            return code_of(exc) == ROLE_MISSING
    return False
