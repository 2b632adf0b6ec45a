"""Queue body -> points and rejections: every point that was sent ends as one of the two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache

import msgspec
from msgspec import UNSET, Raw, UnsetType

from shared.address import checked_region, checked_resource_id
from shared.body import documents
from shared.checks import (
    ValueSet,
    check_dimension_names,
    check_window,
    dimensions,
    paired,
    parse_time,
    value_set,
)
from shared.message_types import DataParts, DocumentParts, PointIn, PointsParts, SeriesIn
from shared.model import Dimensions, Lane, Point, Rejection, Window
from shared.refusal import RefusedError, decoded, joined, refuse_repeated

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


class Address(msgspec.Struct, frozen=True):
    """Where points go that do not say it themselves."""

    namespace: str
    resource_id: str | None = None
    region: str = ""  # Empty where it is to be looked up.


class Parsed(msgspec.Struct):
    """Where the contents of a message go."""

    points: list[Point]
    rejections: list[Rejection]


def parse(
    body: bytes, *, enqueued: datetime, now: datetime, defaults: Address, window: Window
) -> Parsed:
    """Read a queue message's body. Never raises for what the body holds.

    `enqueued` (UTC) is the time of points that name none; `now` (UTC) is what the window of
    accepted times is measured from.
    """
    reader = _Reader(enqueued, now, defaults, window)
    try:
        for where, document in documents(body):
            reader.read(where, document)
    except RefusedError as refused:
        reader.parsed.rejections.append(Rejection(refused.reason, str(refused), body))
    return reader.parsed


class _Reader:
    """Reads the documents of one message, which share its times and defaults."""

    def __init__(
        self, enqueued: datetime, now: datetime, defaults: Address, window: Window
    ) -> None:
        self._enqueued = enqueued
        self._now = now
        self._window = window
        self._defaults = defaults
        self.parsed = Parsed([], [])

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
        address = _narrowed(self._defaults, message, message.namespace)
        refusals: list[tuple[RefusedError, Raw]] = []
        for index, raw in enumerate(message.points):
            try:
                refuse_repeated(bytes(raw), b'"dimensions"')
                self.parsed.points.append(self._point(decoded(_POINT, raw), address))
            except RefusedError as refused:
                refusals.append((refused.within(joined(where, f"points[{index}]")), raw))
        self._reject_parts(refusals, lambda raws: msgspec.structs.replace(message, points=raws))

    def _point(self, given: PointIn, address: Address) -> Point:
        address = _narrowed(address, given, given.namespace)
        pairs = () if given.dimensions is UNSET else dimensions(bytes(given.dimensions))
        return self._build(address, given.metric, pairs, given.time, value_set(given))

    def _read_document(self, where: str, message: DocumentParts) -> None:
        base = message.data.base_data
        address = _narrowed(self._defaults, message, base.namespace)
        names = tuple(base.dim_names or ())
        check_dimension_names("data.baseData.dimNames", names)
        refusals: list[tuple[RefusedError, Raw]] = []
        for index, raw in enumerate(base.series):
            try:
                refuse_repeated(bytes(raw), b'"dimValues"')
                series = decoded(_SERIES, raw)
                pairs = paired(names, tuple(series.dim_values or ()))
                values = value_set(series)
                self.parsed.points.append(
                    self._build(address, base.metric, pairs, message.time, values)
                )
            except RefusedError as refused:
                at = joined(where, f"data.baseData.series[{index}]")
                refusals.append((refused.within(at), raw))
        self._reject_parts(refusals, lambda raws: _with_series(message, raws))

    def _build(
        self,
        address: Address,
        metric: str,
        pairs: Dimensions,
        given_time: str | UnsetType,
        values: ValueSet,
    ) -> Point:
        time = self._enqueued if given_time is UNSET else parse_time(given_time)
        check_window(time, self._now, self._window)
        return Point(_lane(address), address.namespace, metric, pairs, time, *values)

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
            self.parsed.rejections.append(Rejection(reason, text, content, len(alike)))

    def _reject(self, refused: RefusedError, content: bytes) -> None:
        self.parsed.rejections.append(Rejection(refused.reason, str(refused), content))


def _narrowed(
    address: Address, given: PointsParts | PointIn | DocumentParts, namespace: str | UnsetType
) -> Address:
    """The address with what the document says of it; its region and resource ID are checked."""
    if given.resource_id is UNSET and given.region is UNSET and namespace is UNSET:
        return address
    return Address(
        address.namespace if namespace is UNSET else namespace,
        _checked("resourceId", checked_resource_id, given.resource_id, address.resource_id),
        _checked("region", checked_region, given.region, address.region) or "",
    )


def _checked(
    path: str, check: Callable[[str], str], given: str | UnsetType, inherited: str | None
) -> str | None:
    if given is UNSET:
        return inherited
    try:
        return check(given)
    except ValueError as exc:
        raise RefusedError(path, str(exc)) from exc


@lru_cache(maxsize=16384)
def _lane(address: Address) -> Lane:
    """The lane of an address; remembered, as the points of a message mostly share one."""
    if address.resource_id is None:
        raise RefusedError("resourceId", "missing, and METRICS_RESOURCE_ID is not set")
    return Lane(address.region, address.resource_id)


def _with_series(message: DocumentParts, series: list[Raw]) -> DocumentParts:
    base = msgspec.structs.replace(message.data.base_data, series=series)
    return msgspec.structs.replace(message, data=DataParts(base))
