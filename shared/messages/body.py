"""Queue body -> the JSON documents in it.

A body holds one document, a JSON array of documents, or documents one after another, with white
space or nothing between them; in plain text or in base64, whichever the producer's SDK sends. JSON
starts with { or [, which base64 never does.

What JSON writers print that is not JSON, or not text, is replaced by what only invalidates the part
that it stands in: a number that is not finite by one out of range, half of a surrogate pair by
bytes that are not UTF-8.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from contextlib import suppress

import msgspec
from msgspec import Raw

from shared.errors import ValidationError, join_paths
from shared.messages.json_decoding import decode
from shared.text import quoted

__all__ = [
    "MAX_BODY_BYTES",
    "check_parts",
    "decode_body",
    "is_json",
    "split_documents",
]

# Source: "Scalability and performance targets for Queue Storage": a message is 64 KiB at most.
MAX_BODY_BYTES = 64 * 1024
# Bytes of the shortest valid part: a point, with its comma. More parts than fit into a text are
# not worth a rejection each; a few are, so that the error is about them.
MIN_PART_BYTES = 24
MAX_INVALID_PARTS = 100

_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
# NaN and infinities of Python, JavaScript, .NET, Java, Go and C; a string is skipped. It ends with
# its line, so that a line that is cut off in a string does not change the others.
_NOT_FINITE = re.compile(
    rb'("(?:[^"\\\n]++|\\[^\n])*+"?)|[+-]?(?:nan|infinity|inf)\b', re.IGNORECASE
)
# A pair of escaped surrogates, half of one, and any other escape.
_SURROGATES = re.compile(
    rb"(?i)\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}|\\u(d[89a-f][0-9a-f]{2})|\\."
)
# What `str` makes of bytes in Python; with a quote or a backslash in them it looks different.
_PRINTED_BYTES = re.compile(rb"b'([^'\\]*)'")
_JSON = msgspec.json.Decoder(Raw)
_STRING = msgspec.json.Decoder(str)
_ARRAY = msgspec.json.Decoder(list[Raw])
_PYTHON_JSON = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\r\n]*")
# A line that may be a document; what is in a document has neither of these members.
_DOCUMENT_LINE = re.compile(r'^\{.*"(?:points|data)".*', re.MULTILINE)


def decode_body(body: bytes, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """Return the JSON text of a body, base64 decoded. Raises ValidationError."""
    if len(body) > max_bytes:
        raise ValidationError("body", f"{len(body)} bytes, at most {max_bytes}")
    text = _strip(_unwrap(_strip(body)))
    if not text:
        raise ValidationError("body", "empty")
    if text.startswith((b"{", b"[")):
        return text
    found = quoted(text.decode(errors="backslashreplace"), 40)
    neither = f"{found} is neither JSON, which starts with {{ or [, nor base64 of it"
    try:
        decoded = _decode_base64(text)
    except binascii.Error:
        raise ValidationError("body", neither) from None
    decoded = _strip(decoded, "base64 of ")
    if decoded.startswith((b"{", b"[")):
        return decoded
    try:
        found = quoted(decoded.decode(), 40)
    except UnicodeDecodeError:  # A word that only looks like base64.
        raise ValidationError("body", neither) from None
    raise ValidationError("body", f"{neither}: decoded, it is {found}")


def split_documents(text: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the location (`""`, `[2]`, `line 3:`) and the bytes of each document of a JSON text.

    After a document that is not JSON, it goes on with the next line that is a document. Raises
    ValidationError.
    """
    text = _replace_unreadable(text)
    # In Latin-1, one character stands for each byte.
    values = [("", text)] if is_json(text) else _split_sequence(text.decode("latin-1"))
    count = 0
    for where, value in values:
        for part in _split_array(where, value):
            count += 1
            check_parts("body", count, text)
            yield part


def check_parts(path: str, count: int, text: bytes) -> None:
    """Raise ValidationError for more parts than a valid text of this length can hold."""
    limit = max(MAX_INVALID_PARTS, len(text) // MIN_PART_BYTES)
    if count > limit:
        raise ValidationError(path, f"{count} parts in {len(text)} bytes, at most {limit}")


def is_json(text: bytes) -> bool:
    """Return whether a text is JSON."""
    try:
        _JSON.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _split_array(where: str, value: bytes) -> Iterator[tuple[str, bytes]]:
    # A part that is not JSON is rejected by itself, unless it is all that there is.
    if not value.startswith(b"[") or (where and not is_json(value)):
        yield where, value
        return
    try:
        documents = decode(_ARRAY, value)
    except ValidationError as exc:
        raise exc.within("body") from None
    if not documents:
        raise ValidationError("body", "an empty array")
    for index, document in enumerate(documents):
        yield join_paths(where, f"[{index}]"), bytes(document)


def _split_sequence(text: str) -> Iterator[tuple[str, bytes]]:
    start, line, line_start = 0, 1, 0
    while start < len(text):
        try:
            _, end = _PYTHON_JSON.raw_decode(text, start)
        except (ValueError, RecursionError):
            end = _next_document(text, start)
        column = start - line_start + 1
        where = f"line {line}:" if column == 1 else f"line {line}, column {column}:"
        is_whole = start == 0 and end == len(text)
        yield "" if is_whole else where, text[start:end].rstrip(" \t\r\n").encode("latin-1")
        following = _SPACE.match(text, end).end()  # type: ignore[union-attr]
        line += text.count("\n", start, following)
        line_start = text.rfind("\n", 0, following) + 1
        start = following


def _next_document(text: str, start: int) -> int:
    """Return where the next line starts that is a document by itself, or the end of the text."""
    for found in _DOCUMENT_LINE.finditer(text, start):
        if found.start() > start and is_json(found[0].encode("latin-1")):
            return found.start()
    return len(text)


def _unwrap(text: bytes) -> bytes:
    """Return the content of a JSON string, or of bytes as Python prints them."""
    if found := _PRINTED_BYTES.fullmatch(text):
        return found[1]
    if text.startswith(b'"'):
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            return _STRING.decode(text).encode()
    return text


def _decode_base64(text: bytes) -> bytes:
    """Decode base64, in its URL-safe form too, and without padding. Raises binascii.Error."""
    text = b"".join(text.split()).translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
    return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)


def _replace_unreadable(text: bytes) -> bytes:
    """Replace numbers that are not finite, and halves of surrogate pairs."""
    text = _NOT_FINITE.sub(lambda found: found[1] or b"1e999", text)
    return _SURROGATES.sub(
        lambda found: (
            chr(int(found[1], 16)).encode(errors="surrogatepass") if found[1] else found[0]
        ),
        text,
    )


def _strip(data: bytes, context: str = "") -> bytes:
    """Return a text without the white space and byte order marks around it."""
    text = data.strip().removeprefix(_BOM).strip()
    if text.startswith((b"\xff\xfe", b"\xfe\xff")) or text[:2].count(0) == 1 < len(text):
        raise ValidationError("body", f"{context}UTF-16; send UTF-8")
    if text.startswith(_GZIP):
        raise ValidationError("body", f"{context}gzip; send it uncompressed")
    return text
