"""Documents of any JSON, put under `/_local/documents` and served from there.

What a document of numbers may do to the one who samples it is in its members: another status, a
body that never seems to end, one that comes a byte at a time, or that is no JSON at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Annotated

import msgspec
from starlette.responses import Response, StreamingResponse

from .answers import bad_input
from .limits import MAX_DOCUMENTS

__all__ = ["Document", "Documents"]

_CHUNK = 64 * 1024
_FRAMING = {"content-length", "transfer-encoding", "connection"}

HeaderName = Annotated[str, msgspec.Meta(pattern="^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]
HeaderValue = Annotated[str, msgspec.Meta(pattern="^[!-~]([ -~]*[!-~])?$")]


class Document(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """What a path answers; size is a number of bytes, trickle the seconds between two."""

    path: Annotated[str, msgspec.Meta(pattern="^/")]
    body: msgspec.Raw = msgspec.Raw()
    text: str | None = None
    size: Annotated[int, msgspec.Meta(ge=1)] | None = msgspec.field(default=None, name="bytes")
    status: Annotated[int, msgspec.Meta(ge=200, le=599)] = 200
    headers: dict[HeaderName, HeaderValue] = {}
    audience: str | None = None
    trickle: Annotated[float, msgspec.Meta(ge=0)] = 0

    def __post_init__(self) -> None:
        """Refuse what contradicts itself; the message names the members."""
        if bool(bytes(self.body)) + (self.text is not None) + (self.size is not None) > 1:
            raise ValueError("body, text and bytes exclude each other")
        if framing := sorted(_FRAMING & {name.lower() for name in self.headers}):
            raise ValueError(f"headers: {framing[0]} cannot be set")

    def response(self) -> Response:
        """Its answer; of known length unless it has a size or `trickle`."""
        media_type = "application/json" if self.text is None else "text/plain"
        if self.size is None and not self.trickle:
            return Response(self._content(), self.status, self.headers, media_type)
        return StreamingResponse(self._stream(), self.status, self.headers, media_type)

    def _content(self) -> bytes:
        return bytes(self.body) if self.text is None else self.text.encode()

    async def _stream(self) -> AsyncIterator[bytes]:
        for piece in self._pieces(1 if self.trickle else _CHUNK):
            yield piece
            await asyncio.sleep(self.trickle)  # Also where a client that has left is noticed.

    def _pieces(self, most: int) -> Iterator[bytes]:
        if self.size is None:
            content = self._content()
            yield from (content[at : at + most] for at in range(0, len(content), most))
            return
        yield b'"'  # Of a string that is never closed.
        left = self.size - 1
        while left:
            piece = min(left, most)
            yield b"x" * piece
            left -= piece


class _Served(msgspec.Struct):
    """How often a document was asked for, and how often with an Authorization header."""

    path: str
    requests: int = 0
    authorized: int = 0


class Documents:
    """The documents by path, each with what came for it."""

    def __init__(self) -> None:
        self._documents: dict[str, tuple[Document, _Served]] = {}

    def put(self, document: Document) -> None:
        """Add or replace the document of a path. Raises RefusalError (400) if there are many."""
        if document.path not in self._documents and len(self._documents) >= MAX_DOCUMENTS:
            raise bad_input(f"{MAX_DOCUMENTS} documents are there; reset the state first")
        self._documents[document.path] = (document, _Served(document.path))

    def take(self, path: str, *, authorized: bool) -> Document | None:
        """The document of a path; counts the request."""
        document, served = self._documents.get(path, (None, _Served(path)))
        served.requests += 1
        served.authorized += authorized
        return document

    def report(self) -> list[_Served]:
        """What was asked for."""
        return [served for _, served in self._documents.values()]
