"""The commands and instructions of fixes, quoted for a shell, with the known names filled in.

What is not known is a shell variable, such as "$APP".
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

__all__ = ["NETWORK", "Fixes", "Home", "Principal", "Template", "quoted", "storage_id"]

NETWORK = "# docs/proxies.md explains proxies, certificates and firewalls."


class Template(str):
    """Text in which the shell expands variables and commands; the doctor itself wrote them.

    Everything else, such as the value of a setting, is quoted and stands for itself.
    """

    __slots__ = ()


def quoted(text: str) -> str:
    """Return one word of a shell command, on one line.

    A value with line breaks or control characters is left to the reader, as a variable.
    """
    if isinstance(text, Template):
        return f'"{text}"'
    return shlex.quote(text) if text.isprintable() else '"$VALUE"'


class Principal(NamedTuple):
    """An identity, by the claims of its token; empty if the token does not say."""

    object_id: str = ""
    tenant: str = ""
    is_user: bool = False

    def __str__(self) -> str:
        return f"object ID {self.object_id or 'not known'}, tenant {self.tenant or 'not known'}"


class Home(Enum):
    """Where the app settings are kept."""

    APP = auto()  # A function app in Azure.
    FILE = auto()
    RUN = auto()  # The shell of `make run`, which adds its own to them.
    SHELL = auto()  # The environment of this shell.


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixes:
    """Writes the fixes for one app."""

    home: Home = Home.SHELL
    file: str = "local.settings.json"
    shell_settings: frozenset[str] = frozenset()  # Settings whose value is that of this shell.
    app: str = Template("$APP")
    group: str = Template("$GROUP")
    # Whether the identity that is examined is that of --credential, not that of the app.
    substituted: bool = False
    client_id: str | None = None  # Of the app's user-assigned identity.
    program: str = "metric-relay"
    settings_options: tuple[str, ...] = ()  # Options of this call that name the settings.

    def set(self, name: str, value: str) -> list[str]:
        """Set an app setting."""
        home, pair = self._home_of(name), f"{quoted(name)}={quoted(value)}"
        if home is Home.APP:
            whole = f"{name}={value}"
            word = quoted(Template(whole) if isinstance(value, Template) else whole)
            return [f"az functionapp config appsettings set {self.app_options} --settings {word}"]
        if home is Home.FILE and isinstance(value, Template) and value.startswith("$("):
            return [f"# In {self.file}, set {name} to what this prints:", value[2:-1]]
        return self._edit(home, f"# In {self.file}, set {pair}", f"export {pair}")

    def unset(self, name: str) -> list[str]:
        """Remove an app setting, so that its default applies."""
        home, word = self._home_of(name), quoted(name)
        if home is Home.APP:
            delete = f"az functionapp config appsettings delete {self.app_options}"
            return [f"{delete} --setting-names {word}"]
        return self._edit(home, f"# In {self.file}, remove {word}", f"unset {word}")

    def _edit(self, home: Home, instruction: str, command: str) -> list[str]:
        if home is Home.FILE:
            return [instruction]
        restart = "# Stop make run (Ctrl-C), and start it again in its shell after:"
        return [restart, command] if home is Home.RUN else [command]

    def _home_of(self, name: str) -> Home:
        return Home.SHELL if name in self.shell_settings else self.home

    def allow(self, scopes: str, resource_id: str) -> list[str]:
        """Add a resource to METRICS_ALLOWED_SCOPES."""
        add = self.set("METRICS_ALLOWED_SCOPES", f"{scopes.strip().rstrip(',')},{resource_id}")
        return ["# If the relay may publish there:", *add]

    def grant(self, role: str, to: Principal, scope: str) -> list[str]:
        """Assign a role at a scope; to the app too, if the identity examined is another one."""
        kind = "User" if to.is_user else "ServicePrincipal"
        object_id = quoted(to.object_id or Template("$OBJECT_ID"))
        assign = f"az role assignment create --role {quoted(role)} --scope {quoted(scope)}"
        lines = [
            f"{assign} --assignee-object-id {object_id} --assignee-principal-type {kind}",
            "# A new role assignment takes some minutes to work.",
        ]
        if self.substituted:
            show = f"az functionapp identity show {self.app_options} --query principalId -o tsv"
            app = self.client_id or Template(f"$({show})")
            lines += ["# And for the app itself:", f"{assign} --assignee {quoted(app)}"]
        return lines

    def tool(self, *words: str) -> str:
        """Call one of the tools with the same settings."""
        return " ".join((self.program, *map(quoted, (*words, *self.settings_options))))

    def use_own_identity(self) -> list[str]:
        """Run the doctor as the user who is signed in; and the app too, if it runs locally."""
        lines = ["az login", self.tool("doctor", "--credential", "azure_cli")]
        if self.home is not Home.APP:
            lines += ["# To run the app as the user who is signed in, too:"]
            lines += self.set("METRICS_CREDENTIAL", "azure_cli")
        return lines

    def read_log(self) -> list[str]:
        """See whether the app runs, and what it logs."""
        if self.home is not Home.APP:
            return ["# Check that the app runs (make run, or func start), and read its log."]
        # Of the templates; Flex Consumption has no log stream.
        find = f"az resource list --resource-group {quoted(self.group)}"
        find += " --resource-type Microsoft.Insights/components --query '[0].id' -o tsv"
        query = quoted("traces | project timestamp, message | order by timestamp desc | take 50")
        return [
            f"az functionapp show {self.app_options} --query state",
            f'az monitor app-insights query --apps "$({find})" --analytics-query {query}',
        ]

    def start_azurite(self, port: int | None) -> list[str]:
        """Start the storage emulator."""
        start = f"npx azurite --skipApiVersionCheck --queuePort {port or 10001}"
        return ["# Start Azurite in another terminal:", start]

    @property
    def app_options(self) -> str:
        """The options of az that name the function app."""
        return f"--name {quoted(self.app)} --resource-group {quoted(self.group)}"


def storage_id(account: str) -> Template:
    """Return the resource ID of a storage account, as a command that prints it."""
    return Template(f"$(az storage account show --name {quoted(account)} --query id -o tsv)")
