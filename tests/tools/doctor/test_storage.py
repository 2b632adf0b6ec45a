"""Storage: what it answers, by a server that answers as storage does, and the roles."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from local.azurite import ACCOUNT, ACCOUNT_KEY
from tests.scripted import Asked, Said, serving
from tools.doctor.context import Context
from tools.doctor.findings import Finding
from tools.doctor.fixes import Fixes, Home
from tools.doctor.storage import APP_ROLE, check_roles, check_storage, explain

from .contexts import (
    FakeQueues,
    account_of,
    fix_of,
    one,
    ready,
    results,
    skip_of,
    storage_error,
)

MISMATCH = "AuthorizationPermissionMismatch"


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
        context.now = lambda: datetime.now(UTC)  # As the server, which sends its time.
        return context, one(check_storage, context)


def test_an_account_that_answers_is_found_even_without_the_queue() -> None:
    context, finding = answered(refusal("QueueNotFound", 404), at)
    assert finding.status == "ok"
    assert finding.message.endswith("/devstoreaccount1 answers, with its key")
    assert context.account is not None
    assert context.account.by_key
    assert context.clocks[0][0] == "storage"


def test_a_role_that_is_missing_is_left_to_the_next_check() -> None:
    context, finding = answered(refusal(MISMATCH), lambda url: signed(url, "2099-01-01"))
    assert finding.message.endswith("answers, with a signature")
    assert context.account is not None


@pytest.mark.parametrize(
    ("answer", "changes", "message", "fix"),
    [
        (
            refusal("AuthenticationFailed", detail="Signature did not match"),
            at,
            "403 AuthenticationFailed No. (Signature did not match): it is not, or no longer,",
            "export MetricsStorage=UseDevelopmentStorage=true",
        ),
        (
            refusal("AuthenticationFailed"),
            lambda url: at(url, account="orders"),
            "a key of the account",
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
            "time frame): the shared access signature has expired",
            (
                "SAS=$(az storage account generate-sas --account-name orders --https-only "
                "--services q --resource-types sco --permissions rwdlacup --output tsv --expiry 20"
            ),
        ),
        (
            refusal("AuthenticationFailed", detail="Signature fields not well formed"),
            lambda url: signed(url, "2099-01-01"),
            "not well formed): the shared access signature is not valid",
            "# Better an identity, see docs/settings.md; or a new signature:",
        ),
        (
            refusal("InvalidHeaderValue", 400),
            at,
            "400 InvalidHeaderValue No: stop Azurite, and start it with --skipApiVersionCheck",
            "npx azurite --skipApiVersionCheck --queuePort ",
        ),
        (
            refusal("AuthorizationFailure"),
            lambda url: at(url, account="orders"),
            "403 AuthorizationFailure",
            (
                "az storage account network-rule add --account-name orders "
                '--ip-address "$(curl -s https://api.ipify.org)"'
            ),
        ),
        (
            refusal("KeyBasedAuthenticationNotPermitted"),
            lambda url: at(url, account="orders"),
            "its keys are disabled",
            "export MetricsStorage__accountName=orders",
        ),
        (
            refusal("AccountIsDisabled"),
            lambda url: at(url, account="orders"),
            "403 AccountIsDisabled",
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
    assert context.account is None


def test_a_refused_connection_is_found_at_once() -> None:
    context = ready(at("http://127.0.0.1:1"))
    fix = fix_of(check_storage, context, "nothing listens at 127.0.0.1:1")
    assert fix[-1] == "npx azurite --skipApiVersionCheck --queuePort 1"
    context.fixes = Fixes(home=Home.RUN)
    assert fix_of(check_storage, context, "nothing listens")[-1] == "make run"


@pytest.mark.parametrize(
    ("error", "message", "fix"),
    [
        ("Failed to resolve 'orders'", "cannot be reached", "--query primaryEndpoints.queue"),
        ("SSLError: certificate verify failed", "cannot be reached", "export REQUESTS_CA_BUNDLE"),
        ("Incorrect padding", "the account key is incomplete", "show-connection-string"),
        ("timed out", "cannot be reached", "az storage account network-rule add"),
    ],
)
def test_no_answer_is_explained(error: str, message: str, fix: str) -> None:
    account = account_of(FakeQueues({}, url="https://orders.queue.core.windows.net/"), "orders")
    finding = explain(ConnectionError(error), account, ready())
    assert message in finding.message
    assert fix in "\n".join(finding.fix)


def test_a_token_that_is_refused_is_of_another_tenant() -> None:
    account = account_of(FakeQueues({}), "orders", key=False)
    finding = explain(storage_error("AuthenticationFailed"), account, ready())
    assert finding.fix == ("az account show --query tenantId --output tsv",)


def test_a_key_is_refused_for_a_wrong_clock_too() -> None:
    context = ready(clocks=[("storage", 1e4)])
    finding = explain(storage_error("AuthenticationFailed"), account_of(FakeQueues({})), context)
    assert finding.fix[-1] == "sudo timedatectl set-ntp true"


def test_a_managed_identity_exists_only_in_azure() -> None:
    changes = {
        "MetricsStorage": None,
        "MetricsStorage__accountName": "orders",
        "MetricsStorage__credential": "managedidentity",
    }
    fix = fix_of(check_storage, ready(changes), "a managed identity exists only inside Azure")
    assert "metric-relay doctor --credential azure_cli" in fix


# --- Roles ----------------------------------------------------------------------------------------

READS = {"get_queue_properties", "peek_messages"}
WRITES = {"delete_message", "update_message"}


def test_a_key_needs_no_roles() -> None:
    context = ready(account=account_of(FakeQueues({})))
    assert skip_of(check_roles, context) == "not checked: a key needs no roles"
    assert context.queues_readable


@pytest.mark.parametrize(
    ("refused", "text", "readable"),
    [
        (set[str](), "", True),
        (READS | WRITES, "may not read queue properties, nor peek at messages, nor delete", False),
        (WRITES, "may not delete messages, nor put back what is deferred, nor write dead l", True),
        ({"peek_messages"}, "may not peek at messages: the app needs", False),
    ],
)
def test_missing_roles_are_named_by_what_they_allow(
    refused: set[str], text: str, readable: bool
) -> None:
    queues = FakeQueues({"metrics": []}, refused=refused)
    context = ready(account=account_of(queues, "orders", key=False))
    if not refused:
        assert results(check_roles, context)[0][0] == "ok"
    else:
        assert fix_of(check_roles, context, text, "failed")[0] == (
            f"az role assignment create --role '{APP_ROLE}' "
            '--scope "$(az storage account show --name orders --query id -o tsv)" '
            "--assignee-object-id object-1 --assignee-principal-type ServicePrincipal"
        )
    assert context.queues_readable == readable


def test_a_signature_that_allows_too_little_is_made_again() -> None:
    url = "https://orders.queue.core.windows.net/"
    account: Any = account_of(FakeQueues({}, refused=WRITES, url=url), "orders", key=False)
    context = ready(account=type(account)(account.service, "orders", by_key=False))
    assert fix_of(check_roles, context, "the signature may not delete")[-1] == (
        f'export MetricsStorage="QueueEndpoint={url[:-1]};SharedAccessSignature=$SAS"'
    )


def test_the_server_is_asked_about_the_queue() -> None:
    seen: list[Asked] = []

    def answer(asked: Asked) -> Said:
        seen.append(asked)
        return refusal("QueueNotFound", 404)

    with serving(answer) as server:
        list(check_storage(ready(at(server.url))))
    assert [asked.path for asked in seen] == [f"/{ACCOUNT}/metrics"]


def test_the_shell_expands_nothing_of_a_connection_string() -> None:
    queues = FakeQueues({}, url="https://orders.queue.core.windows.net/$(touch x)")
    account = account_of(queues, "orders", key=False)
    error = storage_error("AuthenticationFailed")
    finding = explain(error, type(account)(account.service, "orders", by_key=False), ready())
    assert finding.fix[-1] == (
        'export MetricsStorage="QueueEndpoint=$QUEUE_ENDPOINT;SharedAccessSignature=$SAS"'
    )
