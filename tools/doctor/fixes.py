"""The commands and instructions of fixes, quoted for a shell, with the known names filled in.

What is not known is a shell variable, such as "$APP".
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import Enum, auto

from tools.doctor.claims import Claims

__all__ = ["CERTIFICATE", "TIME_SYNC", "Fixes", "Home", "Template", "quoted"]

TIME_SYNC = (
    "# Set the clock. Linux with systemd (on Windows: w32tm /resync):",
    "sudo timedatectl set-ntp true",
)
CERTIFICATE = (
    "# Does a proxy inspect TLS? Name the file of its certificate:",
    'export REQUESTS_CA_BUNDLE="$CA_FILE"',
)


class Template(str):
    """Text in which the shell expands variables and commands; the doctor itself wrote them.

    Everything else, such as the value of a setting, is quoted and stands for itself.
    """

    __slots__ = ()


def quoted(text: str) -> str:
    """Return one word of a shell command, on one line."""
    if isinstance(text, Template):
        return f'"{text}"'
    if text.isprintable():
        return shlex.quote(text)
    # As it is, it would be several lines, or control the terminal.
    data = text.encode("utf-8", "surrogateescape")
    return "$'" + "".join(map(_ansi_c, data)) + "'"


def _ansi_c(byte: int) -> str:
    plain = 0x20 <= byte < 0x7F and chr(byte) not in "\\'"
    return chr(byte) if plain else f"\\x{byte:02x}"


class Home(Enum):
    """Where the app settings are kept."""

    APP = auto()  # A function app in Azure.
    FILE = auto()
    RUN = auto()  # `make run`, which has its own and takes others of its shell.
    SHELL = auto()  # The environment.


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
    settings_options: tuple[str, ...] = ()  # Options of this call that name the settings,
    doctor_options: tuple[str, ...] = ()  # and all but --credential and --format.

    def set(self, name: str, value: str) -> list[str]:
        """Set an app setting."""
        if self.in_shell(name):
            return [f"export {quoted(name)}={quoted(value)}"]
        if self.home is Home.APP:
            pair = f"{name}={value}"
            word = quoted(Template(pair) if isinstance(value, Template) else pair)
            return [f"az functionapp config appsettings set {self.app_options} --settings {word}"]
        pair = f"{quoted(name)}={quoted(value)}"
        if self.home is Home.RUN:
            return ["# Stop make run (Ctrl-C), and start it again with:", f"{pair} make run"]
        if value.startswith("$(") and isinstance(value, Template):
            return [f"# In {self.file}, set {name} to what this prints:", value[2:-1]]
        return [f"# In {self.file}, set {pair}"]

    def unset(self, name: str) -> list[str]:
        """Remove an app setting, so that its default applies."""
        word = quoted(name)
        if self.in_shell(name):
            return [f"unset {word}"]
        if self.home is Home.APP:
            delete = f"az functionapp config appsettings delete {self.app_options}"
            return [f"{delete} --setting-names {word}"]
        if self.home is Home.RUN:
            again = f"# Stop make run (Ctrl-C), and start it again without {name}:"
            return [again, f"env -u {word} make run"]
        return [f"# In {self.file}, remove {word}"]

    def allow(self, scopes: str, resource_id: str) -> list[str]:
        """Add a resource to METRICS_ALLOWED_SCOPES."""
        add = self.set("METRICS_ALLOWED_SCOPES", f"{scopes.strip().rstrip(',')},{resource_id}")
        return ["# If the relay may publish there:", *add]

    def in_shell(self, name: str) -> bool:
        """Return whether this shell sets a setting."""
        return self.home is Home.SHELL or name in self.shell_settings

    def grant(self, role: str, to: Claims | None, scope: str) -> list[str]:
        """Assign a role at a scope; to the app too, if the identity examined is another one."""
        kind = "User" if to and to.is_user else "ServicePrincipal"
        object_id = quoted(to.object_id if to and to.object_id else Template("$OBJECT_ID"))
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
        again = ("doctor", *self.doctor_options, "--credential", "azure_cli")
        lines = ["az login", " ".join((self.program, *map(quoted, again)))]
        if self.home is not Home.APP:
            lines += ["# To run the app as the user who is signed in, too:"]
            lines += self.set("METRICS_CREDENTIAL", "azure_cli")
        return lines

    def read_log(self) -> list[str]:
        """See whether the app runs, and what it logs."""
        if self.home is not Home.APP:
            return ["# Is the app running (make run, or func start)? Its log says what fails."]
        return [
            f"az functionapp show {self.app_options} --query state",
            f"func azure functionapp logstream {quoted(self.app)}",
        ]

    def start_azurite(self, port: int | None) -> list[str]:
        """Start the storage emulator."""
        if self.home is Home.RUN:
            return ["# make run starts Azurite, too:", "make run"]
        start = f"npx azurite --skipApiVersionCheck --queuePort {port or 10001}"
        return ["# Start Azurite in another terminal:", start]

    @property
    def app_options(self) -> str:
        """The options of az that name the function app."""
        return f"--name {quoted(self.app)} --resource-group {quoted(self.group)}"
