"""Points -> a temporary file of full messages, each with the line at which to go on after it.

Everything is packed before anything is sent: so it is known to be right, how many messages it is,
and what of it is left when sending ends early. In memory there is no more than a window of points.
"""

from __future__ import annotations

import tempfile
from types import TracebackType
from typing import NamedTuple, Self

from tools.packer import Address, Message, Minimum, Packer

__all__ = ["Spool", "Stored"]

# Bytes of points whose order may change, so that those of an address stand together. The more, the
# fewer envelopes where points of many resources come by turns.
_WINDOW_BYTES = 8 * 1024 * 1024


class Stored(NamedTuple):
    """A message in the file."""

    offset: int
    size: int
    points: int
    # All points of the entries before this one are in messages up to here, and none of the others;
    # 0 where that cannot be said of any entry.
    resume: int


class Spool:
    """Takes points in the order of their entries, and holds messages once `finish` was called."""

    def __init__(self, limit: int, window: int = _WINDOW_BYTES) -> None:
        self.messages: list[Stored] = []
        self.points = 0
        self.bytes = 0
        self.minimum = Minimum(limit)
        self._packer = Packer(limit)
        self._most = window
        self._window: dict[Address, list[tuple[int, bytes]]] = {}
        self._window_bytes = 0
        self._entry = 0
        self._packed = 0  # The entry of the last point that went into the packer.
        self._file = tempfile.TemporaryFile(prefix="metrics-")  # noqa: SIM115 (closed in __exit__)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, entry: int, where: Address, point: bytes) -> None:
        """Take an encoded point of an entry, which is numbered."""
        if entry != self._entry:
            if self._window_bytes >= self._most:
                self._empty(entry)
            self._entry = entry
        self.points += 1
        self.minimum.add(where, point)
        self._window.setdefault(where, []).append((entry, point))
        self._window_bytes += len(point)

    def finish(self) -> None:
        """Write what is not written yet."""
        self._empty(self._entry + 1)
        self._store(self._packer.close(), self._entry + 1)

    def read(self, stored: Stored) -> bytes:
        """A message of the file."""
        self._file.seek(stored.offset)
        return self._file.read(stored.size)

    def _empty(self, following: int) -> None:
        """Pack the window; `following` is the entry that comes after it."""
        alone = len(self._window) < 2
        for where, given in self._window.items():
            for entry, point in given:
                first = alone and entry != self._packed
                self._packed = entry
                self._store(self._packer.add(where, point), entry if first else 0)
        if not alone:  # A line to go on at is worth a message that is not quite full.
            self._store(self._packer.close(), following)
        self._window, self._window_bytes = {}, 0

    def _store(self, message: Message | None, resume: int) -> None:
        if message is None:
            return
        size = len(message.body)
        self.messages.append(Stored(self.bytes, size, message.points, resume))
        self._file.write(message.body)
        self.bytes += size
