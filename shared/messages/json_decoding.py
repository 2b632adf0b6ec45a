"""Decode JSON into types; errors say where and why."""

from __future__ import annotations

import difflib
from typing import TypeVar, get_origin

import msgspec

from shared.errors import ValidationError
from shared.model import MAX_NAME_LENGTH
from shared.text import quoted

__all__ = ["decode"]

_T = TypeVar("_T")

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
        raise ValidationError(path, text) from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise ValidationError("", f"not valid JSON: {exc}") from exc
    except RecursionError as exc:
        raise ValidationError("", "nested too deeply") from exc


def _unknown_member(name: str, expected: object) -> str:
    known = getattr(get_origin(expected) or expected, "__struct_encode_fields__", ())
    similar = difflib.get_close_matches(name[:MAX_NAME_LENGTH], known, n=1)
    hint = f"; did you mean {similar[0]}?" if similar else ""
    return f"unknown member {quoted(name)}{hint}"
