"""Options that the commands share: filters, and the queues they work on."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from shared.model import Reason
from tools.app_settings import read_app_settings
from tools.dead_letter.records import UNREADABLE, DeadLetter
from tools.ingress import Queues, find_queues, queue_options
from tools.stopping import Stop, stoppable

__all__ = [
    "EXIT_CODES",
    "Selection",
    "dead_letter_queue_options",
    "interruptible",
    "selection_options",
]

Command = TypeVar("Command", bound=Callable[..., Any])

EXIT_CODES = (
    "Exit codes: 0 done; 1 an error, or something selected is left; 2 wrong usage; 130 interrupted."
)
INTERRUPTED = 130
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Filters; a dead letter is selected if all that are given match."""

    reason: tuple[str, ...] = ()
    detail: str = ""
    id: tuple[str, ...] = ()
    older_than: timedelta | None = None
    newer_than: timedelta | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no filter is given."""
        return self == Selection()

    def matches(self, one: DeadLetter, now: datetime) -> bool:
        """Return whether a dead letter is selected."""
        age = now - one.time
        details = (one.detail, *(entry.detail for entry in one.entries))
        return (
            (not self.reason or one.reason in self.reason)
            and (not self.id or one.message.id in self.id or one.message_id in self.id)
            and (self.older_than is None or age >= self.older_than)
            and (self.newer_than is None or age <= self.newer_than)
            and any(self.detail.lower() in detail.lower() for detail in details)
        )


def _duration(_: click.Context, __: click.Parameter, text: str | None) -> timedelta | None:
    if text is None:
        return None
    match = re.fullmatch("([0-9]{1,6})([smhd])", text)
    if not match:
        raise click.BadParameter(f"{text!r} is not a duration such as 30s, 30m, 2h or 7d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def selection_options(command: Command) -> Command:
    """Add the filters to a command; they are the arguments of a Selection."""
    for option in (
        click.option(
            "--newer-than",
            callback=_duration,
            metavar="AGE",
            help="Dead-lettered at most this long ago: 30m, 2h, 7d.",
        ),
        click.option(
            "--older-than",
            callback=_duration,
            metavar="AGE",
            help="Dead-lettered at least this long ago.",
        ),
        click.option(
            "--id",
            multiple=True,
            metavar="ID",
            help="ID of a dead letter, or of the rejected message; repeatable.",
        ),
        click.option("--detail", default="", metavar="TEXT", help="Text in the detail."),
        click.option(
            "--reason",
            type=click.Choice([*map(str, Reason), UNREADABLE]),
            multiple=True,
            help="Reason; repeatable. `unreadable` selects messages that are not dead letters.",
        ),
    ):
        command = option(command)
    return command


def dead_letter_queue_options(command: Command) -> Command:
    """Add the options that name the queues; the command gets `queues`."""

    @wraps(command)
    def with_queues(
        *,
        settings_file: Path | None,
        connection: str,
        account: str | None,
        queue: str | None,
        dead_letter_queue: str | None,
        **others: Any,
    ) -> None:
        found = find_queues(settings_file, connection, account, queue)
        name = dead_letter_queue or found.dead_letter
        configured = read_app_settings(settings_file).get("METRICS_QUEUE") or "metrics"
        for ingress in (found.ingress, configured):
            if name in {ingress, f"{ingress}-poison"}:
                raise click.UsageError(
                    f"{name} is not a dead-letter queue: it belongs to the ingress queue {ingress}"
                )
        try:
            command(queues=Queues(found.connection, found.ingress, name), **others)
        except KeyboardInterrupt:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(INTERRUPTED)  # Threads may wait for storage, and Python for them.

    return queue_options(  # type: ignore[return-value]
        click.option(
            "--dead-letter-queue",
            metavar="NAME",
            help="Else METRICS_DEAD_LETTER_QUEUE, else `<queue>-dead-letter`.",
        )(with_queues)
    )


@contextmanager
def interruptible() -> Iterator[Stop]:
    """Count Ctrl-C and SIGTERM within the block, and exit with 130 after it if there were any.

    The second one ends the process at once.
    """
    with stoppable("Stopping after the requests under way; once more: at once.") as stop:
        yield stop
    if stop.asked():
        sys.exit(INTERRUPTED)
