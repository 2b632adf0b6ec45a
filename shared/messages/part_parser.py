"""Read a body part by part, so that one invalid part holds back no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec
from msgspec import Raw

from shared.errors import ExpiredError, ValidationError, join_paths
from shared.messages.body import check_parts
from shared.messages.decoding import decode
from shared.messages.schema import DataParts, DocumentParts, PointIn, PointsParts, SeriesIn
from shared.messages.series_cache import SeriesCache
from shared.messages.validation import (
    Defaults,
    pair_dimensions,
    parse_time,
    parse_values,
    validate_dimension_names,
    validate_time,
)
from shared.model import Reason, Rejection, Rollup, Series, Target, TimeWindow, ValueSet

__all__ = ["MAX_SINGLE_REJECTIONS", "PartParser", "reason_of"]

_MEMBERS = msgspec.json.Decoder(dict[str, Raw])
_POINTS = msgspec.json.Decoder(PointsParts)
_POINT = msgspec.json.Decoder(PointIn)
_DOCUMENT = msgspec.json.Decoder(DocumentParts)
_SERIES = msgspec.json.Decoder(SeriesIn)
_ENCODER = msgspec.json.Encoder()

# Rejections of one message that stand alone; the rest share one for each reason.
MAX_SINGLE_REJECTIONS = 50


class PartParser:
    """Parses documents part by part: each invalid part becomes a rejection of its own."""

    def __init__(
        self,
        cache: SeriesCache,
        defaults: Defaults,
        window: TimeWindow,
        enqueued: datetime,
        now: datetime,
    ) -> None:
        self._cache = cache
        self._defaults = defaults
        self._window = window
        self._enqueued = enqueued
        self._now = now
        self._single: list[Rejection] = []
        # Documents that are rejected whole, after MAX_SINGLE_REJECTIONS.
        self._more: dict[Reason, list[bytes]] = {}
        self._first: dict[Reason, str] = {}
        self.rollups: dict[Target, Rollup] = {}

    def parse(self, where: str, raw: bytes) -> None:
        """Add the points of a document, and a rejection for each invalid part."""
        try:
            # Looking at the bytes first spares the usual shape a second decoding.
            if b'"data"' in raw and "data" in decode(_MEMBERS, raw):
                self._parse_document(where, decode(_DOCUMENT, raw))
            else:
                self._parse_points(where, decode(_POINTS, raw))
        except ValidationError as exc:
            self._reject(exc.within(where), raw)

    def rejections(self) -> list[Rejection]:
        """Return the rejections of all documents."""
        for reason, documents in self._more.items():
            valid = all(document.startswith((b"{", b"[")) for document in documents)
            content = b"[" + b",".join(documents) + b"]" if valid else b"\n".join(documents)
            detail = _counted(self._first[reason], len(documents))
            self._single.append(Rejection(reason, detail, content, len(documents)))
        self._more = {}
        return self._single

    def _parse_points(self, where: str, message: PointsParts) -> None:
        check_parts("points", len(message.points), "points")
        common = self._defaults.override(message, message.namespace)
        invalid: list[tuple[ValidationError, Raw, Defaults]] = []
        for index, raw in enumerate(message.points):
            own = common
            try:
                point = decode(_POINT, raw)
                own = common.override(point, point.namespace)
                series = self._cache[own.namespace][point.metric][bytes(point.dimensions)]
                self._add(own, point.time, series, parse_values(point))
            except ValidationError as exc:
                at = join_paths(where, f"points[{index}]")
                invalid.append((exc.within(at), raw, own))
        self._reject_parts(invalid, lambda raws: msgspec.structs.replace(message, points=raws))

    def _parse_document(self, where: str, message: DocumentParts) -> None:
        base = message.data.base_data
        check_parts("data.baseData.series", len(base.series), "series")
        common = self._defaults.override(message, base.namespace)
        names = tuple(base.dim_names or ())
        validate_dimension_names("data.baseData.dimNames", names)
        invalid: list[tuple[ValidationError, Raw, Defaults]] = []
        for index, raw in enumerate(base.series):
            try:
                given = decode(_SERIES, raw)
                pairs = pair_dimensions(names, tuple(given.dim_values or ()))
                series = Series.of(common.namespace, base.metric, pairs)
                self._add(common, message.time, series, parse_values(given))
            except ValidationError as exc:
                at = join_paths(where, f"data.baseData.series[{index}]")
                invalid.append((exc.within(at), raw, common))
        self._reject_parts(invalid, lambda raws: _with_series(message, raws))

    def _add(
        self, own: Defaults, given: str | None, series: Series, value: float | ValueSet
    ) -> None:
        time = self._enqueued if given is None else parse_time(given)
        validate_time(time, self._now, self._window)
        target = own.target
        self.rollups.setdefault(target, Rollup(target)).add(time, series, value)

    def _reject_parts(
        self,
        invalid: Sequence[tuple[ValidationError, Raw, Defaults]],
        document_of: Callable[[list[Raw]], PointsParts | DocumentParts],
    ) -> None:
        """Reject parts of a document: the first ones in a document each, the rest together.

        A document around each of thousands of parts would be many times what was sent.
        """
        single = max(0, MAX_SINGLE_REJECTIONS - len(self._single))
        for exc, raw, own in invalid[:single]:
            self._reject(exc, _ENCODER.encode(document_of([raw])), own.resource_id)
        more: dict[Reason, list[tuple[ValidationError, Raw, Defaults]]] = {}
        for part in invalid[single:]:
            more.setdefault(reason_of(part[0]), []).append(part)
        for reason, parts in more.items():
            content = _ENCODER.encode(document_of([raw for _, raw, _ in parts]))
            first, _, own = parts[0]
            detail = _counted(str(first), len(parts))
            self._single.append(Rejection(reason, detail, content, len(parts), own.resource_id))

    def _reject(self, exc: ValidationError, content: bytes, resource_id: str | None = None) -> None:
        reason = reason_of(exc)
        if len(self._single) < MAX_SINGLE_REJECTIONS:
            self._single.append(Rejection(reason, str(exc), content, resource_id=resource_id))
        else:
            self._first.setdefault(reason, str(exc))
            self._more.setdefault(reason, []).append(content)


def reason_of(exc: ValidationError) -> Reason:
    """Return the reason of a rejection for what is invalid."""
    return Reason.EXPIRED if isinstance(exc, ExpiredError) else Reason.INVALID


def _counted(first: str, count: int) -> str:
    return f"{first} (and {count - 1} more)" if count > 1 else first


def _with_series(message: DocumentParts, series: list[Raw]) -> DocumentParts:
    base = msgspec.structs.replace(message.data.base_data, series=series)
    return msgspec.structs.replace(message, data=DataParts(base))
