"""`python -m tools dead-letter replay`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from functools import partial
from typing import Any

import click

from shared.clients.storage import StorageRetry, open_queue_service
from shared.text import utc_text
from tools.console import err, out
from tools.dead_letter.box import Box, box_options, stoppable_walk, walk
from tools.dead_letter.finding import Found
from tools.dead_letter.holding import Holder, queue_errors
from tools.dead_letter.judging import Plan, Rules, rules_of
from tools.dead_letter.replaying import Replay, Totals
from tools.dead_letter.selection import Selection, selection_options
from tools.stopping import Stop
from tools.wording import printable, things

__all__ = ["replay_letters"]

# Reasons why points stay that are printed.
_SHOWN = 10


@click.command(
    "replay",
    epilog="\b\nExample:\n  python -m tools dead-letter replay --reason forbidden_scope --dry-run",
)
@selection_options
@click.option("--restamp", is_flag=True, help="Give expired points the time of now.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="At most so many entries.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@box_options
def replay_letters(
    box: Box, restamp: bool, limit: int | None, dry_run: bool, yes: bool, **filters: Any
) -> None:
    """Put refused points back into the ingress queue, and then their letters away.

    What would be refused again stays, by the app settings that this command finds: give it the
    app's with --settings. What a replay that was killed may have put back already stays too,
    unless --in-doubt chooses it: it might count twice. Exits with 1 where something stays, or was
    not seen.
    """
    run = _Run(box, Selection(**filters), rules_of(box.settings, box.queues), restamp, limit)
    with stoppable_walk() as stop:
        totals, as_of = Totals(), None
        if dry_run or not yes:
            totals, as_of = run.rehearse(stop)
            _say(totals, box, "would be put back")
            if dry_run or stop.asked() or not totals.points:
                sys.exit(stop.asked() or _left(totals))
    if not yes:
        if totals.restamped:
            _warn(totals, "gets" if totals.restamped == 1 else "get")
        where = box.place(box.queues.ingress)
        text = f"Put {things(totals.points, 'point')} back into {where}?"
        click.confirm(text, abort=True, err=True)
    totals = Totals()
    try:
        with stoppable_walk() as stop:
            run.perform(stop, as_of, totals)
    finally:  # After an error too: what was done until then is done.
        _say(totals, box, "put back")
        if yes and totals.restamped:
            _warn(totals, "got")
    sys.exit(stop.asked() or _left(totals))


class _Run:
    """One replay, done in earnest or not."""

    def __init__(
        self, box: Box, selection: Selection, rules: Rules, restamp: bool, limit: int | None
    ) -> None:
        self._box = box
        self._selection = selection
        self._rules = rules
        self._restamp = restamp
        self._limit = limit
        self._started = datetime.now(UTC)

    def rehearse(self, stop: Stop) -> tuple[Totals, datetime]:
        """What a replay would do, and as of when by the clock of storage."""
        totals = Totals()

        def visit(found: Found, _: Holder) -> bool:
            if plan := self._plan(found, totals):
                totals.count(plan)
                totals.stay += plan.stay
            return self._goes_on(totals)

        holder = walk(self._box, stop, "Judging letters", visit, only_look=True)
        totals.missed = holder.missed
        return totals, holder.as_of

    def perform(self, stop: Stop, as_of: datetime | None, totals: Totals) -> None:
        """Replay. Raises QueueError, with all of it in the ingress queue or in letters."""
        queues = self._box.queues
        # Without retries: what was put and not answered must not be put again unseen.
        service = open_queue_service(queues.connection, StorageRetry(retries=0))
        ingress = service.get_queue_client(queues.ingress)
        with queue_errors(queues.ingress):
            ingress.get_queue_properties()  # A misspelt name is better known before.
        replays: list[Replay] = []

        def visit(found: Found, holder: Holder) -> bool:
            if not replays:
                replays.append(Replay(holder, ingress, totals, partial(datetime.now, UTC)))
            if plan := self._plan(found, totals):
                replays[0].add(plan)
            return self._goes_on(totals)

        def finish() -> None:
            for replay in replays:
                replay.flush()

        holder = walk(self._box, stop, "Replaying letters", visit, as_of=as_of, finish=finish)
        totals.missed = holder.missed

    def _plan(self, found: Found, totals: Totals) -> Plan | None:
        entries = self._selection.of(found, self._started)
        if not self._selection.in_doubt:
            sure = [entry for entry in entries if entry.in_doubt is None]
            totals.in_doubt += len(entries) - len(sure)
            entries = sure
        if self._limit is not None:
            entries = entries[: self._limit - totals.chosen]
        totals.chosen += len(entries)
        if not entries:
            return None
        now = datetime.now(UTC)
        return Plan.of(found, entries, self._rules, now, restamp=self._restamp)

    def _goes_on(self, totals: Totals) -> bool:
        return self._limit is None or totals.chosen < self._limit


def _left(totals: Totals) -> int:
    return int(
        bool(totals.stay or totals.in_doubt or totals.taken or totals.marked or totals.missed)
    )


def _warn(totals: Totals, verb: str) -> None:
    count = things(totals.restamped, "point")
    now = utc_text(datetime.now(UTC).replace(microsecond=0))
    err.print(
        f"RESTAMP: {count} {verb} the time of now, {now}. "
        "This changes history: charts and alerts show them as if they had been measured now.",
        style="bold red",
    )


def _say(totals: Totals, box: Box, done: str) -> None:
    text = f"{things(totals.points, 'point')} of {things(totals.letters, 'letter')} {done}"
    if totals.messages:
        text += f" into {box.queues.ingress} in {things(totals.messages, 'message')}"
    if totals.restamped:
        text += f"; {totals.restamped:,} with the time of now"
    out.print(f"{text}.", markup=False)
    if totals.stay:
        out.print(f"{things(totals.stay.total(), 'point')} would be refused again:", style="yellow")
        for why, points in totals.stay.most_common(_SHOWN):
            out.print(f"{points:>11,}  {printable(why)}", markup=False)
        if (more := len(totals.stay) - _SHOWN) > 0:
            out.print(f"{'':>11}  and {things(more, 'other reason')}")
    if totals.in_doubt:
        out.print(
            f"{things(totals.in_doubt, 'entry')} in doubt left alone: a replay of them was cut "
            "short, and their points may be counted already; see --in-doubt.",
            style="yellow",
        )
    if totals.taken:
        out.print(f"{things(totals.taken, 'letter')} taken by another meanwhile.", style="yellow")
    if totals.marked:
        out.print(
            f"{things(totals.marked, 'letter')} taken by another once the points were back: "
            "marked, if not deleted; see --in-doubt.",
            style="yellow",
        )
