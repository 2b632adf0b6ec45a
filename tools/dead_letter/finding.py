"""Messages of a dead-letter queue -> what was found there: letters, and what is not one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from tools.dead_letter.letters import Entry, Letter, Unreadable, read_letter

__all__ = ["UNREADABLE", "Found", "Held", "find"]

# Stands for the reason of a message that is not a dead letter.
UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Held:
    """A message as it was taken from the queue, or looked at."""

    id: str
    inserted: datetime  # UTC
    dequeued: int  # How often it was taken, this time included.
    text: str


@dataclass(frozen=True, slots=True)
class Found:
    """A letter, and the message that holds it."""

    letter: Letter
    held: Held
    broken: str = ""  # Why it cannot be put back, where it cannot; its text is all there is.


def find(messages: Iterable[Held]) -> Iterator[Found]:
    """Yield the letter of each message."""
    for held in messages:
        letter = read_letter(held.text)
        if isinstance(letter, Unreadable):
            yield _unreadable(held, letter.why)
        else:
            yield Found(letter, held)


def _unreadable(held: Held, why: str) -> Found:
    why = f"not a dead letter: {why}"
    content = held.text.encode(errors="surrogatepass")
    letter = Letter(UNREADABLE, why, held.inserted, (Entry(why, None, None, content, b""),), {})
    return Found(letter, held, broken=why)
