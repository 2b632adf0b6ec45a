"""The storage account of the queues: whether it is reached, and what may be done there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.queue import QueueClient, QueueServiceClient

from shared.clients.credentials import make_credential
from shared.clients.storage import Connection, StorageRetry, account_client, open_queue_service
from tools.doctor.claims import Claims, read_claims
from tools.doctor.commands import Open, quoted
from tools.doctor.findings import Finding, failed, ok, skipped
from tools.doctor.identity import NOT_HERE, has_identity_endpoint, on_a_laptop
from tools.doctor.patient import Account, Patient, needed
from tools.doctor.storage_errors import ROLE_MISSING, code_of, explained, first_line

__all__ = ["APP_ROLE", "PRODUCER_ROLE", "check", "check_roles", "name_of", "scope_of"]

APP_ROLE = "Storage Queue Data Contributor"
PRODUCER_ROLE = "Storage Queue Data Message Sender"
# Source: "Authorize access to queues using Microsoft Entra ID".
_SCOPE = "https://storage.azure.com/.default"
_PATIENCE = StorageRetry(retries=0, read_timeout=10)
# A message that is in no queue: who may not touch it is refused before it is looked for.
_NO_MESSAGE = "00000000-0000-4000-8000-000000000000"
_NO_RECEIPT = "AgAAAAMAAAAAAAAAAAAAAAAAAAA="


def check(patient: Patient) -> Iterator[Finding]:
    """Reach the account, and sign in to it."""
    settings = needed(patient.settings, "settings")
    connection = settings.storage
    managed = connection.managed_identity and not patient.options.credential
    if managed and not has_identity_endpoint(patient.environ):
        yield failed(NOT_HERE, *on_a_laptop(patient))
        return
    service = _open(connection, patient)
    try:
        claims = _sign_in(service)
    except (AzureError, ValueError) as exc:
        yield failed(f"no token for storage: {first_line(exc)}", *_identity_remedy(patient))
        return
    by_key = "accountkey=" in (connection.connection_string or "").lower()
    account = Account(service, name_of(service), by_key, claims)
    error: Exception | None = None
    try:
        service.get_queue_client(settings.queue).get_queue_properties(**_dated(patient))
    except ResourceNotFoundError:
        pass  # Of the queue, which is looked at by itself.
    # What the SDK makes of a key that is no base64, or of an answer of another server.
    except (AzureError, ValueError, SyntaxError, TypeError, LookupError) as exc:
        error = exc
    if error is not None and code_of(error) != ROLE_MISSING:
        yield explained(error, account, patient)
        return
    patient.account = account
    how = "with its key" if by_key else f"as {claims.bearer}" if claims else "with a signature"
    yield ok(f"{service.primary_hostname} answers, {how}")


def check_roles(patient: Patient) -> Iterator[Finding]:
    """Try what the app does, on a message that does not exist: nothing is changed by it."""
    account = needed(patient.account, "storage")
    settings = needed(patient.settings, "settings")
    if account.by_key:
        patient.queues_are_readable = True
        yield skipped("not looked at: whoever has the key needs no roles")
        return
    ingress = account.service.get_queue_client(settings.queue)
    letters = account.service.get_queue_client(settings.dead_letter_queue)
    tried: dict[str, Callable[[], Any]] = {
        "look into queues": ingress.get_queue_properties,
        "peek at messages": ingress.peek_messages,
        "delete what it has drained": lambda: ingress.delete_message(_NO_MESSAGE, _NO_RECEIPT),
        "put back what has to wait": lambda: _update(ingress),
        "write dead letters": lambda: _update(letters),
    }
    lacking = [what for what, request in tried.items() if _is_refused(request)]
    patient.queues_are_readable = not {"look into queues", "peek at messages"} & set(lacking)
    if lacking:
        bearer = account.claims.bearer if account.claims else "the signature"
        yield failed(
            f"{bearer} may not {', nor '.join(lacking)}: the app needs {APP_ROLE} on "
            f"{account.name}; a producer needs no more than {PRODUCER_ROLE}",
            *(
                patient.commands.grant(APP_ROLE, account.claims, scope_of(account.name))
                if account.claims
                else _new_signature(account, patient)
            ),
        )
    else:
        yield ok(
            f"may do what {APP_ROLE} allows; a producer needs no more than {PRODUCER_ROLE} on "
            f"the queue {settings.queue}"
        )


def _new_signature(account: Account, patient: Patient) -> list[str]:
    return [
        "# Better an identity, as docs/settings.md has it; or a signature that allows it:",
        (
            f"az storage account generate-sas --account-name {quoted(account.name)} --services q "
            "--resource-types sco --permissions rwdlacup --expiry 2099-01-01 --https-only"
        ),
        patient.commands.set("MetricsStorage", Open("$CONNECTION_STRING_WITH_IT")),
    ]


def scope_of(account: str) -> Open:
    """The resource ID of an account by its name, as a command that finds it."""
    return Open(f"$(az storage account show --name {quoted(account)} --query id --output tsv)")


def _open(connection: Connection, patient: Patient) -> QueueServiceClient:
    kind, uri = patient.options.credential, connection.queue_service_uri
    if kind is None or uri is None:
        return open_queue_service(connection, _PATIENCE)
    return account_client(uri, make_credential(kind, connection.client_id), _PATIENCE)


def _sign_in(service: QueueServiceClient) -> Claims | None:
    """The claims of the identity's token; None for a key or a signature."""
    if not hasattr(service.credential, "get_token"):
        return None
    return read_claims(service.credential.get_token(_SCOPE).token)


def _identity_remedy(patient: Patient) -> list[str]:
    return [
        "# The identity of the connection, by client ID; without any it is the app's own:",
        f"az functionapp identity show {patient.commands.of_app}",
        patient.commands.set("MetricsStorage__clientId", Open("$CLIENT_ID")),
    ]


def name_of(service: QueueServiceClient) -> str:
    """The name of an account."""
    return service.account_name or (service.primary_hostname or "").partition(".")[0]


def _dated(patient: Patient) -> dict[str, Any]:
    """Takes note of the time that the service has."""

    def note(response: Any) -> None:
        patient.note_date("storage", response.http_response.headers.get("Date"))

    return {"raw_response_hook": note}


def _update(queue: QueueClient) -> None:
    queue.update_message(_NO_MESSAGE, _NO_RECEIPT, visibility_timeout=0)


def _is_refused(request: Callable[[], Any]) -> bool:
    """Whether the role for it is missing; that the queue or the message is, is no matter here."""
    with contextlib.suppress(ResourceNotFoundError):
        try:
            result = request()
            if hasattr(result, "__iter__"):
                list(result)
        except HttpResponseError as exc:
            return code_of(exc) == ROLE_MISSING
    return False
