"""Open the SQLite database of the store: make its tables, or check whose file it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from .answers import RefusalError

__all__ = ["StoreError", "open_database", "translated"]

# Both stand in the file's header: whose file it is, and the version of the tables.
_APPLICATION = int.from_bytes(b"MetE")
_VERSION = 3
_TABLES = f"""
BEGIN IMMEDIATE;
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    resource_id TEXT NOT NULL,
    region TEXT NOT NULL,
    namespace TEXT NOT NULL,
    metric TEXT NOT NULL,
    dimensions TEXT NOT NULL -- [["City", "Delft"], …], by name
) STRICT;
CREATE TABLE point (
    series INTEGER NOT NULL,
    minute INTEGER NOT NULL, -- Since the epoch.
    min REAL NOT NULL,
    max REAL NOT NULL,
    sum REAL NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (series, minute)
) STRICT, WITHOUT ROWID;
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {_VERSION};
COMMIT;
"""


class StoreError(RefusalError):
    """Say why the file cannot be used. A request that needs it gets a 500."""

    def __init__(self, message: str) -> None:
        super().__init__(500, "InternalServerError", message)


@contextmanager
def translated(path: Path | None) -> Iterator[None]:
    """Raise StoreError for what SQLite raises."""
    try:
        yield
    except (sqlite3.Error, msgspec.DecodeError) as exc:
        raise StoreError(f"Cannot use {path}: {exc}") from exc


def open_database(path: Path | None) -> sqlite3.Connection:
    """Open the file, or make it; without a path, a database in memory. Raises StoreError.

    One process at a time may have the file open. A file that is not of this emulator is left as it
    is, to the byte.
    """
    if path is not None:
        _check(path)
    with translated(path):
        db = sqlite3.connect(path or ":memory:", timeout=1, check_same_thread=False)
        try:
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            db.execute("PRAGMA cache_size = -131072")  # KiB: a full store fits.
            (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            if not tables:
                db.executescript(_TABLES)
            # Last: it changes the file.
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
        except sqlite3.Error:
            db.close()
            raise
    return db


def _check(path: Path) -> None:
    """Raise StoreError for a file of another program; SQLite would change it by opening it."""
    if not path.exists() or not path.stat().st_size:
        return
    unchanged = f"{path.absolute().as_uri()}?immutable=1"
    with translated(path), closing(sqlite3.connect(unchanged, uri=True)) as db:
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
    if (application, version) != (_APPLICATION, _VERSION):
        raise StoreError(f"{path} is not a file of this emulator, or is of another version")
