"""What a restart finds again in the file, and what it does not."""

from __future__ import annotations

import resource
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from local.monitor.__main__ import main
from local.monitor.database import StoreError, open_database
from local.monitor.state import MonitorState, Options
from local.monitor.store import MetricStore

from .client import QUEUE_ACCOUNT, Client, document, error, iso, series
from .conftest import NOW, connected
from .test_process import started
from .test_store import add, stored

TIME = "2026-11-23T07:25:00Z"


def counted_in(store: MetricStore) -> tuple[int, int]:
    """Return how many series and values a store has."""
    queries = ("SELECT count(*) FROM series", "SELECT count(*) FROM point")
    return tuple(store._db.execute(each).fetchone()[0] for each in queries)


@contextmanager
def emulator(path: Path, now: float = NOW) -> Iterator[Client]:
    """One run of the emulator over the file."""
    state = MonitorState(Options(data=path), clock=lambda: now)
    with connected(state) as client:
        yield client


def counted(path: Path) -> tuple[int, int]:
    """Return how many series and values are in the file."""
    with closing(MetricStore(path)) as store:
        return counted_in(store)


def test_a_restart_finds_what_was_stored(tmp_path: Path) -> None:
    path = tmp_path / "metrics.db"
    with emulator(path) as client:
        one = series("a", "b")
        for body in (
            document(one, series("c'\"é", "d"), time=TIME),
            document(one, time=TIME),
            document(one, time="2026-11-23T07:26:00Z"),
            document(series(min=-1.5, max=2, sum=0.1, count=2147483647), dimNames=[], time=TIME),
        ):
            assert client.post(body).ok
        before = client.values()
    assert len(before) == 4
    with emulator(path) as client:
        assert client.values() == before
        # It goes on where it was: one series, its first spelling, the region of the resource.
        account = QUEUE_ACCOUNT.rpartition("/")
        other = document(series("a", "b"), time=TIME, metric="QUEUEDEPTH")
        assert client.post(other, resource=f"{account[0].lower()}/{account[2].upper()}").ok
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
    path = tmp_path / "metrics.db"
    with closing(MetricStore(path, max_values=3)) as store:
        for minute in range(4):
            add(store, NOW + 60 * minute, "a", "b")
        add(store, NOW + 240, *"cdefg")
        kept = stored(store)
    assert counted(path) == (3, 3)
    with closing(MetricStore(path)) as again:
        assert stored(again) == kept


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
        with started("--data", str(path)) as (process, _, client):
            assert client.post(document()).ok
            counts = [value["count"] for value in client.values()]
            process.send_signal(stop)
            process.communicate(timeout=30)
    assert sum(counts) == 6


def test_a_file_that_is_none_of_the_emulator(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("These are notes, and they are to stay as they are.\n" * 100)
    assert main(["--data", str(text)]) == 1
    assert capsys.readouterr().err == f"Cannot use {text}: file is not a database\n"
    for path in (tmp_path, tmp_path / "no" / "folder"):
        with pytest.raises(StoreError, match="unable to open database file"):
            open_database(path)


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TABLE mine (x)",
        "PRAGMA journal_mode = WAL; CREATE TABLE mine (x); PRAGMA user_version = 3",
    ],
)
def test_the_database_of_somebody_else_stays_as_it_is(
    tmp_path: Path, script: str, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as db:
        db.executescript(script)
    before = other.read_bytes()
    assert main(["--data", str(other)]) == 1
    assert capsys.readouterr().err == (
        f"{other} is not a file of this emulator, or is of another version\n"
    )
    assert other.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["other.db"]


def test_a_file_of_the_emulator_that_was_damaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "metrics.db"
    with emulator(path) as client:
        assert client.post(document(time=TIME)).ok
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE series SET dimensions = 'none'")
    assert main(["--data", str(path)]) == 1
    assert capsys.readouterr().err.startswith(f"Cannot use {path}: JSON is malformed")
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DROP TABLE point")
    assert main(["--data", str(path)]) == 1
    assert capsys.readouterr().err == f"Cannot use {path}: no such table: point\n"


def test_a_file_is_made_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "metrics.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="database is locked"):
            open_database(path)
    assert path.read_bytes() == b""
    assert counted(path) == (0, 0)


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="no disk can be filled here")
def test_a_full_disk_refuses_and_what_was_accepted_stays(tmp_path: Path) -> None:
    path = tmp_path / "metrics.db"
    time = iso()

    def body(post: int) -> Any:
        """Posts share one series; the sums tell all series and posts apart."""
        names = ["shared", *(f"{post}-{number}" for number in range(200))]
        sums = [post * 1000 + number for number in range(len(names))]
        pairs = zip(names, sums, strict=True)
        return document(*(series(name, "J", sum=total) for name, total in pairs), time=time)

    with started("--data", str(path)) as (process, _, client):
        assert client.post(body(1)).ok
        full = max(each.stat().st_size for each in tmp_path.iterdir())
        _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (full, hard))
        before = client.values()
        for _ in range(2):
            answer = client.post(body(2))
            assert error(answer) == (500, "InternalServerError")
            assert answer.json()["error"]["message"].startswith(f"Cannot use {path}: ")
        assert error(client.local("DELETE", "state")) == (500, "InternalServerError")
        assert client.values() == before
        assert client.requests()["totals"] == {"200": 1, "500": 2}
        refused = client.local("GET", "refusals").json()["refusals"]
        assert [each["status"] for each in refused] == [500, 500]
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        assert client.post(body(3)).ok
        assert client.post(body(2)).ok
        stored = client.values()
    sums = {value["dimensions"]["QueueName"]: value["sum"] for value in stored}
    assert len(sums) == len(stored) == 601
    assert sums["shared"] == 6000
    assert sums["2-7"] == 2008
    now = datetime.now(UTC).timestamp()
    with emulator(path, now) as client:
        assert client.values() == stored


def test_a_post_that_cannot_be_stored_leaves_nothing(tmp_path: Path) -> None:
    with closing(MetricStore(tmp_path / "metrics.db")) as store:
        add(store, NOW, "a")
        store._db.execute(
            "CREATE TEMP TRIGGER refuse BEFORE INSERT ON point BEGIN SELECT raise(FAIL, 'no'); END"
        )
        with pytest.raises(StoreError, match=r"Cannot use .*: no"):
            add(store, NOW, "a", "b")
        assert [value.count for value in stored(store)] == [1]
        assert len(store.series(QUEUE_ACCOUNT, "N", "M")) == 1
        store._db.execute("DROP TRIGGER refuse")
        add(store, NOW, "a", "b")
        assert [value.count for value in stored(store)] == [2, 1]


def test_what_could_not_be_deleted_is_deleted_the_next_time(tmp_path: Path) -> None:
    with closing(MetricStore(tmp_path / "metrics.db", max_values=2)) as store:
        add(store, NOW, "a", "b")
        store._db.execute(
            "CREATE TEMP TRIGGER refuse BEFORE DELETE ON point BEGIN SELECT raise(FAIL, 'no'); END"
        )
        add(store, NOW + 60, "a")  # b's value of the minute before is too much.
        assert counted_in(store) == (2, 3)
        store._db.execute("DROP TRIGGER refuse")
        add(store, NOW + 60, "a")
        assert counted_in(store) == (2, 2)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with (
        closing(open_database(tmp_path / "metrics.db")),
        pytest.raises(StoreError, match="database is locked"),
    ):
        open_database(tmp_path / "metrics.db")
    open_database(tmp_path / "metrics.db").close()
