"""Log requests and their answers: the last ones of each API, and totals of all."""

from __future__ import annotations

from collections import Counter, defaultdict, deque

import msgspec

from .limits import LOGGED_REQUESTS

__all__ = ["Journal", "ReadRecord", "Record"]


class ReadRecord(msgspec.Struct):
    """Holds one request to an API that reads; the query as it was sent.

    Status is null when the connection was dropped without an answer.
    """

    time: str
    method: str
    path: str
    query: str
    status: int | None = None
    code: str = ""


class Record(msgspec.Struct, rename="camel"):
    """Holds one ingestion request; status as above.

    Bytes are those of the decompressed body, 0 if it was refused unread; encodedBytes those that
    came over the wire. Documents and series are those stored, also when the answer was dropped
    after that.
    """

    time: str
    region: str
    resource_id: str
    status: int | None = None
    code: str = ""
    message: str = ""
    documents: int = 0
    series: int = 0
    bytes: int = 0
    encoded_bytes: int = 0


class Journal:
    """Keeps the last requests to each API, oldest first, and totals by status."""

    def __init__(self) -> None:
        self._logs: dict[str, deque[Record | ReadRecord]] = defaultdict(
            lambda: deque(maxlen=LOGGED_REQUESTS)
        )
        self._totals: dict[str, Counter[str]] = defaultdict(Counter)
        self._refused: deque[Record] = deque(maxlen=LOGGED_REQUESTS)
        self._stored: Counter[str] = Counter(documents=0, series=0)

    def add(self, api: str, record: Record | ReadRecord) -> None:
        """Log and count a request to an API."""
        self._logs[api].append(record)
        self.count(api, record.status)
        if isinstance(record, Record):
            if record.status is None or record.status >= 400:
                self._refused.append(record)
            self._stored.update(documents=record.documents, series=record.series)

    def count(self, api: str, status: int | None) -> None:
        """Count a request to an API."""
        self._totals[api]["dropped" if status is None else str(status)] += 1

    def refusals(self) -> list[Record]:
        """Return the last requests to ingestion that were not accepted, newest first."""
        return list(reversed(self._refused))

    def report(self, limit: int) -> dict[str, object]:
        """Return the last requests of each log up to the limit, and all totals."""
        return {
            "requests": list(self._logs["ingestion"])[-limit:],
            "totals": self._totals["ingestion"],
            "identityTotals": self._totals["identity"],
            "stored": self._stored,
            "armRequests": list(self._logs["arm"])[-limit:],
            "armTotals": self._totals["arm"],
            "batchRequests": list(self._logs["batch"])[-limit:],
            "batchTotals": self._totals["batch"],
        }
