"""Rotation: whatever comes and goes, nothing is left out for ever."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.sources.rotation import Rotation

NAMES = st.sets(st.text("abc", min_size=1, max_size=3), min_size=1)


def test_the_next_tick_begins_after_the_last_one_read() -> None:
    rotation = Rotation()
    assert rotation.order(["c", "a", "b"]) == ["a", "b", "c"]
    rotation.read("a")
    assert rotation.order(["c", "a", "b"]) == ["b", "c", "a"]
    rotation.read("b")
    assert rotation.order(["c", "a"]) == ["c", "a"]
    rotation.read("c")
    assert rotation.order(["c", "a", "d"]) == ["d", "a", "c"]
    assert rotation.order([]) == []


@given(NAMES, st.lists(st.tuples(NAMES, st.integers(1, 5)), max_size=10), st.integers(1, 5))
def test_whatever_happened_before_all_are_read_in_turn(
    names: set[str], before: list[tuple[set[str], int]], at_once: int
) -> None:
    rotation = Rotation()
    for others, read in before:
        for name in rotation.order(others)[:read]:
            rotation.read(name)
    seen: list[str] = []
    for _ in range(-(-len(names) // at_once)):
        ordered = rotation.order(names)
        assert sorted(ordered) == sorted(names)
        for name in ordered[:at_once]:
            rotation.read(name)
            seen.append(name)
    assert set(seen) == names
