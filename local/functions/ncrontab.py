"""NCRONTAB, the schedules of timer triggers: {second} {minute} {hour} {day} {month} {weekday}.

cronsim does the arithmetic of crontab; this keeps it to what NCRONTAB knows. Without a field
for seconds a schedule fires at second 0. Times are UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

__all__ = ["Schedule"]

MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC"
WEEKDAYS = "SUN MON TUE WED THU FRI SAT"
# One number, name or star, a range, a step of them; or several with commas between.
# crontab's Sunday as 7 and cronsim's L, W and # are not in NCRONTAB.
NUMBER = r"\d{1,2}"
ITEM = r"(?:\*|{0}(?:-{0})?)(?:/\d{{1,2}})?"
FIELD = r"{0}(?:,{0})*"
SOME_DATE = datetime(2000, 1, 1, tzinfo=UTC)


def _field(*values: str) -> re.Pattern[str]:
    """The grammar of a field with these values."""
    return re.compile(FIELD.format(ITEM.format(f"(?:{'|'.join(values)})")))


FIELDS = {
    "second": _field(NUMBER),
    "minute": _field(NUMBER),
    "hour": _field(NUMBER),
    "day": _field(NUMBER),
    "month": _field(NUMBER, *MONTHS.split()),
    "weekday": _field("[0-6]", *WEEKDAYS.split()),
}


class Schedule:
    """When a timer fires."""

    def __init__(self, expression: str) -> None:
        """Raises ValueError, with the field at fault."""
        parts = expression.upper().split()
        if len(parts) == len(FIELDS) - 1:
            parts.insert(0, "0")
        if len(parts) != len(FIELDS):
            raise ValueError(f"has {len(parts)} fields, not {len(FIELDS)}")
        for (name, grammar), part in zip(FIELDS.items(), parts, strict=True):
            if not grammar.fullmatch(part):
                raise ValueError(f"{name} {part} is not NCRONTAB")
        self._expression = " ".join(parts)
        try:
            self.after(SOME_DATE)
        except CronSimError as exc:
            raise ValueError(str(exc)) from exc
        except StopIteration as exc:
            raise ValueError("never comes") from exc

    def after(self, moment: datetime) -> datetime:
        """The first time after `moment`."""
        ticks = CronSim(self._expression, moment.astimezone(UTC))
        # Given a day and a weekday, crontab fires on either, NCRONTAB where both agree.
        ticks.day_and = True
        return next(ticks)
