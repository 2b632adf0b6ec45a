"""The one retry policy: which answers are tried again, after how long, for how long."""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime

import msgspec

__all__ = ["RETRIED", "Policy", "retry_after"]

# Statuses that may pass by themselves, beside no answer at all. 408 is what the service says
# after about 20 s of its own; another client takes it for final and has gaps.
RETRIED = frozenset({408, 429, 500, 502, 503, 504})


class Policy(msgspec.Struct, frozen=True):
    """Exponential back-off with jitter, under a total deadline. All in seconds."""

    first: float = 0.5
    cap: float = 8.0
    # Short enough that a message which is tried in vain comes back by `visibilityTimeout` many
    # times before its points expire.
    total: float = 20.0

    def delay(self, attempt: int, chance: float, asked: float | None = None) -> float:
        """How long to wait after failed attempt 1, 2, …; `chance` is in [0, 1).

        What the service asked for is obeyed, with up to a tenth more so that many clients do not
        come back at the same moment; less than the back-off it never is, since a clock that is
        behind asks for nothing.
        """
        own = min(self.cap, self.first * 2.0 ** (attempt - 1)) * (1 + chance) / 2
        return own if asked is None else max(own, asked * (1 + chance / 10))


def retry_after(header: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for: a number, or until a date (RFC 9110, 10.2.3).

    None where there is no such header or it makes no sense; never negative.
    """
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if date.tzinfo is None:
        return None
    return max(0.0, (date - now).total_seconds())
