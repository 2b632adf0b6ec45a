"""What is in a dead-letter queue, counted by reason and by what was wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.errors import ValidationError
from shared.text import utc_text
from tools.console import out
from tools.dead_letter.finding import UNREADABLE, Found
from tools.dead_letter.letters import Entry
from tools.pieces import take_apart
from tools.wording import general, printable, things

__all__ = ["Tally", "points_in"]

# Details that are told apart for each reason; who refuses a message can make up any number.
_MOST_DETAILS = 10_000
_OTHER = "(other details)"
# Details that are shown for each reason.
_SHOWN = 5


def points_in(entry: Entry) -> int:
    """Points or series of an entry; 1 where that cannot be told."""
    try:
        return sum(1 for _ in take_apart(entry.content)) or 1
    except ValidationError:
        return 1


@dataclass(slots=True)
class _Kind:
    """What was refused for one reason."""

    letters: int = 0
    entries: int = 0
    points: int = 0
    in_doubt: int = 0  # Entries.
    cut: int = 0  # Entries of which only the beginning is there.
    oldest: datetime | None = None
    newest: datetime | None = None
    details: Counter[str] = field(default_factory=Counter)  # Points of each.

    def add(self, found: Found, entries: Sequence[Entry]) -> None:
        time = found.letter.time
        self.letters += 1
        self.entries += len(entries)
        self.in_doubt += sum(entry.in_doubt is not None for entry in entries)
        self.cut += sum(entry.whole_bytes is not None for entry in entries)
        self.oldest = min(self.oldest or time, time)
        self.newest = max(self.newest or time, time)
        for entry in entries:
            points = points_in(entry)
            self.points += points
            detail = general(entry.detail)
            room = detail in self.details or len(self.details) < _MOST_DETAILS
            self.details[detail if room else _OTHER] += points


class Tally:
    """Counts letters as they are found."""

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = {}

    def add(self, found: Found, entries: Sequence[Entry]) -> None:
        """Count the chosen entries of a letter, if there are any."""
        if entries:
            self._kinds.setdefault(found.letter.reason, _Kind()).add(found, entries)

    @property
    def letters(self) -> int:
        """Messages of the queue that are, or hold, what was counted."""
        return sum(kind.letters for kind in self._kinds.values())

    @property
    def points(self) -> int:
        """Points that were counted."""
        return sum(kind.points for kind in self._kinds.values())

    def __str__(self) -> str:
        return f"{things(self.letters, 'letter')}, {things(self.points, 'point')}"

    def show(self) -> None:
        """Print it for people: reasons and details, those with most points first."""
        for reason, kind in self._sorted():
            span = f"{_time(kind.oldest)} to {_time(kind.newest)}"
            if reason == UNREADABLE:
                text = _not_dead_letters(kind.letters)
            else:
                text = f"{things(kind.points, 'point')} in {things(kind.entries, 'entry')}"
                text += f" of {things(kind.letters, 'letter')}"
            out.print()
            out.print(printable(reason), style="bold", markup=False, end="")
            out.print(f"  {text}, {span}", markup=False)
            for detail, points in kind.details.most_common(_SHOWN):
                out.print(f"{points:>11,}  {printable(detail)}", markup=False)
            if (more := len(kind.details) - _SHOWN) > 0:
                rest = sum(points for _, points in kind.details.most_common()[_SHOWN:])
                out.print(f"{rest:>11,}  for {things(more, 'other detail')}", markup=False)
            if kind.in_doubt:
                text = f"{things(kind.in_doubt, 'entry')} in doubt: a replay of them was cut short"
                out.print(f"             {text}", style="yellow", markup=False)
            if kind.cut:
                text = f"{things(kind.cut, 'entry')} cut: too long for a letter, not replayable"
                out.print(f"             {text}", style="yellow", markup=False)

    def as_json(self) -> list[dict[str, Any]]:
        """The same for programs, with all details."""
        return [
            {
                "reason": reason,
                "points": kind.points,
                "entries": kind.entries,
                "letters": kind.letters,
                "oldest": _time(kind.oldest),
                "newest": _time(kind.newest),
                "inDoubt": kind.in_doubt,
                "cut": kind.cut,
                "details": [
                    {"detail": detail, "points": points}
                    for detail, points in kind.details.most_common()
                ],
            }
            for reason, kind in self._sorted()
        ]

    def _sorted(self) -> list[tuple[str, _Kind]]:
        return sorted(self._kinds.items(), key=lambda one: (-one[1].points, one[0]))


def _not_dead_letters(count: int) -> str:
    return (
        "1 message is not a dead letter"
        if count == 1
        else f"{count:,} messages are not dead letters"
    )


def _time(time: datetime | None) -> str:
    return utc_text(time.replace(microsecond=0)) if time else ""
