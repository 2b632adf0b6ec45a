"""What an answer of the ingestion API means: the outcome table, and nothing but it."""

from __future__ import annotations

import re
from enum import Enum, auto

import msgspec

from shared.model import Reason
from shared.publisher.client import Answer
from shared.publisher.retry import RETRIED
from shared.resource_ids import checked_region

__all__ = ["Action", "Ruling", "judge"]

# Seconds that a lane is left alone after an answer that will not change by itself soon: at most
# four POSTs a minute, and what changed is noticed within a minute.
_PAUSE = 15.0

# "'time' should not be older than 30 minutes and not more than 4 minutes in the future"
_TIME = re.compile(r"'time' should not be older")
# "… does not accept metrics for the resource's region : northeurope "
_RIGHT_REGION = re.compile(r"resource's region\s*:\s*([a-z0-9]+)\s*$")


class Action(Enum):
    """What to do with the points of a body."""

    PUBLISHED = auto()
    HALVE = auto()  # Refused as a whole: find out which of them is meant.
    EXPIRE = auto()  # Some are too old: send the others again.
    REROUTE = auto()  # The resource is in another region.
    RETRY = auto()  # May pass within seconds.
    DEFER = auto()  # May pass within minutes.


class Ruling(msgspec.Struct, frozen=True):
    """An action and what it needs."""

    action: Action
    reason: Reason | None = None  # Of the rejection, once the culprit stands alone.
    pause: float = 0.0  # Seconds in which the lane is not to be used.
    region: str | None = None  # Where the resource is, if the service says it.
    hint: str = ""  # What an operator can do.


def judge(answer: Answer) -> Ruling:
    """Look an answer up in the outcome table."""
    match answer.status:
        case status if status is not None and 200 <= status < 300:
            return Ruling(Action.PUBLISHED)
        case 400 if answer.code == "RegionMismatch":
            return Ruling(Action.REROUTE, pause=_PAUSE, region=_right_region(answer.message))
        case 400 if _TIME.search(answer.message):
            return Ruling(Action.EXPIRE, Reason.EXPIRED)
        case 400:
            return Ruling(Action.HALVE, Reason.REJECTED_BY_AZURE)
        case 403:
            hint = "grant Monitoring Metrics Publisher"
            return Ruling(Action.DEFER, pause=_PAUSE, hint=hint)
        case 413:
            return Ruling(Action.HALVE, Reason.TOO_LARGE)
        case None if answer.code != "NoToken":
            return Ruling(Action.RETRY)
        case status if status in RETRIED:
            return Ruling(Action.RETRY)
        case _:
            return Ruling(Action.DEFER, pause=_PAUSE)


def _right_region(message: str) -> str | None:
    found = _RIGHT_REGION.search(message)
    try:
        return checked_region(found[1]) if found else None
    except ValueError:
        return None
