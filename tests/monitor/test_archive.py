"""What a restart finds again in the file, and what it does not."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from local.monitor.__main__ import main
from local.monitor.archive import Archive, ArchiveError
from local.monitor.server import running
from local.monitor.state import MonitorState, Options
from local.monitor.store import MetricStore

from .client import QUEUE_ACCOUNT, REGION, Client, document, series
from .conftest import NOW
from .test_process import start
from .test_store import add, batch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TIME = "2026-11-23T07:25:00Z"


@contextmanager
def emulator(path: Path, now: float = NOW) -> Iterator[Client]:
    """One run of the emulator over the file."""
    state = MonitorState(Options(data=path), clock=lambda: now)
    try:
        with running(state) as url:
            client = Client(url)
            with client.http:
                yield client
    finally:
        state.close()


def counted(path: Path) -> tuple[int, int]:
    """How many series and values are in the file."""
    with sqlite3.connect(path) as db:
        queries = ("SELECT count(*) FROM series", "SELECT count(*) FROM value")
        found = tuple(db.execute(each).fetchone()[0] for each in queries)
    db.close()
    return found


def test_a_restart_finds_what_was_stored(tmp_path: Path) -> None:
    path = tmp_path / "metrics.db"
    with emulator(path) as client:
        assert client.post(document(series("a", "b"), series("c'\"é", "d"), time=TIME)).ok
        assert client.post(document(series("a", "b"), time=TIME)).ok
        assert client.post(document(series("a", "b"), time="2026-11-23T07:26:00Z")).ok
        assert client.post(
            document(
                dimNames=[],
                time=TIME,
                series=[{"min": -1.5, "max": 2, "sum": 0.1, "count": 2147483647}],
            )
        ).ok
        before = client.values()
    assert len(before) == 4
    with emulator(path) as client:
        assert client.values() == before
        # It goes on where it was: one series, its first spelling, the region of the resource.
        other = document(series("a", "b"), time=TIME, metric="QUEUEDEPTH")
        assert client.post(
            other,
            resource=QUEUE_ACCOUNT.upper()
            .replace("PROVIDERS", "providers")
            .replace("SUBSCRIPTIONS", "subscriptions")
            .replace("RESOURCEGROUPS", "resourceGroups"),
        ).ok
        assert client.post(document(time=TIME), region="uksouth").status_code == 400
        values = client.values()
    assert len(values) == 4
    assert {value["metric"] for value in values} == {"QueueDepth"}
    assert max(value["count"] for value in values if value["dimensions"]) == 9
    with emulator(path) as client:
        assert client.values() == values


def test_what_is_too_old_at_a_restart_is_forgotten_in_the_file_too(tmp_path: Path) -> None:
    path = tmp_path / "metrics.db"
    with emulator(path) as client:
        assert client.post(document(time=TIME)).ok
    with emulator(path, NOW + 25 * 60 * 60) as client:
        assert client.values() == []
    assert counted(path) == (0, 0)


def test_the_file_stays_as_small_as_the_store(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "metrics.db")
    store = MetricStore(max_values=3, archive=archive)
    for minute in range(4):
        add(store, NOW + 60 * minute, "a", "b")
    store.add(QUEUE_ACCOUNT, REGION, batch(NOW + 240, *"cdefg").points, NOW + 240)
    kept = sorted(value.dimensions["D"] for value in store.values())
    archive.close()
    assert counted(tmp_path / "metrics.db") == (3, 3)
    again = Archive(tmp_path / "metrics.db")
    restored = MetricStore(archive=again)
    restored.restore(NOW + 240)
    assert sorted(value.dimensions["D"] for value in restored.values()) == kept
    again.close()


def test_a_reset_empties_the_file(tmp_path: Path) -> None:
    path = tmp_path / "metrics.db"
    with emulator(path) as client:
        assert client.post(document(time=TIME)).ok
        client.set("DELETE", "state")
        assert client.values() == []
        assert client.post(document(time=TIME, metric="Other")).ok
    with emulator(path) as client:
        assert [value["metric"] for value in client.values()] == ["Other"]


def test_what_was_answered_outlives_the_process(tmp_path: Path) -> None:
    path = tmp_path / "metrics.db"
    for stop in (signal.SIGKILL, signal.SIGTERM):
        with start("--data", str(path)) as process:
            try:
                assert process.stdout is not None
                client = Client(process.stdout.readline().split()[-1])
                with client.http:
                    assert client.post(document()).ok
                    counts = [value["count"] for value in client.values()]
                process.send_signal(stop)
                process.communicate(timeout=30)
            finally:
                process.kill()
    assert sum(counts) == 6


def test_a_file_that_is_none_of_the_emulator(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("These are notes, and they are to stay as they are.\n" * 100)
    assert main(["--data", str(text)]) == 1
    assert capsys.readouterr().err == f"Cannot use {text}: file is not a database\n"
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE mine (x)")
    db.close()
    with pytest.raises(ArchiveError, match="is no file of this emulator, or of another version"):
        Archive(other)
    with pytest.raises(ArchiveError, match="unable to open database file"):
        Archive(tmp_path / "no" / "folder")


def test_one_process_at_a_time(tmp_path: Path) -> None:
    first = Archive(tmp_path / "metrics.db")
    with pytest.raises(ArchiveError, match="database is locked"):
        Archive(tmp_path / "metrics.db")
    first.close()
    Archive(tmp_path / "metrics.db").close()
