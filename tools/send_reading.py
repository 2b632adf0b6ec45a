"""Entries of messages -> a spool of packed points; what is wrong is said, with its line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.errors import ConfigurationError, ValidationError
from shared.messages.body import decode_body, split_documents
from shared.messages.parser import MessageParser
from shared.messages.validation import Defaults
from shared.messages.writer import encode_point
from shared.model import TimeWindow
from shared.settings import DEFAULTS
from tools.packer import Address
from tools.pieces import Piece, single_point, take_apart
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
    window: TimeWindow,
    refuse: Callable[[str], object],
    progress: Callable[[], object],
) -> Tally:
    """Read every entry as the function would. `refuse` is told of each thing that is wrong."""
    tally = Tally()
    parser = MessageParser(defaults, window, max_bytes=sys.maxsize)
    now = datetime.now(UTC)
    for entry in given:
        if tally.entries % _EACH == 0:
            now = datetime.now(UTC)
            progress()
        tally.entries += 1
        parsed = parser.parse(entry.body, enqueued=now, now=now)
        if parsed.rollups:
            for address, point in _points(entry.body, parser, now):
                tally.homeless += not address.resource_id
                spool.add(entry.number, address, point)
        for rejection in parsed.rejections:
            tally.refused += rejection.points
            refuse(f"{entry.where}: {rejection.detail}" if entry.where else rejection.detail)
    spool.finish()
    progress()
    return tally


def _points(body: bytes, parser: MessageParser, now: datetime) -> Iterator[tuple[Address, bytes]]:
    """Yield the valid points of a body, each with its exact time: a roll-up has only minutes.

    A point without a time gets that at which it is enqueued; it is not written down here.
    """
    for piece in _pieces(body):
        found = parser.parse(piece.alone(), enqueued=now, now=now)
        if found.rollups:
            target, series, value = single_point(found.rollups)
            address = Address(target.region, target.resource_id, series.namespace)
            yield address, encode_point(series, value, piece.time)


def _pieces(body: bytes) -> Iterator[Piece]:
    for _, document in split_documents(decode_body(body, sys.maxsize)):
        with suppress(ValidationError):  # It is told as a rejection.
            yield from take_apart(document, sys.maxsize)


def window_of(settings: Mapping[str, str]) -> TimeWindow:
    """The times that the relay accepts, as far as its settings are known here."""

    def minutes(name: str) -> timedelta:
        text = settings.get(name, "").strip() or DEFAULTS[name]
        if not text.isdecimal():
            raise ConfigurationError(f"{name} is {text!r}: expected a whole number of minutes")
        return timedelta(minutes=int(text))

    return TimeWindow(minutes("METRICS_PAST_MINUTES"), minutes("METRICS_FUTURE_MINUTES"))
