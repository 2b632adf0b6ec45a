"""Parse `$filter` of a metrics query: conditions on dimensions, of which some split the result.

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
_ANY = "any"  # Of a term that is eq '*'.
_TERM = re.compile(
    r"(?:\s+(?P<joint>and|or)(?=\s))?\s*(?P<name>[^\s'](?:[^']*?[^\s'])?)\s+(?P<operator>eq|ne|sw)"
    r"\s+'(?P<value>(?:[^']|'')*)'",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Condition:
    """Holds a condition on one dimension: the values and prefixes it may have, and may not."""

    key: str  # The dimension, in lower case.
    equal: frozenset[str]
    starts: tuple[str, ...]
    unequal: frozenset[str]

    def passes(self, value: str) -> bool:
        """Return whether a series with this value is wanted."""
        if value in self.unequal:
            return False
        if not (self.equal or self.starts):
            return True
        return value in self.equal or value.startswith(self.starts)


@dataclass(frozen=True, slots=True)
class Term:
    """Holds one comparison: the operator is eq, ne or sw (starts with)."""

    dimension: str
    operator: str
    value: str


def parse(text: str | None) -> tuple[Condition, ...]:
    """Return a condition for each dimension, in the order they come in. Raises BadQueryError."""
    rest = text or ""
    terms: list[Term] = []
    while rest.strip():
        found = _TERM.match(rest)
        if not found or bool(terms) != bool(found["joint"]):
            raise BadQueryError(
                f"Invalid filter '{text}' at '{rest.strip()[:40]}': expected <dimension>"
                " eq|ne|sw '<value>', joined by and, or."
            )
        name, value = _plain(found["name"]), _plain(found["value"]).replace("''", "'")
        operator = found["operator"].lower()
        term = Term(name, _ANY if (operator, value) == ("eq", "*") else operator, value)
        if terms and (fault := _fault(terms, found["joint"].lower(), term)):
            raise BadQueryError(f"Invalid filter '{text}': {fault}")
        terms.append(term)
        rest = rest[found.end() :]
    return of_terms(terms)


def _fault(terms: list[Term], joint: str, term: Term) -> str:
    """Return why a term cannot be joined to those before it; empty if it can."""
    previous, name = terms[-1], term.dimension
    if joint == "or" and previous.dimension.lower() != name.lower():
        return (
            "the logical or operator cannot separate two different metadata names,"
            f" '{previous.dimension}' and '{name}'."
        )
    if joint == "or" and "ne" in {previous.operator, term.operator}:
        return "join 'ne' with and, not with or."
    others = {each.operator for each in terms if each.dimension.lower() == name.lower()} - {"ne"}
    if joint == "and" and others and term.operator != "ne":
        return f"'{name}' cannot be two things at once; join its values with or."
    return ""


def of_terms(terms: Iterable[Term], split: Iterable[str] = ()) -> tuple[Condition, ...]:
    """Return a condition for each dimension of the terms and of a split.

    Any equal and any starts-with of a dimension will do, and none of its unequals. Names and values
    are taken as they are: `*` is a star here, and nothing has to be escaped.
    """
    groups: dict[str, list[Term]] = {}
    for term in terms:
        groups.setdefault(term.dimension.lower(), []).append(term)
    for name in split:
        groups.setdefault(name.lower(), [])
    return tuple(_condition(key, terms) for key, terms in groups.items())


def _condition(key: str, terms: list[Term]) -> Condition:
    wanted = [] if any(each.operator == _ANY for each in terms) else terms
    return Condition(
        key,
        equal=frozenset(each.value for each in wanted if each.operator == "eq"),
        starts=tuple(each.value for each in wanted if each.operator == "sw"),
        unequal=frozenset(each.value for each in terms if each.operator == "ne"),
    )


def _plain(text: str) -> str:
    """Decode round brackets, which the service wants encoded once more than the rest.

    The client's own example has them so before it encodes them itself.
    """
    return re.sub("%(25)?29", ")", re.sub("%(25)?28", "(", text))
