"""Queue body -> the JSON documents in it.

A body is one document, a JSON array of them, or one per line; plain text or base64, whichever
the producer's SDK sends. JSON of a document starts with { or [, which base64 never does.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

import msgspec
from msgspec import Raw

from shared.messages.refusal import RefusedError, decoded
from shared.resource_ids import shown

__all__ = ["MAX_BODY_BYTES", "documents", "json_text"]

# Source: "Scalability and performance targets for Queue Storage": a message is 64 KiB at most.
MAX_BODY_BYTES = 64 * 1024

_BOM = b"\xef\xbb\xbf"
# What many a JSON writer puts where a number is not finite, though JSON has no word for it.
_NOT_FINITE = re.compile(rb'("(?:[^"\\]++|\\.)*+"?)|-?(?:NaN|Infinity)', re.DOTALL)
_ARRAY = msgspec.json.Decoder(list[Raw])
_ANY = msgspec.json.Decoder(Raw)


def documents(text: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield where each document of a JSON text stands (`""`, `[2]`, `line 3:`) and its bytes.

    Raises RefusedError when there is no telling what the text is.
    """
    text = _finite(text)
    if text.startswith(b"["):
        try:
            parts = decoded(_ARRAY, text)
        except RefusedError as refused:
            raise refused.within("body") from refused
        if not parts:
            raise RefusedError("body", "an array with nothing in it")
        for index, part in enumerate(parts):
            yield f"[{index}]", bytes(part)
        return
    lines = [(number, line) for number, line in enumerate(text.split(b"\n"), 1) if line.strip()]
    # Pretty-printed JSON has lines too, but its first one is no document by itself, nor do all
    # of them begin as one.
    alone = len(lines) > 1 and (
        _is_json(lines[0][1]) or all(line.lstrip().startswith(b"{") for _, line in lines)
    )
    if alone:
        for number, line in lines:
            yield f"line {number}:", line
    else:
        yield "", text


def json_text(body: bytes, most: int = MAX_BODY_BYTES) -> bytes:
    """The body's JSON, unread, out of its base64 if it is in one. Raises RefusedError."""
    if len(body) > most:
        raise RefusedError("body", f"{len(body)} bytes, at most {most}")
    text = _utf8("body", body)
    if not text:
        raise RefusedError("body", "empty")
    if text.startswith((b"{", b"[")):
        return text
    try:
        document = _utf8("", base64.b64decode(b"".join(text.split()), validate=True))
    except (binascii.Error, RefusedError):
        found = shown(text.decode(), 40)
        raise RefusedError(
            "body", f"{found} is neither JSON, which starts with {{ or [, nor base64 of it"
        ) from None
    if not document.startswith((b"{", b"[")):
        found = shown(document.decode(), 40)
        sentence = f"{found} is not JSON, which starts with {{ or ["
        raise RefusedError("body, base64 decoded", sentence)
    return document


def _finite(text: bytes) -> bytes:
    """The JSON with a number out of range for NaN and Infinity.

    So only the point that holds one is refused, not everything beside it that no longer is JSON.
    """
    if b"NaN" not in text and b"Infinity" not in text:
        return text
    return _NOT_FINITE.sub(lambda found: found[1] or b"1e999", text)


def _utf8(where: str, data: bytes) -> bytes:
    """The data without white space and byte order mark around it, once it is known as UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError as exc:
        byte = data[exc.start]
        raise RefusedError(where, f"not UTF-8: byte 0x{byte:02x} at offset {exc.start}") from None
    return data.removeprefix(_BOM).strip()


def _is_json(text: bytes) -> bool:
    try:
        decoded(_ANY, text)
    except RefusedError:
        return False
    return True
