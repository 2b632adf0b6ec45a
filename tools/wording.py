"""Text for the terminal."""

from __future__ import annotations

import re

__all__ = ["general", "printable", "things"]

# What differs between rejections with one cause: the position of the point, its time, its age.
_PARTICULAR = re.compile(
    r"(?<=\[)\d+(?=\])|(?<=^line )\d+(?=:)|\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)?"
    r"|(?<![\w.])\d+(?= s (?:old|ahead))"
)
_MORE = re.compile(r" \(and \d+ more\)$")


def general(detail: str) -> str:
    """Return a detail without what differs from point to point: `points[…].time: … is … s old`."""
    return _PARTICULAR.sub("…", _MORE.sub("", detail))


def printable(text: str) -> str:
    """Return a text as one line without control characters."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def things(count: int, name: str) -> str:
    """Return a count with its noun: `1 point`, `2,000 points`, `3 entries`."""
    if count != 1:
        name = f"{name[:-1]}ies" if name.endswith("y") else f"{name}s"
    return f"{count:,} {name}"
