"""The commands `dead-letter list` and `show`; `replay` and `purge` have their own modules."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from shared.text import clean, plural, utc_text
from tools.console import err, out
from tools.dead_letter.options import (
    EXIT_CODES,
    Selection,
    dead_letter_queue_options,
    interruptible,
    selection_options,
)
from tools.dead_letter.purge import purge
from tools.dead_letter.queue import QueueReader, StorageError, reading
from tools.dead_letter.records import DeadLetter, parse
from tools.dead_letter.replay import replay
from tools.dead_letter.summary import Summary
from tools.ingress import Queues
from tools.stopping import Stop

__all__ = ["dead_letter"]

# Characters of a content that `show` prints; `show --json` prints all.
MAX_SHOWN = 2000
# JSON may hold these as they are; a terminal may obey them.
_CONTROLS = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@click.group("dead-letter")
def dead_letter() -> None:
    """List, show, replay and purge dead letters.

    A dead letter is what the relay rejected of a message for one reason. To read more than 32 of
    them they are received, which hides them for a moment.
    """


dead_letter.add_command(purge)
dead_letter.add_command(replay)


@dead_letter.command("list", epilog=EXIT_CODES)
@selection_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with all details.")
@dead_letter_queue_options
@click.pass_context
def list_dead_letters(
    context: click.Context, /, *, queues: Queues, as_json: bool, **filters: Any
) -> None:
    """Count dead letters by reason and by detail."""
    summary = Summary()
    with reading(queues.open(queues.dead_letter)) as reader, interruptible() as stop:
        for one in _read(reader, Selection(**filters), stop):
            summary.add(one)
        poison = _count_poison(queues)
        if as_json:
            counts = {
                "queue": queues.dead_letter,
                "deadLetters": summary.dead_letters,
                "points": summary.points,
                "reasons": summary.as_json(),
                "poisonMessages": poison,
                "complete": not stop.asked(),
            }
            click.echo(json.dumps(counts, indent=2))
            return
        so_far = " so far" if stop.asked() else ""
        out.print(f"{queues.dead_letter}: {summary}{so_far}", markup=False)
        summary.print()
        if poison:
            group = context.parent.command_path if context.parent else "dead-letter"
            out.print(f"\n{queues.ingress}-poison: {plural(poison, 'message')}", markup=False)
            out.print(f"  to put them back: {group} replay --poison", markup=False)


@dead_letter.command("show", epilog=EXIT_CODES)
@selection_options
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Print N dead letters at most.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@dead_letter_queue_options
def show_dead_letters(*, queues: Queues, limit: int | None, as_json: bool, **filters: Any) -> None:
    """Print dead letters with what was rejected."""
    shown = 0
    with reading(queues.open(queues.dead_letter)) as reader, interruptible() as stop:
        if as_json:
            click.echo("[", nl=False)
        try:
            for shown, one in enumerate(_read(reader, Selection(**filters), stop), 1):
                if as_json:
                    click.echo(("," if shown > 1 else "") + f"\n{_json_text(one)}", nl=False)
                else:
                    click.echo(_readable(one))
                if shown == limit:
                    break
        finally:  # After an error too, it is one JSON array.
            if as_json:
                click.echo("\n]")
        if not shown:
            err.print("No dead letter is selected.")


def _read(reader: QueueReader, selection: Selection, stop: Stop) -> Iterator[DeadLetter]:
    """Yield the selected dead letters. Raises StorageError."""
    now = datetime.now(UTC)
    for message in reader.look():
        if stop.asked():
            return
        one = parse(message)
        if selection.matches(one, now):
            yield one
    reader.print_unseen()


def _count_poison(queues: Queues) -> int:
    """Return the length of the poison queue; 0 if there is none or it cannot be read."""
    try:
        with reading(queues.open(f"{queues.ingress}-poison")) as reader:
            return reader.count
    except StorageError:
        return 0


def _readable(one: DeadLetter) -> str:
    """Return a dead letter as text for a terminal."""
    time = utc_text(one.time.replace(microsecond=0))
    lines = [f"{clean(one.reason)}  {time}  id {one.message.id}"]
    if one.message_id:
        lines.append(f"  rejected message: {clean(one.message_id)}")
    if one.problem:
        lines.append(f"  cannot be replayed: {one.problem}")
    if not one.entries:
        lines += [f"  {clean(one.detail)}", _content(one.message.text.encode())]
    for entry in one.entries:
        lines += [f"  {clean(entry.detail)}", _content(entry.content)]
    return "\n".join(lines) + "\n"


def _content(content: bytes) -> str:
    """Return a content, indented, cleaned and cut."""
    try:
        text = msgspec.json.format(content, indent=2).decode()
    except (ValueError, RecursionError):
        text = content.decode(errors="replace")
    # clean() strips the indentation of a line.
    lines = [line[: len(line) - len(line.lstrip(" "))] + clean(line) for line in text.splitlines()]
    text = "\n".join(lines)
    return textwrap.indent(text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…", "    ")


def _json_text(one: DeadLetter) -> str:
    """Return a dead letter as JSON, with what a terminal may obey as escapes."""
    text = msgspec.json.format(one.as_json(), indent=2).decode()
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
