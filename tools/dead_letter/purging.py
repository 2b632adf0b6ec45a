"""`python -m tools dead-letter purge`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import click

from tools.console import err, out
from tools.dead_letter.box import Box, box_options, stoppable_walk, walk
from tools.dead_letter.finding import UNREADABLE, Found
from tools.dead_letter.holding import Holder
from tools.dead_letter.letters import Entry, write_letter
from tools.dead_letter.selection import Selection, selection_options
from tools.dead_letter.showing import as_line
from tools.dead_letter.tally import Tally
from tools.wording import things

__all__ = ["purge_letters"]

# Letters that are exported, and then deleted, at once.
_RUN = 64


@click.command(
    "purge",
    epilog="\b\nExample:\n  python -m tools dead-letter purge --older-than 30d --export old.jsonl",
)
@selection_options
@click.option(
    "--export",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Write what is deleted to a new file first, a letter in JSON each line.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@box_options
def purge_letters(box: Box, export: Path | None, yes: bool, **filters: Any) -> None:
    """Delete letters, all or those that the filters choose.

    Messages that are no dead letters are deleted with `--reason unreadable` only.
    """
    selection, now = Selection(**filters), datetime.now(UTC)

    def chosen(found: Found) -> list[Entry]:
        if found.letter.reason == UNREADABLE and UNREADABLE not in selection.reason:
            return []
        return selection.of(found, now)

    _try_out(export)
    as_of = None
    if not yes:
        tally = Tally()

        def count(found: Found, _: Holder) -> None:
            tally.add(found, chosen(found))

        with stoppable_walk() as stop:
            counted = walk(box, stop, "Counting letters", count, only_look=True)
            as_of = counted.as_of
        if stop.asked():
            sys.exit(1)
        out.print(f"{box.name}: {tally}", markup=False)
        tally.show()
        if not tally.letters:
            sys.exit(int(bool(counted.missed)))
        everything = "all of " if selection.everything() else ""
        text = f"Delete {everything}this, for good, from {box.place(box.name)}?"
        click.confirm(text, abort=True, err=True)
    file = _open(export)
    purge = _Purge(file)

    def delete(found: Found, holder: Holder) -> None:
        purge.add(found, chosen(found), holder)

    try:
        with stoppable_walk() as stop:
            walked = walk(box, stop, "Deleting letters", delete, as_of=as_of, finish=purge.flush)
    finally:  # After an error too: what was done until then is done.
        taken = purge.say(export)
    if stop.asked() or taken or walked.missed:
        sys.exit(1)


def _open(export: Path | None) -> IO[bytes] | None:
    try:
        return export.open("xb") if export else None
    except OSError as exc:
        raise click.BadParameter(f"{export}: {exc.strerror}", param_hint="--export") from exc


def _try_out(export: Path | None) -> None:
    """An unusable file is better known before anybody has waited for a count, and answered."""
    if file := _open(export):
        file.close()
        Path(file.name).unlink()


class _Purge:
    """Gathers letters, exports them and then deletes them."""

    def __init__(self, file: IO[bytes] | None) -> None:
        self._file = file
        self._run: list[tuple[Found, Sequence[Entry]]] = []
        self._holder: Holder | None = None
        self._deleted = Tally()
        self._taken = 0  # Letters that another took meanwhile.

    def add(self, found: Found, entries: Sequence[Entry], holder: Holder) -> None:
        """Take a letter on; it is deleted by a later `add`, or by `flush`."""
        self._holder = holder
        if entries:
            self._run.append((found, entries))
        if len(self._run) >= _RUN:
            self.flush()

    def flush(self) -> None:
        """Export and delete what was gathered: a letter with other entries keeps those."""
        run, self._run = self._run, []
        if self._holder is None or not run:
            return
        if self._file:
            self._file.writelines(as_line(*one) + b"\n" for one in run)
            self._file.flush()
            os.fsync(self._file.fileno())
        whole: list[tuple[Found, Sequence[Entry]]] = []
        cut: list[tuple[Found, Sequence[Entry]]] = []
        for found, entries in run:
            everything = len(entries) == len(found.letter.entries)
            (whole if everything else cut).append((found, entries))
        rest = [(found.held.id, _without(found, entries)) for found, entries in cut]
        self._count(cut, self._holder.rewrite(rest))
        self._count(whole, self._holder.drop([found.held.id for found, _ in whole]))

    def _count(self, run: Sequence[tuple[Found, Sequence[Entry]]], done: Sequence[bool]) -> None:
        for (found, entries), is_done in zip(run, done, strict=True):
            if is_done:
                self._deleted.add(found, entries)
            else:
                self._taken += 1

    def say(self, export: Path | None) -> int:
        """Print what was deleted; how many letters were not, for another had them."""
        if self._file:
            self._file.close()
        out.print(f"Deleted: {self._deleted}.", markup=False)
        if export:
            err.print(f"Exported to {export}.", markup=False)
        if self._taken:
            err.print(f"{things(self._taken, 'letter')} taken by another meanwhile.")
        return self._taken


def _without(found: Found, entries: Sequence[Entry]) -> str:
    ours = {id(entry) for entry in entries}
    return write_letter(
        found.letter, [entry for entry in found.letter.entries if id(entry) not in ours]
    )
