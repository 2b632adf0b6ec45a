"""Text for people: quoting what came from outside, and writing times."""

from __future__ import annotations

import re
from datetime import datetime

__all__ = ["clean", "masked", "plural", "quoted", "utc_text"]

# Characters of a text from outside that are kept.
MAX_TEXT = 1000
# Control characters, which break lines or move a terminal's cursor, and marks that change the
# direction of writing.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
# What may precede a secret: the user of a URL, a query, a member of a connection string.
_SECRET = re.compile(r"[=;?@]")


def quoted(text: str, limit: int = 300) -> str:
    """Return the text in quotes and in ASCII, cut after `limit` characters.

    ASCII shows characters that only look right, such as a Cyrillic letter in a resource ID.
    """
    return ascii(text) if len(text) <= limit else f"{text[:limit]!a}…"


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """Return a text from outside as one line without control characters, cut after `limit`.

    Everything that others wrote passes here before it reaches a log, a terminal or a dead letter.
    """
    text = _UNSAFE.sub(" ", text[: limit + 1]).strip()
    return text if len(text) <= limit else f"{text[:limit]}…"


def masked(text: str) -> str:
    """Return the value of a setting for an error text, without what may be a secret.

    A connection string or a URL with a signature or a password is cut before the first character
    that may precede a secret.
    """
    found = _SECRET.search(text)
    if found is None:
        return quoted(text)
    scheme, mark, _ = text.partition("://")
    shown = f"{scheme}{mark}" if found[0] == "@" and mark else text[: found.start()]
    return f"{quoted(shown)[:-1]}…' (the rest may be secret)"


def plural(count: int, noun: str) -> str:
    """Return a count with its noun: `1 point`, `3 points`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def utc_text(time: datetime) -> str:
    """Return a UTC time in ISO 8601 with a Z, with a fraction only if it has one."""
    return time.isoformat().replace("+00:00", "Z")
