"""Run Azurite's queue service, the stand-in for Azure Storage, as a child process."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Self

from local.node import AZURITE_QUEUE, node
from local.processes import Child, ChildError

__all__ = ["ACCOUNT", "ACCOUNT_KEY", "Azurite"]

# The account every emulator of Azure Storage has; its key is public.
# https://learn.microsoft.com/azure/storage/common/storage-connect-azurite
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
HOST = "127.0.0.1"
READY = r"Azurite Queue service successfully listens on https?://[^:]+:(\d+)"


class Azurite:
    """Runs a queue service on the loopback interface, in a `with` block.

    Messages are kept in memory, or in `folder`, where a `restart` finds them again. `port` 0 takes
    a free one. With `oauth` it speaks HTTPS, with a certificate of the authority in
    `certificate`, and accepts tokens: their issuer, audience and times are checked, their
    signature is not.
    """

    def __init__(self, *, port: int = 0, folder: Path | None = None, oauth: bool = False) -> None:
        self.port = port
        self.certificate: Path | None = None
        self._folder = folder
        self._oauth = oauth
        self._cleanup = contextlib.ExitStack()
        self.child: Child | None = None  # While it runs.

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
        """Return the URL of the account's queues, without a slash at the end."""
        return f"{'https' if self._oauth else 'http'}://{HOST}:{self.port}/{ACCOUNT}"

    @property
    def connection_string(self) -> str:
        """Return what a setting such as AzureWebJobsStorage takes."""
        protocol = self.queue_endpoint.partition(":")[0]
        return (
            f"DefaultEndpointsProtocol={protocol};AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};"
            f"QueueEndpoint={self.queue_endpoint};"
        )

    def start(self) -> None:
        """Start the service and wait until it listens. Raises ChildError with what it printed."""
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
        try:
            child = Child("Azurite", [node(), AZURITE_QUEUE, *options], env=env)
        except LookupError as exc:
            raise ChildError(str(exc)) from exc
        try:
            self.port = int(child.wait_for(READY)[1])
        except BaseException:
            child.stop()
            raise
        self.child = child

    def stop(self) -> None:
        """Stop the service; with a folder, it first writes its messages there."""
        if self.child is not None:
            self.child.stop()
            self.child = None

    def restart(self) -> None:
        """Stop and start on the same port; what was only in memory is lost."""
        self.stop()
        self.start()

    def _tls_options(self) -> list[str]:
        """Return the options of HTTPS; the first start makes the certificate, in a new folder."""
        import trustme  # noqa: PLC0415 - slow to import, and seldom asked for.

        if self.certificate is None:
            folder = Path(self._cleanup.enter_context(tempfile.TemporaryDirectory()))
            self.certificate = folder / "authority.pem"
            authority = trustme.CA()
            authority.cert_pem.write_to_path(self.certificate)
            certificate = authority.issue_cert(HOST)
            certificate.cert_chain_pems[0].write_to_path(folder / "certificate.pem")
            certificate.private_key_pem.write_to_path(folder / "key.pem")
        folder = self.certificate.parent
        return ["--cert", str(folder / "certificate.pem"), "--key", str(folder / "key.pem")]
