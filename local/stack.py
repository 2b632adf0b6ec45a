"""Everything that the app needs of Azure, and the app itself, on this machine.

Azurite holds the queues, `local.monitor` is identity endpoint and metrics store, and a Functions
host runs the app. All of them listen on free ports of the loopback interface, and none outlives
its `with` block.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueServiceClient

from local.azurite import Azurite
from local.processes import Child

__all__ = ["HOST", "INGRESS", "OURS", "READY", "ROOT", "Backend", "run_app", "run_backend"]

ROOT = Path(__file__).parent.parent
INGRESS = "metrics"
# The emulator's own; in Azure the platform makes one up for each app.
IDENTITY_HEADER = "local-identity-header"
# What runs the app where the Azure Functions Core Tools are not installed.
# A local.settings.json is for real Azure: what it holds would lead the app there.
HOST = (sys.executable, "-m", "local.functions", "--app", str(ROOT), "--no-local-settings")
# Printed by that host, and by the Core Tools.
READY = "Functions host ready|Worker process started and initialized"
# Settings of this shell that would lead the app to real Azure, or change its host.
OURS = (
    "METRICS_",
    "MetricsStorage",
    "AZURE_",
    "IDENTITY_",
    "MSI_",
    "AzureWebJobs",
    "AzureFunctionsJobHost__",
    "LOCAL_",
    "WEBSITE_",
    "REGION_NAME",
)
LOOPBACK = "127.0.0.1,localhost"


@dataclass(frozen=True)
class Backend:
    """What stands in for Azure: queues, identity, metrics store; its process, if it has its own."""

    azurite: Azurite
    storage: QueueServiceClient
    monitor_url: str
    monitor: Child | None = None

    @property
    def page(self) -> str:
        """The address of the metrics explorer."""
        return f"{self.monitor_url}/"

    def app_settings(self, queue: str = INGRESS) -> dict[str, str]:
        """What leads the app here instead of to Azure."""
        return {
            "AzureWebJobsStorage": self.azurite.connection_string,
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "FUNCTIONS_ENABLE_DRAIN_ON_APP_STOPPING": "true",
            "MetricsStorage": self.azurite.connection_string,
            "METRICS_QUEUE": queue,
            "METRICS_SAMPLE_SCHEDULE": "0 * * * * *",
            "METRICS_ENDPOINT": f"{self.monitor_url}/{{region}}",
            "METRICS_ARM_ENDPOINT": self.monitor_url,
            "IDENTITY_ENDPOINT": f"{self.monitor_url}/msi/token",
            "IDENTITY_HEADER": IDENTITY_HEADER,
        }

    def control(self, method: str, path: str, **arguments: Any) -> Any:
        """Ask the emulator's own API, such as GET metrics or POST faults; its JSON."""
        url = f"{self.monitor_url}/_local/{path}"
        answer = requests.request(method, url, timeout=30, **arguments)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def metrics(self, **filters: str) -> list[dict[str, Any]]:
        """What the store holds: a value set for each series and minute."""
        values: list[dict[str, Any]] = self.control("GET", "metrics", params=filters)["values"]
        return values

    def dead_letters(self, queue: str = INGRESS) -> list[dict[str, Any]]:
        """The first 32 dead letters of an ingress queue, left where they are."""
        client = self.storage.get_queue_client(f"{queue}-dead-letter")
        try:
            return [json.loads(letter.content) for letter in client.peek_messages(32)]
        except ResourceNotFoundError:  # Nothing was dead-lettered yet.
            return []


@contextmanager
def run_backend(folder: Path | None = None) -> Iterator[Backend]:
    """Start Azurite and the emulator. Raises ChildError with what one of them said.

    Queues live in memory, or in a folder, where a restart of Azurite finds them again.
    """
    _spare_loopback_the_proxy()
    command = (sys.executable, "-m", "local.monitor", "--port", "0")
    with (
        Azurite(folder=folder) as azurite,
        QueueServiceClient.from_connection_string(azurite.connection_string) as storage,
        Child("Azure Monitor emulator", command, cwd=ROOT) as monitor,
    ):
        url = monitor.wait_for(r"http://\S+")[0]
        yield Backend(azurite, storage, url, monitor)


def _spare_loopback_the_proxy() -> None:
    """Whatever proxy this shell has, it cannot reach what listens on this machine alone."""
    for name in ("NO_PROXY", "no_proxy"):
        given = os.environ.get(name, "")
        if LOOPBACK not in given:
            os.environ[name] = f"{given},{LOOPBACK}" if given else LOOPBACK


@contextmanager
def run_app(
    backend: Backend,
    settings: Mapping[str, str],
    *,
    queue: str = INGRESS,
    host: Sequence[str] = HOST,
    on_line: Callable[[str], None] | None = None,
) -> Iterator[Child]:
    """Start the app on a queue of its own, made when it is not there, and wait until it is ready.

    `settings` are app settings on top of `Backend.app_settings`; `on_line` gets each line that
    the host prints. Raises ChildError with what the host said.
    """
    with contextlib.suppress(ResourceExistsError):
        backend.storage.create_queue(queue)
    shell = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    env = {**shell, **backend.app_settings(queue), **settings}
    with Child("Functions host", host, env=env, cwd=ROOT, on_line=on_line) as child:
        child.wait_for(READY)
        yield child
