"""The outcome table: what each answer to a POST asks for, and how long to wait.

401 and `Retry-After` are included; `sender` carries it out.
"""

from __future__ import annotations

import re
from enum import Enum, auto

import msgspec

from shared.model import Reason
from shared.resource_ids import validate_region

__all__ = [
    "REGION_SILENT",
    "RETRY_SECONDS",
    "TOKEN_ERROR",
    "Action",
    "Response",
    "ResponseAction",
    "backoff",
    "classify",
    "cooldown",
]

# Seconds from the start of a delivery after which it starts no POST. Short enough that a message
# that cannot be published comes back many times, each `visibilityTimeout`, before its points
# expire.
RETRY_SECONDS = 20.0
# Seconds before the first retry at most; it doubles with each retry up to the maximum. The wait is
# half to all of it.
FIRST_BACKOFF = 0.5
MAX_BACKOFF = 8.0
# Seconds in which a target is not tried after an answer that will not change within seconds: at
# most four POSTs a minute, and a change is noticed within a minute.
COOLDOWN = 15.0
# The same after retries did not help. The maximum keeps one odd Retry-After from outlasting the
# time window of the points.
MIN_COOLDOWN = 5.0
MAX_COOLDOWN = 300.0

# "'time' should not be older than 30 minutes and not more than 4 minutes in the future"
_TIME = re.compile(r"'time' should not be older")
# "… does not accept metrics for the resource's region : northeurope. Ensure you are sending …"; a
# part of another name, such as `west` of `West Europe`, must not be taken for a region.
_REGION = re.compile(r"resource's region\s*:\s*([A-Za-z0-9 ]+?)\s*(?:\.\s|\.?$)")


class Response(msgspec.Struct, frozen=True):
    """The answer to a POST; without a status there was none, and code and message say why."""

    status: int | None
    code: str = ""
    message: str = ""
    retry_after: float | None = None  # Seconds.
    seconds: float = 0.0  # From request to answer.

    @property
    def timed_out(self) -> bool:
        """Whether there was no answer in time."""
        return self.status is None and "Timeout" in self.code

    def __str__(self) -> str:
        return " ".join(filter(None, (str(self.status or "no answer"), self.code, self.message)))


class Action(Enum):
    """What to do with a request body."""

    PUBLISHED = auto()
    RETRY = auto()  # It may pass within seconds.
    RENEW_TOKEN = auto()  # Once, then defer.
    SPLIT = auto()  # Rejected as a whole: find the series at fault.
    DROP_EXPIRED = auto()  # Some minutes are too old: send the others again.
    OTHER_REGION = auto()  # The resource is in another region: once, then defer.
    DEFER = auto()  # It may pass within minutes.


class ResponseAction(msgspec.Struct, frozen=True):
    """An action and what it needs."""

    action: Action
    reason: Reason | None = None  # Of the rejection of a single series.
    region: str | None = None  # Of the resource, if the service says it.
    hint: str = ""  # What an operator can do.


# Codes of POSTs that were not made: there was no token, or the region does not answer.
TOKEN_ERROR = "TokenError"  # noqa: S105 (a code)
REGION_SILENT = "RegionDoesNotAnswer"
# Status -> action, beside 2xx and 400; any other defers.
_ACTIONS = {
    401: ResponseAction(Action.RENEW_TOKEN),
    403: ResponseAction(Action.DEFER, hint="grant Monitoring Metrics Publisher"),
    413: ResponseAction(Action.SPLIT, Reason.TOO_LARGE),
    # The service answers 408 after about 20 s.
    **dict.fromkeys((408, 429, 500, 502, 503, 504), ResponseAction(Action.RETRY)),
}


def classify(response: Response) -> ResponseAction:
    """Look an answer up in the outcome table."""
    status = response.status
    if status is None:
        was_sent = response.code not in (TOKEN_ERROR, REGION_SILENT)
        return ResponseAction(Action.RETRY if was_sent else Action.DEFER)
    if 200 <= status < 300:
        return ResponseAction(Action.PUBLISHED)
    if status == 400:
        return _classify_400(response)
    return _ACTIONS.get(status, ResponseAction(Action.DEFER))


def _classify_400(response: Response) -> ResponseAction:
    if response.code == "RegionMismatch":
        return ResponseAction(Action.OTHER_REGION, region=_region_in(response.message))
    if _TIME.search(response.message):
        return ResponseAction(Action.DROP_EXPIRED, Reason.EXPIRED)
    return ResponseAction(Action.SPLIT, Reason.REJECTED_BY_AZURE)


def backoff(attempt: int, jitter: float, retry_after: float | None) -> float:
    """Return the seconds to wait after failed attempt 1, 2, …; `jitter` is in [0, 1).

    `Retry-After` is obeyed, with up to a tenth more so that many clients do not return at the same
    moment. The wait is never shorter than the backoff: a clock that is behind asks for nothing.
    """
    own = min(MAX_BACKOFF, FIRST_BACKOFF * 2.0 ** (attempt - 1)) * (1 + jitter) / 2
    return own if retry_after is None else max(own, retry_after * (1 + jitter / 10))


def cooldown(action: ResponseAction, retry_after: float | None) -> float:
    """Return the seconds in which a target is not tried after this action did not help."""
    if action.action is Action.RETRY:
        return min(MAX_COOLDOWN, max(MIN_COOLDOWN, retry_after or 0.0))
    return COOLDOWN


def _region_in(message: str) -> str | None:
    found = _REGION.search(message)
    try:
        return validate_region(found[1]) if found else None
    except ValueError:
        return None
