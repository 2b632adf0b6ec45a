"""A letter as JSON, with what the queue knows of it: for people, and as a line of an export."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from shared.model import utc_text
from tools.dead_letter.finding import UNREADABLE, Found
from tools.dead_letter.letters import Entry

__all__ = ["as_line", "as_pretty"]

# A terminal may obey these, and JSON allows them as they are.
_CONTROLS = re.compile("[\x7f-\x9f]")


def as_pretty(found: Found, entries: Sequence[Entry]) -> str:
    """The letter with these of its entries, indented."""
    return _safe(msgspec.json.format(as_line(found, entries), indent=2))


def as_line(found: Found, entries: Sequence[Entry]) -> bytes:
    """The letter with these of its entries; its parts joined; in one line."""
    letter = found.letter
    first = found.held[0]
    members: dict[str, Any] = {
        "letters": [held.id for held in found.held],
        "inserted": utc_text(first.inserted),
        "dequeued": first.dequeued,
    }
    if found.broken:
        members["broken"] = found.broken
    if letter.reason == UNREADABLE:
        return _one_line({**members, "reason": UNREADABLE, "text": first.text})
    members |= letter.envelope
    if marks := [entry.in_doubt for entry in entries if entry.in_doubt]:
        members["replaying"] = {"time": utc_text(max(marks))}
    if not found.broken:  # Else what there is of it, a part, stands in the envelope.
        for name in ("part", "parts", "bodyBase64", "bodySha256"):
            members.pop(name, None)
        members["refused"] = [Raw(entry.raw or _raw(entry)) for entry in entries]
    return _one_line(members)


def _raw(entry: Entry) -> bytes:
    """What was cut into parts, as it would stand in a letter that had room for it."""
    members: dict[str, Any] = {"detail": entry.detail}
    try:
        members["body"] = entry.content.decode()
        msgspec.json.decode(entry.content)
    except UnicodeDecodeError:
        members["bodyBase64"] = base64.b64encode(entry.content).decode()
    except (msgspec.DecodeError, RecursionError):
        pass
    else:
        del members["body"]
        members["message"] = Raw(entry.content)
    return msgspec.json.encode(members)


def _one_line(members: dict[str, Any]) -> bytes:
    """What stood in several lines as a producer wrote it, in one."""
    return msgspec.json.format(msgspec.json.encode(members), indent=-1)


def _safe(text: bytes) -> str:
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text.decode())
