"""Which account a connection leads to, and what is said when it leads nowhere."""

from __future__ import annotations

import pytest
from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

from local.functions.connections import queue_service
from local.functions.errors import DisabledError
from tests.connections import ONE, SITUATIONS, STRING_ONE, Situation

WHERE = "function work"


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS)
def test_the_account(situation: Situation) -> None:
    if situation.host is None:
        with pytest.raises(DisabledError, match=f"^{WHERE}: connection "):
            queue_service("C", situation.settings, WHERE)
        return
    with queue_service("C", situation.settings, WHERE) as service:
        assert service.url.partition("?")[0] == situation.host


def test_no_name_means_storage() -> None:
    with queue_service("", {"AzureWebJobsStorage": STRING_ONE}, WHERE) as service:
        assert service.url == ONE


@pytest.mark.parametrize(
    ("environ", "kind"),
    [
        ({"C__credential": "managedidentity"}, ManagedIdentityCredential),
        ({"C__credential": "managedidentity", "C__clientId": "id"}, ManagedIdentityCredential),
        (
            {"C__credential": "managedidentity", "C__managedIdentityResourceId": "/subscriptions"},
            ManagedIdentityCredential,
        ),
        ({"C__credential": "nonsense"}, DefaultAzureCredential),
        ({}, DefaultAzureCredential),
    ],
)
def test_the_credential(environ: dict[str, str], kind: type) -> None:
    with queue_service("C", {"C__accountName": "one", **environ}, WHERE) as service:
        assert isinstance(service.credential, kind)


MISSING = "connection C: app setting C, C__queueServiceUri or C__accountName is missing"


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, MISSING),
        ({"AzureWebJobsC": ""}, "connection AzureWebJobsC: the connection string is empty"),
        ({"C": "nonsense"}, "connection C: Connection string is either blank or malformed."),
        (
            {"C__queueServiceUri": "http://one.queue.core.windows.net"},
            "connection C: Token credential is only supported with HTTPS.",
        ),
    ],
)
def test_errors(environ: dict[str, str], said: str) -> None:
    with pytest.raises(DisabledError) as caught:
        queue_service("C", environ, WHERE)
    assert str(caught.value) == f"{WHERE}: {said}"
