"""Value sets -> request bodies of the ingestion API: NDJSON under the byte limit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

from shared.model import Aggregates, Series
from shared.text import utc_text

__all__ = ["Body", "encode_bodies"]

_ENCODER = msgspec.json.Encoder()
# Series of a line that is tried: mostly some 50 KB. A line of all the series of a minute would
# have to be encoded to see that it is too long, then cut and encoded again.
MAX_LINE_SERIES = 500


class _EncodedSeries(msgspec.Struct, rename="camel", gc=False):
    """A value set as the ingestion API takes it."""

    dim_values: tuple[str, ...]
    min: float
    max: float
    sum: float
    count: int


class _Document(msgspec.Struct, gc=False):
    """Series of one minute that share namespace, metric and dimension names."""

    minute: datetime  # UTC.
    series: list[Series]
    encoded: list[_EncodedSeries]

    def part(self, start: int, end: int) -> _Document:
        """Return a document of its own with some of the series."""
        return _Document(self.minute, self.series[start:end], self.encoded[start:end])


class Body(msgspec.Struct, frozen=True):
    """A request body, one document per line."""

    data: bytes
    documents: tuple[_Document, ...]

    @property
    def samples(self) -> int:
        """How many samples it holds: the sum of all counts."""
        return sum(one.count for document in self.documents for one in document.encoded)

    def contents(self) -> Iterator[tuple[datetime, Series]]:
        """Yield minute and series of everything in the body."""
        for document in self.documents:
            for series in document.series:
                yield document.minute, series

    def split_at(self, minute: datetime) -> tuple[list[Body], list[Body]]:
        """Return bodies with the minutes before a minute, and bodies with the others."""
        parts: tuple[list[_Document], list[_Document]] = ([], [])
        for document in self.documents:
            parts[document.minute >= minute].append(document)
        before, others = (list(_bodies(documents, len(self.data))) for documents in parts)
        return before, others

    def halves(self) -> list[Body]:
        """Return two bodies with half of the series each; none if there is only one series."""
        total = sum(len(document.series) for document in self.documents)
        if total < 2:
            return []
        first, second = [], []
        left = total // 2
        for document in self.documents:
            if left > 0:
                first.append(document.part(0, left))
            if left < len(document.series):
                second.append(document.part(max(0, left), len(document.series)))
            left -= len(document.series)
        return [body for half in (first, second) for body in _bodies(half, len(self.data))]


def encode_bodies(aggregates: Aggregates, max_bytes: int) -> Iterator[Body]:
    """Yield bodies of at most `max_bytes`, uncompressed, that together hold every value set.

    A document that is too long is cut between its series. One series takes at most about 33 KB
    (ten names and values of 256 characters, six bytes each if escaped), so `max_bytes` must be
    more than that.
    """
    return _bodies(_documents(aggregates), max_bytes)


def _documents(aggregates: Aggregates) -> Iterator[_Document]:
    for minute, group in aggregates.items():
        documents: dict[tuple[str, str, tuple[str, ...]], _Document] = {}
        for series, values in group.items():
            key = series.namespace, series.metric, series.dimension_names
            document = documents.get(key)
            if document is None:
                document = documents[key] = _Document(minute, [], [])
            document.series.append(series)
            document.encoded.append(
                _EncodedSeries(
                    series.dimension_values, values.min, values.max, values.sum, values.count
                )
            )
        yield from documents.values()


def _bodies(documents: Iterable[_Document], max_bytes: int) -> Iterator[Body]:
    lines: list[bytes] = []
    members: list[_Document] = []
    size = 0
    for document in documents:
        for part, line in _lines(document, MAX_LINE_SERIES, max_bytes):
            if lines and size + len(line) > max_bytes:
                yield Body(b"".join(lines), tuple(members))
                lines, members, size = [], [], 0
            lines.append(line)
            members.append(part)
            size += len(line)
    if lines:
        yield Body(b"".join(lines), tuple(members))


def _lines(
    document: _Document, max_series: int, max_bytes: int
) -> Iterator[tuple[_Document, bytes]]:
    """Yield the document as a line, or as several with at most `max_series` series each."""
    total = len(document.series)
    if total > max_series:
        for start in range(0, total, max_series):
            part = document.part(start, start + max_series)
            yield from _lines(part, max_series, max_bytes)
        return
    line = _encode(document)
    if len(line) <= max_bytes or total == 1:
        yield document, line
        return
    # Parts that should fit; one with longer names than the rest is cut again.
    yield from _lines(document, -(-total // (len(line) // max_bytes + 1)), max_bytes)


def _encode(document: _Document) -> bytes:
    """Return the document as the OpenAPI document of the API (2018-09-01-preview) has it."""
    shared = document.series[0]
    base = {
        "metric": shared.metric,
        "namespace": shared.namespace,
        "dimNames": shared.dimension_names,
        "series": document.encoded,
    }
    return _ENCODER.encode({"time": utc_text(document.minute), "data": {"baseData": base}}) + b"\n"
