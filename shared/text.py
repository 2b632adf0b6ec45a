"""Text for people: quoting what came from outside, and writing times."""

from __future__ import annotations

from datetime import datetime

__all__ = ["plural", "quoted", "utc_text"]


def quoted(text: str, limit: int = 300) -> str:
    """Return the text in quotes and in ASCII, cut after `limit` characters.

    ASCII shows characters that only look right, such as a Cyrillic letter in a resource ID.
    """
    return ascii(text) if len(text) <= limit else f"{text[:limit]!a}…"


def plural(count: int, noun: str) -> str:
    """Return a count with its noun: `1 point`, `3 points`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def utc_text(time: datetime) -> str:
    """Return a UTC time in ISO 8601 with a Z, with a fraction only if it has one."""
    return time.isoformat().replace("+00:00", "Z")
