"""Patterns: names, globs and exclusions, of entities and of what is below them."""

from __future__ import annotations

import pytest

from shared.messages.refusal import RefusedError
from shared.sources.patterns import Patterns

CASES: dict[str, tuple[list[str], list[str]]] = {
    # patterns, what they include of QUEUES, in their order
    "a name": (["orders"], ["orders"]),
    "a name that is not there": (["order"], []),
    "all": (["*"], ["orders", "orders-poison", "img-1", "img-2", "img-test-1"]),
    "a beginning": (["img-*"], ["img-1", "img-2", "img-test-1"]),
    "one letter": (["img-?"], ["img-1", "img-2"]),
    "one of several letters": (["img-[2-9]"], ["img-2"]),
    "not one of several letters": (["img-[!2-9]"], ["img-1"]),
    "all but a pattern": (["*", "!img-test*", "!*-poison"], ["orders", "img-1", "img-2"]),
    "an exclusion before what includes": (["!img-1", "img-?"], ["img-2"]),
    "a name that is excluded": (["orders", "!ord*"], []),
    "letters have a case": (["Orders", "IMG-*"], []),
}
QUEUES = ["orders", "orders-poison", "img-1", "img-2", "img-test-1"]


@pytest.mark.parametrize(("texts", "included"), CASES.values(), ids=CASES)
def test_an_entity_is_chosen(texts: list[str], included: list[str]) -> None:
    patterns = Patterns.of("queues", texts)
    assert [name for name in QUEUES if patterns.includes(name)] == included


# Topic -> subscriptions.
TOPICS = {"orders": ["audit", "billing"], "events": ["audit", "test"], "quiet": []}
BELOW: dict[str, tuple[list[str], str, str]] = {
    # patterns, what they include, the topics that have to be asked for subscriptions
    "all": (
        ["*"],
        "orders orders/audit orders/billing events events/audit events/test quiet",
        "orders events quiet",
    ),
    "a topic": (["orders"], "orders orders/audit orders/billing", "orders"),
    "topics": (["*ers"], "orders orders/audit orders/billing", "orders"),
    "a subscription": (["orders/audit"], "orders/audit", "orders"),
    "subscriptions of a topic": (["orders/*"], "orders/audit orders/billing", "orders"),
    "a subscription of every topic": (
        ["*/audit"],
        "orders/audit events/audit",
        "orders events quiet",
    ),
    "without a slash a topic is meant": (["audit"], "", ""),
    "with a star too": (["*dit"], "", ""),
    "a topic without one subscription": (
        ["orders", "!orders/audit"],
        "orders orders/billing",
        "orders",
    ),
    "an excluded topic and all below": (
        ["*", "!events"],
        "orders orders/audit orders/billing quiet",
        "orders quiet",
    ),
    "an excluded topic is not asked": (["*/audit", "!events"], "orders/audit", "orders quiet"),
    "an excluded subscription everywhere": (
        ["*", "!*/audit"],
        "orders orders/billing events events/test quiet",
        "orders events quiet",
    ),
}


@pytest.mark.parametrize(("texts", "included", "asked"), BELOW.values(), ids=BELOW)
def test_what_is_below_an_entity_is_chosen(texts: list[str], included: str, asked: str) -> None:
    patterns = Patterns.of("entities", texts)
    found: list[str] = []
    for topic, children in TOPICS.items():
        found += [topic] if patterns.includes(topic) else []
        found += [f"{topic}/{child}" for child in children if patterns.includes(topic, child)]
    assert found == included.split()
    assert [topic for topic in TOPICS if patterns.may_include_below(topic)] == asked.split()


@pytest.mark.parametrize("texts", [["!orders"], ["!a*", "!b"]])
def test_exclusions_alone_include_nothing(texts: list[str]) -> None:
    with pytest.raises(RefusedError) as caught:
        Patterns.of("queues", texts)
    assert str(caught.value) == (
        "queues: only exclusions; a name or a pattern to include is missing"
    )


def test_names_keep_their_order_and_come_once() -> None:
    assert Patterns.of("queues", ["b", "a", "!c", "b", "d*"]) == Patterns(
        ("b", "a"), ("d*",), ("c",)
    )
