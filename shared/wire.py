"""Documents -> request bodies of the ingestion API: NDJSON under the byte limit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import msgspec

from shared.model import Point, utc_text
from shared.rollup import Aggregate, Document

__all__ = ["Body", "halved", "write_bodies"]

_ENCODER = msgspec.json.Encoder()


class Body(msgspec.Struct, frozen=True):
    """One request body and the documents in it, a line each."""

    data: bytes
    documents: tuple[Document, ...]

    def points(self) -> Iterator[Point]:
        """The points that the body stands for."""
        return chain.from_iterable(
            aggregate.points for document in self.documents for aggregate in document.series
        )


def write_bodies(documents: Iterable[Document], limit: int) -> Iterator[Body]:
    """Yield bodies of at most `limit` bytes, uncompressed; together they hold every document.

    A document that is too long by itself is cut between its series. One series is at most about
    33 KB (ten names and values of 256 characters, six bytes each when escaped), so `limit` must
    be more than that.
    """
    lines: list[bytes] = []
    members: list[Document] = []
    size = 0
    for document in documents:
        for part, line in _lines(document, limit):
            if lines and size + len(line) > limit:
                yield Body(b"".join(lines), tuple(members))
                lines, members, size = [], [], 0
            lines.append(line)
            members.append(part)
            size += len(line)
    if lines:
        yield Body(b"".join(lines), tuple(members))


def halved(body: Body) -> list[Body]:
    """The body as two with half of its series each; none when it has a single one."""
    total = sum(len(document.series) for document in body.documents)
    if total < 2:
        return []
    halves: tuple[list[Document], list[Document]] = ([], [])
    room = total // 2
    for document in body.documents:
        for half, series in zip(halves, _cut(document.series, room), strict=True):
            if series:
                half.append(msgspec.structs.replace(document, series=series))
        room = max(0, room - len(document.series))
    return [part for half in halves for part in write_bodies(half, len(body.data))]


def _lines(document: Document, limit: int) -> Iterator[tuple[Document, bytes]]:
    """The document as a line, or as several with a share of its series each."""
    line = _ENCODER.encode(_Document.of(document)) + b"\n"
    if len(line) <= limit or len(document.series) == 1:
        yield document, line
        return
    # Shares that should fit; what has longer names than the rest is cut again.
    share = -(-len(document.series) // (len(line) // limit + 1))
    for start in range(0, len(document.series), share):
        part = document.series[start : start + share]
        yield from _lines(msgspec.structs.replace(document, series=part), limit)


def _cut(aggregates: Sequence[Aggregate], at: int) -> tuple[list[Aggregate], list[Aggregate]]:
    return list(aggregates[:at]), list(aggregates[at:])


class _Series(msgspec.Struct, rename="camel"):
    dim_values: tuple[str, ...]
    min: float
    max: float
    sum: float
    count: int


class _BaseData(msgspec.Struct, rename="camel"):
    metric: str
    namespace: str
    dim_names: tuple[str, ...]
    series: list[_Series]


class _Data(msgspec.Struct, rename="camel"):
    base_data: _BaseData


class _Document(msgspec.Struct):
    """The document as the ingestion API's OpenAPI (2018-09-01-preview) has it."""

    time: str
    data: _Data

    @classmethod
    def of(cls, document: Document) -> _Document:
        series = [
            _Series(one.dimension_values, one.min, one.max, one.sum, one.count)
            for one in document.series
        ]
        names = document.dimension_names
        base = _BaseData(document.metric, document.namespace, names, series)
        return cls(utc_text(document.minute), _Data(base))
