"""The ingress queue that a command works on, as its options name it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from shared.clients.storage import Connection, may_be_secret, open_queue_service, resolve_connection
from shared.errors import ConfigurationError
from tools.app_settings import read_app_settings, settings_option

if TYPE_CHECKING:
    from azure.storage.queue import QueueClient

__all__ = ["Queues", "find_queues", "queue_options"]

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Queues:
    """Where metric messages go, and where refused ones end."""

    connection: Connection
    ingress: str
    dead_letter: str

    def open(self, name: str) -> QueueClient:
        """A client for one of the queues. Raises ConfigurationError for a wrong connection."""
        return open_queue_service(self.connection).get_queue_client(name)


def queue_options(command: Command) -> Command:
    """Add --settings, --connection, --account and --queue to a command."""
    options = (
        click.option(
            "--queue", metavar="NAME", help="Ingress queue; else METRICS_QUEUE, else `metrics`."
        ),
        click.option(
            "--account",
            metavar="URL",
            help="Address of a storage account's queues, such as "
            "https://NAME.queue.core.windows.net; signs in as you are signed in.",
        ),
        click.option(
            "--connection",
            metavar="NAME",
            default="MetricsStorage",
            show_default=True,
            help="App setting that holds a connection, by the convention of Azure Functions; or a "
            "connection string itself.",
        ),
        settings_option,
    )
    for option in options:
        command = option(command)
    return command


def find_queues(
    settings_file: Path | None, connection: str, account: str | None, queue: str | None
) -> Queues:
    """The queues that the options and the app settings name. Raises ConfigurationError."""
    settings = read_app_settings(settings_file)
    name = queue or settings.get("METRICS_QUEUE") or "metrics"
    given = None if queue else settings.get("METRICS_DEAD_LETTER_QUEUE")
    # A token goes over HTTPS alone, so there is no address of an emulator.
    if account and not account.startswith("https://"):
        shown = "what may be a secret" if may_be_secret(account) else repr(account)
        raise ConfigurationError(
            f"--account is {shown}: expected https://NAME.queue.core.windows.net; a connection "
            "string is for --connection"
        )
    if account:
        where = Connection("--account", queue_service_uri=account)
    elif may_be_secret(connection):
        where = resolve_connection({"--connection": connection}, "--connection")
    else:
        where = resolve_connection(settings, connection)
    return Queues(where, name, given or f"{name}-dead-letter")
