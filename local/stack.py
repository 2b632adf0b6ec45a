"""Run everything that the app needs of Azure, and the app itself, on this machine.

Azurite holds the queues, `local.monitor` is identity endpoint and metrics store, and a Functions
host runs the app. All of them listen on free ports of the loopback interface, and stop at the end
of their `with` block.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueServiceClient

from local.azurite import Azurite
from local.processes import Child, ChildError

__all__ = [
    "HOST",
    "INGRESS",
    "OURS",
    "READY",
    "ROOT",
    "STORAGE",
    "Backend",
    "free_or_0",
    "run_app",
    "run_backend",
]

ROOT = Path(__file__).parent.parent
INGRESS = "metrics"
# The emulator's own; in Azure the platform makes one up for each app.
IDENTITY_HEADER = "local-identity-header"
# What runs the app where the Azure Functions Core Tools are not installed.
# A local.settings.json is for real Azure: its settings would send the app there.
HOST = (sys.executable, "-m", "local.functions", "--app", str(ROOT), "--no-local-settings")
# Printed by that host, and by the Core Tools.
READY = "Functions host ready|Worker process started and initialized"
# Beginnings of the settings in which the host finds a storage account.
STORAGE = (
    "MetricsStorage",
    "AzureWebJobs",
    "ConnectionStrings__MetricsStorage",
    "ConnectionStrings:MetricsStorage",
    "ConnectionStrings__AzureWebJobs",
    "ConnectionStrings:AzureWebJobs",
)
# Settings of this shell that would send the app to real Azure, or change its host.
OURS = (
    "METRICS_",
    *STORAGE,
    "AZURE_",
    "IDENTITY_",
    "MSI_",
    "AzureFunctionsJobHost",
    "LOCAL_",
    "WEBSITE_",
    "REGION_NAME",
)
LOOPBACK = "127.0.0.1,localhost"


@dataclass(frozen=True)
class Backend:
    """Holds the stand-ins for Azure: queues, identity and metrics store, and its process."""

    azurite: Azurite
    storage: QueueServiceClient
    monitor_url: str
    monitor: Child | None = None

    @property
    def ports(self) -> dict[str, int]:
        """Return the ports of Azurite and of the emulator."""
        return {"azurite": self.azurite.port, "monitor": int(self.monitor_url.rpartition(":")[2])}

    @property
    def children(self) -> list[Child]:
        """Return the processes of Azurite and of the emulator."""
        return [child for child in (self.azurite.child, self.monitor) if child is not None]

    def make_queue(self, name: str) -> None:
        """Make a queue if it is not there."""
        with contextlib.suppress(ResourceExistsError):
            self.storage.create_queue(name)

    def app_settings(self, queue: str = INGRESS) -> dict[str, str]:
        """Return the settings that make the app use the stand-ins instead of Azure."""
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
        """Call the emulator's own API, such as GET metrics or POST faults; return its JSON."""
        url = f"{self.monitor_url}/_local/{path}"
        answer = requests.request(method, url, timeout=30, **arguments)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def metrics(self, **filters: str) -> list[dict[str, Any]]:
        """Return what the store holds: a value set for each series and minute."""
        values: list[dict[str, Any]] = self.control("GET", "metrics", params=filters)["values"]
        return values

    def dead_letters(self, queue: str = INGRESS) -> list[dict[str, Any]]:
        """Return the first 32 dead letters of an ingress queue, and leave them where they are."""
        client = self.storage.get_queue_client(f"{queue}-dead-letter")
        try:
            return [json.loads(message.content) for message in client.peek_messages(32)]
        except ResourceNotFoundError:  # Nothing was dead-lettered yet.
            return []


@contextmanager
def run_backend(
    folder: Path | None = None,
    *,
    ports: Mapping[str, int] | None = None,
    dead_letters: str = f"{INGRESS}-dead-letter",
) -> Iterator[Backend]:
    """Start Azurite and the emulator. Raises ChildError if one of them does not start or answer.

    Queues and metrics live in memory, or in a folder, where the next start finds them again.
    `ports` has the form of `Backend.ports`; one that is in use is replaced. The metrics explorer
    shows the queue `dead_letters`.
    """
    _bypass_proxy()
    wanted = ports or {}
    options = ["--port", str(free_or_0(wanted.get("monitor", 0))), "--dead-letters", dead_letters]
    if folder is not None:
        options += ["--data", str(folder.resolve() / "metrics.db")]
    with (
        Azurite(folder=folder, port=free_or_0(wanted.get("azurite", 0))) as azurite,
        QueueServiceClient.from_connection_string(azurite.connection_string) as storage,
        Child(
            "Azure Monitor emulator",
            (sys.executable, "-m", "local.monitor", *options),
            # Not an argument: those are shown to every user of the machine.
            env={**os.environ, "LOCAL_DEAD_LETTER_STORAGE": azurite.connection_string},
            cwd=ROOT,
        ) as monitor,
    ):
        url = monitor.wait_for(r"http://\S+")[0]
        try:
            yield Backend(azurite, storage, url, monitor)
        except (AzureError, requests.RequestException) as exc:
            raise ChildError(
                f"Azurite or the Azure Monitor emulator does not answer: {exc}"
            ) from exc


def free_or_0(port: int) -> int:
    """Return the port if nothing listens on it, else 0, which takes a free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return 0
    return port


def _bypass_proxy() -> None:
    """Exclude this machine from the proxies of this shell, which cannot reach it."""
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
    """Start the app on a queue, which is made if it does not exist, and wait until it is ready.

    `settings` are app settings on top of `Backend.app_settings`; `on_line` gets each line that
    the host prints. Raises ChildError with what the host said.
    """
    backend.make_queue(queue)
    shell = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    env = {**shell, **backend.app_settings(queue), **settings}
    with Child("Functions host", host, env=env, cwd=ROOT, on_line=on_line) as child:
        child.wait_for(READY)
        yield child
