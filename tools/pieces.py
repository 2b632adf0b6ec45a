"""A metric message <-> the points in it, each with what stands around it.

What stands around them (address, and of a document its metric) is left as it was written: what it
leaves open is for the app's settings to say, not for those of whoever replays it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import msgspec
from msgspec import Raw

from shared.errors import ValidationError
from shared.messages.body import MAX_BODY_BYTES, decode_body, split_documents
from shared.messages.json_decoding import decode
from shared.messages.schema import Data, Document, PointIn, Points
from shared.messages.validation import parse_time
from shared.messages.writer import queued_size
from shared.model import Rollup, Series, Target, ValueSet
from shared.text import utc_text

__all__ = ["Bundle", "Piece", "single_point", "take_apart"]

Envelope = Points[Raw] | Document[Raw]

_ENCODER = msgspec.json.Encoder()
_MEMBERS = msgspec.json.Decoder(dict[str, Raw])
_POINTS = msgspec.json.Decoder(Points[Raw])
_DOCUMENT = msgspec.json.Decoder(Document[Raw])
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
        if isinstance(self.envelope, Document):
            return replace(self, envelope=msgspec.structs.replace(self.envelope, time=text))
        point = msgspec.structs.replace(_POINT.decode(self.raw), time=text)
        return replace(self, raw=_ENCODER.encode(point))

    @property
    def time(self) -> datetime | None:
        """The time (UTC) that it says itself, if it does; only of a piece that is valid."""
        if isinstance(self.envelope, Document):
            text = self.envelope.time
        elif b'"time"' in self.raw:
            text = _POINT.decode(self.raw).time
        else:
            text = None
        return None if text is None else parse_time(text)


def take_apart(content: bytes, max_bytes: int = MAX_BODY_BYTES) -> Iterator[Piece]:
    """Yield the pieces of a message, undecoded. Raises ValidationError for an invalid document."""
    for where, document in split_documents(decode_body(content, max_bytes)):
        raws: list[Raw]
        envelope: Envelope
        try:
            if b'"data"' in document and "data" in decode(_MEMBERS, document):
                whole = decode(_DOCUMENT, document)
                raws, envelope = whole.data.base_data.series, _filled(whole, [])
            else:
                points = decode(_POINTS, document)
                raws, envelope = points.points, _filled(points, [])
        except ValidationError as exc:
            raise exc.within(where) from exc
        for raw in raws:
            yield Piece(envelope, bytes(raw))


def single_point(rollups: Sequence[Rollup]) -> tuple[Target, Series, float | ValueSet]:
    """Return target, series and value of the roll-ups of a message with one valid point."""
    (rollup,) = rollups
    (group,) = rollup.minutes.values()
    ((series, (value,)),) = group.items()
    return rollup.target, series, value


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
            total += queued_size(piece.raw) + 1
            if key not in self.groups and key not in new:
                new.add(key)
                total += queued_size(key) + 1
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
    if isinstance(envelope, Points):
        return msgspec.structs.replace(envelope, points=raws)
    base = msgspec.structs.replace(envelope.data.base_data, series=raws)
    return msgspec.structs.replace(envelope, data=Data(base))
