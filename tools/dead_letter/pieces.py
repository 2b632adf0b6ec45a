"""A metric message <-> the points in it, each with what stands around it.

What stands around them (address, and of a document its metric) is left as it was written: what it
leaves open is for the app's settings to say, not for those of whoever replays it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

import msgspec
from msgspec import UNSET, Raw

from shared.messages.body import documents, json_text
from shared.messages.packing import size_in_queue
from shared.messages.parser import CONTAINERS
from shared.messages.refusal import RefusedError, decoded, refuse_repeated
from shared.messages.schema import DataParts, DocumentParts, PointIn, PointsParts
from shared.model import utc_text

__all__ = ["Bundle", "Piece", "take_apart"]

Envelope = PointsParts | DocumentParts

_ENCODER = msgspec.json.Encoder()
_MEMBERS = msgspec.json.Decoder(dict[str, Raw])
_POINTS = msgspec.json.Decoder(PointsParts)
_DOCUMENT = msgspec.json.Decoder(DocumentParts)
_POINT = msgspec.json.Decoder(PointIn)


@dataclass(frozen=True, slots=True)
class Piece:
    """A point of a message, or a series of a document."""

    envelope: Envelope  # With nothing in it.
    raw: bytes

    def alone(self) -> bytes:
        """A message of this piece alone."""
        return _ENCODER.encode(_filled(self.envelope, [Raw(self.raw)]))

    def at(self, time: datetime) -> Piece:
        """The piece with another time, or a first one."""
        text = utc_text(time)
        if isinstance(self.envelope, DocumentParts):
            return replace(self, envelope=msgspec.structs.replace(self.envelope, time=text))
        point = msgspec.structs.replace(_POINT.decode(self.raw), time=text)
        return replace(self, raw=_ENCODER.encode(point))

    @property
    def timed(self) -> bool:
        """Whether it says its time itself; only of a piece that is valid."""
        if isinstance(self.envelope, DocumentParts):
            return self.envelope.time is not UNSET
        return b'"time"' in self.raw and _POINT.decode(self.raw).time is not UNSET


def take_apart(content: bytes) -> Iterator[Piece]:
    """Yield the pieces of a message, unread. Raises RefusedError where there is no telling."""
    for where, document in documents(json_text(content)):
        try:
            refuse_repeated(document, *CONTAINERS)
            if "data" in decoded(_MEMBERS, document):
                whole = decoded(_DOCUMENT, document)
                raws = whole.data.base_data.series
                envelope = _filled(whole, [])
            else:
                points = decoded(_POINTS, document)
                raws, envelope = points.points, _filled(points, [])
        except RefusedError as refused:
            raise refused.within(where) from refused
        for raw in raws:
            yield Piece(envelope, bytes(raw))


@dataclass(slots=True)
class Bundle:
    """A message in the making: pieces, those with the same envelope together."""

    groups: dict[bytes, tuple[Envelope, list[Raw]]] = field(default_factory=dict)
    size: int = 2  # Bytes at the most.
    count: int = 0

    def cost(self, pieces: Iterable[Piece]) -> int:
        """Bytes at the most by which pieces would make it longer."""
        new: set[bytes] = set()
        total = 0
        for piece in pieces:
            key = _ENCODER.encode(piece.envelope)
            total += size_in_queue(piece.raw) + 1
            if key not in self.groups and key not in new:
                new.add(key)
                total += size_in_queue(key) + 1
        return total

    def add(self, piece: Piece) -> None:
        """Put a piece into it."""
        self.size += self.cost([piece])
        self.count += 1
        key = _ENCODER.encode(piece.envelope)
        self.groups.setdefault(key, (piece.envelope, []))[1].append(Raw(piece.raw))

    def write(self) -> bytes:
        """The message: a document, or an array of them."""
        found = [_ENCODER.encode(_filled(*group)) for group in self.groups.values()]
        return found[0] if len(found) == 1 else _ENCODER.encode([Raw(one) for one in found])


def _filled(envelope: Envelope, raws: list[Raw]) -> Envelope:
    """The envelope with other points or series in it."""
    if isinstance(envelope, PointsParts):
        return msgspec.structs.replace(envelope, points=raws)
    base = msgspec.structs.replace(envelope.data.base_data, series=raws)
    return msgspec.structs.replace(envelope, data=DataParts(base))
