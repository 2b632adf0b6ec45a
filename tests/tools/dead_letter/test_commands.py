"""`list` and `show`, and what all commands have in common."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from datetime import timedelta

import pytest

from local.stack import OURS, ROOT
from shared.model import Reason
from tests.tools.fault_proxy import Answer, Request, fault_proxy

from .shell import CUT, Shell, dead_letter_texts, points

COMMANDS = {
    "list": ["list"],
    "show": ["show"],
    "purge": ["purge", "--all", "--yes"],
    "replay": ["replay", "--yes"],
}


def test_reasons_and_details_are_counted_most_points_first(shell: Shell) -> None:
    shell.put(
        *dead_letter_texts(points("a"), detail="points[1].time: 2026-11-23T07:25:00Z is 13 s old"),
        *dead_letter_texts(points("a"), detail="points[2].time: 2026-11-23T07:26:00Z is 14 s old"),
        *dead_letter_texts(points("a", "b", "c"), detail="[bold]three[/bold] \x1b[31m"),
        *dead_letter_texts(points(*"abcdefghij"), reason=Reason.EXPIRED, age=timedelta(days=2)),
        *dead_letter_texts(CUT, reason=Reason.TOO_LARGE),
        "hello",
    )
    lines = [line for line in shell.run("list").stdout.splitlines() if line]
    times = r"\S+Z to \S+Z"
    assert lines[0] == f"{shell.dead_letters.queue_name}: 6 dead letters, 17 points"
    assert re.fullmatch(f"expired  10 points in 1 dead letter, {times}", lines[1])
    assert lines[2].split() == ["10", "why"]
    assert re.fullmatch(f"invalid  5 points in 3 dead letters, {times}", lines[3])
    assert lines[4].strip() == "3  [bold]three[/bold]  [31m"
    assert lines[5].strip() == "2  points[…].time: … is … s old"
    assert re.fullmatch(f"too_large  1 point in 1 dead letter, {times}", lines[6])
    assert lines[8].strip().startswith("1 dead letter cannot be replayed: content was cut")
    assert re.fullmatch(f"unreadable  1 message, {times}", lines[9])
    counted = json.loads(shell.run("list", "--json").stdout)
    assert (counted["deadLetters"], counted["points"], counted["complete"]) == (6, 17, True)
    assert counted["reasons"][0]["details"] == [{"detail": "why", "points": 10}]
    assert [one["notReplayable"] for one in counted["reasons"]] == [0, 0, 1, 1]


def test_more_details_than_are_printed_are_counted(shell: Shell) -> None:
    for number in range(7):
        shell.put(*dead_letter_texts(points("a"), detail="x" * number))
    assert "and 2 other details" in shell.run("list").stdout


def test_poison_messages_are_counted_with_the_command_that_replays_them(shell: Shell) -> None:
    shell.poison.create_queue()
    assert "poison" not in shell.run("list").stdout
    shell.poison.send_message("a")
    lines = shell.run("list").stdout.splitlines()
    assert lines[-2] == f"{shell.poison.queue_name}: 1 message"
    assert lines[-1].endswith(" dead-letter replay --poison")
    assert json.loads(shell.run("list", "--json").stdout)["poisonMessages"] == 1


def test_filters(shell: Shell) -> None:
    shell.put(
        *dead_letter_texts(points("a"), age=timedelta(hours=3), detail="Old"),
        *dead_letter_texts(points("b", "c"), reason=Reason.EXPIRED, detail="new"),
        "hello",
    )
    assert shell.counts() == {"invalid": 1, "expired": 2, "unreadable": 1}
    both = ("--reason", "expired", "--reason", "invalid")
    assert shell.counts(*both) == {"invalid": 1, "expired": 2}
    assert shell.counts("--older-than", "2h") == {"invalid": 1}
    assert shell.counts("--newer-than", "120m", "--reason", "expired") == {"expired": 2}
    assert shell.counts("--detail", "OLD") == {"invalid": 1}
    assert shell.counts("--id", "message-0") == {"invalid": 1, "expired": 2}
    (shown,) = shell.shown("--reason", "invalid")
    assert shell.counts("--id", shown["id"]) == {"invalid": 1}
    assert "'2 h' is not a duration" in shell.run("list", "--older-than", "2 h", code=2).stderr
    assert "is not one of 'invalid'" in shell.run("list", "--reason", "late", code=2).stderr


def test_show_prints_text_that_does_nothing_to_a_terminal(shell: Shell) -> None:
    shell.put(
        *dead_letter_texts(points("a\x9b")),
        *dead_letter_texts("oops \x1b[31m\nred" + "x" * 5000, detail="why\x1b"),
        "hello \x9b",
    )
    printed = shell.run("show").stdout
    assert not re.search("[\x1b\x9b]", printed)
    assert '"metric": "a\\u009b",' in printed
    assert '"body": "oops \\u001b[31m\\nredxxx' in printed
    assert "xxx…\n" in printed
    assert '"reason": "unreadable"' in printed
    assert json.loads(shell.run("show", "--limit", "1").stdout)["reason"] == "invalid"


def test_show_prints_one_json_array(shell: Shell) -> None:
    assert shell.shown() == []
    shell.put(*dead_letter_texts(points("a\x9b"), points("b")), "hello")
    first, second, third = shell.shown()
    assert first["refused"] == [{"detail": "why", "message": json.loads(points("a\x9b"))}]
    assert second["messageId"] == "message-1"
    assert (third["reason"], third["refused"][0]["body"]) == ("unreadable", "hello")
    assert "\x9b" not in shell.run("show", "--json").stdout
    assert len(shell.shown("--limit", "2")) == 2


def test_an_empty_queue_is_not_an_error(shell: Shell) -> None:
    name = shell.dead_letters.queue_name
    assert shell.run("list").stdout == f"{name}: 0 dead letters, 0 points\n"
    assert "No dead letter is selected." in shell.run("show").stderr
    assert shell.run(*COMMANDS["purge"]).stdout == "Deleted 0 dead letters, 0 points.\n"
    assert "Replayed 0 dead letters" in shell.run(*COMMANDS["replay"]).stdout


def test_before_the_first_dead_letter_there_is_no_queue_and_no_error(shell: Shell) -> None:
    shell.dead_letters.delete_queue()
    shell.poison.create_queue()
    shell.poison.send_message("a")
    lines = shell.run("list").stdout.splitlines()
    assert lines[0] == f"{shell.dead_letters.queue_name}: 0 dead letters, 0 points"
    assert lines[2] == f"{shell.poison.queue_name}: 1 message"
    assert "No dead letter is selected." in shell.run("show").stderr
    wrong = shell.run("list", "--queue", "metriks", code=1).stderr
    assert "Error: there is no queue 'metriks' at http://127.0.0.1:" in wrong


def test_the_ingress_queue_is_not_taken_for_a_dead_letter_queue(shell: Shell) -> None:
    for name in (shell.queue, f"{shell.queue}-poison"):
        result = shell.run("list", code=1, env={"METRICS_DEAD_LETTER_QUEUE": name})
        assert f"Error: METRICS_DEAD_LETTER_QUEUE is '{name}': expected another" in result.stderr


@pytest.mark.parametrize(
    ("command", "kind", "verb"), [("purge", "delete", "Deleted"), ("replay", "enqueue", "Replayed")]
)
def test_an_error_says_what_was_done_until_then(
    shell: Shell, command: str, kind: str, verb: str
) -> None:
    shell.put(*dead_letter_texts(points("a")))

    def handle(request: Request) -> Answer:
        refused = b"<Error><Code>AuthorizationFailure</Code><Message>No.</Message></Error>"
        headers = {"Content-Type": "application/xml"}
        return (403, headers, refused) if request.kind == kind else request.forward()

    with fault_proxy(shell.connection_string, handle) as way:
        result = shell.run(*COMMANDS[command], code=1, env={"MetricsStorage": way})
    assert result.stdout == f"{verb} 0 dead letters, 0 points.\n"
    client = shell.ingress if command == "replay" else shell.dead_letters
    assert f"Error: {client.queue_name}: " in result.stderr
    assert "AuthorizationFailure" in result.stderr
    assert len(shell.left()) == 1  # And visible.


def test_a_replay_says_what_the_next_one_repeats(shell: Shell) -> None:
    shell.put(*dead_letter_texts(points("a")))

    def handle(request: Request) -> Answer:
        return (403, {}, b"") if request.kind == "delete" else request.forward()

    with fault_proxy(shell.connection_string, handle) as way:
        result = shell.run(*COMMANDS["replay"], code=1, env={"MetricsStorage": way})
    assert result.stdout == (
        "Replayed 0 dead letters, 0 points.\n"
        "Enqueued but not deleted: 1 dead letter, which the next replay enqueues again.\n"
    )
    assert (len(shell.enqueued()), len(shell.left())) == (1, 1)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_ctrl_c_ends_after_the_requests_under_way(shell: Shell, command: list[str]) -> None:
    shell.put(*dead_letter_texts(*(points(f"m{number}") for number in range(40))))

    def handle(request: Request) -> Answer:
        answer = request.forward()
        if (request.kind, request.number) == ("receive", 1):
            os.kill(os.getpid(), signal.SIGINT)
        return answer

    with fault_proxy(shell.connection_string, handle) as way:
        result = shell.run(*command, code=130, env={"MetricsStorage": way})
    assert "Traceback" not in result.output
    count = shell.dead_letters.get_queue_properties().approximate_message_count
    received = list(shell.dead_letters.receive_messages(messages_per_page=32))
    assert len(received) == count  # All that is left is visible.
    assert count in {8, 40}  # The first 32 are done, or not begun.


def test_a_json_array_is_whole_after_ctrl_c(shell: Shell) -> None:
    shell.put(*dead_letter_texts(*(points(f"m{number}") for number in range(40))))

    def handle(request: Request) -> Answer:
        if (request.kind, request.number) == ("receive", 1):
            os.kill(os.getpid(), signal.SIGTERM)
        return request.forward()

    with fault_proxy(shell.connection_string, handle) as way:
        shown = shell.run("show", "--json", code=143, env={"MetricsStorage": way})
    assert len(json.loads(shown.stdout)) == 32


def test_a_reader_that_closes_the_pipe_leaves_everything_visible(shell: Shell) -> None:
    names = [f"{number}".ljust(250, "x") for number in range(40)]  # More than a pipe holds.
    shell.put(*dead_letter_texts(*(points(*names) for _ in range(40))))
    env = {name: text for name, text in os.environ.items() if not name.startswith(OURS)}
    command = [sys.executable, "-m", "tools", "dead-letter", "show"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env={**env, **shell.env}, cwd=ROOT, stdout=pipe, stderr=pipe
    ) as showing:
        assert showing.stdout
        assert showing.stdout.readline().startswith(b"{")
        showing.stdout.close()
        assert showing.wait(60) == 1
    assert len(list(shell.dead_letters.receive_messages(messages_per_page=32))) == 40
