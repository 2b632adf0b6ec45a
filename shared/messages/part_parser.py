"""Read a body part by part, so that one invalid part holds back no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec
from msgspec import Raw

from shared.errors import ExpiredError, ValidationError, join_paths
from shared.messages.body import check_parts, is_json
from shared.messages.json_decoding import decode, restore_escapes
from shared.messages.schema import Data, Document, PointIn, Points, SeriesIn
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

_JSON = msgspec.json.Decoder(Raw)
_MEMBERS = msgspec.json.Decoder(dict[str, Raw])
_POINTS = msgspec.json.Decoder(Points[Raw])
_POINT = msgspec.json.Decoder(PointIn)
_DOCUMENT = msgspec.json.Decoder(Document[Raw])
_SERIES = msgspec.json.Decoder(SeriesIn)
_ENCODER = msgspec.json.Encoder()

# Rejections of one body that stand alone; the rest share one for each reason.
MAX_SINGLE_REJECTIONS = 50
# Bytes of their contents, of which each repeats what its document says of all parts.
MAX_SINGLE_BYTES = 64 * 1024


@dataclass
class PartParser:
    """Parses documents part by part: each invalid part becomes a rejection of its own."""

    cache: SeriesCache
    defaults: Defaults
    window: TimeWindow
    enqueued: datetime  # UTC.
    now: datetime  # UTC.
    rollups: dict[Target, Rollup] = field(default_factory=dict)
    _single: list[Rejection] = field(default_factory=list)
    _single_bytes: int = 0
    _more: dict[Reason, list[Rejection]] = field(default_factory=dict)

    def parse(self, where: str, raw: bytes) -> None:
        """Add the points of a document, and a rejection for each invalid part."""
        try:
            if not raw.startswith(b"{"):
                decode(_JSON, raw)  # If it is not valid JSON, that is the error.
            # Looking at the bytes first spares the usual shape a second decoding.
            if b'"data"' in raw and "data" in decode(_MEMBERS, raw):
                document = decode(_DOCUMENT, raw)
                check_parts("data.baseData.series", len(document.data.base_data.series), raw)
                self._parse_document(where, document)
            else:
                message = decode(_POINTS, raw)
                check_parts("points", len(message.points), raw)
                self._parse_points(where, message)
        except ValidationError as exc:
            self._reject(exc.within(where), raw)

    def rejections(self) -> list[Rejection]:
        """Return the rejections of all documents."""
        for reason, more in self._more.items():
            documents = [rejection.content for rejection in more]
            is_array = len(documents) > 1 and all(map(is_json, documents))
            content = b"[" + b",".join(documents) + b"]" if is_array else b"\n".join(documents)
            points = sum(rejection.points for rejection in more)
            detail = f"{more[0].detail} (and {points - 1} more)" if points > 1 else more[0].detail
            self._single.append(Rejection(reason, detail, content, points, more[0].resource_id))
        self._more = {}
        return self._single

    def _parse_points(self, where: str, message: Points[Raw]) -> None:
        common = self.defaults.override(message, message.namespace)
        invalid: list[tuple[ValidationError, Raw, Defaults]] = []
        for index, raw in enumerate(message.points):
            own = common
            try:
                point = decode(_POINT, raw)
                own = common.override(point, point.namespace)
                series = self.cache[own.namespace][point.metric][bytes(point.dimensions)]
                self._add(own, point.time, series, parse_values(point))
            except ValidationError as exc:
                at = join_paths(where, f"points[{index}]")
                invalid.append((exc.within(at), raw, own))
        self._reject_parts(invalid, lambda raws: msgspec.structs.replace(message, points=raws))

    def _parse_document(self, where: str, message: Document[Raw]) -> None:
        base = message.data.base_data
        common = self.defaults.override(message, base.namespace)
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
        time = self.enqueued if given is None else parse_time(given)
        validate_time(time, self.now, self.window, given or "")
        target = own.target
        self.rollups.setdefault(target, Rollup(target)).add(time, series, value)

    def _reject_parts(
        self,
        invalid: Sequence[tuple[ValidationError, Raw, Defaults]],
        document_of: Callable[[list[Raw]], Points[Raw] | Document[Raw]],
    ) -> None:
        """Reject parts of a document: the first ones in a document each, the rest together.

        A document around each of thousands of parts would be many times what was sent.
        """
        more: dict[Reason, list[tuple[ValidationError, Raw, Defaults]]] = {}
        for part in invalid:
            exc, raw, own = part
            if self._has_capacity():
                self._reject(exc, _ENCODER.encode(document_of([raw])), own.resource_id)
            else:
                more.setdefault(reason_of(exc), []).append(part)
        for parts in more.values():
            exc, _, own = parts[0]
            content = _ENCODER.encode(document_of([raw for _, raw, _ in parts]))
            self._reject(exc, content, own.resource_id, len(parts))

    def _reject(
        self, exc: ValidationError, content: bytes, resource_id: str | None = None, points: int = 1
    ) -> None:
        content = restore_escapes(content)
        rejection = Rejection(reason_of(exc), str(exc), content, points, resource_id)
        if self._has_capacity():
            self._single.append(rejection)
            self._single_bytes += len(content)
        else:
            self._more.setdefault(rejection.reason, []).append(rejection)

    def _has_capacity(self) -> bool:
        return len(self._single) < MAX_SINGLE_REJECTIONS and self._single_bytes < MAX_SINGLE_BYTES


def reason_of(exc: ValidationError) -> Reason:
    """Return the reason of a rejection for what is invalid."""
    return Reason.EXPIRED if isinstance(exc, ExpiredError) else Reason.INVALID


def _with_series(message: Document[Raw], series: list[Raw]) -> Document[Raw]:
    base = msgspec.structs.replace(message.data.base_data, series=series)
    return msgspec.structs.replace(message, data=Data(base))
