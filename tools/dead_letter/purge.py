"""`dead-letter purge`: export, delete."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import click

from shared.text import plural
from tools.console import err, out, progress
from tools.dead_letter.options import (
    EXIT_CODES,
    Selection,
    dead_letter_queue_options,
    interruptible,
    selection_options,
)
from tools.dead_letter.queue import reading
from tools.dead_letter.records import UNREADABLE, DeadLetter, parse
from tools.dead_letter.summary import Summary
from tools.ingress import Queues

__all__ = ["purge"]


@click.command(
    "purge",
    epilog=f"""\b
Examples:
  dead-letter purge --older-than 30d --export old.jsonl
  dead-letter purge --all

{EXIT_CODES}""",
)
@selection_options
@click.option("--all", "everything", is_flag=True, help="Delete all dead letters.")
@click.option(
    "--export",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write them to a new file first, one per line; `replay --file` reads it.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@dead_letter_queue_options
def purge(
    *, queues: Queues, everything: bool, export: Path | None, yes: bool, **filters: Any
) -> None:
    """Delete dead letters for good: those that the filters select, or all.

    Messages that are not dead letters are deleted only with `--reason unreadable`.
    """
    selection, now = Selection(**filters), datetime.now(UTC)
    if everything != selection.is_empty:
        raise click.UsageError("give filters, or --all for all dead letters")
    deleted, unreadable = Summary(), 0
    client = queues.open(queues.dead_letter)
    with reading(client) as reader, ExitStack() as stack:
        if not yes:
            which = "all" if everything else "the selected of"
            count = plural(reader.count, "message")
            where = f"{queues.dead_letter} at {client.primary_hostname}"
            click.confirm(f"Delete {which} {count} of {where} for good?", abort=True, err=True)
        file = _open(export, stack)
        stop = stack.enter_context(interruptible())
        # After an error too.
        stack.callback(lambda: out.print(f"Deleted {deleted}.", markup=False))
        bar = stack.enter_context(progress())
        task = bar.add_task("Deleting", total=reader.count)

        def delete(one: DeadLetter) -> DeadLetter:
            reader.delete(one.message)
            return one

        for batch in reader.receive():
            selected = [one for one in map(parse, batch) if selection.matches(one, now)]
            if UNREADABLE not in selection.reason:
                unreadable += sum(not one.entries for one in selected)
                selected = [one for one in selected if one.entries]
            if file:
                _export(selected, file)
            for one in reader.run(delete, selected):
                deleted.add(one)
            bar.advance(task, len(batch))
            if stop.asked():
                return
        reader.print_unseen()
        if unreadable:
            text = f"Kept {plural(unreadable, 'message')} that cannot be read as dead letters"
            err.print(f"{text}; `--reason unreadable` deletes them.")


def _open(export: Path | None, stack: ExitStack) -> IO[bytes] | None:
    """Open a new file. Raises BadParameter."""
    try:
        return stack.enter_context(export.open("xb")) if export else None
    except OSError as exc:
        raise click.BadParameter(f"{export}: {exc.strerror}", param_hint="--export") from exc


def _export(selected: Iterable[DeadLetter], file: IO[bytes]) -> None:
    """Write dead letters so that they are on the disk before they are deleted."""
    file.writelines(one.as_json() + b"\n" for one in selected)
    file.flush()
    os.fsync(file.fileno())
