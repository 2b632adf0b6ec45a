"""Which letters a command is about: its filters, as options and as a predicate."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import click

from shared.model import Reason
from tools.dead_letter.finding import UNREADABLE, Found
from tools.dead_letter.letters import Entry

__all__ = ["Selection", "selection_options"]

Command = TypeVar("Command", bound=Callable[..., Any])

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _duration(_: click.Context, __: click.Parameter, text: str | None) -> timedelta | None:
    """30s, 30m, 2h or 7d."""
    if text is None:
        return None
    match = re.fullmatch("([0-9]{1,6})([smhd])", text)
    if not match:
        raise click.BadParameter(f"{text!r} is no duration, such as 30s, 30m, 2h or 7d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What the filters let pass; every one that is given has to."""

    reason: tuple[str, ...] = ()
    older_than: timedelta | None = None  # Since it was dead-lettered.
    newer_than: timedelta | None = None
    detail: str | None = None
    id: tuple[str, ...] = ()  # Of a letter, or of a message that was refused.
    in_doubt: bool = False

    def everything(self) -> bool:
        """Whether no filter is given."""
        return self == Selection()

    def of(self, found: Found, now: datetime) -> list[Entry]:
        """The entries of a letter that pass."""
        letter, age = found.letter, now - found.letter.time
        if (
            (self.reason and letter.reason not in self.reason)
            or (self.older_than is not None and age < self.older_than)
            or (self.newer_than is not None and age > self.newer_than)
        ):
            return []
        whole = found.held.id in self.id
        return [
            entry
            for entry in letter.entries
            if (not self.id or whole or entry.message_id in self.id)
            and (self.detail is None or self.detail.lower() in entry.detail.lower())
            and (entry.in_doubt or not self.in_doubt)
        ]


def selection_options(command: Command) -> Command:
    """Add --reason, --older-than, --newer-than, --detail, --id and --in-doubt to a command."""
    options = (
        click.option(
            "--in-doubt",
            is_flag=True,
            help="Only what a replay that was killed may have put back already.",
        ),
        click.option(
            "--id",
            multiple=True,
            metavar="ID",
            help="Only of this message (messageId), or of this letter; repeatable.",
        ),
        click.option("--detail", metavar="TEXT", help="Only with this text in the detail."),
        click.option(
            "--newer-than",
            callback=_duration,
            metavar="AGE",
            help="Only dead-lettered since: 30m, 2h, 7d",
        ),
        click.option(
            "--older-than",
            callback=_duration,
            metavar="AGE",
            help="Only dead-lettered before: 30m, 2h, 7d",
        ),
        click.option(
            "--reason",
            type=click.Choice([*map(str, Reason), UNREADABLE]),
            multiple=True,
            help="Only of this reason; repeatable. What is no dead letter is `unreadable`.",
        ),
    )
    for option in options:
        command = option(command)
    return command
