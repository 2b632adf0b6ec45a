"""`replay` enqueues what is selected, and deletes it then."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local.stack import Backend
from shared.clients.storage import message_text
from shared.model import Origin, Reason, Rejection
from shared.pipeline.dead_letters import write_dead_letters
from tests.manual_host import manual_host

from .shell import CUT, Shell, dead_letter_texts, points


def metrics(texts: list[str]) -> list[str]:
    return sorted(point["metric"] for text in texts for point in json.loads(text)["points"])


async def test_rejected_points_are_published_once_their_cause_is_fixed(
    backend: Backend, queue: str, site: str
) -> None:
    """From the relay's own rejection to the metrics store, once for all."""
    shell = Shell(backend, queue)
    own = {"METRICS_RESOURCE_ID": site}
    whole = json.loads(points(*(f"{number}".ljust(250, "x") for number in range(230))))
    del whole["resourceId"]
    scopes = {"METRICS_ALLOWED_SCOPES": "/subscriptions/none-of-yours"}
    with manual_host(backend, queue, **scopes) as host:
        host.enqueue(points("a", "b"), json.dumps(whole))
        while host.queue_length():
            await host.process_queue()
    assert shell.counts() == {"forbidden_scope": 2, "invalid": 230}

    with manual_host(backend, queue, **own) as host:
        done = shell.run("replay", "--yes").stdout
        assert done == "Replayed 3 dead letters, 232 points.\n"
        while host.queue_length():
            await host.process_queue()
        assert len(host.stored(site)) == 230
        assert set(host.stored(site).values()) == {(1.0, 1)}
    assert shell.counts() == {}


def test_it_asks_and_replays_what_is_selected(shell: Shell) -> None:
    shell.put(
        *dead_letter_texts(points("a"), detail="alpha"),
        *dead_letter_texts(points("b"), points("c"), detail="beta"),
    )
    asked = shell.run("replay", "--detail", "beta", code=1, answer="n\n").stderr
    place = f"{shell.queue} at {shell.ingress.primary_hostname}"
    text = f"Replay the selected of 3 messages of {shell.dead_letters.queue_name} into {place}?"
    assert text in asked
    assert shell.enqueued() == []
    done = shell.run("replay", "--detail", "beta", answer="y\n").stdout
    assert done == "Replayed 2 dead letters, 2 points.\n"
    assert metrics(shell.enqueued()) == ["b", "c"]
    assert shell.counts() == {"invalid": 1}


def test_all_entries_of_a_dead_letter_are_enqueued(shell: Shell) -> None:
    rejections = [Rejection(Reason.INVALID, "why", points(name).encode()) for name in "abc"]
    now = datetime.now(UTC)
    (text,) = write_dead_letters(rejections, Origin("5c1f", now), now)
    shell.put(message_text(text))
    shell.run("replay", "--yes")
    assert metrics(shell.enqueued()) == ["a", "b", "c"]
    assert shell.left() == []


def test_a_limit_is_kept_and_a_dry_run_changes_nothing(shell: Shell) -> None:
    shell.put(*dead_letter_texts(*(points(name) for name in "abcdefgh")))
    dry = shell.run("replay", "--dry-run", "--limit", "3").stdout
    assert dry == "Would replay 3 dead letters, 3 points.\n"
    assert (shell.enqueued(), len(shell.left())) == ([], 8)
    asked = shell.run("replay", "--limit", "3", answer="y\n").stderr
    assert "Replay at most 3 of the 8 messages of" in asked
    assert (len(shell.enqueued()), len(shell.left())) == (3, 5)


def test_what_cannot_be_replayed_stays_and_is_said(shell: Shell) -> None:
    old = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    shell.put(
        *dead_letter_texts(points("good")),
        *dead_letter_texts(CUT, "\x00"),
        *dead_letter_texts(points("old", time=old), reason=Reason.EXPIRED),
        "hello",
    )
    lines = shell.run("replay", "--yes", code=1).stdout.splitlines()
    assert lines[0] == "Replayed 1 dead letter, 1 point."
    assert sorted(line.removeprefix("Not replayed: 1 dead letter: ") for line in lines[1:]) == [
        "content has control characters, which a queue cannot hold",
        "content too long for a dead letter, so only its beginning was kept",
        "expired, and would be rejected again without --restamp",
        "unreadable",
    ]
    assert metrics(shell.enqueued()) == ["good"]
    assert len(shell.left()) == 4


def test_expired_points_get_the_time_of_the_replay(shell: Shell) -> None:
    old = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    shell.put(*dead_letter_texts(points("a", time=old), reason=Reason.EXPIRED))
    asked = shell.run("replay", "--restamp", code=1, answer="n\n").stderr
    assert "every point with the time of now?" in asked
    before = datetime.now(UTC)
    shell.run("replay", "--restamp", "--yes")
    (text,) = shell.enqueued()
    (point,) = json.loads(text)["points"]
    assert before <= datetime.fromisoformat(point["time"]) <= datetime.now(UTC)


def test_a_wrong_ingress_queue_is_an_error_and_nothing_happens(shell: Shell) -> None:
    shell.put(*dead_letter_texts(points("a")))
    wrong = {"METRICS_QUEUE": "metriks", "METRICS_DEAD_LETTER_QUEUE": shell.dead_letters.queue_name}
    result = shell.run("replay", "--yes", code=1, env=wrong)
    assert "Error: there is no queue 'metriks' at http://127.0.0.1:" in result.stderr
    assert len(shell.left()) == 1


# --- From a file ---------------------------------------------------------------------------------


def test_an_edited_dead_letter_is_replayed_from_its_file(shell: Shell, tmp_path: Path) -> None:
    shell.put(*dead_letter_texts(points("wrong"), points("other")))
    file = tmp_path / "dead-letters.json"
    file.write_text(shell.run("show", "--json").stdout.replace("wrong", "right"))
    asked = shell.run("replay", "--file", str(file), answer="y\n")
    assert f"Replay the 2 dead letters of {file} into {shell.queue}" in asked.stderr
    assert metrics(shell.enqueued()) == ["other", "right"]
    assert len(shell.left()) == 2
    shell.run("replay", "--file", str(file), "--limit", "1", "--yes")
    assert len(shell.enqueued()) == 3


def test_nothing_of_a_file_with_an_error_is_replayed(shell: Shell, tmp_path: Path) -> None:
    shell.put(*dead_letter_texts(points("a"), points("b")))
    file = tmp_path / "dead-letters.json"
    first, second = shell.shown()
    del second["refused"][0]["message"]
    file.write_text(json.dumps([first, second]))
    result = shell.run("replay", "--file", str(file), "--yes", code=1)
    assert f"Error: {file}: expected one of message" in result.stderr
    assert shell.enqueued() == []


# --- Poison messages -----------------------------------------------------------------------------

BODIES = [
    points("a"),
    '{"points":\r\n\t[]}  ',
    "eyJwb2ludHMiOltdfQ==",
    "oops & <b>é\U0001f600</b>",
    "x" * 65_536,
]


def test_poison_messages_are_put_back_as_they_are(shell: Shell) -> None:
    shell.poison.create_queue()
    for body in BODIES:
        shell.poison.send_message(body)
    shell.put(*dead_letter_texts(points("stays")))
    asked = shell.run("replay", "--poison", answer="y\n")
    assert f"Replay the 5 messages of {shell.poison.queue_name} into" in asked.stderr
    assert asked.stdout == "Replayed 5 poison messages, 5 points.\n"
    assert sorted(shell.enqueued()) == sorted(BODIES)
    assert shell.poison.peek_messages() == []
    assert len(shell.left()) == 1
    (first, *_) = shell.ingress.peek_messages(1)
    assert first.expires_on
    assert first.expires_on.year == 9999


@pytest.mark.parametrize("options", [["--reason", "invalid"], ["--restamp"], ["--file", __file__]])
def test_poison_messages_take_no_filters(shell: Shell, options: list[str]) -> None:
    error = shell.run("replay", "--poison", *options, code=2).stderr
    assert "--poison takes no filters, --restamp or --file" in error


def test_a_poison_queue_that_is_not_there_is_named(shell: Shell) -> None:
    error = shell.run("replay", "--poison", "--yes", code=1).stderr
    assert f"there is no queue '{shell.poison.queue_name}'" in error
