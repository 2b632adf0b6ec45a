"""Documents -> request bodies of the ingestion API: NDJSON under the byte limit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

import msgspec

from shared.model import utc_text
from shared.publisher.rollup import Aggregate, Document

__all__ = ["Body", "halved", "write_bodies"]

_ENCODER = msgspec.json.Encoder()
# Series of a line that is tried: mostly some 50 KB. One of all the series of a minute would have
# to be written to see that it is too long, and cut, and written again.
_MOST_SERIES = 500


class Body(msgspec.Struct, frozen=True):
    """One request body and the documents in it, a line each."""

    data: bytes
    documents: tuple[Document, ...]

    @property
    def points(self) -> int:
        """How many points the body stands for."""
        return sum(len(group) for document in self.documents for group in document.positions)

    def positions(self) -> list[int]:
        """Where the points that the body stands for are in their batch."""
        groups = (group for document in self.documents for group in document.positions)
        return list(chain.from_iterable(groups))


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
        for part, line in _lines(document, _MOST_SERIES, limit):
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
        for half, part in zip(
            halves, (document.part(0, room), document.part(room, total)), strict=True
        ):
            if part.series:
                half.append(part)
        room = max(0, room - len(document.series))
    return [part for half in halves for part in write_bodies(half, len(body.data))]


def _lines(document: Document, most: int, limit: int) -> Iterator[tuple[Document, bytes]]:
    """The document as a line, or as several with at most so many of its series each."""
    total = len(document.series)
    if total > most:
        for start in range(0, total, most):
            yield from _lines(document.part(start, start + most), most, limit)
        return
    line = _ENCODER.encode(_Document.of(document)) + b"\n"
    if len(line) <= limit or total == 1:
        yield document, line
        return
    # Shares that should fit; what has longer names than the rest is cut again.
    yield from _lines(document, -(-total // (len(line) // limit + 1)), limit)


class _BaseData(msgspec.Struct, rename="camel"):
    metric: str
    namespace: str
    dim_names: tuple[str, ...]
    series: list[Aggregate]


class _Data(msgspec.Struct, rename="camel"):
    base_data: _BaseData


class _Document(msgspec.Struct):
    """The document as the ingestion API's OpenAPI (2018-09-01-preview) has it."""

    time: str
    data: _Data

    @classmethod
    def of(cls, document: Document) -> _Document:
        family = document.family
        base = _BaseData(family.metric, family.namespace, family.dimension_names, document.series)
        return cls(utc_text(document.minute), _Data(base))
