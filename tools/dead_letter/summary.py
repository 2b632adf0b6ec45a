"""Counts of dead letters, by reason and by detail."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from shared.text import clean, plural, utc_text
from tools.console import out
from tools.dead_letter.contents import count_points
from tools.dead_letter.records import UNREADABLE, DeadLetter

__all__ = ["Summary"]

# Details of a reason that are printed.
_SHOWN = 5
# What differs between details of one cause: which point, when, by how much.
_PARTICULAR = re.compile(
    r"(?<=\[)\d+(?=\])|(?<=^line )\d+(?=:)|\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)?"
    r"|(?<![\w.])\d+(?= s (?:old|ahead))"
)


class _Reason:
    def __init__(self, first: DeadLetter) -> None:
        self.oldest = self.newest = first.time
        self.dead_letters = 0
        self.problems: Counter[str] = Counter()  # Dead letters.
        self.details: Counter[str] = Counter()  # Points.

    def add(self, one: DeadLetter) -> None:
        self.dead_letters += 1
        self.oldest, self.newest = min(self.oldest, one.time), max(self.newest, one.time)
        if one.problem:
            self.problems[one.problem] += 1
        counts = [(entry.detail, count_points(entry.content)) for entry in one.entries]
        for detail, points in counts or [(one.detail, 1)]:
            self.details[_PARTICULAR.sub("…", clean(detail))] += points


class Summary:
    """Counts dead letters."""

    def __init__(self) -> None:
        self._reasons: dict[str, _Reason] = {}

    def add(self, one: DeadLetter) -> None:
        """Count a dead letter."""
        self._reasons.setdefault(one.reason, _Reason(one)).add(one)

    @property
    def dead_letters(self) -> int:
        """Messages of the dead-letter queue that were counted."""
        return sum(reason.dead_letters for reason in self._reasons.values())

    @property
    def points(self) -> int:
        """Points in them; what cannot be read counts as one."""
        return sum(reason.details.total() for reason in self._reasons.values())

    def __str__(self) -> str:
        return f"{plural(self.dead_letters, 'dead letter')}, {plural(self.points, 'point')}"

    def print(self) -> None:
        """Print reasons and details, those with most points first."""
        for name, reason in self._sorted():
            counts = f"{plural(reason.details.total(), 'point')} in "
            counts += plural(reason.dead_letters, "dead letter")
            if name == UNREADABLE:
                counts = f"{plural(reason.dead_letters, 'message')}, not dead letters"
            first, last = (
                utc_text(time.replace(microsecond=0)) for time in (reason.oldest, reason.newest)
            )
            out.print(f"\n{clean(name)}  {counts}, {first} to {last}", markup=False)
            for detail, points in reason.details.most_common(_SHOWN):
                out.print(f"{points:>11,}  {detail}", markup=False)
            if (more := len(reason.details) - _SHOWN) > 0:
                out.print(f"{'':>13}and {plural(more, 'other detail')}", markup=False)
            for problem, count in reason.problems.items() if name != UNREADABLE else ():
                text = f"{plural(count, 'dead letter')} cannot be replayed: {problem}"
                out.print(f"{'':>13}{text}", style="yellow", markup=False)

    def as_json(self) -> list[dict[str, Any]]:
        """Return the same with all details."""
        return [
            {
                "reason": name,
                "deadLetters": reason.dead_letters,
                "points": reason.details.total(),
                "oldest": utc_text(reason.oldest),
                "newest": utc_text(reason.newest),
                "notReplayable": reason.problems.total(),
                "details": [
                    {"detail": detail, "points": points}
                    for detail, points in reason.details.most_common()
                ],
            }
            for name, reason in self._sorted()
        ]

    def _sorted(self) -> list[tuple[str, _Reason]]:
        return sorted(self._reasons.items(), key=lambda one: (-one[1].details.total(), one[0]))
