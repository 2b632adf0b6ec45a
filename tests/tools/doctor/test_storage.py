"""Storage: what it answers, by a server that answers as storage does, and the roles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError

from local.azurite import ACCOUNT, ACCOUNT_KEY
from shared.clients.credentials import ScopedCredential
from tests.scripted import Said, serving
from tools.doctor import storage
from tools.doctor.context import Account, Context
from tools.doctor.findings import Finding
from tools.doctor.fixes import Fixes, Home
from tools.doctor.storage import check_storage, explain

from .contexts import FakeQueues, account_of, fix_of, grant, ready

ORDERS = '"$(az storage account show --name orders --query id -o tsv)"'
READS, WRITES = {"get_queue_properties", "peek_messages"}, {"delete_message", "update_message"}


def refusal(code: str, status: int = 403, detail: str = "") -> Said:
    """As storage words it."""
    more = f"<AuthenticationErrorDetail>{detail}</AuthenticationErrorDetail>" if detail else ""
    xml = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>No.</Message>{more}</Error>'
    return Said(status, xml.encode(), {"x-ms-error-code": code, "Content-Type": "application/xml"})


def local(url: str) -> str:
    """A connection string with a key of Azurite."""
    return f"AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};QueueEndpoint={url}/{ACCOUNT};"


def keyed(url: str) -> str:
    """A connection string with a key of an account in Azure."""
    return f"AccountName=orders;AccountKey={ACCOUNT_KEY};QueueEndpoint={url}/orders;"


def signed(url: str) -> str:
    """A connection string with a signature."""
    return f"QueueEndpoint={url}/orders;SharedAccessSignature=sv=2021-08-06&sig=c2lnbmVk"


def answered(answer: Said, connection: Callable[[str], str]) -> tuple[Context, list[Finding]]:
    """What is found if storage answers so, and the context."""
    with serving(lambda _: answer) as server:
        context = ready({"MetricsStorage": connection(server.url)})
        found = check_storage(context)
        assert server.asked[0].path.endswith("/metrics")
    return context, found


def test_an_account_that_answers_is_found_even_without_the_queue() -> None:
    context, (finding,) = answered(refusal("QueueNotFound", 404), local)
    assert finding.status == "ok"
    assert finding.message.endswith("(MetricsStorage) answers, and accepts its key")
    assert context.storage_account.by_key


def test_a_role_that_is_missing_is_named_by_what_it_allows() -> None:
    context, (answers, roles) = answered(refusal("AuthorizationPermissionMismatch"), signed)
    assert answers.message.endswith("answers, and accepts a signature")
    assert roles.message.startswith("The signature may not read queue properties, nor peek")
    assert not context.has("storage_account")


@pytest.mark.parametrize(
    ("answer", "connection", "message", "fix"),
    [
        (
            refusal("AuthenticationFailed", detail="Signature did not match"),
            local,
            "The key or signature is not, or no longer, valid: No.",
            "export MetricsStorage=UseDevelopmentStorage=true",
        ),
        (
            refusal("AuthenticationFailed"),
            keyed,
            "is not, or no longer, valid",
            'export MetricsStorage="$(az storage account show-connection-string --name orders ',
        ),
        (
            refusal("AuthenticationFailed", detail="not valid in the specified time frame"),
            signed,
            "not valid in the specified time frame",
            "export MetricsStorage__accountName=orders",
        ),
        (
            refusal("InvalidHeaderValue", 400),
            local,
            "Azurite needs --skipApiVersionCheck: No.",
            "npx azurite --skipApiVersionCheck --queuePort ",
        ),
        (
            refusal("AuthorizationFailure"),
            keyed,
            "ErrorCode:AuthorizationFailure",
            "az storage account network-rule add --account-name orders ",
        ),
        (
            refusal("KeyBasedAuthenticationNotPermitted"),
            keyed,
            "The keys of orders are disabled",
            "export MetricsStorage__accountName=orders",
        ),
    ],
)
def test_an_error_is_explained_and_has_a_fix(
    answer: Said, connection: Callable[[str], str], message: str, fix: str
) -> None:
    context, (finding,) = answered(answer, connection)
    assert finding.status == "failed"
    assert message in finding.message
    assert [line for line in finding.fix if line.startswith(fix)], finding.fix
    assert not context.has("storage_account")


def test_a_refused_connection_is_found_at_once() -> None:
    context = ready({"MetricsStorage": local("http://127.0.0.1:1")})
    fix = fix_of(check_storage, context, "Nothing listens at 127.0.0.1:1")
    assert fix[-1] == "npx azurite --skipApiVersionCheck --queuePort 1"


@pytest.mark.parametrize(
    ("error", "message", "fix"),
    [
        ("Failed to resolve 'orders'", "No account has the name", "--query primaryEndpoints.queue"),
        ("Incorrect padding", "not, or no longer, valid", "show-connection-string"),
        ("SSLError: certificate verify failed", "certificate verify", "docs/proxies.md"),
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


def roles_of(account: Account, **facts: Any) -> tuple[Context, list[Finding]]:
    """What the check of the roles finds, and the context."""
    context = ready(**facts)
    return context, storage._check_roles(account, context)


@pytest.mark.parametrize(
    ("refused", "text"),
    [
        (READS | WRITES, "may not read queue properties, nor peek at messages, nor delete"),
        (WRITES, "may not delete messages, nor update messages, nor write dead letters: the app"),
        ({"peek_messages"}, "may not peek at messages: the app needs"),
        (set[str](), ""),
    ],
)
def test_missing_roles_are_named_by_what_they_allow(refused: set[str], text: str) -> None:
    queues = FakeQueues({"metrics": []}, refused=refused)
    context, found = roles_of(account_of(queues, "orders", key=False))
    assert context.has("storage_account") == (not refused & READS)
    fixes = [finding.fix[0] for finding in found if text in finding.message]
    assert fixes == [grant("Storage Queue Data Contributor", ORDERS)] * bool(refused)


def test_a_signature_that_allows_too_little_is_replaced_by_an_identity() -> None:
    account = account_of(FakeQueues({}, refused=WRITES), "orders", key=False)
    fixes = Fixes(home=Home.APP, app="relay", group="g")
    _, (finding,) = roles_of(replace(account, principal=None), fixes=fixes)
    assert "The signature may not delete" in finding.message
    az, options = "az functionapp config appsettings", "--name relay --resource-group g"
    assert finding.fix[1:] == (
        f"{az} delete {options} --setting-names MetricsStorage",
        f"{az} set {options} --settings MetricsStorage__accountName=orders",
        f"{az} set {options} --settings MetricsStorage__credential=managedidentity",
    )
