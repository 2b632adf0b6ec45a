"""The commands that mend things, with the names that are known filled in.

What is not known stands as a variable of the shell: "$APP", "$GROUP", "$STORAGE". Only what is
`Open` stays open to the shell; what a setting or an answer says stands for itself.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from enum import Enum, auto

from tools.doctor.claims import Claims

__all__ = ["CHANGE_DELAY", "Commands", "Home", "Open", "inside", "of_account", "quoted"]

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
CHANGE_DELAY = "# A new role assignment takes some minutes to work."


class Open(str):
    """Text with variables or commands of the shell in it, all of them written here."""

    __slots__ = ()


class Home(Enum):
    """Where the app settings are kept."""

    DEPLOYED = auto()  # In a function app.
    FILE = auto()  # In local.settings.json.
    SHELL = auto()  # In the environment alone.


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """Writes commands for one app."""

    home: Home
    app: str = Open("$APP")
    group: str = Open("$GROUP")
    # Settings that the environment of this shell gives: they win over a file.
    of_shell: frozenset[str] = frozenset()
    # Whether somebody else is examined than the app's identity, and its client ID.
    stands_in: bool = False
    client_id: str | None = None
    # Options that this call had, for calls of the tools that are shown: where the settings are, and
    # all but --credential and --json, those of the settings included.
    settings_options: tuple[str, ...] = ()
    doctor_options: tuple[str, ...] = ()

    def set(self, name: str, value: str) -> str:
        """Set an app setting."""
        if self._is_of_shell(name):
            return f"export {quoted(name)}={quoted(value)}"
        if self.home is Home.FILE:
            return f"func settings add {quoted(name)} {quoted(value)}"
        both = Open(f"{inside(name)}={value}") if isinstance(value, Open) else f"{name}={value}"
        return f"az functionapp config appsettings set {self.of_app} --settings {quoted(both)}"

    def unset(self, name: str) -> str:
        """Remove an app setting, so that its default holds."""
        if self._is_of_shell(name):
            return f"unset {quoted(name)}"
        if self.home is Home.FILE:
            return f"func settings delete {quoted(name)}"
        which = f"--setting-names {quoted(name)}"
        return f"az functionapp config appsettings delete {self.of_app} {which}"

    def list_dead_letters(self) -> str:
        """Look at the dead letters of the same queue."""
        return _tool("dead-letter", "list", *self.settings_options)

    def look_as_oneself(self) -> str:
        """The same call once more, as whoever is signed in."""
        return _tool("doctor", *self.doctor_options, "--credential", "azure_cli")

    def grant(self, role: str, to: Claims | None, scope: str) -> list[str]:
        """Assign a role at a scope; to the app too, where somebody stands in for it."""
        kind = "User" if to and to.is_user else "ServicePrincipal"
        object_id = quoted(to.object_id if to and to.object_id else Open("$OBJECT_ID"))
        assign = f"az role assignment create --role {quoted(role)}"
        at = f"--scope {quoted(scope)}"
        lines = [
            f"{assign} --assignee-object-id {object_id} --assignee-principal-type {kind} {at}",
            CHANGE_DELAY,
        ]
        if self.stands_in:
            show = Open(
                f"$(az functionapp identity show {self.of_app} --query principalId --output tsv)"
            )
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


def _tool(*words: str) -> str:
    return " ".join(("python -m tools", *map(quoted, words)))


def of_account(name: str, setting: str, *, by_key: bool) -> str:
    """The options of `az storage queue` for an account, and of Azurite for its connection."""
    if name == "devstoreaccount1":
        variable = f"${setting}" if _VARIABLE.fullmatch(setting) else "$CONNECTION_STRING"
        return f'--connection-string "{variable}"'
    return f"--account-name {quoted(name)} --auth-mode {'key' if by_key else 'login'}"


def quoted(text: str) -> str:
    """The text for a shell, in one line: for itself, unless it is open."""
    if isinstance(text, Open):
        return f'"{text}"'
    if text.isprintable():
        return shlex.quote(text)
    # As it is, it would be several lines, or do something to a terminal.
    data = text.encode("utf-8", "surrogateescape")
    return "$'" + "".join(_in_ansi_c(byte) for byte in data) + "'"


def inside(text: str) -> str:
    """The text for within one that is open, where it stands for itself."""
    # No backslash keeps a shell at a prompt from taking ! for its history.
    return re.sub(r'[\\$`"]', r"\\\g<0>", text).replace("!", "\"'!'\"")


def _in_ansi_c(byte: int) -> str:
    plain = 0x20 <= byte < 0x7F and chr(byte) not in "\\'"
    return chr(byte) if plain else f"\\x{byte:02x}"
