"""The commands that mend things, with the names that are known filled in.

What is not known stands as a variable of the shell: "$APP", "$GROUP", "$STORAGE".
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import Enum, auto

from tools.doctor.claims import Claims

__all__ = ["CHANGE_DELAY", "Commands", "Home", "of_account", "quoted"]

CHANGE_DELAY = "# A new role assignment takes some minutes to work."


class Home(Enum):
    """Where the app settings are kept."""

    DEPLOYED = auto()  # In a function app.
    FILE = auto()  # In local.settings.json.
    SHELL = auto()  # In the environment alone.


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """Writes commands for one app."""

    home: Home
    app: str = "$APP"
    group: str = "$GROUP"
    # Settings that the environment of this shell gives: they win over a file.
    of_shell: frozenset[str] = frozenset()
    # Whether somebody else is examined than the app's identity, and its client ID.
    stands_in: bool = False
    client_id: str | None = None

    def set(self, name: str, value: str) -> str:
        """Set an app setting."""
        if self._is_of_shell(name):
            return f"export {name}={quoted(value)}"
        if self.home is Home.FILE:
            return f"func settings add {name} {quoted(value)}"
        return (
            f"az functionapp config appsettings set {self.of_app} "
            f"--settings {quoted(f'{name}={value}')}"
        )

    def unset(self, name: str) -> str:
        """Remove an app setting, so that its default holds."""
        if self._is_of_shell(name):
            return f"unset {name}"
        if self.home is Home.FILE:
            return f"func settings delete {name}"
        return f"az functionapp config appsettings delete {self.of_app} --setting-names {name}"

    def grant(self, role: str, to: Claims | None, scope: str) -> list[str]:
        """Assign a role at a scope; to the app too, where somebody stands in for it."""
        kind = "User" if to and to.is_user else "ServicePrincipal"
        object_id = quoted(to.object_id if to and to.object_id else "$OBJECT_ID")
        assign = f"az role assignment create --role {quoted(role)}"
        at = f"--scope {quoted(scope)}"
        lines = [
            f"{assign} --assignee-object-id {object_id} --assignee-principal-type {kind} {at}",
            CHANGE_DELAY,
        ]
        if self.stands_in:
            show = f"$(az functionapp identity show {self.of_app} --query principalId --output tsv)"
            lines += [
                "# That is for you, as whom --credential looks; for the app itself:",
                f"{assign} --assignee {quoted(self.client_id or show)} {at}",
            ]
        return lines

    def _is_of_shell(self, name: str) -> bool:
        return self.home is Home.SHELL or name in self.of_shell

    @property
    def of_app(self) -> str:
        """The options that name the function app."""
        return f"--name {quoted(self.app)} --resource-group {quoted(self.group)}"

    @property
    def look(self) -> list[str]:
        """See whether the app runs, and what it says."""
        if self.home is Home.DEPLOYED:
            return [
                f"az functionapp show {self.of_app} --query state",
                f"func azure functionapp logstream {quoted(self.app)}",
            ]
        return ["# Is it running? Its log says why it waits.", "func start"]


def of_account(name: str, setting: str, *, by_key: bool) -> str:
    """The options of `az storage queue` for an account, and of Azurite for its connection."""
    if name == "devstoreaccount1":
        return f'--connection-string "${setting}"'
    return f"--account-name {quoted(name)} --auth-mode {'key' if by_key else 'login'}"


def quoted(text: str) -> str:
    """The text for a shell; one with a variable or a command in it stays open to that."""
    return f'"{text}"' if "$" in text else shlex.quote(text)
