"""The queues that a command works on, as its options name them, and errors of storage."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click
from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.queue import QueueClient

from shared.clients import http
from shared.clients.connections import validate_account_url
from shared.clients.storage import Connection, may_be_secret, open_queue_service, resolve_connection
from shared.errors import ConfigurationError, RelayError
from shared.text import masked
from tools.app_settings import SettingsFile, read_app_settings, settings_option

__all__ = [
    "Queues",
    "check_loopback",
    "describe_error",
    "find_queues",
    "queue_options",
    "storage_errors",
]

Command = TypeVar("Command", bound=Callable[..., Any])

_CONNECT_TIMEOUT = 5  # Seconds.


@dataclass(frozen=True, slots=True)
class Queues:
    """The ingress queue and the dead-letter queue of a relay."""

    connection: Connection
    ingress: str
    dead_letter: str

    def open(self, name: str) -> QueueClient:
        """Return a client for one of the queues.

        Raises ConfigurationError, or RelayError if nothing listens at its port on this machine.
        """
        queue = open_queue_service(self.connection).get_queue_client(name)
        check_loopback(queue.url)
        return queue


def queue_options(command: Command) -> Command:
    """Add --settings, --connection, --account and --queue to a command."""
    options = (
        click.option(
            "--queue",
            metavar="NAME",
            help="Ingress queue.  [default: METRICS_QUEUE, or else metrics]",
        ),
        click.option(
            "--account",
            metavar="URL",
            help="URL of a storage account's queue service, such as "
            "https://NAME.queue.core.windows.net; you are signed in as with `az login`.",
        ),
        click.option(
            "--connection",
            metavar="NAME",
            default="MetricsStorage",
            show_default=True,
            help="App setting that holds a connection, by the convention of Azure Functions; or a "
            "connection string.",
        ),
        settings_option,
    )
    for option in options:
        command = option(command)
    return command


def find_queues(
    settings_file: SettingsFile | None, connection: str, account: str | None, queue: str | None
) -> Queues:
    """Return the queues that options and app settings name.

    Raises ConfigurationError, or UsageError for an option.
    """
    settings = read_app_settings(settings_file)
    if account:
        try:
            where = Connection("--account", queue_service_uri=validate_account_url(account))
        except ValueError as exc:
            raise click.UsageError(
                f"--account is {masked(account)}: expected https://NAME.queue.core.windows.net; "
                "use --connection for a connection string"
            ) from exc
    elif may_be_secret(connection):
        where = resolve_connection({"--connection": connection}, "--connection")
        try:
            open_queue_service(where)
        except ConfigurationError as exc:
            raise click.UsageError(str(exc)) from exc
    else:
        try:
            # The managed identity of the app exists in Azure alone: sign in as the user.
            where = replace(resolve_connection(settings, connection), managed_identity=False)
        except ConfigurationError as exc:
            raise ConfigurationError(f"{exc}; or use --settings or --account") from exc
    own = settings.get("METRICS_QUEUE") or "metrics"
    name = queue or own
    configured = settings.get("METRICS_DEAD_LETTER_QUEUE") if name == own else None
    if configured in {name, f"{name}-poison"}:
        raise ConfigurationError(
            f"METRICS_DEAD_LETTER_QUEUE is {configured!r}: expected another queue than "
            f"{name} and {name}-poison"
        )
    return Queues(where, name, configured or f"{name}-dead-letter")


@contextmanager
def storage_errors(
    queue: QueueClient, role: str = "Storage Queue Data Contributor"
) -> Iterator[None]:
    """Raise RelayError for what the SDK raises. `role` is the role that allows the requests."""
    try:
        yield
    except AzureError as exc:
        raise RelayError(describe_error(exc, queue, role)) from exc


def describe_error(exc: Exception, queue: QueueClient, role: str) -> str:
    """Return one line about a failed request. `role` is the role that allows the request."""
    if isinstance(exc, ResourceNotFoundError):
        # Without a signature that the URL may have.
        account = str(queue.url).partition("?")[0].rpartition("/")[0]
        return f"there is no queue {queue.queue_name!r} at {account}"
    text = re.sub(r"\?\S+", "?…", http.describe_error(exc))  # A URL in it may have one, too.
    if getattr(exc, "error_code", None) == "AuthorizationPermissionMismatch":
        return f"{queue.queue_name}: {text} (the role {role} is needed)"
    return f"{queue.queue_name}: {type(exc).__name__}: {text}"


def check_loopback(url: str) -> None:
    """Raise RelayError if nothing listens at a port of this machine; the SDK would retry first."""
    parts = urlsplit(url)
    if not http.is_loopback(parts.hostname) or parts.port is None:
        return
    try:
        socket.create_connection((parts.hostname, parts.port), _CONNECT_TIMEOUT).close()
    except OSError as exc:
        raise RelayError(
            f"nothing listens at {parts.hostname}:{parts.port} ({exc.strerror or exc}); "
            "is Azurite or `make run` running?"
        ) from exc
