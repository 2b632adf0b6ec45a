"""Entries of messages -> a spool of packed points; what is wrong is said, with its line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.errors import ConfigurationError, ValidationError
from shared.messages.body import decode_body, split_documents
from shared.messages.parser import MessageParser
from shared.messages.validation import Defaults
from shared.messages.writer import encode_point
from shared.model import Rejection, TimeWindow
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
        points, rejections = _read(entry.body, parser, now)
        for address, point in points:
            tally.homeless += not address.resource_id
            spool.add(entry.number, address, point)
        for rejection in rejections:
            tally.refused += rejection.points
            refuse(f"{entry.where}: {rejection.detail}" if entry.where else rejection.detail)
    spool.finish()
    progress()
    return tally


def _read(
    body: bytes, parser: MessageParser, now: datetime
) -> tuple[list[tuple[Address, bytes]], Sequence[Rejection]]:
    """The valid points of a body, and what the function would reject.

    Points are parsed one by one, for a roll-up has no exact times.
    """
    with suppress(ValidationError):
        pieces = take_apart(body, sys.maxsize)
        return [_encode(piece, parser, now) for piece in pieces], ()
    points: list[tuple[Address, bytes]] = []
    for piece in _pieces(body):
        with suppress(ValidationError):
            points.append(_encode(piece, parser, now))
    # What is invalid is told as the function would: by its place in the body, document by document.
    return points, parser.parse(body, enqueued=now, now=now).rejections


def _pieces(body: bytes) -> Iterator[Piece]:
    """Yield the pieces of the valid documents of a body."""
    with suppress(ValidationError):
        for _, document in split_documents(decode_body(body, sys.maxsize)):
            with suppress(ValidationError):
                yield from take_apart(document, sys.maxsize)


def _encode(piece: Piece, parser: MessageParser, now: datetime) -> tuple[Address, bytes]:
    """Address and JSON of a point. Raises ValidationError.

    One without a time gets that at which it is enqueued; it is not written down here.
    """
    parsed = parser.parse(piece.alone(), enqueued=now, now=now)
    for rejection in parsed.rejections:
        raise ValidationError("", rejection.detail)
    target, series, value = single_point(parsed.rollups)
    address = Address(target.region, target.resource_id, series.namespace)
    return address, encode_point(series, value, piece.time)


def window_of(settings: Mapping[str, str]) -> TimeWindow:
    """The times that the relay accepts, as far as its settings are known here."""

    def minutes(name: str) -> timedelta:
        text = settings.get(name, "").strip() or DEFAULTS[name]
        if not text.isdecimal():
            raise ConfigurationError(f"{name} is {text!r}: expected a whole number of minutes")
        return timedelta(minutes=int(text))

    return TimeWindow(minutes("METRICS_PAST_MINUTES"), minutes("METRICS_FUTURE_MINUTES"))
