"""Azurite's queue service, the stand-in for Azure Storage, as a child process.

with Azurite() as azurite:
    QueueServiceClient.from_connection_string(azurite.connection_string)
"""

from __future__ import annotations

import contextlib
import inspect
import ipaddress
import os
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from local.node import AZURITE_QUEUE, node
from local.processes import Child

__all__ = ["ACCOUNT", "ACCOUNT_KEY", "Azurite"]

# The account every emulator of Azure Storage has; its key is public.
# https://learn.microsoft.com/azure/storage/common/storage-connect-azurite
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
HOST = "127.0.0.1"
READY = r"Azurite Queue service successfully listens on https?://[^:]+:(\d+)"
CERTIFICATE_LIFETIME = timedelta(days=2)


class Azurite:
    """A queue service on the loopback interface; use as a context manager.

    Messages live in memory, or in `folder`, which a `restart` needs to find them again. `port` 0
    takes a free one. With `oauth` it speaks HTTPS with the self-signed `certificate` and accepts
    tokens: their issuer, audience and times are checked, their signature is not.
    """

    def __init__(self, *, port: int = 0, folder: Path | None = None, oauth: bool = False) -> None:
        self.port = port
        self.certificate: Path | None = None
        self._folder = folder
        self._oauth = oauth
        self._cleanup = contextlib.ExitStack()
        self._child: Child | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with self._cleanup:
            self.stop()

    @property
    def queue_endpoint(self) -> str:
        """The URL of the account's queues, without a slash at the end."""
        return f"{'https' if self._oauth else 'http'}://{HOST}:{self.port}/{ACCOUNT}"

    @property
    def connection_string(self) -> str:
        """What a setting such as AzureWebJobsStorage takes."""
        protocol = self.queue_endpoint.partition(":")[0]
        return (
            f"DefaultEndpointsProtocol={protocol};AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};"
            f"QueueEndpoint={self.queue_endpoint};"
        )

    def start(self) -> None:
        """Start the service and wait until it listens. Raises ChildError with what it said."""
        options = ["--queueHost", HOST, "--queuePort", str(self.port)]
        # No telemetry: nothing leaves the machine.
        options += ["--disableTelemetry", "--skipApiVersionCheck", "--silent"]
        if self._folder is None:
            options += ["--inMemoryPersistence"]
        else:
            options += ["--location", str(self._folder.resolve())]
        if self._oauth:
            options += ["--oauth", "basic", *self._tls_options()]
        # Accounts named in the environment would replace the well-known one.
        env = {name: value for name, value in os.environ.items() if name != "AZURITE_ACCOUNTS"}
        child = Child("Azurite", [node(), AZURITE_QUEUE, *options], env=env)
        try:
            self.port = int(child.wait_for(READY)[1])
        except BaseException:
            child.stop()
            raise
        self._child = child

    def stop(self) -> None:
        """End the service; with a folder it writes down what it holds first."""
        if self._child is not None:
            self._child.stop()
            self._child = None

    def restart(self) -> None:
        """Stop and start on the same port; what was only in memory is lost."""
        self.stop()
        self.start()

    def _tls_options(self) -> list[str]:
        """The certificate and key, made at the first start, in a folder that goes at the end."""
        if self.certificate is None:
            folder = Path(self._cleanup.enter_context(tempfile.TemporaryDirectory()))
            _write_certificate(folder / "certificate.pem", folder / "key.pem")
            self.certificate = folder / "certificate.pem"
        key = self.certificate.with_name("key.pem")
        return ["--cert", str(self.certificate), "--key", str(key)]


def _write_certificate(certificate_file: Path, key_file: Path) -> None:
    """A self-signed certificate for the loopback address; its own authority, as strict TLS asks."""
    # Imported here: only the oauth mode pays for it.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Azurite")])
    now = datetime.now(UTC)
    uses = dict.fromkeys(inspect.signature(x509.KeyUsage).parameters, False)
    uses |= {"digital_signature": True, "key_cert_sign": True}
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + CERTIFICATE_LIFETIME)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**uses), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
