"""What is stored, in a file too: SQLite, so that a restart of the emulator finds it again.

A post is in the file before it is answered, whole or not at all. One process at a time may have
the file open. A file that this emulator did not make is left as it is, to the byte.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from .aggregate import Aggregate
    from .store import Series

__all__ = ["Archive", "ArchiveError", "Row"]

# Both stand in the file's header: whose file it is, and the version of the tables.
_APPLICATION = int.from_bytes(b"MetE")
_VERSION = 2
_HEADER_BYTES = 100
_MAGIC = b"SQLite format 3\0"
_TABLES = """
BEGIN IMMEDIATE;
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
PRAGMA application_id = {application};
PRAGMA user_version = {version};
COMMIT;
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
        """Open the file, or make it. Raises ArchiveError, as all methods do that use the file."""
        self._path = path
        _check(path)
        self._ids: dict[Series, int] = {}  # Of what is in the file, not of what may be rolled back.
        with self._translated():
            self._db = sqlite3.connect(path, timeout=1, check_same_thread=False)
        try:
            self._open()
        except ArchiveError:
            self._db.close()
            raise

    def _open(self) -> None:
        with self._translated():
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            (tables,) = self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            if not tables:
                script = _TABLES.format(application=_APPLICATION, version=_VERSION)
                self._db.executescript(script)
            # Last: it changes the file.
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")

    def rows(self) -> Iterator[Row]:
        """All that was saved, by series in the order in which they came up."""
        with self._translated():
            for number, resource_id, region, namespace, metric, pairs, *values in self._db.execute(
                _LOAD
            ):
                dimensions = msgspec.json.decode(pairs, type=list[tuple[str, str]])
                yield Row(number, resource_id, region, namespace, metric, dimensions, *values)

    def know(self, series: Series, number: int) -> None:
        """Remember under which number a series was saved."""
        self._ids[series] = number

    def save(
        self,
        changed: Iterable[tuple[int, Series, Aggregate]],
        gone: Iterable[tuple[int, Series]],
        ended: Iterable[Series],
    ) -> None:
        """In one transaction: values as they are now, minutes forgotten, and series with none."""
        fresh: dict[Series, int] = {}
        ended = list(ended)
        with self._translated(), self._db:
            # First what is gone: a value of the same minute and series may have come since.
            self._db.executemany(
                "DELETE FROM value WHERE minute = ? AND series = ?",
                ((minute, self._ids[series]) for minute, series in gone if series in self._ids),
            )
            self._db.executemany(
                "DELETE FROM series WHERE id = ?",
                ((self._ids[series],) for series in ended if series in self._ids),
            )
            self._db.executemany(
                _SAVE,
                (
                    (minute, self._number(series, fresh), each.min, each.max, each.sum, each.count)
                    for minute, series, each in changed
                ),
            )
        self._ids.update(fresh)
        for series in ended:
            self._ids.pop(series, None)

    def clear(self) -> None:
        """Forget everything."""
        with self._translated(), self._db:
            self._db.execute("DELETE FROM value")
            self._db.execute("DELETE FROM series")
        self._ids.clear()

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def _number(self, series: Series, fresh: dict[Series, int]) -> int:
        number = self._ids.get(series) or fresh.get(series)
        if number is None:
            row = (
                series.resource_id,
                series.region,
                series.namespace,
                series.metric,
                msgspec.json.encode(list(series.dimensions.items())).decode(),
            )
            insert = "INSERT INTO series VALUES (NULL, ?, ?, ?, ?, ?)"
            number = fresh[series] = self._db.execute(insert, row).lastrowid or 0
        return number

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, msgspec.DecodeError) as exc:
            raise ArchiveError(f"Cannot use {self._path}: {exc}") from exc


def _check(path: Path) -> None:
    """Raise ArchiveError for a file of somebody else; SQLite would change it by opening it."""
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except FileNotFoundError:
        return
    except OSError as exc:
        raise ArchiveError(f"Cannot use {path}: {exc.strerror}") from exc
    if header and not header.startswith(_MAGIC):
        raise ArchiveError(f"Cannot use {path}: file is not a database")
    version, application = (int.from_bytes(header[place : place + 4]) for place in (60, 68))
    if header and (application, version) != (_APPLICATION, _VERSION):
        raise ArchiveError(f"{path} is no file of this emulator, or of another version")
