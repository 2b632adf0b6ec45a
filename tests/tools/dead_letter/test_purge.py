"""`purge` deletes what is selected, after it was exported."""

from __future__ import annotations

import json
import resource
from pathlib import Path

from tests.tools.fault_proxy import Answer, Request, fault_proxy

from .shell import CUT, Shell, dead_letter_texts, points


def test_it_deletes_what_is_selected_once_that_is_confirmed(shell: Shell) -> None:
    shell.put(
        *dead_letter_texts(points("a"), detail="alpha"),
        *dead_letter_texts(points("b", "c"), detail="beta"),
    )
    asked = shell.run("purge", "--detail", "beta", code=1, answer="n\n").stderr
    place = f"{shell.dead_letters.queue_name} at {shell.dead_letters.primary_hostname}"
    assert f"Delete the selected of 2 messages of {place} for good?" in asked
    assert len(shell.left()) == 2
    deleted = shell.run("purge", "--detail", "beta", answer="y\n").stdout
    assert deleted == "Deleted 1 dead letter, 2 points.\n"
    assert shell.counts() == {"invalid": 1}


def test_everything_takes_all(shell: Shell) -> None:
    shell.put(*dead_letter_texts(points("a")))
    wanted = "give filters, or --all"
    assert wanted in shell.run("purge", "--yes", code=2).stderr
    assert wanted in shell.run("purge", "--all", "--reason", "invalid", "--yes", code=2).stderr
    shell.run("purge", "--all", "--yes")
    assert shell.left() == []


def test_other_messages_are_deleted_only_by_their_reason(shell: Shell) -> None:
    shell.put("hello", *dead_letter_texts(points("a")))
    kept = shell.run("purge", "--all", "--yes").stderr
    assert "Kept 1 unreadable message; `purge --reason unreadable` deletes" in kept
    assert shell.left() == ["hello"]
    shell.run("purge", "--reason", "unreadable", "--yes")
    assert shell.left() == []


def test_what_was_exported_can_be_replayed(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "old.jsonl"
    shell.put(*dead_letter_texts(points("a"), points("b"), CUT))
    shown = shell.shown()
    shell.run("purge", "--all", "--yes", "--export", str(file))
    assert [json.loads(line) for line in file.read_text().splitlines()] == shown
    replayed = shell.run("replay", "--file", str(file), "--yes", code=1).stdout
    assert "Replayed 2 dead letters, 2 points." in replayed
    assert "Not replayed: 1 dead letter: content too long for a dead letter" in replayed
    assert len(shell.enqueued()) == 2


def test_what_is_deleted_was_exported_before(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "old.jsonl"
    shell.put(*dead_letter_texts(points("a")))
    exported: list[str] = []

    def handle(request: Request) -> Answer:
        if request.kind == "delete":
            exported.append(file.read_text())
        return request.forward()

    with fault_proxy(shell.connection_string, handle) as way:
        shell.run("purge", "--all", "--yes", "--export", str(file), env={"MetricsStorage": way})
    assert exported == [file.read_text()]
    assert exported != [""]


def test_what_was_exported_and_not_deleted_is_counted(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "old.jsonl"
    shell.put(*dead_letter_texts(points("a"), points("b")))

    def handle(request: Request) -> Answer:
        return (403, {}, b"") if request.kind == "delete" else request.forward()

    with fault_proxy(shell.connection_string, handle) as way:
        env = {"MetricsStorage": way}
        purge = ("purge", "--all", "--yes", "--export", str(file))
        result = shell.run(*purge, code=1, env=env)
    assert result.stderr.startswith("Exported but not deleted: 2 dead letters.\n")


def test_what_cannot_be_exported_is_not_deleted(shell: Shell, tmp_path: Path) -> None:
    shell.put(*dead_letter_texts(points("a"), points("b")))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))  # As if the disk became full.
    try:
        file = tmp_path / "old.jsonl"
        result = shell.run("purge", "--all", "--yes", "--export", str(file), code=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert result.stdout == "Deleted 0 dead letters, 0 points.\n"
    assert result.stderr == f"Error: {file} cannot be written: File too large\n"
    assert len(shell.left()) == 2


def test_a_file_is_not_overwritten(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "old.jsonl"
    file.write_text("mine")
    shell.put(*dead_letter_texts(points("a")))
    result = shell.run("purge", "--all", "--yes", "--export", str(file), code=2)
    assert "File exists" in result.stderr
    assert (file.read_text(), len(shell.left())) == ("mine", 1)
