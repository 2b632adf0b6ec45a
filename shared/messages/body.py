"""Queue body -> the JSON documents in it.

A body holds one document, a JSON array of documents, or one document per line; in plain text or
in base64, whichever the producer's SDK sends. JSON starts with { or [, which base64 never does.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

import msgspec
from msgspec import Raw

from shared.errors import ValidationError
from shared.text import quoted

__all__ = ["MAX_BODY_BYTES", "check_parts", "decode_body", "is_json", "split_documents"]

# Source: "Scalability and performance targets for Queue Storage": a message is 64 KiB at most.
MAX_BODY_BYTES = 64 * 1024
# Bytes of the shortest valid part: a point, with its comma. More parts than fit into a text are
# not worth a rejection each; a few are, so that the error is about them.
MIN_PART_BYTES = 24
MAX_INVALID_PARTS = 100

_BOM = b"\xef\xbb\xbf"
# What many JSON writers print for a number that is not finite; a string is skipped. It ends with
# its line, so that a line that is cut off in a string does not change the others.
_NOT_FINITE = re.compile(rb'("(?:[^"\\\n]++|\\[^\n])*+"?)|-?(?:NaN|Infinity)')
_JSON = msgspec.json.Decoder(Raw)
_ARRAY = msgspec.json.Decoder(list[Raw])


def decode_body(body: bytes, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """Return the JSON text of a body, base64 decoded. Raises ValidationError."""
    if len(body) > max_bytes:
        raise ValidationError("body", f"{len(body)} bytes, at most {max_bytes}")
    text = _strip(body)
    if not text:
        raise ValidationError("body", "empty")
    if text.startswith((b"{", b"[")):
        return text
    try:
        decoded = _strip(base64.b64decode(b"".join(text.split()), validate=True))
    except (binascii.Error, ValidationError):
        found = quoted(text.decode(), 40)
        raise ValidationError(
            "body", f"{found} is neither JSON, which starts with {{ or [, nor base64 of it"
        ) from None
    if not decoded.startswith((b"{", b"[")):
        found = quoted(decoded.decode(), 40)
        raise ValidationError(
            "body, base64 decoded", f"{found} is not JSON, which starts with {{ or ["
        )
    return decoded


def split_documents(text: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the location (`""`, `[2]`, `line 3:`) and the bytes of each document of a JSON text.

    A text that is not JSON as a whole is read line by line, if that helps. Raises
    ValidationError.
    """
    text = _replace_not_finite(text)
    if text.startswith(b"["):
        yield from _split_array(text)
    elif is_json(text):
        yield "", text
    else:
        lines = [(number, line) for number, line in enumerate(text.split(b"\n"), 1) if line.strip()]
        # A pretty-printed document has lines too, but none of them is a document.
        documents = [line for _, line in lines if line.lstrip().startswith(b"{")]
        if len(lines) > 1 and (len(documents) == len(lines) or any(map(is_json, documents))):
            check_parts("body", len(lines), text)
            for number, line in lines:
                yield f"line {number}:", line
        else:
            yield "", text


def check_parts(path: str, count: int, text: bytes) -> None:
    """Raise ValidationError for more parts than a valid text of this length can hold."""
    limit = max(MAX_INVALID_PARTS, len(text) // MIN_PART_BYTES)
    if count > limit:
        raise ValidationError(path, f"{count} parts in {len(text)} bytes, at most {limit}")


def _split_array(text: bytes) -> Iterator[tuple[str, bytes]]:
    try:
        documents = _ARRAY.decode(text)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise ValidationError("body", f"not valid JSON: {exc}") from exc
    if not documents:
        raise ValidationError("body", "an empty array")
    check_parts("body", len(documents), text)
    for index, document in enumerate(documents):
        yield f"[{index}]", bytes(document)


def _replace_not_finite(text: bytes) -> bytes:
    """Replace NaN and Infinity by a number out of range.

    Then only the point with that value is invalid, not the whole text.
    """
    if b"NaN" not in text and b"Infinity" not in text:
        return text
    return _NOT_FINITE.sub(lambda found: found[1] or b"1e999", text)


def _strip(data: bytes) -> bytes:
    """Return UTF-8 text without the white space and byte order mark around it."""
    try:
        data.decode()
    except UnicodeDecodeError as exc:
        byte = data[exc.start]
        raise ValidationError(
            "body", f"not UTF-8: byte 0x{byte:02x} at offset {exc.start}"
        ) from None
    return data.removeprefix(_BOM).strip()


def is_json(text: bytes) -> bool:
    """Return whether a text is JSON."""
    try:
        _JSON.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
