"""The dead-letter queue that a command works on, walked through from one end to the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial, wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from tools.app_settings import read_app_settings
from tools.console import err, progress
from tools.dead_letter.finding import Found, Held, find
from tools.dead_letter.holding import MOST_TAKEN, Holder, holding
from tools.ingress import Queues, find_queues, queue_options
from tools.stopping import Stop, stoppable
from tools.wording import things

__all__ = ["Box", "box_options", "stoppable_walk", "walk"]

# What may be stopped between two letters; the second signal ends the process as ever.
stoppable_walk = partial(
    stoppable, "Ending once what is under way is done, and letters are given back; again: at once."
)

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Box:
    """A dead-letter queue, and the ingress queue that it belongs to."""

    queues: Queues
    settings: Mapping[str, str]
    hold: int | None  # Seconds for which what is taken stays out of sight.

    @property
    def name(self) -> str:
        """The name of the queue."""
        return self.queues.dead_letter

    def place(self, queue: str) -> str:
        """`QUEUE at ACCOUNT`, for who is asked whether it is meant."""
        return f"{queue} at {self.queues.open(queue).primary_hostname}"


def box_options(command: Command) -> Command:
    """Add the options that name the queue; the command gets a `box` for them."""

    @wraps(command)
    def with_box(
        *,
        settings_file: Path | None,
        connection: str,
        account: str | None,
        queue: str | None,
        dead_letter_queue: str | None,
        hold: int | None,
        **others: Any,
    ) -> Any:
        found = find_queues(settings_file, connection, account, queue)
        queues = Queues(found.connection, found.ingress, dead_letter_queue or found.dead_letter)
        settings = read_app_settings(settings_file)
        _refuse_ingress(queues, settings)
        return command(box=Box(queues, settings, hold), **others)

    return queue_options(  # type: ignore[return-value]
        click.option(
            "--dead-letter-queue",
            metavar="NAME",
            help="Else METRICS_DEAD_LETTER_QUEUE, else `<queue>-dead-letter`.",
        )(
            click.option(
                "--hold",
                type=click.IntRange(1, 7 * 24 * 3600),
                metavar="SECONDS",
                help="How long letters are out of sight should this command be killed.  "
                "[default: 120, and 1 for each 25 letters]",
            )(with_box)
        )
    )


def walk(
    box: Box,
    stop: Stop,
    label: str,
    visit: Callable[[Found, Holder], bool | None],
    *,
    only_look: bool = False,
    as_of: datetime | None = None,
    finish: Callable[[], None] | None = None,
) -> Holder:
    """Show each letter to `visit`, until it says False; what it leaves in the queue is given back.

    Who only looks takes no letter from a queue that a peek shows all of. `as_of` (by the clock of
    storage) leaves out what was dead-lettered later. `finish` is called before letters are given
    back, unless somebody asked for the end.
    """
    with holding(box.queues.open(box.name), stop, box.hold) as holder:
        holder.as_of = min(holder.as_of, as_of or holder.as_of)
        look = only_look and holder.count <= MOST_TAKEN
        bar = progress()
        bar.disable |= not holder.count
        with bar:
            task = bar.add_task(label, total=holder.count)

            def counted(messages: Iterable[Held]) -> Iterator[Held]:
                for message in messages:
                    bar.advance(task)
                    yield message

            for found in find(counted(holder.peek() if look else holder.take())):
                if stop.asked() or visit(found, holder) is False:
                    break
            else:
                if not stop.asked():
                    holder.missed = holder.unseen
                    _say_unseen(holder)
            if finish and not stop.asked():
                finish()
    return holder


def _refuse_ingress(queues: Queues, settings: Mapping[str, str]) -> None:
    """A purge of messages that nobody refused must not be a matter of a misspelt name."""
    for ingress in (queues.ingress, settings.get("METRICS_QUEUE") or "metrics"):
        if queues.dead_letter in {ingress, f"{ingress}-poison"}:
            raise click.UsageError(
                f"{queues.dead_letter} is no dead-letter queue: it belongs to the ingress queue "
                f"{ingress}; see --dead-letter-queue"
            )


def _say_unseen(holder: Holder) -> None:
    if holder.late:
        err.print(f"{things(holder.late, 'letter')} came since; left for the next time.")
    if holder.missed:
        err.print(
            f"{things(holder.missed, 'letter')} more, by the queue's count, could not be seen: "
            "another command holds them, or one that was killed did; they come back by themselves.",
            style="yellow",
        )
