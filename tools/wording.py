"""Texts as an operator reads them."""

from __future__ import annotations

import re

__all__ = ["general", "printable", "things"]

# What tells refusals of one cause apart: which point it was, when, by how much.
_PARTICULAR = re.compile(
    r"(?<=\[)\d+(?=\])|(?<=^line )\d+(?=:)|\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)?"
    r"|(?<![\w.])\d+(?= s (?:old|ahead))"
)
_MORE = re.compile(r" \(and \d+ more\)$")


def general(detail: str) -> str:
    """The detail without what differs from point to point: `points[…].time: … is … s old`."""
    return _PARTICULAR.sub("…", _MORE.sub("", detail))


def printable(text: str) -> str:
    """The text in one line that does nothing to a terminal."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def things(count: int, name: str) -> str:
    """`1 letter`, `2,000 letters`, `3 entries`."""
    if count != 1:
        name = f"{name[:-1]}ies" if name.endswith("y") else f"{name}s"
    return f"{count:,} {name}"
