"""`$filter` of a metrics query: conditions on dimensions, and which of them split the result.

    City eq 'Utrecht' or City eq 'Delft' and Country ne 'BE' and Article eq '*'

`and` stands between dimensions, and between two `ne` of one; `or` only between two terms of one
dimension, and binds tighter. `*` is any value; `sw` is starts-with. In a value a quote is doubled.
Names compare without case, values with it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .answers import BadQueryError

__all__ = ["Condition", "parse"]

_TERM = re.compile(
    r"\s*(?P<name>[^\s'](?:[^']*?[^\s'])?)\s+(?P<operator>eq|ne|sw)\s+'(?P<value>(?:[^']|'')*)'",
    re.IGNORECASE,
)
_JOINT = re.compile(r"\s+(and|or)(?=\s)", re.IGNORECASE)
# The service wants round brackets encoded once more than the rest.
_BRACKETS = (("%28", "("), ("%29", ")"))


@dataclass(frozen=True, slots=True)
class Condition:
    """What one dimension has to be: one of these, or begin so, and none of those."""

    dimension: str  # As given.
    anything: bool
    equal: frozenset[str]
    starts: tuple[str, ...]
    unequal: frozenset[str]

    @property
    def key(self) -> str:
        """The name as it is compared and as answers have it."""
        return self.dimension.lower()

    def passes(self, value: str) -> bool:
        """Whether a series with this value is wanted."""
        if value in self.unequal:
            return False
        if self.anything or not (self.equal or self.starts):
            return True
        return value in self.equal or value.startswith(self.starts)


@dataclass(frozen=True, slots=True)
class _Term:
    name: str
    operator: str
    value: str


def parse(text: str | None) -> tuple[Condition, ...]:
    """One condition for each dimension, in the order they come in. Raises BadQueryError."""
    if text is None or not text.strip():
        return ()
    groups: dict[str, list[_Term]] = {}
    previous: _Term | None = None
    joint = "and"
    place = 0
    while True:
        found = _TERM.match(text, place)
        if not found:
            raise _syntax(text, place)
        name, value = (_plain(found[part]) for part in ("name", "value"))
        term = _Term(name, found["operator"].lower(), value.replace("''", "'"))
        if previous is not None:
            _check_joint(text, previous, joint, term, groups)
        groups.setdefault(name.lower(), []).append(term)
        previous, place = term, found.end()
        if not text[place:].strip():
            return tuple(_condition(terms) for terms in groups.values())
        found = _JOINT.match(text, place)
        if not found:
            raise _syntax(text, place)
        joint, place = found[1].lower(), found.end()


def _check_joint(
    text: str, previous: _Term, joint: str, term: _Term, groups: dict[str, list[_Term]]
) -> None:
    same = previous.name.lower() == term.name.lower()
    if joint == "or" and not same:
        raise BadQueryError(
            f"Invalid filter '{text}': the logical or operator cannot separate two different"
            f" metadata names, '{previous.name}' and '{term.name}'."
        )
    if joint == "or" and "ne" in {previous.operator, term.operator}:
        raise BadQueryError(f"Invalid filter '{text}': join 'ne' with and, not with or.")
    if joint == "and" and term.operator != "ne":
        before = groups.get(term.name.lower(), ())
        if any(each.operator != "ne" for each in before):
            raise BadQueryError(
                f"Invalid filter '{text}': '{term.name}' cannot be two things at once; join its"
                " values with or."
            )


def _condition(terms: list[_Term]) -> Condition:
    values = {
        operator: [each.value for each in terms if each.operator == operator]
        for operator in ("eq", "ne", "sw")
    }
    return Condition(
        dimension=terms[0].name,
        anything="*" in values["eq"],
        equal=frozenset(values["eq"]) - {"*"},
        starts=tuple(values["sw"]),
        unequal=frozenset(values["ne"]),
    )


def _plain(text: str) -> str:
    for encoded, bracket in _BRACKETS:
        text = text.replace(encoded, bracket)
    return text


def _syntax(text: str, place: int) -> BadQueryError:
    return BadQueryError(
        f"Invalid filter '{text}' at '{text[place:].strip()[:40]}': expected <dimension> eq|ne|sw"
        " '<value>', joined by and, or."
    )
