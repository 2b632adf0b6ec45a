"""What goes through a proxy and what does not, and that a slow proxy cannot hold a client."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.core.exceptions import AzureError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shared.clients.connections import Connection
from shared.clients.credentials import make_credential, request_token
from shared.clients.sessions import open_session
from shared.clients.storage import StorageRetry, open_queue_service
from shared.errors import TokenError
from tests.unit.clients.proxy import Answer, dripping, hanging, proxy_to, refusing
from tests.unit.stubs import Response, StubServer, json_response, serve

NO_QUEUES = Response(
    200,
    b"<EnumerationResults><Queues/><NextMarker/></EnumerationResults>",
    {"Content-Type": "application/xml"},
)
KEYED = "AccountName=orders;AccountKey=c2VjcmV0;QueueEndpoint={}/orders"
NO_RETRY = StorageRetry(retries=0, read_timeout=0.2)
NAME = "relay.example"


def speak_tls(server: StubServer, folder: Path) -> Path:
    """Let a server speak TLS as NAME; return the path of its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return path


def test_https_goes_through_a_tunnel_and_trusts_the_bundle_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        serve(lambda _: json_response({"a": 1})) as server,
        proxy_to(server.server_port, monkeypatch) as proxy,
        open_session(1) as session,
    ):
        certificate, url = speak_tls(server, tmp_path), f"https://{NAME}/x"
        with pytest.raises(requests.exceptions.SSLError):
            session.get(url, timeout=30)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        assert session.get(url, timeout=30).json() == {"a": 1}
        monkeypatch.setenv("NO_PROXY", NAME)
        with pytest.raises(requests.ConnectionError):  # There is no such name.
            session.get(url, timeout=30)
    assert proxy.requests == [f"CONNECT {NAME}:443"] * 2
    assert server.targets == ["/x"]


def test_storage_in_a_container_is_reached_through_the_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection = Connection("S", connection_string=KEYED.format("http://azurite.example"))
    with (
        serve(lambda _: NO_QUEUES) as server,
        proxy_to(server.server_port, monkeypatch) as proxy,
        open_queue_service(connection) as client,
    ):
        assert list(client.list_queues()) == []
    assert proxy.requests == ["GET http://azurite.example/orders/?comp=list"]


def test_storage_on_this_machine_is_reached_past_the_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serve(lambda _: NO_QUEUES) as server, proxy_to(1, monkeypatch) as proxy:
        connection = Connection("S", connection_string=KEYED.format(server.url))
        with open_queue_service(connection) as client:
            assert list(client.list_queues()) == []
    assert proxy.requests == []


@pytest.mark.parametrize("managed", [True, False])
def test_the_identity_endpoint_is_reached_past_the_proxy(
    managed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = {"access_token": "t", "expires_on": "9999999999", "resource": "r", "token_type": "B"}
    with serve(lambda _: json_response(token)) as server, proxy_to(1, monkeypatch) as proxy:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{server.url}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", "secret")
        uri = "https://orders.queue.core.windows.net"
        connection = Connection("S", queue_service_uri=uri, managed_identity=managed)
        with open_queue_service(connection) as client:
            scope = "https://storage.azure.com/.default"
            assert request_token(client.credential, scope).token == "t"
    assert proxy.requests == []


def test_a_service_principal_signs_in_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"):
        monkeypatch.setenv(name, "5b2f8c1d")
    with proxy_to(1, monkeypatch, refusing) as proxy, pytest.raises(TokenError, match="403"):
        request_token(make_credential("environment", None), "https://a.example/.default")
    assert set(proxy.requests) == {"CONNECT login.microsoftonline.com:443"}


LOCAL = ["127.0.0.1", "127.1.2.3", "localhost", "[::1]", "169.254.169.254", "169.254.130.2"]


@pytest.mark.parametrize("host", [*LOCAL, "[fe80::1]"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_this_machine_is_reached_past_every_proxy(scheme: str, host: str) -> None:
    assert proxies(f"{scheme}://{host}:41741/msi/token") == {}


@pytest.mark.parametrize("host", ["a.example", "10.0.0.4", "127.0.0.1.example", "[2001:db8::1]"])
def test_anything_else_is_reached_through_the_proxy(host: str) -> None:
    assert proxies(f"http://{host}/")["http"] == "http://127.0.0.1:1"


def proxies(url: str) -> Any:
    with open_session(1) as session:
        return session.merge_environment_settings(url, {}, None, None, None)["proxies"]


SLOW = {"hanging": hanging, "dripping": dripping}


@pytest.mark.parametrize("answer", SLOW.values(), ids=SLOW)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_does_not_answer_ends_in_a_time_out(
    scheme: str, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        proxy_to(1, monkeypatch, answer),
        open_session(1) as session,
        pytest.raises((requests.Timeout, requests.ConnectionError)),
    ):
        session.get(f"{scheme}://a.example/", timeout=0.2)


def test_headers_of_storage_that_drip_end_in_a_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = Connection("S", connection_string=KEYED.format("http://azurite.example"))
    with (
        proxy_to(1, monkeypatch, dripping),
        open_queue_service(connection, NO_RETRY) as client,
        pytest.raises(AzureError, match="timed out"),
    ):
        list(client.list_queues())
