"""Entries of messages -> a spool of packed points; what is wrong is said, with its line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.errors import ConfigurationError
from shared.messages.parser import Address as Defaults
from shared.messages.parser import parse
from shared.messages.writer import write_point
from shared.model import Window
from shared.settings import DEFAULTS
from tools.packer import Address
from tools.send_input import Entry
from tools.spool import Spool

__all__ = ["Tally", "read_into", "window_of"]

# Entries after which progress is said, and the clock is read.
_EACH = 1000


@dataclass(slots=True)
class Tally:
    """What was read."""

    entries: int = 0
    refused: int = 0  # Points, or parts that are none.
    homeless: int = 0  # Points that name no resource.


def read_into(
    spool: Spool,
    given: Iterable[Entry],
    *,
    defaults: Defaults,
    window: Window,
    refuse: Callable[[str], object],
    progress: Callable[[], object],
) -> Tally:
    """Read every entry as the function would. `refuse` is told of each thing that is wrong."""
    tally = Tally()
    now = datetime.now(UTC)
    for entry in given:
        if tally.entries % _EACH == 0:
            now = datetime.now(UTC)
            progress()
        tally.entries += 1
        parsed = parse(
            entry.body, enqueued=now, now=now, defaults=defaults, window=window, most=sys.maxsize
        )
        for point in parsed.points:
            lane = point.lane
            tally.homeless += not lane.resource_id
            # One that has no time gets it when it is enqueued; it is not written down here.
            encoded = write_point(point, timed=point.time is not now)
            spool.add(
                entry.number, Address(lane.region, lane.resource_id, point.namespace), encoded
            )
        for rejection in parsed.rejections:
            tally.refused += rejection.parts
            refuse(f"{entry.where}: {rejection.detail}" if entry.where else rejection.detail)
    spool.finish()
    progress()
    return tally


def window_of(settings: Mapping[str, str]) -> Window:
    """The times that the relay accepts, as far as its settings are known here."""

    def minutes(name: str) -> timedelta:
        text = settings.get(name, "").strip() or DEFAULTS[name]
        if not text.isdecimal():
            raise ConfigurationError(f"{name} is {text!r}: expected a whole number of minutes")
        return timedelta(minutes=int(text))

    return Window(minutes("METRICS_PAST_MINUTES"), minutes("METRICS_FUTURE_MINUTES"))
