"""`$filter` of a metrics query: conditions on dimensions, and which of them split the result.

    City eq 'Utrecht' or City eq 'Delft' and Country ne 'BE' and Article eq '*'

`and` stands between dimensions, and between two `ne` of one; `or` only between two terms of one
dimension, and binds tighter. `*` is any value; `sw` is starts-with. In a value a quote is doubled.
Names compare without case, values with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .answers import BadQueryError

__all__ = ["OPERATORS", "Condition", "Term", "of_terms", "parse"]

OPERATORS = ("eq", "ne", "sw")
_TERM = re.compile(
    r"(?:\s+(?P<joint>and|or)(?=\s))?\s*(?P<name>[^\s'](?:[^']*?[^\s'])?)\s+(?P<operator>eq|ne|sw)"
    r"\s+'(?P<value>(?:[^']|'')*)'",
    re.IGNORECASE,
)
# The service wants round brackets encoded once more than the rest; the client's own example has
# them so before it encodes them itself.
_BRACKETS = (("%2528", "("), ("%2529", ")"), ("%28", "("), ("%29", ")"))


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
class Term:
    """One comparison: the operator is eq, ne or sw (starts with)."""

    dimension: str
    operator: str
    value: str


def parse(text: str | None) -> tuple[Condition, ...]:
    """One condition for each dimension, in the order they come in. Raises BadQueryError."""
    if text is None or not text.strip():
        return ()
    groups: dict[str, list[Term]] = {}
    previous: Term | None = None
    place = 0
    while previous is None or text[place:].strip():
        found = _TERM.match(text, place)
        if not found or (previous is None) != (found["joint"] is None):
            raise BadQueryError(
                f"Invalid filter '{text}' at '{text[place:].strip()[:40]}': expected <dimension>"
                " eq|ne|sw '<value>', joined by and, or."
            )
        name, value = (_plain(found[part]) for part in ("name", "value"))
        term = Term(name, found["operator"].lower(), value.replace("''", "'"))
        if previous is not None:
            _check_joint(text, previous, found["joint"].lower(), term, groups)
        groups.setdefault(name.lower(), []).append(term)
        previous, place = term, found.end()
    return tuple(_condition(terms, star=True) for terms in groups.values())


def _check_joint(
    text: str, previous: Term, joint: str, term: Term, groups: dict[str, list[Term]]
) -> None:
    same = previous.dimension.lower() == term.dimension.lower()
    if joint == "or" and not same:
        raise BadQueryError(
            f"Invalid filter '{text}': the logical or operator cannot separate two different"
            f" metadata names, '{previous.dimension}' and '{term.dimension}'."
        )
    if joint == "or" and "ne" in {previous.operator, term.operator}:
        raise BadQueryError(f"Invalid filter '{text}': join 'ne' with and, not with or.")
    if joint == "and" and term.operator != "ne":
        before = groups.get(term.dimension.lower(), ())
        if any(each.operator != "ne" for each in before):
            raise BadQueryError(
                f"Invalid filter '{text}': '{term.dimension}' cannot be two things at once; join"
                " its values with or."
            )


def of_terms(terms: Iterable[Term], split: Iterable[str] = ()) -> tuple[Condition, ...]:
    """One condition for each dimension of the terms and of a split.

    Any equal and any starts-with of a dimension will do, and none of its unequals. Names and values
    are taken as they are: `*` is a star here, and nothing has to be escaped.
    """
    groups: dict[str, list[Term]] = {}
    for term in terms:
        groups.setdefault(term.dimension.lower(), []).append(term)
    conditions = {name: _condition(terms, star=False) for name, terms in groups.items()}
    nothing: frozenset[str] = frozenset()
    for name in split:
        anything = Condition(name, anything=True, equal=nothing, starts=(), unequal=nothing)
        conditions.setdefault(name.lower(), anything)
    return tuple(conditions.values())


def _condition(terms: list[Term], *, star: bool) -> Condition:
    values = {
        operator: [each.value for each in terms if each.operator == operator]
        for operator in OPERATORS
    }
    return Condition(
        dimension=terms[0].dimension,
        anything=star and "*" in values["eq"],
        equal=frozenset(values["eq"]) - ({"*"} if star else set()),
        starts=tuple(values["sw"]),
        unequal=frozenset(values["ne"]),
    )


def _plain(text: str) -> str:
    for encoded, bracket in _BRACKETS:
        text = text.replace(encoded, bracket)
    return text
