"""Where blocks run: a copy of the project, with stand-ins for Azure.

`PLACEHOLDERS` replaces what a reader replaces: addresses and subscriptions.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

from local.node import node
from local.stack import INGRESS, OURS, ROOT, Backend

__all__ = ["PLACEHOLDERS", "SUBSCRIPTION", "Sandbox", "copy_project", "filled", "gitignore"]

SUBSCRIPTION = "/subscriptions/5b1fd1f4-2a3c-4f0e-9d53-0f8b6d3f5a10"

# Text of a block -> what the tests run instead. Longer texts first.
PLACEHOLDERS: Mapping[str, str] = {
    # The subscription of the reader, and a resource in it.
    "/subscriptions/…/resourceGroups/": f"{SUBSCRIPTION}/resourceGroups/",
    "/subscriptions/…/providers/": f"{SUBSCRIPTION}/resourceGroups/shop/providers/",
    "/subscriptions/…/storageAccounts/": f"{SUBSCRIPTION}/resourceGroups/shop/providers/"
    "Microsoft.Storage/storageAccounts/",
    '/subscriptions/…"': f'{SUBSCRIPTION}/resourceGroups/shop/providers/Microsoft.Web/sites/shop"',
    # The storage account of the reader.
    "https://STORAGE.queue.core.windows.net": "{queue_endpoint}",
    # The command is a file that `make setup` writes; a test of its own calls it.
    ".venv/bin/metric-relay": ".venv/bin/python -m tools",
    # Settings that `make run` writes.
    "--settings .local/run.settings.json": '--connection "$CONNECTION_STRING"',
    # The emulator is started on this port by the page, and on a free one by the test.
    "http://127.0.0.1:8089": "{monitor}",
    "--port 8089": "--port 0",
}


@dataclass(frozen=True)
class Sandbox:
    """A copy of the project, with stand-ins for Azure."""

    checkout: Path
    backend: Backend

    @property
    def environ(self) -> dict[str, str]:
        """The environment of a block: that of a shell that is set up as the pages say."""
        azurite = self.backend.azurite
        certificate = str(azurite.certificate)
        shell = {name: text for name, text in os.environ.items() if not name.startswith(OURS)}
        # These are for the tests, not for the blocks.
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
            # Each tool has its own variable for the certificate of Azurite.
            "REQUESTS_CA_BUNDLE": certificate,
            "CURL_CA_BUNDLE": certificate,
            "NODE_EXTRA_CA_CERTS": certificate,
            # The pages tell the reader to set these.
            "CONNECTION_STRING": azurite.connection_string,
            "EMULATOR": self.backend.monitor_url,
            "QUEUES": azurite.queue_endpoint,
            "NO_COLOR": "1",
            # As if the client were installed.
            "PYTHONPATH": str(self.checkout / "tools" / "client"),
        }

    def filled(self, text: str) -> str:
        """Replace the placeholders in the text of a block."""
        return filled(text, self.backend.azurite.queue_endpoint, self.backend.monitor_url)


def filled(
    text: str,
    queue_endpoint: str = "https://orders.queue.core.windows.net",
    monitor: str = "http://127.0.0.1:8089",
) -> str:
    """Replace the placeholders."""
    facts = {"{queue_endpoint}": queue_endpoint, "{monitor}": monitor}
    for placeholder, value in PLACEHOLDERS.items():
        text = text.replace(placeholder, facts.get(value, value))
    return text


def gitignore() -> GitIgnoreSpec:
    """Patterns of files that do not belong to the project."""
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    return GitIgnoreSpec.from_lines([".git", *lines])


def copy_project(folder: Path) -> Path:
    """Copy the project into the folder, with links to what make installed."""
    spec = gitignore()

    def left_out(parent: str, names: list[str]) -> set[str]:
        here = Path(parent).relative_to(ROOT)
        return {
            name
            for name in names
            # A folder that git ignores may be a link here.
            if spec.match_file(str(here / name)) or spec.match_file(f"{here / name}/")
        }

    shutil.copytree(ROOT, folder, ignore=left_out, dirs_exist_ok=True)
    (folder / ".venv").symlink_to(sys.prefix)
    for name in ("node_modules", ".nodejs"):
        if (ROOT / "local" / name).exists():
            (folder / "local" / name).symlink_to((ROOT / "local" / name).resolve())
    return folder
