"""A letter as JSON, with what the queue knows of it: for people, and as a line of an export."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from shared.text import utc_text
from tools.dead_letter.finding import UNREADABLE, Found
from tools.dead_letter.letters import Entry

__all__ = ["as_line", "as_pretty"]

_MEMBERS = msgspec.json.Decoder(dict[str, Raw])
# A terminal may obey these, and JSON allows them as they are.
_CONTROLS = re.compile("[\x7f-\x9f]")


def as_pretty(found: Found, entries: Sequence[Entry]) -> str:
    """The letter with these of its entries, indented."""
    return _safe(msgspec.json.format(as_line(found, entries), indent=2))


def as_line(found: Found, entries: Sequence[Entry]) -> bytes:
    """The letter with these of its entries; what is compressed is unpacked; in one line."""
    letter, held = found.letter, found.held
    members: dict[str, Any] = {
        "letter": held.id,
        "inserted": utc_text(held.inserted),
        "dequeued": held.dequeued,
    }
    if found.broken:
        members |= {"broken": found.broken, "reason": UNREADABLE, "text": held.text}
        return _one_line(members)
    members |= letter.envelope
    if marks := [entry.in_doubt for entry in entries if entry.in_doubt]:
        members["replaying"] = {"time": utc_text(max(marks))}
    members["refused"] = [Raw(_unpacked(entry)) for entry in entries]
    return _one_line(members)


def _unpacked(entry: Entry) -> bytes:
    """The entry as it would stand in a letter that has room for its message."""
    members = dict(_MEMBERS.decode(entry.raw))
    if members.pop("bodyGzipBase64", None) is None:
        return entry.raw
    try:
        msgspec.json.decode(entry.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return entry.raw  # Not of the relay, which compresses nothing but JSON.
    return msgspec.json.encode({**members, "message": Raw(entry.content)})


def _one_line(members: dict[str, Any]) -> bytes:
    """What stood in several lines as a producer wrote it, in one."""
    return msgspec.json.format(msgspec.json.encode(members), indent=-1)


def _safe(text: bytes) -> str:
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text.decode())
