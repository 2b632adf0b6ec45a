"""`dead-letter replay`: receive, check, enqueue, delete.

A dead letter is deleted after everything in it was enqueued, so nothing is lost whenever the
process ends. What was enqueued and not yet deleted then is enqueued again by the next run.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shared.clients.storage import NO_EXPIRY
from shared.model import Reason
from shared.text import plural
from tools.console import Command, out, progress
from tools.dead_letter.contents import queue_texts
from tools.dead_letter.options import Selection, common_options, counted, interruptible
from tools.dead_letter.queue import QueueReader, count_messages, run_at_once, storage_errors
from tools.dead_letter.records import DeadLetter, parse, read_file, unreadable
from tools.ingress import Queues

if TYPE_CHECKING:  # Slow to import.
    from azure.storage.queue import QueueClient

__all__ = ["replay"]


@click.command(
    "replay",
    cls=Command,
    epilog="""\b
Examples:
  {program} dead-letter replay --reason forbidden_scope --dry-run
  {program} dead-letter replay --reason expired --restamp --limit 1
  {program} dead-letter replay --file edited.json
  {program} dead-letter replay --poison
""",
)
@click.option("--restamp", is_flag=True, help="Give every point the time of the replay.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Replay N dead letters at most.")
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Replay what `show --json` or `purge --export` wrote; delete nothing.",
)
@click.option("--poison", is_flag=True, help="Replay the messages of `<queue>-poison`, unchanged.")
@click.option("--dry-run", is_flag=True, help="Print what would be replayed; change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@common_options
def replay(
    *,
    queues: Queues,
    selection: Selection,
    restamp: bool,
    limit: int | None,
    file: Path | None,
    poison: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Put dead letters back into the ingress queue.

    Each is deleted once everything in it is enqueued. A point without a time gets that at which its
    message was enqueued. What the relay rejects
    again becomes a new dead letter. If the command is killed, nothing is lost, and the next run may
    enqueue a few dead letters a second time.
    """
    if poison and (file or restamp or not selection.is_empty):
        raise click.UsageError("--poison takes no filters, --restamp or --file")
    ingress = queues.open(queues.ingress)
    count_messages(ingress)  # A wrong name is better known before anything happens.
    replaying = _Replay(ingress, selection, limit, restamp, poison, dry_run)

    def confirm(count: str, source: str | Path) -> None:
        if yes or dry_run:
            return
        at_most = f"at most {limit} of " if limit else ""
        which = "the" if selection.is_empty else "the selected of"
        where = f"{queues.ingress} at {ingress.primary_hostname}"
        how = ", every point with the time of now" if restamp else ""
        text = f"Replay {at_most}{which} {count} of {source} into {where}{how}?"
        click.confirm(text, abort=True, err=True)

    if file:
        found = read_file(file)
        confirm(plural(len(found), "dead letter"), file)
        replaying.run([[one] for one in found])  # In their order, one after the other.
    else:
        name = f"{queues.ingress}-poison" if poison else queues.dead_letter
        with QueueReader(queues.open(name), unreadable if poison else parse) as reader:
            confirm(plural(reader.count, "message"), name)
            replaying.run(reader.look() if dry_run else reader.receive(), reader.delete)
    if replaying.problems:
        sys.exit(1)


@dataclass(slots=True)
class _Replay:
    """Enqueues dead letters, and counts them."""

    ingress: QueueClient
    selection: Selection
    limit: int | None
    restamp: bool
    poison: bool
    dry_run: bool
    points: list[int] = field(default_factory=list)  # Of each that was replayed.
    problems: Counter[str] = field(default_factory=Counter)

    def run(
        self,
        pages: Iterable[list[DeadLetter]],
        delete: Callable[[DeadLetter], None] = lambda _: None,
    ) -> None:
        """Enqueue what is selected, and delete each dead letter then. Raises RelayError."""

        def enqueue_and_delete(plan: tuple[DeadLetter, list[str]]) -> None:
            one, texts = plan
            if not self.dry_run:
                with storage_errors(self.ingress):
                    for text in texts:
                        self.ingress.send_message(text, time_to_live=NO_EXPIRY)
                delete(one)
            self.points.append(one.points)

        try:
            with interruptible() as stop, progress() as bar:
                task = bar.add_task("Replaying", total=None)
                for page in self.selection.select(pages, stop):
                    plans = [(one, texts) for one in page if (texts := self._check(one))]
                    left = self.limit and self.limit - len(self.points)
                    run_at_once(enqueue_and_delete, plans[:left])
                    bar.update(task, completed=len(self.points))
                    if len(self.points) == self.limit:
                        break
        finally:
            noun = "poison message" if self.poison else "dead letter"
            verb = "Would replay" if self.dry_run else "Replayed"
            click.echo(f"{verb} {counted(self.points, noun)}.")
            for problem, count in self.problems.most_common():
                text = f"Not replayed: {plural(count, noun)}: {problem}"
                out.print(text, style="yellow", markup=False)

    def _check(self, one: DeadLetter) -> list[str]:
        """Return the messages to enqueue; none, and a problem more, if it must stay."""
        if self.poison:
            return [entry.content.decode() for entry in one.refused]
        try:
            return _messages(one, self.restamp)
        except ValueError as exc:
            self.problems[str(exc)] += 1
            return []


def _messages(one: DeadLetter, restamp: bool) -> list[str]:
    """Return what to enqueue for a dead letter. Raises ValueError if it must stay."""
    if one.problem:
        raise ValueError(one.problem)
    if one.reason == Reason.EXPIRED and not restamp:
        raise ValueError("expired, and would be rejected again without --restamp")
    enqueued = one.enqueued_time or one.dead_lettered_time
    now = datetime.now(UTC) if restamp else None
    return [text for entry in one.refused for text in queue_texts(entry.content, enqueued, now)]
