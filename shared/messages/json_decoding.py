"""Decode JSON into types; errors say where and why."""

from __future__ import annotations

import difflib
import json
import re
from typing import Any, TypeVar, get_origin

import msgspec

from shared.errors import ValidationError
from shared.model import MAX_NAME_LENGTH
from shared.text import quoted

__all__ = ["decode", "restore_escapes"]

_T = TypeVar("_T")

# Bytes before and after the place of an error.
EXCERPT_BYTES = 12

_POSITION = re.compile(r"\(byte ([0-9]+)\)")
_HALF_PAIR = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
_STEP = re.compile(r"([^.\[\]]+)|\[([0-9]+)\]")
_OUT_OF_RANGE = "Number out of range"
_UNKNOWN = "Object contains unknown field `"


def decode(decoder: msgspec.json.Decoder[_T], data: bytes) -> _T:
    """Decode a JSON document. Raises ValidationError with the path and msgspec's own words."""
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as exc:
        # "Expected `float`, got `str` - at `$.values[2]`", "… - at `key` in `$.dimensions`"
        text, _, at = str(exc).partition(" - at `")
        path = at.partition("$")[2].rstrip("`").removeprefix(".")
        if text.startswith(_UNKNOWN):
            text = _unknown_member(text.removeprefix(_UNKNOWN).rstrip("`"), decoder.type)
        elif text == _OUT_OF_RANGE:
            text = "not a finite double"
        elif text.endswith("got `str`"):
            text += _text_at(path, data)
        raise ValidationError(path, text) from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise ValidationError("", f"not valid JSON: {_malformed(exc, bytes(data))}") from exc
    except RecursionError as exc:
        raise ValidationError("", "nested too deeply") from exc


def restore_escapes(text: bytes) -> bytes:
    """Return a part of a document with the halves of surrogate pairs as they were written."""
    return _HALF_PAIR.sub(
        lambda found: rb"\u%04x" % ord(found[0].decode(errors="surrogatepass")), text
    )


def _malformed(exc: Exception, data: bytes) -> str:
    """Return what is malformed, with the text around it."""
    text = str(exc).removeprefix("JSON is malformed: ")
    found = _POSITION.search(text)
    position = int(found[1]) if found else len(data)
    try:
        data[:position].decode()
    except UnicodeDecodeError as invalid:
        position = invalid.start
        is_half = _HALF_PAIR.match(data, position)
        text = (
            "half of a surrogate pair" if is_half else f"byte 0x{data[position]:02x} is not UTF-8"
        )
    around = restore_escapes(data[max(0, position - EXCERPT_BYTES) : position + EXCERPT_BYTES])
    return f"{text}, near {quoted(around.decode(errors='replace'))}"


def _text_at(path: str, data: bytes) -> str:
    """Return the text at a path such as `values[1]`, to be shown after what was expected."""
    try:
        # Bytes that are not UTF-8 may stand elsewhere in it.
        found: Any = json.loads(bytes(data).decode(errors="replace"))
        for name, index in _STEP.findall(path):
            found = found[name] if name else found[int(index)]
    # It may be malformed further on; `[...]` in a path stands for any member.
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    return f" {quoted(found, 40)}" if isinstance(found, str) else ""


def _unknown_member(name: str, expected: object) -> str:
    known = getattr(get_origin(expected) or expected, "__struct_encode_fields__", ())
    similar = difflib.get_close_matches(name[:MAX_NAME_LENGTH], known, n=1)
    hint = f"; did you mean {similar[0]}?" if similar else ""
    return f"unknown member {quoted(name)}{hint}"
