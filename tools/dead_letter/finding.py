"""Messages of a dead-letter queue -> what was found there: letters, with their parts joined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from tools.dead_letter.letters import Entry, Letter, Part, Unreadable, joined, read_letter

__all__ = ["UNREADABLE", "Found", "Held", "find"]

# Stands for the reason of what no dead letter is.
UNREADABLE = "unreadable"
# Things that are kept in memory until all their parts are seen; a part is 40,000 bytes.
_MOST_INCOMPLETE = 1000


@dataclass(frozen=True, slots=True)
class Held:
    """A message as it was taken from the queue, or looked at."""

    id: str
    inserted: datetime  # UTC
    dequeued: int  # How often it was taken, this time included.
    text: str


@dataclass(frozen=True, slots=True)
class Found:
    """A letter, and the messages that it is made of."""

    letter: Letter
    held: tuple[Held, ...]
    parts: tuple[Part, ...] = ()  # In the order of `held`, where it was cut.
    broken: str = ""  # Why it cannot be put back, where it cannot; its text is all there is.


def find(messages: Iterable[Held]) -> Iterator[Found]:
    """Yield each letter once all of it was seen; at the end what is missing parts."""
    waiting: dict[tuple[object, ...], list[tuple[Part, Held]]] = {}
    for held in messages:
        match read_letter(held.text):
            case Letter() as letter:
                yield Found(letter, (held,))
            case Unreadable(why):
                yield _unreadable(held, why)
            case Part() as part:
                gathered = [*waiting.pop(part.key, ()), (part, held)]
                if found := _whole(gathered):
                    yield found
                    taken = {one.id for one in found.held}
                    gathered = [one for one in gathered if one[1].id not in taken]
                if gathered:
                    waiting[part.key] = gathered
        if len(waiting) > _MOST_INCOMPLETE:
            yield from _incomplete(waiting.pop(next(iter(waiting))))
    for gathered in waiting.values():
        yield from _incomplete(gathered)


def _whole(gathered: list[tuple[Part, Held]]) -> Found | None:
    """The letter of these parts, once there is one of each."""
    by_number = {part.number: (part, held) for part, held in gathered}
    total = gathered[0][0].total
    if len(by_number) < total:
        return None
    chosen = [by_number[number] for number in range(1, total + 1)]
    parts = tuple(part for part, _ in chosen)
    letter = joined(parts)
    return Found(letter, tuple(held for _, held in chosen), parts) if letter else None


def _incomplete(gathered: list[tuple[Part, Held]]) -> Iterator[Found]:
    seen = {part.number for part, _ in gathered}
    for part, held in gathered:
        missing = part.total - len(seen)
        why = f"part {part.number} of {part.total}; {missing} missing"
        if not missing:
            why = f"part {part.number} of {part.total}; they do not make the whole"
        if part.letter.entries[0].in_doubt:  # Parts are deleted once all is put back.
            why += "; a replay was cut short, after it had put the whole back if no other command "
            why += "holds the rest"
        yield Found(part.letter, (held,), (part,), why)


def _unreadable(held: Held, why: str) -> Found:
    why = f"no dead letter: {why}"
    entry = Entry(why, None, None, held.text.encode(errors="surrogatepass"))
    letter = Letter(UNREADABLE, why, held.inserted, (entry,), {})
    return Found(letter, (held,), broken=why)
