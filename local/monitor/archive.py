"""What is stored, in a file too: SQLite, so that a restart of the emulator finds it again.

A post is in the file before it is answered, whole or not at all. One process at a time may have
the file open.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from .aggregate import Aggregate
    from .store import Series

__all__ = ["Archive", "ArchiveError", "Row"]

_VERSION = 1  # Of the tables; another one is refused.
_TABLES = """
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    resource_id TEXT NOT NULL,
    region TEXT NOT NULL,
    namespace TEXT NOT NULL,
    metric TEXT NOT NULL,
    dimensions TEXT NOT NULL -- [["City", "Delft"], …], by name
) STRICT;
CREATE TABLE value (
    minute INTEGER NOT NULL, -- Since the epoch.
    series INTEGER NOT NULL,
    min REAL NOT NULL,
    max REAL NOT NULL,
    sum REAL NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (minute, series)
) STRICT, WITHOUT ROWID;
"""
_SAVE = """
INSERT INTO value VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET min = excluded.min, max = excluded.max, sum = excluded.sum,
                          count = excluded.count
"""
_LOAD = """
SELECT series.id, resource_id, region, namespace, metric, dimensions, minute, min, max, sum, count
FROM series JOIN value ON value.series = series.id ORDER BY series.id, minute
"""


class ArchiveError(Exception):
    """The file cannot be used; the message says why."""


class Row(msgspec.Struct, gc=False):
    """One value of a series, as it was saved."""

    series: int
    resource_id: str
    region: str
    namespace: str
    metric: str
    dimensions: list[tuple[str, str]]
    minute: int
    min: float
    max: float
    sum: float
    count: int


class Archive:
    """The file; it belongs to the thread that serves, once it is made."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it. Raises ArchiveError."""
        try:
            self._db = sqlite3.connect(path, timeout=1, check_same_thread=False)
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            (tables,) = self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            if version != _VERSION and (version or tables):
                raise ArchiveError(f"{path} is no file of this emulator, or of another version")
            if not tables:
                self._db.executescript(f"{_TABLES} PRAGMA user_version = {_VERSION};")
        except sqlite3.Error as exc:
            raise ArchiveError(f"Cannot use {path}: {exc}") from exc
        self._ids: dict[Series, int] = {}

    def rows(self) -> Iterator[Row]:
        """All that was saved, by series in the order in which they came up."""
        for number, resource_id, region, namespace, metric, dimensions, *values in self._db.execute(
            _LOAD
        ):
            pairs = msgspec.json.decode(dimensions, type=list[tuple[str, str]])
            yield Row(number, resource_id, region, namespace, metric, pairs, *values)

    def know(self, series: Series, number: int) -> None:
        """Remember under which number a series was saved."""
        self._ids[series] = number

    def save(
        self,
        changed: Iterable[tuple[int, Series, Aggregate]],
        gone: Iterable[tuple[int, Series]],
        ended: Iterable[Series],
    ) -> None:
        """In one transaction: values as they are now, minutes forgotten, and series with none.

        What came and went between two calls was never saved.
        """
        with self._db:
            self._db.executemany(
                _SAVE,
                (
                    (minute, self._number(series), each.min, each.max, each.sum, each.count)
                    for minute, series, each in changed
                ),
            )
            self._db.executemany(
                "DELETE FROM value WHERE minute = ? AND series = ?",
                ((minute, self._ids[series]) for minute, series in gone if series in self._ids),
            )
            self._db.executemany(
                "DELETE FROM series WHERE id = ?",
                ((self._ids.pop(series),) for series in ended if series in self._ids),
            )

    def clear(self) -> None:
        """Forget everything."""
        with self._db:
            self._db.execute("DELETE FROM value")
            self._db.execute("DELETE FROM series")
        self._ids.clear()

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def _number(self, series: Series) -> int:
        number = self._ids.get(series)
        if number is None:
            row = (
                series.resource_id,
                series.region,
                series.namespace,
                series.metric,
                msgspec.json.encode(list(series.dimensions.items())).decode(),
            )
            insert = "INSERT INTO series VALUES (NULL, ?, ?, ?, ?, ?)"
            number = self._ids[series] = self._db.execute(insert, row).lastrowid or 0
        return number
