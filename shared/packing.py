"""Packing JSON values into arrays of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Raw

__all__ = ["packed"]


def packed(values: Iterable[bytes], room: int) -> Iterator[list[Raw]]:
    """Cut encoded values into runs that fill at most `room` bytes, commas included.

    Order is kept. A value that is too long by itself is a run of its own.
    """
    run: list[Raw] = []
    used = 0
    for value in values:
        if run and used + len(value) + 1 > room:
            yield run
            run, used = [], 0
        run.append(Raw(value))
        used += len(value) + 1
    if run:
        yield run
