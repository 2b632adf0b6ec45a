"""Queue body -> points and rejections: every point that was sent ends as one of the two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec
from msgspec import UNSET, Raw

from shared.batch import Batch, batches
from shared.messages.body import MAX_BODY_BYTES, documents, json_text
from shared.messages.destination import Address, lane_of, narrowed
from shared.messages.known_series import known_series
from shared.messages.message_at_once import read_at_once
from shared.messages.refusal import RefusedError, decoded, joined, refuse_repeated
from shared.messages.schema import (
    DataParts,
    DocumentParts,
    PointIn,
    PointsParts,
    SeriesIn,
)
from shared.messages.validation import Times, check_dimension_names, paired, value_set
from shared.model import Point, Rejection, Series, Window

__all__ = ["CONTAINERS", "Address", "Parsed", "parse"]

_MEMBERS = msgspec.json.Decoder(dict[str, Raw])
_POINTS = msgspec.json.Decoder(PointsParts)
_POINT = msgspec.json.Decoder(PointIn)
_DOCUMENT = msgspec.json.Decoder(DocumentParts)
_SERIES = msgspec.json.Decoder(SeriesIn)
# Members that hold points, or dimensions of many: given twice, the document is refused.
CONTAINERS = (b'"data"', b'"baseData"', b'"series"', b'"dimNames"', b'"points"')
_ENCODER = msgspec.json.Encoder()
# Parts of a document that are rejected each by itself.
_MOST_ALONE = 50


class Parsed(msgspec.Struct):
    """Where the contents of a message go."""

    batches: list[Batch]
    rejections: list[Rejection]

    @property
    def points(self) -> list[Point]:
        """The points of all lanes, one by one."""
        return [point for batch in self.batches for point in batch]


def parse(
    body: bytes,
    *,
    enqueued: datetime,
    now: datetime,
    defaults: Address,
    window: Window,
    most: int = MAX_BODY_BYTES,
) -> Parsed:
    """Read a queue message's body. Never raises for what the body holds.

    `enqueued` (UTC) is the time of points that name none, the very object; `now` (UTC) is what
    the window of accepted times is measured from. A body may have `most` bytes.
    """
    times = Times(enqueued, now, window)
    try:
        text = json_text(body, most)
        at_once = read_at_once(text, times, defaults)
        if at_once is not None:
            return Parsed(at_once, [])
        reader = _Reader(times, defaults)
        for where, document in documents(text):
            reader.read(where, document)
    except RefusedError as refused:
        return Parsed([], [Rejection(refused.reason, str(refused), body)])
    return Parsed(batches(reader.points), reader.rejections)


class _Reader:
    """Reads documents part by part, so that one part that is refused holds back no other."""

    def __init__(self, times: Times, defaults: Address) -> None:
        self._times = times
        self._defaults = defaults
        self.points: list[Point] = []
        self.rejections: list[Rejection] = []

    def read(self, where: str, raw: bytes) -> None:
        """Add the points of one document, and a rejection for each that is refused."""
        try:
            refuse_repeated(raw, *CONTAINERS)
            # Looking at the bytes first saves the common shape a second decoding.
            if b'"data"' in raw and "data" in decoded(_MEMBERS, raw):
                self._read_document(where, decoded(_DOCUMENT, raw))
            else:
                self._read_points(where, decoded(_POINTS, raw))
        except RefusedError as refused:
            self._reject(refused.within(where), raw)

    def _read_points(self, where: str, message: PointsParts) -> None:
        address = narrowed(self._defaults, message, message.namespace)
        refusals: list[tuple[RefusedError, Raw]] = []
        for index, raw in enumerate(message.points):
            try:
                refuse_repeated(bytes(raw), b'"dimensions"')
                self.points.append(self._point(decoded(_POINT, raw), address))
            except RefusedError as refused:
                refusals.append((refused.within(joined(where, f"points[{index}]")), raw))
        self._reject_parts(refusals, lambda raws: msgspec.structs.replace(message, points=raws))

    def _point(self, given: PointIn, address: Address) -> Point:
        address = narrowed(address, given, given.namespace)
        raw = b"" if given.dimensions is UNSET else bytes(given.dimensions)
        series = known_series[address.namespace][given.metric][raw]
        return Point(lane_of(address), series, self._times[given.time], *value_set(given))

    def _read_document(self, where: str, message: DocumentParts) -> None:
        base = message.data.base_data
        address = narrowed(self._defaults, message, base.namespace)
        names = tuple(base.dim_names or ())
        check_dimension_names("data.baseData.dimNames", names)
        refusals: list[tuple[RefusedError, Raw]] = []
        for index, raw in enumerate(base.series):
            try:
                refuse_repeated(bytes(raw), b'"dimValues"')
                series = decoded(_SERIES, raw)
                pairs = paired(names, tuple(series.dim_values or ()))
                values = value_set(series)
                time = self._times[message.time]
                of = Series.of(address.namespace, base.metric, pairs)
                self.points.append(Point(lane_of(address), of, time, *values))
            except RefusedError as refused:
                at = joined(where, f"data.baseData.series[{index}]")
                refusals.append((refused.within(at), raw))
        self._reject_parts(refusals, lambda raws: _with_series(message, raws))

    def _reject_parts(
        self,
        refusals: Sequence[tuple[RefusedError, Raw]],
        whole: Callable[[list[Raw]], PointsParts | DocumentParts],
    ) -> None:
        """Reject parts of a document, each as a document of its own: the first ones.

        The rest share one for each reason. A document with its address around every one of
        thousands of parts would be many times what was sent.
        """
        for refused, raw in refusals[:_MOST_ALONE]:
            self._reject(refused, _ENCODER.encode(whole([raw])))
        rest = refusals[_MOST_ALONE:]
        for reason in sorted({refused.reason for refused, _ in rest}):
            alike = [(refused, raw) for refused, raw in rest if refused.reason is reason]
            content = _ENCODER.encode(whole([raw for _, raw in alike]))
            text = f"{alike[0][0]} (and {len(alike) - 1} more)" if alike[1:] else str(alike[0][0])
            self.rejections.append(Rejection(reason, text, content, len(alike)))

    def _reject(self, refused: RefusedError, content: bytes) -> None:
        self.rejections.append(Rejection(refused.reason, str(refused), content))


def _with_series(message: DocumentParts, series: list[Raw]) -> DocumentParts:
    base = msgspec.structs.replace(message.data.base_data, series=series)
    return msgspec.structs.replace(message, data=DataParts(base))
