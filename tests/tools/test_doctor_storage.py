"""`doctor` on storage signed in to with an identity, and on what storage refuses.

Azurite over TLS checks tokens but has no roles: a server before it refuses in its place.
"""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from azure.storage.queue import QueueServiceClient

from local.azurite import Azurite
from local.stack import Backend
from tests.scripted import Asked, Said, Server

from .doctoring import REGION, Chain, visit

Refuse = Callable[[Asked], Said | None]
MISMATCH = "AuthorizationPermissionMismatch"
OF_STORAGE = ["storage roles", "ingress queue", "poison queue", "dead letters"]
OBJECT_ID = "0b1ec71d-0000-4000-8000-000000000001"


def refusal(code: str) -> Said:
    """As storage words it."""
    words = "This request is not authorized to perform this operation"
    words += " using this permission." if code == MISMATCH else "."
    xml = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{words}</Message></Error>'
    return Said(403, xml.encode(), {"x-ms-error-code": code, "Content-Type": "application/xml"})


@pytest.fixture(scope="module")
def tls() -> Iterator[Azurite]:
    with Azurite(oauth=True) as azurite:
        yield azurite


@contextmanager
def before(azurite: Azurite, refuse: Refuse) -> Iterator[str]:
    """The address of a server that refuses, or asks Azurite."""
    assert azurite.certificate is not None
    trusting = ssl.create_default_context(cafile=str(azurite.certificate))

    def answer(asked: Asked) -> Said:
        refused = refuse(asked)
        if refused is not None:
            return refused
        target = urlsplit(azurite.queue_endpoint)
        connection = http.client.HTTPSConnection(
            target.hostname or "", target.port, timeout=30, context=trusting
        )
        with closing(connection):
            connection.request(asked.method, asked.target, headers=dict(asked.headers))
            response = connection.getresponse()
            body = response.read()
        dropped = {"transfer-encoding", "content-length", "connection", "keep-alive", "date"}
        headers = {k: v for k, v in response.getheaders() if k.lower() not in dropped}
        return Said(response.status, body, headers)

    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(azurite.certificate, azurite.certificate.with_name("key.pem"))
    with Server(answer) as server:
        server.socket = serving.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_port}/devstoreaccount1"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def chain(
    backend: Backend,
    queue: str,
    site: str,
    tls: Azurite,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Chain]:
    """A chain whose queues are those of Azurite over TLS, signed in to with the identity."""
    monkeypatch.chdir(tmp_path)
    chain = Chain.whole(backend, queue, site)
    with QueueServiceClient.from_connection_string(
        tls.connection_string, connection_verify=str(tls.certificate)
    ) as service:
        service.create_queue(queue)
    chain.env |= {
        "MetricsStorage": None,
        "MetricsStorage__queueServiceUri": tls.queue_endpoint,
        "MetricsStorage__credential": "managedidentity",
        "METRICS_SOURCES": None,
        "REQUESTS_CA_BUNDLE": str(tls.certificate),
    }
    yield chain
    backend.control("DELETE", "state")


def test_an_identity_is_told_and_its_roles_are_tried(chain: Chain) -> None:
    seen = chain.visit()
    assert (seen.code, seen.of("failed"), seen.of("warning")) == (0, [], [])
    assert f"as object ID {OBJECT_ID}" in seen.at("storage")["found"]
    assert seen.at("storage roles")["found"] == (
        "may do what Storage Queue Data Contributor allows; a producer needs no more than "
        f"Storage Queue Data Message Sender on the queue {chain.queue}"
    )


LACKING: dict[str, tuple[Refuse, str, list[str]]] = {
    "all": (
        lambda _: refusal(MISMATCH),
        (
            "may not look into queues, nor peek at messages, nor delete what it has drained, "
            "nor put back what has to wait, nor write dead letters"
        ),
        OF_STORAGE[1:],
    ),
    # Storage Queue Data Message Processor, with Reader: the documented pair.
    "of a processor": (
        lambda asked: refusal(MISMATCH) if asked.method == "PUT" else None,
        "may not put back what has to wait, nor write dead letters",
        [],
    ),
    "of a reader": (
        lambda asked: refusal(MISMATCH) if asked.method != "GET" else None,
        "may not delete what it has drained, nor put back what has to wait, nor write dead",
        [],
    ),
    "of a producer": (
        lambda asked: refusal(MISMATCH) if asked.method in ("GET", "DELETE") else None,
        "may not look into queues, nor peek at messages, nor delete what it has drained: the app",
        OF_STORAGE[1:],
    ),
}


@pytest.mark.parametrize("lacking", LACKING.values(), ids=LACKING)
def test_a_role_that_is_missing_is_told_by_what_may_not_be_done(
    chain: Chain, tls: Azurite, lacking: tuple[Refuse, str, list[str]]
) -> None:
    refuse, text, skipped = lacking
    with before(tls, refuse) as url:
        chain.env["MetricsStorage__queueServiceUri"] = url
        seen = chain.visit()
    assert seen.of("failed") == ["storage roles"]
    assert [link for link in seen.of("skipped") if link in OF_STORAGE] == skipped
    told = seen.at("storage roles")
    assert text in told["found"]
    assert told["remedy"].splitlines()[0] == (
        "az role assignment create --role 'Storage Queue Data Contributor' "
        f"--assignee-object-id {OBJECT_ID} --assignee-principal-type ServicePrincipal "
        '--scope "$(az storage account show --name devstoreaccount1 --query id --output tsv)"'
    )
    grant = chain.apply(told["remedy"])[-1]
    assert grant[-1] == "ID-OF-devstoreaccount1"


REFUSALS = {
    "AuthorizationFailure": "az storage account network-rule add --account-name devstoreaccount1",
    "PublicAccessNotPermitted": "az storage account network-rule add --account-name devstore",
    "AuthenticationFailed": "az account show --query tenantId",
    "AccountIsDisabled": "az storage account show --name devstoreaccount1",
}


@pytest.mark.parametrize(("code", "remedy"), REFUSALS.items(), ids=REFUSALS)
def test_a_refusal_is_told_by_its_cause(chain: Chain, tls: Azurite, code: str, remedy: str) -> None:
    with before(tls, lambda _: refusal(code)) as url:
        chain.env["MetricsStorage__queueServiceUri"] = url
        seen = chain.visit()
    assert seen.of("failed") == ["storage"]
    assert [link for link in seen.of("skipped") if link in OF_STORAGE] == OF_STORAGE
    assert f"403 {code}" in seen.at("storage")["found"]
    assert remedy in seen.at("storage")["remedy"]
    chain.apply(seen.at("storage")["remedy"])


def test_storage_that_breaks_off_is_told_where_it_does(chain: Chain, tls: Azurite) -> None:
    def refuse(asked: Asked) -> Said | None:
        return refusal("AccountIsDisabled") if "-poison" in asked.target else None

    with before(tls, refuse) as url:
        chain.env["MetricsStorage__queueServiceUri"] = url
        seen = chain.visit()
    assert seen.of("failed") == ["poison queue"]
    assert "403 AccountIsDisabled" in seen.at("poison queue")["found"]


def test_a_certificate_that_nobody_trusts_is_told(chain: Chain) -> None:
    chain.env["REQUESTS_CA_BUNDLE"] = None
    seen = chain.visit()
    assert seen.of("failed") == ["storage"]
    assert 'export REQUESTS_CA_BUNDLE="$CA_FILE"' in seen.at("storage")["remedy"]


def test_on_a_laptop_there_is_no_managed_identity(chain: Chain) -> None:
    chain.env |= {"IDENTITY_ENDPOINT": None, "IDENTITY_HEADER": None}
    seen = chain.visit()
    assert seen.of("failed") == ["identity", "storage"]
    for link in seen.of("failed"):
        assert "a managed identity exists only inside Azure" in seen.at(link)["found"]
        assert " --credential azure_cli" in seen.at(link)["remedy"]


def test_an_identity_that_gives_no_token_for_storage_is_told(chain: Chain) -> None:
    refused = {"statusCode": 400, "message": "Unable to load the proper Managed Identity."}
    fault = {"target": "identity", "status": 400, "body": refused}
    chain.backend.control("POST", "faults", json=fault)
    seen = chain.visit()
    assert seen.of("failed") == ["identity", "storage"]
    assert 'export MetricsStorage__clientId="$CLIENT_ID"' in seen.at("storage")["remedy"]


OF_SOURCES = {
    MISMATCH: "az role assignment create --role 'Storage Queue Data Reader' "
    f"--assignee-object-id {OBJECT_ID} --assignee-principal-type ServicePrincipal "
    '--scope "$(az storage account show --name devstoreaccount1 --query id --output tsv)"',
    "AuthorizationFailure": "az storage account network-rule add --account-name devstoreaccount1 "
    '--ip-address "$(curl -s https://api.ipify.org)"',
}


@pytest.mark.parametrize(("code", "remedy"), OF_SOURCES.items(), ids=OF_SOURCES)
def test_a_source_whose_account_refuses_is_told(
    chain: Chain, tls: Azurite, code: str, remedy: str
) -> None:
    def refuse(asked: Asked) -> Said | None:
        return refusal(code) if "peekonly" in asked.target else None

    with before(tls, refuse) as url:
        source = {
            "kind": "storage_queue",
            "resourceId": chain.site,
            "region": REGION,
            "account": url,
            "queues": [chain.queue],
        }
        chain.env["METRICS_SOURCES"] = json.dumps([source])
        seen = chain.visit()
    assert seen.of("failed") == ["sources"]
    assert remedy in seen.at("sources")["remedy"].splitlines()
    chain.apply(seen.at("sources")["remedy"])


def test_a_signature_that_is_none_is_told_without_showing_it(chain: Chain) -> None:
    env = {
        **chain.env,
        "MetricsStorage": f"QueueEndpoint={chain.backend.azurite.queue_endpoint};"
        "SharedAccessSignature=sv=2021-08-06&ss=q&srt=sco&sp=raup&se=2099-01-01&sig=bm90IG9uZQ%3D",
        "MetricsStorage__queueServiceUri": None,
    }
    seen = visit(env)
    assert seen.of("failed") == ["storage"]
    assert "403" in seen.at("storage")["found"]
