"""Read the schedules of timers: NCRONTAB, or a time span such as 00:05:00.

NCRONTAB is {second} {minute} {hour} {day} {month} {weekday}. cronsim does the arithmetic of
crontab; this keeps it to what NCRONTAB knows. Without a field for seconds a schedule fires at
second 0. Times are UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

from local.functions.host_json import parse_time_span

__all__ = ["Schedule"]

FIELDS = 6
# One star, number or name of three letters, a range, a step of them; or several with commas
# between. cronsim's L, W and # are not in NCRONTAB, and neither is its 7 for Sunday.
_VALUE = r"(?:\d{1,2}|[A-Z]{3})"
_ITEM = rf"(?:\*|{_VALUE}(?:-{_VALUE})?)(?:/\d{{1,2}})?"
FIELD = re.compile(rf"{_ITEM}(?:,{_ITEM})*")
SUNDAY_AS_7 = re.compile(r"(?<!/)\b7\b")
SOME_DATE = datetime(2000, 1, 1, tzinfo=UTC)


class Schedule:
    """Says when a timer fires."""

    def __init__(self, expression: str) -> None:
        """Parse an expression. Raises ValueError with the field at fault."""
        self._span = parse_time_span(expression)
        self._expression = _parse_fields(expression) if self._span is None else ""
        try:
            first = self.after(SOME_DATE)
        except (CronSimError, OverflowError) as exc:
            raise ValueError(str(exc)) from exc
        except StopIteration as exc:
            raise ValueError("no date matches it") from exc
        if first <= SOME_DATE:
            raise ValueError("must be longer than 00:00:00")

    def after(self, moment: datetime) -> datetime:
        """Return the first time after `moment`."""
        if self._span is not None:
            return moment + self._span
        ticks = CronSim(self._expression, moment.astimezone(UTC))
        # Given a day and a weekday, crontab fires on either, NCRONTAB where both agree.
        ticks.day_and = True
        return next(ticks)


def _parse_fields(expression: str) -> str:
    """Return the six fields of NCRONTAB. Raises ValueError."""
    # Blanks, not tabs, separate the fields.
    fields = [field for field in expression.upper().split(" ") if field]
    if len(fields) == FIELDS - 1:
        fields.insert(0, "0")
    if len(fields) != FIELDS:
        raise ValueError(f"expected {FIELDS} fields, found {len(fields)}")
    wrong = [field for field in fields if not FIELD.fullmatch(field)]
    if wrong or SUNDAY_AS_7.search(fields[-1]):
        raise ValueError(f"{(wrong or fields)[-1]} is not valid in NCRONTAB")
    return " ".join(fields)
