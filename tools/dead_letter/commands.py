"""The commands `dead-letter list`, `show` and `purge`; `replay` has its own module."""

from __future__ import annotations

import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from datetime import datetime
from io import FileIO
from itertools import chain
from pathlib import Path
from typing import Any

import click
import msgspec

from shared.errors import RelayError
from shared.text import clean, plural, utc_text
from tools.console import Command, err, out, program, progress
from tools.dead_letter.options import Selection, common_options, counted, interruptible
from tools.dead_letter.queue import QueueReader, count_messages, run_at_once
from tools.dead_letter.records import UNREADABLE, DeadLetter
from tools.dead_letter.replay import replay
from tools.ingress import Queues

__all__ = ["dead_letter"]

# Details of a reason that `list` prints; `list --json` prints all.
MAX_DETAILS = 5
# Characters of a dead letter that `show` prints; `show --json` prints all.
MAX_SHOWN = 4000
# JSON may hold these as they are; a terminal may obey them.
_CONTROLS = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
# What differs between details of one cause: which point, when, by how much.
_PARTICULAR = re.compile(
    r"(?<=\[)\d+(?=\])|(?<=^line )\d+(?=:)|\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)?"
    r"|(?<![\w.])\d+(?= s (?:old|ahead))"
)


@click.group(
    "dead-letter",
    epilog="""\b
Exit codes:
  0    the command did what you asked
  1    an error, or `replay` left something in the queue that you selected
  2    wrong options
  130  stopped by Ctrl-C (143: by SIGTERM)
""",
)
def dead_letter() -> None:
    """List, show, replay and purge dead letters.

    A dead letter is what the relay rejected of a message for one reason. A command receives
    dead letters to read more than 32 of them, which hides them for a moment.
    """


dead_letter.add_command(replay)


@dead_letter.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with all details.")
@common_options
def list_dead_letters(*, queues: Queues, selection: Selection, as_json: bool) -> None:
    """Count dead letters by reason and by detail."""
    poison, poison_queue = 0, f"{queues.ingress}-poison"
    with _open_reader(queues) as reader, interruptible() as stop:
        reasons = _count(chain.from_iterable(selection.select(reader.look(), stop)))
        with suppress(RelayError):  # There may be no such queue.
            poison = count_messages(queues.open(poison_queue))
        counts = {
            "queue": queues.dead_letter,
            "deadLetters": sum(reason["deadLetters"] for reason in reasons),
            "points": sum(reason["points"] for reason in reasons),
            "reasons": reasons,
            "poisonMessages": poison,
            "complete": not stop.asked(),
        }
        if as_json:
            click.echo(json.dumps(counts, indent=2))
        else:
            _print_counts(counts)
            if poison:
                click.echo(f"\n{poison_queue}: {plural(poison, 'message')}")
                again = f"{program()} dead-letter replay --poison"
                click.echo(f"  to put them back, with the same options: {again}")


@dead_letter.command("show")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Print N dead letters at most.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@common_options
def show_dead_letters(
    *, queues: Queues, selection: Selection, limit: int | None, as_json: bool
) -> None:
    """Print dead letters as JSON.

    Long ones are cut, unless you give --json.
    """
    shown = 0
    with _open_reader(queues) as reader, interruptible() as stop:
        before = "["
        try:
            for page in selection.select(reader.look(), stop):
                for one in page[: limit and limit - shown]:
                    text = _json_text(one)
                    if as_json:
                        click.echo(f"{before}\n{text}", nl=False)
                    else:
                        click.echo(text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…")
                    before = ","
                    shown += 1
                if shown == limit:
                    break
        finally:
            if as_json:  # After an error too, it is one JSON array.
                click.echo("\n]" if shown else "[]")
        if not shown:
            err.print("No dead letter is selected.")


@dead_letter.command(
    "purge",
    cls=Command,
    epilog="""\b
Examples:
  {program} dead-letter purge --older-than 30d --export old.jsonl
  {program} dead-letter purge --all
""",
)
@click.option("--all", "everything", is_flag=True, help="Delete all dead letters.")
@click.option(
    "--export",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write them to a new file first, one per line; `replay --file` reads it.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@common_options
def purge(
    *, queues: Queues, selection: Selection, everything: bool, export: Path | None, yes: bool
) -> None:
    """Delete dead letters for good.

    Give filters that select them, or --all. Messages that are not dead letters are deleted only
    with `--reason unreadable`.
    """
    if everything != selection.is_empty:
        raise click.UsageError("give filters, or --all for all dead letters")
    deleted: list[int] = []  # Points of each.
    unreadable = exported = 0
    client = queues.open(queues.dead_letter)
    with QueueReader(client) as reader, ExitStack() as stack:
        if not yes:
            which = "all" if everything else "the selected of"
            count = plural(reader.count, "message")
            where = f"{queues.dead_letter} at {client.primary_hostname}"
            click.confirm(f"Delete {which} {count} of {where} for good?", abort=True, err=True)
        try:
            file = stack.enter_context(export.open("xb", buffering=0)) if export else None
        except OSError as exc:
            raise click.BadParameter(f"{export}: {exc.strerror}", param_hint="--export") from exc

        def delete(one: DeadLetter) -> None:
            reader.delete(one)
            deleted.append(one.points)

        try:
            with interruptible() as stop, progress() as bar:
                task = bar.add_task("Deleting", total=None)
                for page in selection.select(reader.receive(), stop):
                    chosen = page
                    if UNREADABLE not in selection.reason:
                        chosen = [one for one in page if one.reason != UNREADABLE]
                        unreadable += len(page) - len(chosen)
                    if file:
                        _export(file, chosen)
                        exported += len(chosen)
                    run_at_once(delete, chosen)
                    bar.update(task, completed=len(deleted))
        finally:
            click.echo(f"Deleted {counted(deleted)}.")
            if (rest := exported - len(deleted)) > 0:
                click.echo(f"Exported but not deleted: {plural(rest, 'dead letter')}.", err=True)
    if unreadable:
        kept = plural(unreadable, "unreadable message")
        err.print(f"Kept {kept}; `purge --reason unreadable` deletes such messages.")


def _open_reader(queues: Queues) -> QueueReader:
    """Read the dead-letter queue, which the relay may not have created yet."""
    found, ingress = queues.open(queues.dead_letter), queues.open(queues.ingress)
    return QueueReader(found, ingress=ingress)


def _export(file: FileIO, dead_letters: list[DeadLetter]) -> None:
    """Write dead letters to the disk, before they are deleted. Raises RelayError."""
    lines = b"".join(one.as_json() + b"\n" for one in dead_letters)
    try:
        while lines:
            lines = lines[file.write(lines) :]
        os.fsync(file.fileno())
    except OSError as exc:
        raise RelayError(f"{file.name} cannot be written: {exc.strerror}") from exc


def _count(dead_letters: Iterable[DeadLetter]) -> list[dict[str, Any]]:
    """Return counts by reason, those with most points first."""
    times: defaultdict[str, list[datetime]] = defaultdict(list)  # By reason, as all of these.
    points: defaultdict[str, Counter[str]] = defaultdict(Counter)  # Of each detail.
    problems: Counter[str] = Counter()
    for one in dead_letters:
        times[one.reason].append(one.dead_lettered_time.replace(microsecond=0))
        problems[one.reason] += bool(one.problem)
        for entry in one.refused:
            points[one.reason][_PARTICULAR.sub("…", clean(entry.detail))] += entry.points
    return [
        {
            "reason": reason,
            "deadLetters": len(times[reason]),
            "points": details.total(),
            "oldest": utc_text(min(times[reason])),
            "newest": utc_text(max(times[reason])),
            "notReplayable": problems[reason],
            "details": [{"detail": name, "points": count} for name, count in details.most_common()],
        }
        for reason, details in sorted(points.items(), key=lambda one: (-one[1].total(), one[0]))
    ]


def _print_counts(counts: dict[str, Any]) -> None:
    """Print the reasons with their most frequent details."""
    number, points = plural(counts["deadLetters"], "dead letter"), plural(counts["points"], "point")
    so_far = "" if counts["complete"] else " so far"
    click.echo(f"{counts['queue']}: {number}, {points}{so_far}")
    for reason in counts["reasons"]:
        number = plural(reason["deadLetters"], "dead letter")
        text = f"{plural(reason['points'], 'point')} in {number}"
        if reason["reason"] == UNREADABLE:
            text = plural(reason["deadLetters"], "message")
        click.echo(f"\n{clean(reason['reason'])}  {text}, {reason['oldest']} to {reason['newest']}")
        for detail in reason["details"][:MAX_DETAILS]:
            click.echo(f"{detail['points']:>11,}  {detail['detail']}")
        if (more := len(reason["details"]) - MAX_DETAILS) > 0:
            click.echo(f"{'':>13}and {plural(more, 'other detail')}")
        if (kept := reason["notReplayable"]) and reason["reason"] != UNREADABLE:
            text = f"{plural(kept, 'dead letter')} cannot be replayed: content was cut"
            out.print(f"{'':>13}{text}", style="yellow", markup=False)


def _json_text(one: DeadLetter) -> str:
    """Return a dead letter as JSON, with what a terminal may obey as escapes."""
    text = msgspec.json.format(one.as_json(), indent=2).decode()
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
