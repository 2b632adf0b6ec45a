"""`dead-letter replay`: receive, check, enqueue, delete.

A dead letter is deleted after everything in it was enqueued, so nothing is lost whenever the
process ends. What was enqueued and not yet deleted then is enqueued again by the next run.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shared.clients.storage import NO_EXPIRY
from shared.model import Reason
from shared.text import plural
from tools.console import out, progress
from tools.dead_letter.contents import count_points, queue_texts
from tools.dead_letter.options import (
    EXIT_CODES,
    Selection,
    dead_letter_queue_options,
    interruptible,
    selection_options,
)
from tools.dead_letter.queue import Message, QueueReader, check_connection, reading, storage_errors
from tools.dead_letter.records import DeadLetter, parse, read_file
from tools.ingress import Queues

if TYPE_CHECKING:  # Slow to import.
    from azure.storage.queue import QueueClient

__all__ = ["Plan", "make_plan", "replay"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a replay does with a message: it enqueues texts, or nothing because of a problem."""

    texts: Sequence[str] = ()
    points: int = 0
    problem: str = ""
    source: Message | None = None  # To be deleted afterwards.


def make_plan(one: DeadLetter, now: datetime, *, restamp: bool) -> Plan:
    """Return what a replay at `now` (UTC) does with a dead letter."""
    problem = one.problem
    if one.reason == Reason.EXPIRED and not restamp:
        problem = problem or "expired, and would be rejected again without --restamp"
    if problem:
        return Plan(problem=problem)
    enqueued = one.enqueued or one.time
    try:
        texts = [
            text
            for entry in one.entries
            for text in queue_texts(entry.content, enqueued, now if restamp else None)
        ]
    except ValueError as exc:
        return Plan(problem=str(exc))
    points = sum(count_points(entry.content) for entry in one.entries)
    return Plan(texts, points, source=one.message)


@click.command(
    "replay",
    epilog=f"""\b
Examples:
  dead-letter replay --reason forbidden_scope --dry-run
  dead-letter replay --reason expired --restamp --limit 1
  dead-letter replay --file edited.json
  dead-letter replay --poison

{EXIT_CODES}""",
)
@selection_options
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
@dead_letter_queue_options
def replay(
    *,
    queues: Queues,
    restamp: bool,
    limit: int | None,
    file: Path | None,
    poison: bool,
    dry_run: bool,
    yes: bool,
    **filters: Any,
) -> None:
    """Enqueue dead letters into the ingress queue again, then delete them.

    A point without a time gets that at which its message was enqueued. What the relay rejects
    again becomes a new dead letter. If the command is killed, nothing is lost, and the next run may
    enqueue a few dead letters a second time.
    """
    selection, started = Selection(**filters), datetime.now(UTC)
    if poison and (file or restamp or not selection.is_empty):
        raise click.UsageError("--poison takes no filters, --restamp or --file")
    ingress = queues.open(queues.ingress)
    check_connection(ingress.url)
    with storage_errors(queues.ingress):
        ingress.get_queue_properties()  # A wrong name is better known before anything happens.
    noun = "poison message" if poison else "dead letter"
    replaying = Replay(None if dry_run else ingress, limit, noun)

    def plans_of(found: Iterable[DeadLetter]) -> list[Plan]:
        now = datetime.now(UTC)
        chosen = [one for one in found if selection.matches(one, started)]
        return [make_plan(one, now, restamp=restamp) for one in chosen]

    def plans_of_messages(messages: list[Message]) -> list[Plan]:
        if poison:
            return [Plan([one.text], count_points(one.text.encode()), "", one) for one in messages]
        return plans_of(map(parse, messages))

    def confirm(what: str) -> None:
        if not (yes or dry_run):
            how = ", every point with the time of now" if restamp else ""
            where = f"{queues.ingress} at {ingress.primary_hostname}"
            click.confirm(f"Replay {what} into {where}{how}?", abort=True, err=True)

    if file:
        plans = plans_of(read_file(file))
        confirm(f"{plural(len(plans), 'dead letter')} of {file}")
        replaying.run([plan] for plan in plans)
    else:
        name = f"{queues.ingress}-poison" if poison else queues.dead_letter
        with reading(queues.open(name)) as reader:
            which = "the" if selection.is_empty else "the selected of"
            at_most = f"at most {limit} of " if limit else ""
            confirm(f"{at_most}{which} {plural(reader.count, 'message')} of {name}")
            batches = ([one] for one in reader.look()) if dry_run else reader.receive()
            replaying.run(map(plans_of_messages, batches), reader)
    if replaying.problems:
        sys.exit(1)


class Replay:
    """Enqueues messages, and counts what it did."""

    def __init__(self, ingress: QueueClient | None, limit: int | None, noun: str) -> None:
        """Without `ingress` it only counts. `noun` is what one message is."""
        self._ingress = ingress
        self._left = limit
        self._noun = noun
        self._replayed = self._points = self._messages = 0
        self.problems: Counter[str] = Counter()

    def run(self, batches: Iterable[list[Plan]], reader: QueueReader | None = None) -> None:
        """Enqueue plans, and delete their messages from the queue of a reader.

        Raises StorageError.
        """
        with interruptible() as stop, self._printing(), progress() as bar:
            task = bar.add_task("Replaying", total=reader.count if reader else None)

            def enqueue_and_delete(plan: Plan) -> Plan:
                if stop.asked():
                    return Plan()
                self._enqueue(plan)
                if self._ingress and reader and plan.source:
                    reader.delete(plan.source)
                return plan

            for batch in batches:
                run = reader.run if reader else map  # A file in its order, one after the other.
                for plan in run(enqueue_and_delete, self._accept(batch)):
                    self._count(plan)
                bar.advance(task, len(batch))
                if stop.asked() or self._left == 0:
                    return
            if reader:
                reader.print_unseen()

    def _accept(self, plans: list[Plan]) -> list[Plan]:
        """Return those that can be replayed, as many as the limit allows."""
        self.problems.update(plan.problem for plan in plans if plan.problem)
        accepted = [plan for plan in plans if not plan.problem][: self._left]
        if self._left is not None:
            self._left -= len(accepted)
        return accepted

    def _enqueue(self, plan: Plan) -> None:
        if self._ingress:
            with storage_errors(self._ingress.queue_name):
                for text in plan.texts:
                    self._ingress.send_message(text, time_to_live=NO_EXPIRY)

    def _count(self, plan: Plan) -> None:
        self._replayed += bool(plan.texts)
        self._points += plan.points
        self._messages += len(plan.texts)

    @contextmanager
    def _printing(self) -> Iterator[None]:
        """Print what was done until the end of the block, after an error too."""
        try:
            yield
        finally:
            verb = "Replayed" if self._ingress else "Would replay"
            points, messages = plural(self._points, "point"), plural(self._messages, "message")
            out.print(f"{verb} {plural(self._replayed, self._noun)}: {points} in {messages}.")
            for problem, count in self.problems.most_common():
                text = f"Not replayed: {plural(count, self._noun)}: {problem}"
                out.print(text, style="yellow", markup=False)
