"""The stand-ins for Azure that code blocks use: TLS, tokens, and the running app."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.storage.queue import QueueServiceClient

from local.azurite import Azurite
from local.processes import Child
from local.stack import INGRESS, ROOT, Backend, run_app

from .sandbox import Sandbox, copy_project

# So that a failed assertion there shows its values.
pytest.register_assert_rewrite(f"{__package__}.expectations", f"{__package__}.messages")


@pytest.fixture(scope="session")
def azure() -> Iterator[Backend]:
    """Azurite over TLS, where tokens are checked; the emulator; and the app on the queue."""
    command = (sys.executable, "-m", "local.monitor", "--port", "0")
    with Azurite(oauth=True) as azurite, Child("emulator", command, cwd=ROOT) as monitor:
        url = monitor.wait_for(r"http://\S+")[0]
        certificate = str(azurite.certificate)
        with QueueServiceClient.from_connection_string(
            azurite.connection_string, connection_verify=certificate
        ) as storage:
            backend = Backend(azurite, storage, url)
            settings = {
                # Host and app prefer this section to MetricsStorage, which is set as well.
                "AzureWebJobsMetricsStorage__queueServiceUri": azurite.queue_endpoint,
                "AzureWebJobsMetricsStorage__credential": "managedidentity",
                "METRICS_SAMPLE_SCHEDULE": "0 0 0 1 1 *",
                "REQUESTS_CA_BUNDLE": certificate,
            }
            storage.create_queue(f"{INGRESS}-dead-letter")  # As a deployment does.
            with run_app(backend, settings, queue=INGRESS):
                yield backend


@pytest.fixture
def sandbox(azure: Backend, tmp_path: Path) -> Iterator[Sandbox]:
    """A fresh copy of the project beside an empty store."""
    azure.control("DELETE", "state")
    yield Sandbox(copy_project(tmp_path), azure)
    azure.control("DELETE", "state")
