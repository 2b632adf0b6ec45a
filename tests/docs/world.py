"""Where blocks run: a copy of the project beside real stand-ins for Azure.

Nothing of Azure is faked in the blocks themselves. Only what is a reader's own, an address or a
subscription, is put in its place, by the table `PLACEHOLDERS`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from local.node import node
from local.stack import INGRESS, OURS, ROOT, Backend

__all__ = ["PLACEHOLDERS", "SUBSCRIPTION", "World", "copy_of_the_project", "filled"]

SUBSCRIPTION = "/subscriptions/5b1fd1f4-2a3c-4f0e-9d53-0f8b6d3f5a10"

# What stands in the text -> what it becomes where the block runs; {…} is a fact of the world.
# The longer text goes first.
PLACEHOLDERS: Mapping[str, str] = {
    # The reader's subscription, and the resource in it.
    "/subscriptions/…/resourceGroups/": f"{SUBSCRIPTION}/resourceGroups/",
    "/subscriptions/…/providers/": f"{SUBSCRIPTION}/resourceGroups/shop/providers/",
    "/subscriptions/…/storageAccounts/": f"{SUBSCRIPTION}/resourceGroups/shop/providers/"
    "Microsoft.Storage/storageAccounts/",
    '/subscriptions/…"': f'{SUBSCRIPTION}/resourceGroups/shop/providers/Microsoft.Web/sites/shop"',
    # The reader's storage account: the address alone; the way to sign in is the block's own.
    "https://STORAGE.queue.core.windows.net": "{queue_endpoint}",
    # The emulator is started on this port by the page, and on a free one by the test.
    "http://127.0.0.1:8089": "{monitor}",
    "--port 8089": "--port 0",
}


@dataclass(frozen=True)
class World:
    """A copy of the project, and what stands in for Azure around it."""

    checkout: Path
    backend: Backend

    @property
    def environ(self) -> dict[str, str]:
        """What a block finds in its environment: a shell set up as the pages say, no more."""
        azurite = self.backend.azurite
        certificate = str(azurite.certificate)
        shell = {name: text for name, text in os.environ.items() if not name.startswith(OURS)}
        # Coverage of the tests, and the like, is not the block's.
        for name in ("PYTHONPATH", "PYTHONWARNINGS", "PYTEST_ADDOPTS"):
            shell.pop(name, None)
        return {
            **shell,
            **self.backend.app_settings(INGRESS),
            # As in a shell with .venv activated, and Node.js installed.
            "PATH": os.pathsep.join(
                (str(Path(sys.prefix) / "bin"), str(node().parent), os.environ.get("PATH", ""))
            ),
            "NODE_PATH": str(ROOT / "local" / "node_modules"),
            # Azurite's certificate is its own authority; each tool is told in its own words.
            "REQUESTS_CA_BUNDLE": certificate,
            "CURL_CA_BUNDLE": certificate,
            "NODE_EXTRA_CA_CERTS": certificate,
            # What the pages let the reader set.
            "CONNECTION_STRING": azurite.connection_string,
            "EMULATOR": self.backend.monitor_url,
            "QUEUES": azurite.queue_endpoint,
            "NO_COLOR": "1",
        }

    def filled(self, text: str) -> str:
        """A block's text with what is the reader's own put in."""
        return filled(text, self.backend.azurite.queue_endpoint, self.backend.monitor_url)


def filled(
    text: str,
    queue_endpoint: str = "https://orders.queue.core.windows.net",
    monitor: str = "http://127.0.0.1:8089",
) -> str:
    """The text with its placeholders replaced."""
    facts = {"{queue_endpoint}": queue_endpoint, "{monitor}": monitor}
    for placeholder, value in PLACEHOLDERS.items():
        text = text.replace(placeholder, facts.get(value, value))
    return text


@contextlib.contextmanager
def copy_of_the_project(folder: Path) -> Iterator[Path]:
    """The files that git knows or would take up, with the environments that make made linked."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(sys.prefix)
    for name in ("node_modules", ".nodejs"):
        if (ROOT / "local" / name).exists():
            (folder / "local" / name).symlink_to((ROOT / "local" / name).resolve())
    yield folder
