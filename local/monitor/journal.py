"""What was asked and what was answered: a bounded log, and totals that are never cut."""

from __future__ import annotations

from collections import Counter, deque

import msgspec

from .limits import LOGGED_REQUESTS

__all__ = ["DROPPED", "Journal", "ReadRecord", "Record"]

DROPPED = "dropped"  # Stands for the status in the totals when there was no answer.


class Record(msgspec.Struct, rename="camel"):
    """One ingestion request.

    Status is null when the connection was dropped without an answer. Bytes are those of the
    decompressed body, 0 if it was refused unread; encodedBytes those that came over the wire.
    Documents and series are those stored, also when the answer was dropped after that.
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


class ReadRecord(msgspec.Struct):
    """One request to an API that reads; the query as it was sent, status as above."""

    time: str
    method: str
    path: str
    query: str
    status: int | None = None
    code: str = ""


class Journal:
    """The last requests to ingestion and to the APIs that read, oldest first; totals by status."""

    def __init__(self) -> None:
        self._log: deque[Record] = deque(maxlen=LOGGED_REQUESTS)
        self._refused: deque[Record] = deque(maxlen=LOGGED_REQUESTS)
        self._totals: Counter[str] = Counter()
        self._identity: Counter[str] = Counter()
        self._arm_log: deque[ReadRecord] = deque(maxlen=LOGGED_REQUESTS)
        self._arm: Counter[str] = Counter()
        self._batch_log: deque[ReadRecord] = deque(maxlen=LOGGED_REQUESTS)
        self._batch: Counter[str] = Counter()
        self._stored: Counter[str] = Counter(documents=0, series=0)

    def ingestion(self, record: Record) -> None:
        """Note an ingestion request."""
        self._log.append(record)
        if record.status is None or record.status >= 400:
            self._refused.append(record)
        self._totals[_status(record.status)] += 1
        self._stored["documents"] += record.documents
        self._stored["series"] += record.series

    def identity(self, status: int | None) -> None:
        """Count a request to the identity endpoint."""
        self._identity[_status(status)] += 1

    def arm(self, record: ReadRecord) -> None:
        """Note a request to Azure Resource Manager."""
        self._arm_log.append(record)
        self._arm[_status(record.status)] += 1

    def batch(self, record: ReadRecord) -> None:
        """Note a batch query of metrics."""
        self._batch_log.append(record)
        self._batch[_status(record.status)] += 1

    def refusals(self) -> list[Record]:
        """The last requests to ingestion that were not accepted, newest first."""
        return list(reversed(self._refused))

    def report(self, limit: int) -> dict[str, object]:
        """The last requests of each log up to the limit, and all totals."""
        return {
            "requests": list(self._log)[-limit:],
            "totals": self._totals,
            "identityTotals": self._identity,
            "stored": self._stored,
            "armRequests": list(self._arm_log)[-limit:],
            "armTotals": self._arm,
            "batchRequests": list(self._batch_log)[-limit:],
            "batchTotals": self._batch,
        }


def _status(status: int | None) -> str:
    return DROPPED if status is None else str(status)
