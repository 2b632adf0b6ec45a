"""Storage: what it answers, by a server that answers as storage does, and the roles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError

from local.azurite import ACCOUNT, ACCOUNT_KEY
from shared.clients.credentials import ScopedCredential
from tests.scripted import Asked, Said, serving
from tools.doctor import storage
from tools.doctor.context import Context
from tools.doctor.findings import Finding
from tools.doctor.fixes import Fixes, Home
from tools.doctor.storage import check_storage, explain

from .contexts import (
    FakeQueues,
    account_of,
    fix_of,
    ready,
)


def refusal(code: str, status: int = 403, detail: str = "") -> Said:
    """As storage words it."""
    more = f"<AuthenticationErrorDetail>{detail}</AuthenticationErrorDetail>" if detail else ""
    xml = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>No.</Message>{more}</Error>'
    return Said(status, xml.encode(), {"x-ms-error-code": code, "Content-Type": "application/xml"})


def at(url: str, key: str = ACCOUNT_KEY, account: str = ACCOUNT) -> dict[str, str]:
    """A connection string with a key."""
    text = f"AccountName={account};AccountKey={key};QueueEndpoint={url}/{account};"
    return {"MetricsStorage": text}


def signed(url: str, expiry: str, account: str = "orders") -> dict[str, str]:
    """A connection string with a signature."""
    signature = f"sv=2021-08-06&se={expiry}&sig=c2lnbmVk"
    return {"MetricsStorage": f"QueueEndpoint={url}/{account};SharedAccessSignature={signature}"}


def answered(answer: Said, changes: Callable[[str], dict[str, str]]) -> tuple[Context, Finding]:
    with serving(lambda _: answer) as server:
        context = ready(changes(server.url))
        return context, check_storage(context)[0]


def test_an_account_that_answers_is_found_even_without_the_queue() -> None:
    context, finding = answered(refusal("QueueNotFound", 404), at)
    assert finding.status == "ok"
    assert finding.message.endswith(
        "/devstoreaccount1 (MetricsStorage) answers, and accepts its key"
    )
    assert context.storage_account.by_key


def test_a_role_that_is_missing_is_named_by_what_it_allows() -> None:
    with serving(lambda _: refusal("AuthorizationPermissionMismatch")) as server:
        context = ready(signed(server.url, "2099-01-01"))
        answers, roles = check_storage(context)
    assert answers.message.endswith("answers, and accepts a signature")
    assert roles.message.startswith("The signature may not read queue properties, nor peek")
    assert not context.has("storage_account")


@pytest.mark.parametrize(
    ("answer", "changes", "message", "fix"),
    [
        (
            refusal("AuthenticationFailed", detail="Signature did not match"),
            at,
            "The key or signature is not, or no longer, valid: No.",
            "export MetricsStorage=UseDevelopmentStorage=true",
        ),
        (
            refusal("AuthenticationFailed"),
            lambda url: at(url, account="orders"),
            "is not, or no longer, valid",
            (
                'export MetricsStorage="$(az storage account show-connection-string --name orders '
                '--query connectionString -o tsv)"'
            ),
        ),
        (
            refusal(
                "AuthenticationFailed", detail="Signature not valid in the specified time frame"
            ),
            lambda url: signed(url, "2026-11-29T00%3A00%3A00Z"),
            "Signature not valid in the specified time frame",
            "export MetricsStorage__accountName=orders",
        ),
        (
            refusal("InvalidHeaderValue", 400),
            at,
            "Azurite needs --skipApiVersionCheck: No.",
            "npx azurite --skipApiVersionCheck --queuePort ",
        ),
        (
            refusal("AuthorizationFailure"),
            lambda url: at(url, account="orders"),
            "ErrorCode:AuthorizationFailure",
            (
                "az storage account network-rule add --account-name orders "
                '--ip-address "$(curl -s https://api.ipify.org)"'
            ),
        ),
        (
            refusal("KeyBasedAuthenticationNotPermitted"),
            lambda url: at(url, account="orders"),
            "The keys of orders are disabled",
            "export MetricsStorage__accountName=orders",
        ),
        (
            refusal("AccountIsDisabled"),
            lambda url: at(url, account="orders"),
            "ErrorCode:AccountIsDisabled",
            "az storage account show --name orders",
        ),
    ],
)
def test_an_error_is_explained_and_has_a_fix(
    answer: Said, changes: Callable[[str], dict[str, str]], message: str, fix: str
) -> None:
    context, finding = answered(answer, changes)
    assert finding.status == "failed"
    assert message in finding.message
    assert [line for line in finding.fix if line.startswith(fix)], finding.fix
    assert not context.has("storage_account")


def test_a_refused_connection_is_found_at_once() -> None:
    context = ready(at("http://127.0.0.1:1"))
    fix = fix_of(check_storage, context, "Nothing listens at 127.0.0.1:1")
    assert fix[-1] == "npx azurite --skipApiVersionCheck --queuePort 1"


@pytest.mark.parametrize(
    ("error", "message", "fix"),
    [
        ("Failed to resolve 'orders'", "No account has the name", "--query primaryEndpoints.queue"),
        ("SSLError: certificate verify failed", "certificate verify", "docs/proxies.md"),
        ("Incorrect padding", "not, or no longer, valid", "show-connection-string"),
        ("timed out", "timed out", "az storage account network-rule add"),
    ],
)
def test_no_answer_is_explained(error: str, message: str, fix: str) -> None:
    account = account_of(FakeQueues({}, url="https://orders.queue.core.windows.net/"), "orders")
    finding = explain(ConnectionError(error), account, ready())
    assert message in finding.message
    assert fix in "\n".join(finding.fix)


def test_a_managed_identity_exists_only_in_azure(monkeypatch: pytest.MonkeyPatch) -> None:
    def get_token(*_: Any) -> None:
        raise ClientAuthenticationError("authentication unavailable, no response")

    monkeypatch.setattr(ScopedCredential, "get_token", get_token)
    changes = {
        "MetricsStorage": None,
        "MetricsStorage__accountName": "orders",
        "MetricsStorage__credential": "managedidentity",
    }
    fix = fix_of(check_storage, ready(changes), "MetricsStorage gets no token")
    assert "metric-relay doctor --credential azure_cli" in fix


# --- Roles ----------------------------------------------------------------------------------------

READS = {"get_queue_properties", "peek_messages"}
WRITES = {"delete_message", "update_message"}


def roles_of(queues: FakeQueues, *, signature: bool = False, **facts: Any) -> Any:
    """The context, and what the check of the roles finds."""
    context = ready(**facts)
    account = account_of(queues, "orders", key=False)
    if signature:
        account = replace(account, principal=None)
    return context, storage._check_roles(account, context)


@pytest.mark.parametrize(
    ("refused", "text", "readable"),
    [
        (set[str](), "", True),
        (READS | WRITES, "may not read queue properties, nor peek at messages, nor delete", False),
        (
            WRITES,
            "may not delete messages, nor update messages, nor write dead letters: the a",
            True,
        ),
        ({"peek_messages"}, "may not peek at messages: the app needs", False),
    ],
)
def test_missing_roles_are_named_by_what_they_allow(
    refused: set[str], text: str, readable: bool
) -> None:
    context, found = roles_of(FakeQueues({"metrics": []}, refused=refused))
    assert context.has("storage_account") == readable
    assert [finding.fix[0] for finding in found if text in finding.message] == [
        (
            f"az role assignment create --role '{storage._APP_ROLE}' "
            '--scope "$(az storage account show --name orders --query id -o tsv)" '
            "--assignee-object-id object-1 --assignee-principal-type ServicePrincipal"
        )
    ] * bool(refused)


def test_a_signature_that_allows_too_little_is_replaced_by_an_identity() -> None:
    fixes = Fixes(home=Home.APP, app="relay", group="g")
    _, (finding,) = roles_of(FakeQueues({}, refused=WRITES), signature=True, fixes=fixes)
    assert "The signature may not delete" in finding.message
    az = "az functionapp config appsettings"
    options = "--name relay --resource-group g"
    assert finding.fix[1:] == (
        f"{az} delete {options} --setting-names MetricsStorage",
        f"{az} set {options} --settings MetricsStorage__accountName=orders",
        f"{az} set {options} --settings MetricsStorage__credential=managedidentity",
    )


def test_the_server_is_asked_about_the_queue() -> None:
    seen: list[Asked] = []

    def answer(asked: Asked) -> Said:
        seen.append(asked)
        return refusal("QueueNotFound", 404)

    with serving(answer) as server:
        list(check_storage(ready(at(server.url))))
    assert seen[0].path == f"/{ACCOUNT}/metrics"
