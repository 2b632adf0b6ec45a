"""Decode JSON into types, and say what is wrong in the words of who wrote it.

Every refusal names where, what was found and what is allowed. msgspec finds an error in C and
says what it expected; what stood there instead is looked up here, on the way of errors alone.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import re
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from shared.model import MAX_NAME_LENGTH, Reason
from shared.resource_ids import shown

__all__ = ["RefusedError", "decoded", "joined", "refuse_repeated"]

_T = TypeVar("_T")

_AT = re.compile(r" - at `(?P<key>key` in `)?\$?(?P<path>[^`]*)`$")
_STEP = re.compile(r"\.(?P<name>[^.\[\]]+)|\[(?P<index>\d+|\.\.\.)\]")
_LENGTH = re.compile(
    r"Expected `(?P<kind>str|array|object)` of length (?P<sign><=|>=) (?P<limit>\d+)"
)
_RANGE = re.compile(r"Expected `\w+` (?P<sign><=|>=) (?P<limit>-?\d+)")
_TYPE = re.compile(r"Expected `(?P<wanted>[^`]+)`, got `(?P<got>[^`]+)`")

# A letter that needs no escape: names of members are made of such.
_ASCII_ESCAPE = re.compile(rb"\\u00[2-7]")

_NAMES = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "an array",
    "object": "an object",
    "null": "null",
}
_BOUND = {"<=": "at most", ">=": "at least"}


class RefusedError(Exception):
    """Something is wrong at a path of a document; its reader makes a Rejection of it."""

    def __init__(self, path: str, text: str, reason: Reason = Reason.INVALID) -> None:
        super().__init__(f"{path.rstrip(':')}: {text}" if path else text)
        self.path = path
        self.text = text
        self.reason = reason

    def within(self, path: str) -> RefusedError:
        """The same refusal seen from further out: `metric` within `points[3]`."""
        return RefusedError(joined(path, self.path), self.text, self.reason)


def decoded(decoder: msgspec.json.Decoder[_T], document: bytes) -> _T:
    """Decode a document. Raises RefusedError: `values[2]: found text, expected a number`."""
    try:
        return decoder.decode(document)
    except msgspec.ValidationError as exc:
        known = getattr(decoder.type, "__struct_encode_fields__", ())
        raise RefusedError(*_explained(str(exc), document, known)) from exc
    except msgspec.DecodeError as exc:
        raise RefusedError("", f"not JSON: {exc}") from exc
    except RecursionError as exc:
        raise RefusedError("", "nested too deeply") from exc


def _has_hidden_names(document: bytes) -> bool:
    """Whether names in it may be written with escapes where none is needed."""
    return b"\\u" in document and _ASCII_ESCAPE.search(document) is not None


def refuse_repeated(document: bytes, *members: bytes) -> None:
    """Raise RefusedError when an object in it has one of these members, in quotes, twice.

    A decoder keeps the last of the two, and what is in the other would be lost in silence. To
    look at every member costs as much as reading the document: only a suspicion is followed, and
    a name may hide behind an escape.
    """
    hidden = _has_hidden_names(document)
    for member in members:
        if hidden or document.count(member) > 1:
            _look_for_twice(document, member.decode().strip('"'))


def _look_for_twice(document: bytes, member: str) -> None:
    def check(pairs: list[tuple[str, Any]]) -> None:
        if sum(name == member for name, _ in pairs) > 1:
            raise RefusedError("", f"member {member} is given twice")

    with contextlib.suppress(RecursionError, ValueError):  # The decoder says what is wrong then.
        json.loads(document, object_pairs_hook=check)


def joined(outer: str, inner: str) -> str:
    """One path of two: `[2]` and `points[0]` make `[2].points[0]`; either may be empty."""
    if not outer or not inner:
        return outer or inner
    if outer.endswith(":"):
        return f"{outer} {inner}"
    return f"{outer}{inner}" if inner.startswith("[") else f"{outer}.{inner}"


def _explained(error: str, document: bytes, known: Iterable[str]) -> tuple[str, str]:
    """msgspec's error as a path and a sentence about what was found there.

    `known` are the members that the document may have.
    """
    at = _AT.search(error)
    path = at["path"] if at else ""
    text = error[: at.start()] if at else error
    if at and at["key"]:  # Which of the names it is, msgspec does not say.
        return path.lstrip("."), f"a name of the {_sentence(text, None, known)}"
    return path.lstrip("."), _sentence(text, _found(document, path), known)


def _sentence(text: str, found: Any, known: Iterable[str]) -> str:
    if text.startswith("Object contains unknown field"):
        name = text.partition("`")[2].rstrip("`")
        near = difflib.get_close_matches(name[:MAX_NAME_LENGTH], known, n=1)
        return f"unknown member {shown(name)}{f'; did you mean {near[0]}?' if near else ''}"
    if text.startswith("Object missing required field"):
        return f"member {text.partition('`')[2].rstrip('`')} is missing"
    if text == "Number out of range":
        return "not a finite number of double precision"
    if text == "Integer value out of range":
        return "a whole number of too many digits"
    if match := _LENGTH.fullmatch(text):
        unit = "characters" if match["kind"] == "str" else "members"
        size = len(found) if isinstance(found, str | list | dict) else "wrong number of"
        return f"{size} {unit}, {_BOUND[match['sign']]} {match['limit']}"
    if match := _RANGE.fullmatch(text):
        return f"{found}, {_BOUND[match['sign']]} {match['limit']}"
    if match := _TYPE.fullmatch(text):
        wanted = " or ".join(_NAMES.get(kind, kind) for kind in match["wanted"].split(" | "))
        return f"found {_kind(found, match['got'])}, expected {wanted}"
    return text


def _kind(found: Any, got: str) -> str:
    """What was found, by its value where that is short."""
    if isinstance(found, bool | int | float):
        return str(found).lower()
    return _NAMES.get(got, got)


def _found(document: bytes, path: str) -> Any:
    """What stands at a msgspec path of the document, None where that cannot be told."""
    try:
        value: Any = msgspec.json.decode(document)
        for step in _STEP.finditer(path):
            value = value[step["name"]] if step["name"] else value[int(step["index"])]
    except (msgspec.DecodeError, LookupError, TypeError, ValueError, RecursionError):
        return None
    return value
