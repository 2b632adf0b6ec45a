"""Patterns choose entities and their children; a rotation gives each its turn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ValidationError
from shared.sources.patterns import Patterns, Rotation

QUEUES = ["orders", "orders-poison", "img-1", "img-2", "img-test-1"]
CHOSEN: dict[str, tuple[list[str], list[str]]] = {
    "a name": (["orders"], ["orders"]),
    "a name that does not exist": (["order"], []),
    "all": (["*"], QUEUES),
    "a prefix": (["img-*"], ["img-1", "img-2", "img-test-1"]),
    "one letter": (["img-?"], ["img-1", "img-2"]),
    "one of several letters": (["img-[2-9]"], ["img-2"]),
    "not one of several letters": (["img-[!2-9]"], ["img-1"]),
    "exclusions": (["*", "!img-test*", "!*-poison"], ["orders", "img-1", "img-2"]),
    "an exclusion first": (["!img-1", "img-?"], ["img-2"]),
    "an excluded name": (["orders", "!ord*"], []),
    "case matters": (["Orders", "IMG-*"], []),
}


@pytest.mark.parametrize(("texts", "included"), CHOSEN.values(), ids=CHOSEN)
def test_entities_are_chosen(texts: list[str], included: list[str]) -> None:
    patterns = Patterns.of("queues", texts)
    assert [name for name in QUEUES if patterns.includes(name)] == included


def test_names_may_be_compared_without_case() -> None:
    patterns = Patterns.of("entities", ["Orders", "IMG-*", "!img-TEST*"], str.lower)
    assert patterns.expected_names() == ["orders"]
    included = [name for name in map(str.title, QUEUES) if patterns.includes(name)]
    assert included == ["Orders", "Img-1", "Img-2"]
    assert patterns.may_include_children("ORDERS")


TOPICS = {"orders": ["audit", "billing"], "events": ["audit", "test"], "quiet": []}
CHILDREN: dict[str, tuple[list[str], str, str]] = {
    # Patterns, what they include, the topics whose subscriptions are listed.
    "all": (
        ["*"],
        "orders orders/audit orders/billing events events/audit events/test quiet",
        "orders events quiet",
    ),
    "a topic": (["orders"], "orders orders/audit orders/billing", "orders"),
    "topics": (["*ers"], "orders orders/audit orders/billing", "orders"),
    "a subscription": (["orders/audit"], "orders/audit", "orders"),
    "subscriptions of a topic": (["orders/*"], "orders/audit orders/billing", "orders"),
    "of every topic": (["*/audit"], "orders/audit events/audit", "orders events quiet"),
    "without a slash": (["audit", "*dit"], "", ""),
    "an excluded subscription": (
        ["orders", "!orders/audit"],
        "orders orders/billing",
        "orders",
    ),
    "an excluded topic": (["*/audit", "!events"], "orders/audit", "orders quiet"),
    "an excluded subscription of every topic": (
        ["*", "!*/audit"],
        "orders orders/billing events events/test quiet",
        "orders events quiet",
    ),
}


@pytest.mark.parametrize(("texts", "included", "listed"), CHILDREN.values(), ids=CHILDREN)
def test_children_are_chosen(texts: list[str], included: str, listed: str) -> None:
    patterns = Patterns.of("entities", texts)
    found: list[str] = []
    for topic, children in TOPICS.items():
        found += [topic] if patterns.includes(topic) else []
        found += [f"{topic}/{child}" for child in children if patterns.includes(topic, child)]
    assert found == included.split()
    assert [topic for topic in TOPICS if patterns.may_include_children(topic)] == listed.split()


def test_names_that_are_not_excluded_are_expected() -> None:
    patterns = Patterns.of("entities", ["b", "a", "!c", "b", "d*", "c", "t/x", "t/y", "!*/y"])
    assert patterns.expected_names() == ["b", "a", "t/x"]


def test_exclusions_alone_are_an_error() -> None:
    with pytest.raises(ValidationError) as caught:
        Patterns.of("queues", ["!a*", "!b"])
    assert str(caught.value) == "queues: only exclusions; add a name or a pattern to include"


def test_a_rotation_continues_after_the_last_name() -> None:
    rotation = Rotation()
    assert rotation.order(["c", "a", "b"]) == ["a", "b", "c"]
    rotation.last = "b"
    assert rotation.order(["c", "a"]) == ["c", "a"]
    rotation.last = "c"
    assert rotation.order(["c", "a", "d"]) == ["d", "a", "c"]
    assert rotation.order([]) == []


NAMES = st.sets(st.text("abc", min_size=1, max_size=3), min_size=1)


@given(NAMES, st.lists(st.tuples(NAMES, st.integers(1, 5)), max_size=10), st.integers(1, 5))
def test_every_name_gets_its_turn(
    names: set[str], before: list[tuple[set[str], int]], per_tick: int
) -> None:
    rotation = Rotation()

    def tick(of: set[str], count: int) -> list[str]:
        read = rotation.order(of)[:count]
        rotation.last = read[-1]
        return read

    for others, count in before:
        tick(others, count)
    read = [name for _ in range(-(-len(names) // per_tick)) for name in tick(names, per_tick)]
    assert set(read) == names
