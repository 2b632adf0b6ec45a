"""Which account a connection leads to, and what is said when it leads nowhere."""

from __future__ import annotations

import pytest
from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

from local.azurite import ACCOUNT_KEY
from local.functions.connections import queue_service
from local.functions.errors import ConfigurationError

LOCAL = "UseDevelopmentStorage=true"
KEYED = (
    f"DefaultEndpointsProtocol=https;AccountName={{}};AccountKey={ACCOUNT_KEY};"
    "EndpointSuffix=core.windows.net"
)
KEYED_ONE, KEYED_TWO = KEYED.format("one"), KEYED.format("two")
ONE, TWO = (f"https://{account}.queue.core.windows.net/" for account in ("one", "two"))


@pytest.mark.parametrize(
    ("name", "environ", "url"),
    [
        ("C", {"C": LOCAL}, "http://127.0.0.1:10001/devstoreaccount1/"),
        ("C", {"C": KEYED_ONE}, ONE),
        ("C", {"AzureWebJobsC": KEYED_TWO}, TWO),
        (
            "C",
            {"C": KEYED_ONE, "AzureWebJobsC": KEYED_TWO},
            TWO,
        ),
        (
            "AzureWebJobsStorage",
            {"AzureWebJobsStorage": KEYED_ONE},
            ONE,
        ),
        (
            "",
            {"AzureWebJobsStorage": KEYED_ONE},
            ONE,
        ),
        (
            "C",
            {"C__queueServiceUri": "https://one.queue.core.windows.net"},
            ONE,
        ),
        ("C", {"C__accountName": "one"}, ONE),
        (
            "C",
            {"AzureWebJobsC__ACCOUNTNAME": "one", "C__accountName": "two"},
            ONE,
        ),
        (
            "C",
            {"C": KEYED_ONE, "C__accountName": "two"},
            ONE,
        ),
    ],
)
def test_the_account(name: str, environ: dict[str, str], url: str) -> None:
    with queue_service(name, environ, "function work") as service:
        assert service.url == url


@pytest.mark.parametrize(
    ("environ", "kind"),
    [
        ({"C__credential": "managedidentity"}, ManagedIdentityCredential),
        ({"C__credential": "managedidentity", "C__clientId": "id"}, ManagedIdentityCredential),
        ({}, DefaultAzureCredential),
    ],
)
def test_the_credential(environ: dict[str, str], kind: type) -> None:
    with queue_service("C", {"C__accountName": "one", **environ}, "function work") as service:
        assert isinstance(service.credential, kind)


MISSING = "connection C: app setting C, C__queueServiceUri or C__accountName is missing"


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, MISSING),
        ({"C": "", "D": LOCAL}, MISSING),
        ({"C": "nonsense"}, "connection C: Connection string is either blank or malformed."),
        (
            {"C__credential": "managedidentity"},
            "connection C: __queueServiceUri or __accountName is missing",
        ),
        (
            {"C__accountName": "one", "C__credential": "password"},
            "connection C: __credential: password: must be managedidentity or be left out",
        ),
        (
            {"C__queueServiceUri": "http://one.queue.core.windows.net"},
            "connection C: Token credential is only supported with HTTPS.",
        ),
    ],
)
def test_errors(environ: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        queue_service("C", environ, "function work")
    assert str(caught.value) == f"function work: {said}"
