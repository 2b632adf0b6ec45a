"""`python -m tools dead-letter`: list and show; replay and purge stand in modules of their own."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any

import click

from tools.console import err, out
from tools.dead_letter.box import Box, box_options, stoppable_walk, walk
from tools.dead_letter.finding import Found
from tools.dead_letter.holding import Holder
from tools.dead_letter.purging import purge_letters
from tools.dead_letter.replay_command import replay_letters
from tools.dead_letter.selection import Selection, selection_options
from tools.dead_letter.showing import as_pretty
from tools.dead_letter.tally import Tally
from tools.wording import things

__all__ = ["dead_letter"]


@click.group("dead-letter")
def dead_letter() -> None:
    """List, show, replay and purge what was refused.

    To read more than 32 letters they are taken, which hides them for a while, and given back.
    """


dead_letter.add_command(purge_letters)
dead_letter.add_command(replay_letters)


@dead_letter.command(
    "list", epilog="\b\nExample:\n  python -m tools dead-letter list --newer-than 2h --json"
)
@selection_options
@click.option("--json", "as_json", is_flag=True, help="For programs; all details.")
@box_options
def list_letters(box: Box, as_json: bool, **filters: Any) -> None:
    """Count what was refused, by reason and by what was wrong.

    Costs a request for each 32 letters to take them and one for each letter to give it back; up to
    32 letters are looked at with one request, and not taken. Exits with 1 where letters
    are there that could not be seen.
    """
    selection, tally, now = Selection(**filters), Tally(), datetime.now(UTC)

    def count(found: Found, _: Holder) -> None:
        tally.add(found, selection.of(found, now))

    with stoppable_walk() as stop:
        holder = walk(box, stop, "Counting letters", count, only_look=True)
    if as_json:
        whole = {
            "queue": box.name,
            "letters": tally.letters,
            "points": tally.points,
            "reasons": tally.as_json(),
            "unseen": holder.unseen,
            "complete": not stop.asked(),
        }
        out.print(json.dumps(whole, indent=2), markup=False)
    else:
        out.print(f"{box.name}: {tally}{' so far' if stop.asked() else ''}", markup=False)
        tally.show()
    err.print(
        f"Looked at {things(holder.seen, 'letter')} with {things(holder.requests, 'request')}."
    )
    if stop.asked() or holder.missed:
        sys.exit(1)


@dead_letter.command(
    "show", epilog="\b\nExample:\n  python -m tools dead-letter show --reason invalid --limit 3"
)
@selection_options
@click.option("--limit", type=click.IntRange(1), metavar="N", help="At most so many letters.")
@box_options
def show_letters(box: Box, limit: int | None, **filters: Any) -> None:
    """Print letters as JSON, each with what the filters choose of it.

    What was cut into several letters is shown as one.
    """
    selection, shown, now = Selection(**filters), 0, datetime.now(UTC)

    def show(found: Found, _: Holder) -> bool:
        nonlocal shown
        if entries := selection.of(found, now):
            shown += 1
            click.echo(as_pretty(found, entries))
        return limit is None or shown < limit

    with stoppable_walk() as stop:
        walk(box, stop, "Reading letters", show, only_look=True)
    if not shown:
        err.print("No such letter.")
    if stop.asked():
        sys.exit(1)
