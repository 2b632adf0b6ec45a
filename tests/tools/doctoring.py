"""What the tests of `doctor` share: a chain that is whole, the command, and its remedies pasted."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from azure.core.exceptions import ResourceExistsError
from click.testing import CliRunner

from local.stack import ROOT, Backend
from tests.secrets_in_logs import kinds_of
from tools.__main__ import main

__all__ = ["REGION", "Chain", "Found", "Visit", "pasted", "visit"]

REGION = "westeurope"
Found = dict[str, str]

# Records each command with its arguments; az answers a question for an ID with the name asked for.
_STUBS = """
record() { printf '%s\\x1f' "$@" >&3; printf '\\x1e' >&3; }
az() { record az "$@"; case "$*" in *"--query id "*) printf 'ID-OF-%s' "$5";; esac; }
"""
_STUBBED = ("func", "git", "sudo", "npx", "curl", "openssl", "python")
# What a reader of the remedy fills in.
_VARIABLES = {"RESOURCE_ID": "", "REGION": REGION, "CLIENT_ID": "", "TENANT_ID": "t"}


@dataclass(frozen=True)
class Visit:
    """What the doctor said."""

    findings: list[Found]
    code: int

    def of(self, status: str) -> list[str]:
        """The links with that status, each once."""
        return list(dict.fromkeys(one["link"] for one in self.findings if one["status"] == status))

    def at(self, link: str, status: str | None = None) -> Found:
        """The one finding on a link."""
        (found,) = (
            one for one in self.findings if one["link"] == link and status in (None, one["status"])
        )
        return found


@dataclass
class Chain:
    """A queue, a resource, and the settings that lead there."""

    backend: Backend
    queue: str
    site: str
    env: dict[str, str | None] = field(default_factory=dict)

    @classmethod
    def whole(cls, backend: Backend, queue: str, site: str) -> Chain:
        """One with nothing wrong with it."""
        backend.control("DELETE", "state")
        resources = [{"resourceId": site, "region": REGION}]
        backend.control("PUT", "resources", json={"resources": resources})
        backend.storage.create_queue(queue)
        sampled = {
            "kind": "storage_queue",
            "resourceId": site,
            "region": REGION,
            "connection": "MetricsStorage",
            "queues": [queue],
        }
        env: dict[str, str | None] = {
            **backend.app_settings(queue),
            "METRICS_RESOURCE_ID": site,
            "METRICS_REGION": REGION,
            "METRICS_ALLOWED_SCOPES": site.partition("/providers/")[0],
            "METRICS_SOURCES": json.dumps([sampled]),
        }
        return cls(backend, queue, site, env)

    @property
    def names(self) -> dict[str, str]:
        """What stands for what in a table of faults."""
        storage = self.backend.azurite.connection_string
        return {
            "site": self.site,
            "queue": self.queue,
            "group": self.site.partition("/providers/")[0],
            "subscription": "/".join(self.site.split("/")[:3]),
            "site-two": f"{self.site}2",
            "group-lower": self.site.partition("/providers/")[0].lower(),
            "monitor": self.backend.monitor_url,
            "storage-away": storage.replace(f":{self.backend.azurite.port}/", ":1/"),
            "storage-nowhere": storage.replace("127.0.0.1", "nowhere.invalid"),
            "storage-key": storage.replace("AccountKey=", "AccountKey=AAAA"),
            "storage-half": storage.replace("AccountKey=E", "AccountKey="),
        }

    def filled(self, text: str) -> str:
        """The text with the names of this chain."""
        for name, value in self.names.items():
            text = text.replace(f"<{name}>", value)
        return text

    def visit(self, *options: str) -> Visit:
        """Call the doctor."""
        return visit(self.env, *options)

    def apply(self, remedy: str) -> list[list[str]]:
        """Paste a remedy into a shell; what it does there, and in Azure, is done here."""
        env, commands = pasted(remedy, {**_VARIABLES, **self.env})
        self.env = {name: env.get(name) for name in {*self.env, *env} - {*_VARIABLES}}
        for command in commands:
            self._in_azure(command)
        return commands

    def _in_azure(self, command: list[str]) -> None:
        given = dict(pairwise(command))
        match command[1:4]:
            case ["role", "assignment", "create"] if not given["--role"].startswith("Storage"):
                assignment = {
                    "scope": given["--scope"],
                    "principalId": given["--assignee-object-id"],
                    "role": given["--role"],
                }
                self.backend.control("PUT", "roles", json={"assignments": [assignment]})
            case ["storage", "queue", "create"]:
                with suppress(ResourceExistsError):
                    self.backend.storage.create_queue(given["--name"])


def visit(env: Mapping[str, str | None], *options: str) -> Visit:
    """Call the doctor with these settings; whatever it says, no secret is in it."""
    runner = CliRunner()
    arguments = ["doctor", "--project", str(ROOT), *options]
    result = runner.invoke(main, [*arguments, "--json"], env=env)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code in (0, 1), result.output
    said = result.stdout + result.stderr
    assert kinds_of(said) == []
    for name, value in env.items():
        if value and any(word in name for word in ("SECRET", "IDENTITY_HEADER")):
            assert value not in said
    findings: list[Found] = json.loads(result.stdout)
    return Visit(findings, result.exit_code)


def pasted(remedy: str, env: Mapping[str, str | None]) -> tuple[dict[str, str], list[list[str]]]:
    """What is exported after a remedy was pasted into bash, and the commands that it ran.

    Raises CalledProcessError where that is no shell script.
    """
    stubs = _STUBS + "".join(f'{name}() {{ record {name} "$@"; }}\n' for name in _STUBBED)
    script = f"set -e\n{stubs}\n{remedy}\nenv -0 >&4"
    read = f"exec 3>commands 4>environment; {script}"
    given = {name: value for name, value in env.items() if value is not None}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["bash", "-c", read],  # noqa: S607
            env={**given, "PATH": "/usr/bin:/bin"},
            cwd=folder,
            check=True,
            capture_output=True,
            timeout=60,
        )
        commands = (Path(folder) / "commands").read_text().split("\x1e")
        pairs = (Path(folder) / "environment").read_text().split("\0")
    shell = {"PATH", "PWD", "SHLVL", "_", "OLDPWD"}
    after = dict(pair.split("=", 1) for pair in pairs if pair)
    return (
        {name: value for name, value in after.items() if name not in shell},
        [one.split("\x1f")[:-1] for one in commands if one],
    )
