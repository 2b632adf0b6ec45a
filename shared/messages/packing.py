"""Packing JSON values into arrays of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Raw

__all__ = ["packed", "size_in_queue"]


def size_in_queue(value: bytes) -> int:
    """Bytes of an encoded value in a message: two characters take six there, see shared.clients.queues."""
    return len(value) + 3 * (value.count(b"\xef\xbf\xbe") + value.count(b"\xef\xbf\xbf"))


def packed(values: Iterable[bytes], room: int) -> Iterator[list[Raw]]:
    """Cut encoded values into runs that fill at most `room` bytes, commas included.

    Order is kept. A value that is too long by itself is a run of its own.
    """
    run: list[Raw] = []
    used = 0
    for value in values:
        size = size_in_queue(value) + 1
        if run and used + size > room:
            yield run
            run, used = [], 0
        run.append(Raw(value))
        used += size
    if run:
        yield run
