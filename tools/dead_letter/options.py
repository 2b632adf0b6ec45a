"""Options of all commands: filters and queues; and the stop at Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import wraps
from types import FrameType
from typing import Any

import click

from shared.model import Reason
from shared.text import plural
from tools.dead_letter.records import UNREADABLE, DeadLetter
from tools.ingress import find_queues, queue_options
from tools.stopping import Stop, stoppable

__all__ = ["Selection", "common_options", "counted", "interruptible"]

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
        age = now - one.dead_lettered_time
        details = (one.detail, *(entry.detail for entry in one.refused))
        return (
            (not self.reason or one.reason in self.reason)
            and (not self.id or one.id in self.id or one.message_id in self.id)
            and (self.older_than is None or age >= self.older_than)
            and (self.newer_than is None or age <= self.newer_than)
            and any(self.detail.lower() in detail.lower() for detail in details)
        )

    def select(self, pages: Iterable[list[DeadLetter]], stop: Stop) -> Iterator[list[DeadLetter]]:
        """Yield what is selected of each page, until the user asks to stop."""
        now = datetime.now(UTC)
        for page in pages:
            if stop.asked():
                return
            yield [one for one in page if self.matches(one, now)]


def _duration(_: click.Context, __: click.Parameter, text: str | None) -> timedelta | None:
    if text is None:
        return None
    match = re.fullmatch("([0-9]{1,6})([smhd])", text)
    if not match:
        raise click.BadParameter(f"{text!r} is not a duration such as 30s, 30m, 2h or 7d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


_AGE: dict[str, Any] = {"callback": _duration, "metavar": "AGE"}
_FILTERS = (
    click.option(
        "--reason",
        type=click.Choice([*map(str, Reason), UNREADABLE]),
        multiple=True,
        help="Reason; repeatable. `unreadable` selects messages that are not dead letters.",
    ),
    click.option("--detail", default="", metavar="TEXT", help="Text in the detail."),
    click.option(
        "--id",
        multiple=True,
        metavar="ID",
        help="ID of a dead letter, or of the rejected message; repeatable.",
    ),
    click.option("--older-than", help="Dead-lettered at least this long ago: 30m, 2h, 7d.", **_AGE),
    click.option("--newer-than", help="Dead-lettered at most this long ago.", **_AGE),
)


def common_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add filters and queues to a command, which gets a `selection` and `queues`."""

    @wraps(command)
    def run(**options: Any) -> None:
        selection = Selection(**{one.name: options.pop(one.name) for one in fields(Selection)})
        names = ("settings_file", "connection", "account", "queue")
        where = {name: options.pop(name) for name in names}
        before = signal.signal(signal.SIGINT, _end_at_once)
        try:
            command(queues=find_queues(**where), selection=selection, **options)
        finally:
            signal.signal(signal.SIGINT, before)

    options = queue_options(run)
    for option in reversed(_FILTERS):
        options = option(options)
    return options


def counted(points: list[int], noun: str = "dead letter") -> str:
    """Return the number of dead letters and points; `points` are those of each dead letter."""
    return f"{plural(len(points), noun)}, {plural(sum(points), 'point')}"


@contextmanager
def interruptible() -> Iterator[Stop]:
    """Count Ctrl-C and SIGTERM within the block, and exit after it if there were any.

    The second one ends the process at once.
    """
    text = "Stopping after the requests under way. Press Ctrl-C again to stop at once."
    with stoppable(text, _end_at_once) as stop:
        yield stop
    if stop.asked():
        sys.exit(stop.exit_code)


def _end_at_once(number: int, _: FrameType | None) -> None:
    """End the process: threads may wait for storage, and Python would wait for them."""
    if os.isatty(2):  # A progress bar has hidden the cursor, or a prompt has no end.
        os.write(2, b"\x1b[?25h\n")  # Not through a buffer that may be in use.
    os._exit(128 + number)
