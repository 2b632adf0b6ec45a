"""`dead-letter replay`: receive, check, enqueue, delete.

A dead letter is deleted after everything in it was enqueued, so nothing is lost whenever the
process ends. What was enqueued and not yet deleted then is enqueued again by the next run.
"""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import click

from shared.clients.storage import NO_EXPIRY
from shared.model import Reason
from shared.text import plural
from tools.console import Command, out, progress
from tools.dead_letter.contents import queue_texts
from tools.dead_letter.options import Selection, common_options, counted, interruptible
from tools.dead_letter.queue import QueueReader, count_messages, run_at_once
from tools.dead_letter.records import DeadLetter, parse, read_file, unreadable
from tools.ingress import Queues, storage_errors

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

    Each is deleted once everything in it is enqueued. A point without a time gets the time at which
    its message was enqueued. What the relay rejects again becomes a new dead letter. If the command
    is killed, nothing is lost, and the next run may enqueue a few dead letters a second time.
    """
    if poison and (file or restamp or not selection.is_empty):
        raise click.UsageError("--poison takes no filters, --restamp or --file")
    ingress = queues.open(queues.ingress)
    count_messages(ingress)  # A wrong name is an error before anything happens.
    points: list[int] = []  # Of each that was replayed.
    not_deleted: set[str] = set()  # IDs of those that were enqueued, at least in part.
    problems: Counter[str] = Counter()

    def enqueue_and_delete(plan: tuple[DeadLetter, list[str]]) -> None:
        one, texts = plan
        if not dry_run:
            with storage_errors(ingress):
                for text in texts:
                    ingress.send_message(text, time_to_live=NO_EXPIRY)
                    not_deleted.add(one.id)
            if reader:
                reader.delete(one)
            not_deleted.discard(one.id)
        points.append(one.points)

    with ExitStack() as stack:
        reader = None
        if file:
            found = read_file(file)
            pages = iter([[one] for one in found])  # In their order, one after the other.
            source = f"{plural(len(found), 'dead letter')} of {file}"
        else:
            name = f"{queues.ingress}-poison" if poison else queues.dead_letter
            client = queues.open(name)
            reader = stack.enter_context(QueueReader(client, unreadable if poison else parse))
            pages = reader.look() if dry_run else reader.receive()
            source = f"{plural(reader.count, 'message')} of {name}"
        if not (yes or dry_run):
            at_most = f"at most {limit} of " if limit else ""
            which = "the" if selection.is_empty else "the selected of"
            where = f"{queues.ingress} at {ingress.primary_hostname}"
            how = ", every point with the time of now" if restamp else ""
            text = f"Replay {at_most}{which} {source} into {where}{how}?"
            click.confirm(text, abort=True, err=True)
        stack.callback(_print_result, points, not_deleted, problems, dry_run=dry_run, poison=poison)
        stop = stack.enter_context(interruptible())
        bar = stack.enter_context(progress())
        task = bar.add_task("Replaying", total=None)
        for page in selection.select(pages, stop):
            plans = _plans(page, problems, poison=poison, restamp=restamp)
            run_at_once(enqueue_and_delete, plans[: limit and limit - len(points)])
            bar.update(task, completed=len(points))
            if len(points) == limit:
                break
    sys.exit(1 if problems else 0)


def _plans(
    page: list[DeadLetter], problems: Counter[str], *, poison: bool, restamp: bool
) -> list[tuple[DeadLetter, list[str]]]:
    """Return dead letters with the messages to enqueue, and count why others must stay."""
    plans = []
    for one in page:
        try:
            plans.append((one, _messages(one, poison=poison, restamp=restamp)))
        except ValueError as exc:
            problems[str(exc)] += 1
    return plans


def _messages(one: DeadLetter, *, poison: bool, restamp: bool) -> list[str]:
    """Return what to enqueue for a dead letter. Raises ValueError if it must stay."""
    if poison:
        return [entry.content.decode() for entry in one.refused]
    if one.problem:
        raise ValueError(one.problem)
    if one.reason == Reason.EXPIRED and not restamp:
        raise ValueError("expired, and would be rejected again without --restamp")
    enqueued = one.enqueued_time or one.dead_lettered_time
    now = datetime.now(UTC) if restamp else None
    return [text for entry in one.refused for text in queue_texts(entry.content, enqueued, now)]


def _print_result(
    points: list[int],
    not_deleted: set[str],
    problems: Counter[str],
    *,
    dry_run: bool,
    poison: bool,
) -> None:
    noun = "poison message" if poison else "dead letter"
    click.echo(f"{'Would replay' if dry_run else 'Replayed'} {counted(points, noun)}.")
    if not_deleted:
        again = f"{plural(len(not_deleted), noun)}, which the next replay enqueues again"
        out.print(f"Enqueued but not deleted: {again}.", style="yellow")
    for problem, count in problems.most_common():
        text = f"Not replayed: {plural(count, noun)}: {problem}"
        out.print(text, style="yellow", markup=False)
