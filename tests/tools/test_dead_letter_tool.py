"""`python -m tools dead-letter` on queues of Azurite that the app's own drain filled."""

from __future__ import annotations

import json
import os
import re
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from local.stack import Backend
from shared.clients.storage import message_text
from shared.model import Origin, Reason, Rejection
from shared.pipeline.dead_letters import write_dead_letters
from tests.manual_host import manual_host
from tools.__main__ import main

from .letter_shell import Shell, letters, points
from .toll import Answer, Passage, toll

Ask = Callable[[Callable[[], Any], Callable[[Any], bool]], Any]

OUTSIDE = {"METRICS_ALLOWED_SCOPES": "/subscriptions/none-of-yours"}


@pytest.fixture
def shell(backend: Backend, queue: str) -> Shell:
    return Shell(backend, queue)


@pytest.fixture
def box(shell: Shell) -> Iterator[Shell]:
    """An ingress queue and a dead-letter queue, both empty."""
    shell.ingress.create_queue()
    shell.letters.create_queue()
    yield shell
    shell.letters.delete_queue()


def letter_of(**contents: str) -> str:
    """A letter of several things that one message brought."""
    rejections = [
        Rejection(Reason.INVALID, f"no {name}", content.encode())
        for name, content in contents.items()
    ]
    (letter,) = write_dead_letters(rejections, Origin("5c1f", None), datetime.now(UTC))
    return message_text(letter)


async def test_points_outside_the_scopes_are_published_once_the_scopes_are_mended(
    backend: Backend, queue: str, site: str, shell: Shell
) -> None:
    names = [f"m{number}" for number in range(60)]
    with manual_host(backend, queue, **OUTSIDE) as host:
        host.enqueue(*(points(site, name, f"{name}-2") for name in names), points(site, "", "x"))
        while host.queue_length():
            await host.process_queue()
    assert shell.counts() == {"forbidden_scope": 121, "invalid": 1}

    refused = shell.run("replay", "--yes", code=1, settings=OUTSIDE).stdout
    assert "0 points of 0 letters put back" in refused
    assert "122 points would be refused again" in refused
    assert "is outside METRICS_ALLOWED_SCOPES" in refused
    assert shell.waiting() == 0

    with manual_host(backend, queue) as host:
        done = shell.run("replay", "--yes", code=1).stdout
        assert "121 points of" in done
        assert f"put back into {queue} in 1 message." in done
        assert "1 point would be refused again:" in done
        assert shell.waiting() == 1
        await host.process_queue()
        expected = (*names, *(f"{name}-2" for name in names), "x")
        assert host.stored(site) == dict.fromkeys(expected, (1.0, 1))
        assert shell.counts() == {"invalid": 1}
        shell.run("replay", "--yes", code=1)
        assert host.queue_length() == 0


async def test_what_was_compressed_is_shown_and_replayed(
    backend: Backend, queue: str, site: str, shell: Shell
) -> None:
    # The first 50 that are refused stand alone; the others, together, are too long for a letter.
    names = [f"{number}" for number in range(50)]
    names += [f"{number}".ljust(253, "x") for number in range(216)]
    whole = json.loads(points(site, *names))
    del whole["resourceId"]
    with manual_host(backend, queue) as host:
        host.enqueue(json.dumps(whole))
        await host.process_queue()
    (shown,) = shell.shown("--detail", "and 215 more")
    message = shown["refused"][0]["message"]
    (document,) = message if isinstance(message, list) else [message]
    assert document["points"] == whole["points"][50:]
    assert shell.counts() == {"invalid": 266}

    shell.run("replay", "--yes", code=1)
    own = {"METRICS_RESOURCE_ID": site}
    assert "266 points of" in shell.run("replay", "--yes", settings=own).stdout
    assert shell.counts() == {}
    with manual_host(backend, queue, **own) as host:
        while host.queue_length():
            await host.process_queue()
        assert host.stored(site) == dict.fromkeys(names, (1.0, 1))


def test_what_was_cut_is_told_and_stays(box: Shell) -> None:
    box.put(*letters("no JSON " * 8000))
    assert "1 entry cut: too long for a letter, not replayable" in box.run("list").stdout
    (letter,) = box.shown()
    assert letter["refused"][0]["bodyBytes"] == 64_000
    said = box.run("replay", "--yes", code=1).stdout
    assert "cannot be replayed: it was too long for a dead letter" in said
    assert box.counts() == {"invalid": 1}


async def test_expired_points_stay_unless_they_are_restamped(
    backend: Backend, queue: str, site: str, shell: Shell
) -> None:
    old = (datetime.now(UTC) - timedelta(minutes=30)).isoformat()
    with manual_host(backend, queue) as host:
        host.enqueue(points(site, "a", "b", time=old))
        await host.process_queue()
        refused = shell.run("replay", "--yes", code=1).stdout
        assert "2 points would be refused again:" in refused
        assert "points[…].time: … is … s old, at most 1200 s" in refused
        rehearsed = shell.run("replay", "--restamp", "--dry-run")
        assert "2 points of 1 letter would be put back; 2 with the time of now." in rehearsed.stdout
        no = shell.run("replay", "--restamp", code=1, answer="n\n")
        assert "RESTAMP: 2 points get the time of now" in no.stderr
        assert "This changes history" in no.stderr
        assert shell.counts() == {"expired": 2}
        yes = shell.run("replay", "--restamp", "--yes")
        assert "RESTAMP: 2 points got the time of now" in yes.stderr
        await host.process_queue()
        assert host.stored(site) == {"a": (1.0, 1), "b": (1.0, 1)}
    assert "RESTAMP" not in shell.run("replay", "--restamp", "--yes").stderr
    assert shell.counts() == {}


def test_a_queue_that_is_missing_is_told_from_an_empty_one(shell: Shell) -> None:
    for command in (["list"], ["show"], ["purge", "--yes"], ["replay", "--dry-run"]):
        result = shell.run(*command, code=1)
        assert f"Error: there is no queue {shell.letters.queue_name};" in result.stderr
        assert result.stdout in {"", "Deleted: 0 letters, 0 points.\n"}


def test_an_empty_queue_is_none_that_is_wrong(box: Shell) -> None:
    assert box.run("list").stdout == f"{box.letters.queue_name}: 0 letters, 0 points\n"
    assert "No such letter." in box.run("show").stderr
    box.run("purge", "--yes")
    box.run("replay", "--yes")


@pytest.mark.parametrize(("count", "bars"), [(0, False), (1, True)])
def test_a_bar_is_shown_where_there_is_something_to_count(
    box: Shell, site: str, count: int, bars: bool
) -> None:
    box.put(*letters(*[points(site, "a")] * count))
    shown = box.start("list", FORCE_COLOR="1", TERM="xterm").communicate(timeout=60)[1]
    assert ("Counting letters" in shown) is bars


@pytest.mark.parametrize("end", ["", "-poison"])
@pytest.mark.parametrize("command", [["purge", "--yes"], ["replay", "--yes"], ["list"], ["show"]])
def test_the_ingress_queue_is_not_taken_for_a_dead_letter_queue(
    box: Shell, site: str, command: list[str], end: str
) -> None:
    box.ingress.send_message(points(site, "a"))
    name = f"{box.ingress.queue_name}{end}"
    refusal = f"Error: {name} is no dead-letter queue"
    assert refusal in box.run(*command, "--dead-letter-queue", name, code=2).stderr
    by_setting = {"METRICS_DEAD_LETTER_QUEUE": name}
    assert refusal in box.run(*command, code=2, settings=by_setting).stderr
    other = box.run(*command, "--queue", "orders", "--dead-letter-queue", name, code=2)
    assert refusal in other.stderr
    assert box.waiting() == 1


def test_a_misspelt_ingress_queue_is_an_error_and_nothing_happens(box: Shell, site: str) -> None:
    box.put(*letters(points(site, "a")))
    name = box.letters.queue_name
    result = box.run("replay", "--queue", "metriks", "--dead-letter-queue", name, "--yes", code=1)
    assert "Error: metriks: The specified queue does not exist." in result.stderr
    assert box.counts() == {"invalid": 1}


def test_reasons_and_details_are_counted_those_of_most_points_first(box: Shell, site: str) -> None:
    box.put(
        *letters(points(site, "a"), detail="points[1].time: 2026-11-23T07:25:00Z is 1300 s old"),
        *letters(points(site, "a"), detail="points[2].time: 2026-11-23T07:26:00Z is 1301 s old"),
        *letters(points(site, "a", "b", "c"), detail="[bold]three[/bold] \x1b[31m"),
        *letters(points(site, *"abcdefghij"), reason=Reason.EXPIRED, age=timedelta(days=2)),
    )
    result = box.run("list")
    lines = [line for line in result.stdout.splitlines() if line]
    times = r"\S+Z to \S+Z"
    assert lines[0] == f"{box.letters.queue_name}: 4 letters, 15 points"
    assert re.fullmatch(f"expired  10 points in 1 entry of 1 letter, {times}", lines[1])
    assert lines[2].split() == ["10", "why"]
    assert re.fullmatch(f"invalid  5 points in 3 entries of 3 letters, {times}", lines[3])
    assert lines[4].strip() == "3  [bold]three[/bold] \\x1b[31m"
    assert lines[5].strip() == "2  points[…].time: … is … s old"
    assert result.stderr == "Looked at 4 letters with 2 requests.\n"
    whole = json.loads(box.run("list", "--json").stdout)
    assert (whole["letters"], whole["points"], whole["unseen"]) == (4, 15, 0)
    assert whole["reasons"][0]["details"] == [{"detail": "why", "points": 10}]


def test_filters(box: Shell, site: str) -> None:
    box.put(
        *letters(points(site, "a"), age=timedelta(hours=3), detail="Old"),
        *letters(points(site, "b", "c"), reason=Reason.EXPIRED, detail="new"),
        "no letter",
    )
    assert box.counts() == {"invalid": 1, "expired": 2, "unreadable": 1}
    assert box.counts("--reason", "expired", "--reason", "unreadable") == {
        "expired": 2,
        "unreadable": 1,
    }
    assert box.counts("--older-than", "2h") == {"invalid": 1}
    assert box.counts("--newer-than", "120m", "--reason", "expired") == {"expired": 2}
    assert box.counts("--detail", "OLD") == {"invalid": 1}
    assert box.counts("--in-doubt") == {}
    assert box.counts("--id", "message-0") == {"invalid": 1, "expired": 2}
    (letter,) = box.shown("--reason", "invalid")
    assert box.counts("--id", letter["letter"]) == {"invalid": 1}
    assert "'2 h' is no duration" in box.run("list", "--older-than", "2 h", code=2).stderr
    assert "is not one of 'invalid'" in box.run("list", "--reason", "late", code=2).stderr


def test_a_long_queue_is_counted_and_given_back_as_it_was(box: Shell, site: str) -> None:
    texts = letters(*(points(site, f"m{number}") for number in range(200)))
    box.put(*texts, "no letter")
    result = box.run("list")
    assert "201 letters, 201 points" in result.stdout
    assert result.stderr == "Looked at 201 letters with 210 requests.\n"
    assert box.visible() == 32
    taken = [message.content for message in box.letters.receive_messages(messages_per_page=32)]
    assert Counter(taken) == Counter([*texts, "no letter"])


def test_a_short_queue_is_not_touched_by_who_only_looks(box: Shell, site: str) -> None:
    box.put(*letters(points(site, "a")), "no letter")
    for command in (["list"], ["show"], ["replay", "--dry-run"], ["purge"]):
        CliRunner().invoke(main, ["dead-letter", *command], env=box._env, input="n\n")
    assert [message.dequeue_count for message in box.letters.peek_messages(32)] == [0, 0]


def test_letters_that_another_holds_are_said_to_be_there(box: Shell, site: str) -> None:
    box.put(*letters(*(points(site, "a") for _ in range(40))))
    next(box.letters.receive_messages(messages_per_page=10, visibility_timeout=60).by_page())
    more = "10 letters more, by the queue's count, could not be seen"
    result = box.run("list", code=1)
    assert "30 letters" in result.stdout
    assert more in result.stderr
    box.run("show")
    assert more in box.run("purge", "--reason", "expired", code=1).stderr
    assert more in box.run("purge", "--reason", "expired", "--yes", code=1).stderr
    assert more in box.run("replay", "--dry-run", code=1).stderr
    assert more in box.run("replay", "--yes", code=1).stderr
    assert box.waiting() == 1


def test_a_reader_that_leaves_has_the_letters_given_back(box: Shell, site: str) -> None:
    names = [f"{number}".ljust(250, "x") for number in range(40)]  # More than a pipe holds.
    box.put(*letters(*(points(site, *names) for _ in range(64))))
    with box.start("show") as showing:
        assert showing.stdout
        assert showing.stdout.readline() == "{\n"
        showing.stdout.close()
        assert showing.wait(60) == 1
    taken = list(box.letters.receive_messages(messages_per_page=32, visibility_timeout=1))
    assert len(taken) == 64


def test_a_count_cut_short_says_so(box: Shell, site: str) -> None:
    box.put(*letters(*(points(site, "a") for _ in range(40))))

    def keeper(passage: Passage) -> Answer:
        if (passage.kind, passage.number) == ("take", 2):
            os.kill(os.getpid(), signal.SIGINT)
        return passage.forward()

    with toll(box.connection, keeper) as way:
        result = box.run("list", code=1, settings={"MetricsStorage": way})
    (first, *_) = result.stdout.splitlines()
    assert first == f"{box.letters.queue_name}: 32 letters, 32 points so far"


def test_what_came_after_the_count_is_left_and_counted_apart(
    box: Shell, site: str, eventually: Ask
) -> None:
    box.put(*letters(*(points(site, "a") for _ in range(40))))

    def keeper(passage: Passage) -> Answer:
        if (passage.kind, passage.number) == ("take", 1):
            later = datetime.now(UTC) + timedelta(seconds=1)  # Storage tells times by the second.
            assert eventually(lambda: datetime.now(UTC) > later, bool)
            box.put(*letters(points(site, "b")))
        return passage.forward()

    with toll(box.connection, keeper) as way:
        done = box.run("purge", answer="y\n", settings={"MetricsStorage": way})
    assert "1 letter came since; left for the next time." in done.stderr
    assert "could not be seen" not in done.stderr
    assert "Deleted: 40 letters, 40 points." in done.stdout
    assert box.counts() == {"invalid": 1}


def test_show_prints_what_is_chosen_of_a_letter_and_stops_at_the_limit(
    box: Shell, site: str
) -> None:
    box.put(letter_of(alpha="alpha", beta="beta"), "\x9b")
    (letter,) = box.shown("--detail", "beta")
    assert letter["refused"] == [{"detail": "no beta", "body": "beta"}]
    assert letter["dequeued"] == 0
    (foreign,) = box.shown("--reason", "unreadable")
    assert foreign["text"] == "\x9b"
    assert "\x9b" not in box.run("show").stdout
    assert len(box.shown("--limit", "1")) == 1
    assert box.visible() == 2


def test_replay_asks_and_limits_and_takes_what_the_filters_choose(box: Shell, site: str) -> None:
    box.put(letter_of(**{name: points(site, name) for name in ("alpha", "beta", "gamma")}))
    asked = box.run("replay", "--detail", "beta", code=1, answer="n\n")
    place = f"{box.ingress.queue_name} at {box.ingress.primary_hostname}"
    assert f"Put 1 point back into {place}?" in asked.stderr
    assert box.waiting() == 0
    box.run("replay", "--detail", "beta", answer="y\n")
    (letter,) = box.shown()
    assert [one["detail"] for one in letter["refused"]] == ["no alpha", "no gamma"]
    assert letter["detail"] == "no alpha (and 1 more)"
    box.run("replay", "--limit", "1", "--yes")
    (letter,) = box.shown()
    assert [one["detail"] for one in letter["refused"]] == ["no gamma"]
    box.run("replay", "--limit", "1", "--yes")
    assert box.counts() == {}
    sent = [json.loads(message.content) for message in box.ingress.peek_messages(32)]
    assert [one["points"][0]["metric"] for one in sent] == ["beta", "alpha", "gamma"]
    ends = [message.expires_on for message in box.ingress.peek_messages(32)]
    assert all(end is not None and end.year > 9000 for end in ends)


def test_a_dry_run_changes_nothing(box: Shell, site: str) -> None:
    box.put(*letters(*(points(site, "a") for _ in range(40))))
    result = box.run("replay", "--dry-run")
    assert result.stdout == "40 points of 40 letters would be put back.\n"
    assert (box.waiting(), box.visible()) == (0, 32)


def test_purge_deletes_what_is_chosen_and_writes_it_down_first(
    box: Shell, site: str, tmp_path: Path
) -> None:
    contents = [points(site, f"m{number}") for number in range(100)]
    box.put(*letters(*contents, age=timedelta(days=2)), *letters(points(site, "new")), "no letter")
    file = tmp_path / "letters.jsonl"
    no = box.run("purge", "--older-than", "1d", "--export", str(file), code=1, answer="n\n")
    assert "100 letters, 100 points" in no.stdout
    place = f"{box.letters.queue_name} at {box.letters.primary_hostname}"
    assert f"Delete this, for good, from {place}?" in no.stderr
    assert not file.exists()
    done = box.run("purge", "--older-than", "1d", "--export", str(file), answer="y\n")
    assert "Deleted: 100 letters, 100 points." in done.stdout
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    kept = Counter(json.dumps(line["refused"][0]["message"]) for line in lines)
    assert kept == Counter(contents)
    assert box.counts() == {"invalid": 1, "unreadable": 1}
    for options in (["--yes"], []):
        refused = box.run("purge", *options, "--export", str(file), code=2)
        assert "File exists" in refused.stderr
        assert refused.stdout == ""
    box.run("purge", "--yes")
    assert box.counts() == {"unreadable": 1}
    box.run("purge", "--reason", "unreadable", "--yes")
    assert box.counts() == {}


def test_purge_leaves_the_rest_of_a_letter(box: Shell) -> None:
    box.put(letter_of(alpha="alpha", beta="beta"))
    box.run("purge", "--detail", "alpha", "--yes")
    (letter,) = box.shown()
    assert [one["detail"] for one in letter["refused"]] == ["no beta"]
