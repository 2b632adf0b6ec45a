"""Points -> full queue messages, as they come: one message is open, those that are full go out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec import Raw

from shared.messages.body import MAX_BODY_BYTES
from shared.messages.writer import encode_points_message, queued_size

__all__ = ["Address", "Message", "Minimum", "Packer", "most_bytes"]

# A document's brackets, when it shares an array with others; each document has a comma already.
_ARRAY_BYTES = 2
# Addresses whose envelope's size is remembered.
_MOST_REMEMBERED = 16384


class Address(NamedTuple):
    """What points of one document share; what is empty is for the relay to fill in."""

    region: str
    resource_id: str
    namespace: str


@dataclass(frozen=True, slots=True)
class Message:
    """A message to enqueue."""

    body: bytes
    points: int


class Packer:
    """Fills one message after the other up to `limit` bytes, as they count in a queue.

    The points of an address share a document, and documents an array. Nothing is ever moved to a
    later message, so messages hold the points in the order in which they came.
    """

    def __init__(self, limit: int = MAX_BODY_BYTES) -> None:
        self._limit = limit
        self._documents: dict[Address, list[Raw]] = {}
        self._used = 0  # Bytes; each document with the comma after it.
        self._points = 0
        self._sizes: dict[Address, int] = {}

    @property
    def size(self) -> int:
        """Bytes of the open message."""
        return self._used

    def add(self, address: Address, point: bytes) -> Message | None:
        """Take an encoded point; the message that was open, where it does not fit into that."""
        size = queued_size(point) + 1
        envelope = self._envelope(address)
        full = None
        new = 0 if address in self._documents else envelope
        documents = len(self._documents) + (new > 0)
        if self._documents and self._whole(self._used + size + new, documents) > self._limit:
            full = self.close()
            new = envelope
        self._used += size + new
        self._points += 1
        self._documents.setdefault(address, []).append(Raw(point))
        return full

    def close(self) -> Message | None:
        """The open message, if there is anything in it."""
        if not self._documents:
            return None
        documents, points = self._documents, self._points
        self._documents, self._used, self._points = {}, 0, 0
        written = [encode_points_message(*address, given) for address, given in documents.items()]
        body = written[0] if len(written) == 1 else b"[" + b",".join(written) + b"]"
        return Message(body, points)

    def _envelope(self, address: Address) -> int:
        """Bytes of a document around its points, which all have a comma."""
        if (size := self._sizes.get(address)) is None:
            if len(self._sizes) >= _MOST_REMEMBERED:
                self._sizes.clear()
            size = self._sizes[address] = queued_size(encode_points_message(*address, []))
        return size

    @staticmethod
    def _whole(used: int, documents: int) -> int:
        """Bytes of a message; the last document has no comma after it."""
        return used - 1 + (_ARRAY_BYTES if documents > 1 else 0)


@dataclass(slots=True)
class Minimum:
    """Fewer messages than this cannot hold the points, however they are arranged."""

    limit: int = MAX_BODY_BYTES
    _points: int = 0
    _envelopes: dict[Address, int] = field(default_factory=dict)

    def add(self, address: Address, point: bytes) -> None:
        """Count an encoded point."""
        self._points += queued_size(point) + 1
        if address not in self._envelopes:
            self._envelopes[address] = queued_size(encode_points_message(*address, []))

    def messages(self) -> int:
        """So many messages: each address is in one at least, each message has one at least."""
        if not self._points:
            return 0
        # A single document has no comma after it.
        all_once = self._points + sum(self._envelopes.values())
        beside = self.limit + 1 - min(self._envelopes.values())
        return max(-(-all_once // (self.limit + 1)), -(-self._points // beside))


def most_bytes(queue: object) -> int:
    """Bytes of a message that a queue client can put: base64 makes three bytes four."""
    # The SDK has no public way to ask; of what is not known the smaller is taken.
    policy = getattr(queue, "_message_encode_policy", None)
    return MAX_BODY_BYTES if type(policy).__name__ == "NoEncodePolicy" else MAX_BODY_BYTES * 3 // 4
