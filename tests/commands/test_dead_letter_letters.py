"""Whatever shared.pipeline.dead_letters writes, the tools read back; and what they write, they read."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from builders import NOW, at
from hypothesis import example, given
from hypothesis import strategies as st
from test_dead_letter import canonical, rejected, texts

from shared.clients.queues import message_text
from shared.messages.packing import size_in_queue
from shared.model import Reason, Rejection
from shared.pipeline.dead_letters import Origin, write_dead_letters
from tools.dead_letter.finding import UNREADABLE, Found, Held, find
from tools.dead_letter.letters import (
    Entry,
    Letter,
    Part,
    Unreadable,
    read_letter,
    write_letter,
    write_part,
)

LIMIT = 64 * 1024


def held(letters: Iterable[str | bytes]) -> list[Held]:
    """The letters as a queue gives them."""
    return [
        Held(f"id-{number}", NOW, 1, text if isinstance(text, str) else message_text(text))
        for number, text in enumerate(letters)
    ]


def values(content: bytes) -> bytes:
    """A message stands in a letter as JSON: the same value, not the same white space."""
    try:
        return canonical(json.loads(content.decode()))
    except (ValueError, RecursionError):
        return content


Thing = tuple[str, str, str | None, datetime | None, bytes]


def things(found: Iterable[Found]) -> Counter[Thing]:
    """Everything in the letters; the detail of what was cut is the letter's, which is shorter."""
    return Counter(
        (letter.reason, entry.detail[:500], entry.message_id, entry.enqueued, values(entry.content))
        for letter in (one.letter for one in found)
        for entry in letter.entries
    )


origins = st.builds(Origin, st.none() | texts.filter(bool), st.none() | st.just(NOW))
brought = st.lists(st.tuples(st.lists(rejected, max_size=6), origins), min_size=1, max_size=4)
LONG = Rejection(Reason.INVALID, "why", b"\xff" * 65_536)
OTHER = Rejection(Reason.INVALID, "why", b"\xfe" * 65_536)


@given(brought, st.randoms(use_true_random=False))
@example([([LONG, OTHER], Origin("5c1f", NOW))], random.Random(1))
@example([([LONG, LONG], Origin("5c1f", NOW)), ([LONG], Origin())], random.Random(1))
def test_what_was_refused_is_read_back_in_any_order(
    given_: list[tuple[list[Rejection], Origin]], shuffle: random.Random
) -> None:
    letters = held(write_dead_letters(given_, NOW))
    shuffle.shuffle(letters)
    found = list(find(letters))

    assert [one.broken for one in found] == [""] * len(found)
    assert sorted(one.id for letter in found for one in letter.held) == sorted(
        one.id for one in letters
    )
    expected = Counter(
        (
            one.reason.value,
            one.detail[:500],
            origin.message_id and origin.message_id[:100],
            origin.enqueued,
            values(one.content),
        )
        for rejections, origin in given_
        for one in rejections
    )
    assert things(found) == expected


@given(brought)
@example(
    [([Rejection(Reason.INVALID, "\x00" * 3000, b"x" * 900)] * 99, Origin("\uffff" * 100, NOW))]
)
@example([([Rejection(Reason.INVALID, "\x00" * 2000, b"1")] * 9, Origin("\x00" * 3000, NOW))])
@example([([Rejection(Reason.INVALID, "", b"1")] * 3000, Origin("\x00" * 3000, NOW))])
def test_a_letter_has_room_for_a_mark_and_keeps_everything(
    given_: list[tuple[list[Rejection], Origin]],
) -> None:
    later = NOW + timedelta(minutes=1)
    for text in write_dead_letters(given_, NOW):
        letter = read_letter(message_text(text))
        if isinstance(letter, Part):
            marked = write_part(letter, later)
            again = read_letter(marked)
            assert isinstance(again, Part)
            assert (again.piece, again.key) == (letter.piece, letter.key)
            assert again.letter.entries[0].in_doubt == later
        else:
            assert isinstance(letter, Letter)
            marks = [replace(entry, in_doubt=later) for entry in letter.entries[1::2]]
            entries = [*letter.entries[::2], *marks]
            marked = write_letter(letter, entries)
            read = read_letter(marked)
            assert isinstance(read, Letter)
            assert Counter(read.entries) == Counter(entries)
            assert read.envelope.keys() == letter.envelope.keys()
        assert size_in_queue(marked.encode()) <= LIMIT


def letter_of(*entries: dict[str, Any], **members: Any) -> str:
    whole = {"reason": "invalid", "detail": "why", "deadLetteredTime": at(), "refused": entries}
    return json.dumps({**whole, **members})


def read(text: str) -> Letter:
    letter = read_letter(text)
    assert isinstance(letter, Letter)
    return letter


def test_members_that_are_not_known_are_kept() -> None:
    one = {"detail": "a", "body": "x", "seen": [1]}
    text = letter_of(one, {"detail": "b", "body": "y"}, version=2, messageId="5c1f")
    letter = read(text)
    assert json.loads(write_letter(letter, letter.entries[:1])) == {
        **json.loads(text),
        "detail": "a",
        "refused": [one],
    }


def test_a_letter_that_is_written_again_tells_how_many_there_are_now() -> None:
    letter = read(letter_of(*({"detail": name, "body": "x"} for name in "abc")))
    assert json.loads(write_letter(letter, letter.entries[1:]))["detail"] == "b (and 1 more)"


def test_what_is_in_doubt_comes_first_and_the_mark_counts_it() -> None:
    letter = read(letter_of(*({"detail": name, "body": "x"} for name in "abc")))
    first, second, third = letter.entries
    text = write_letter(letter, [first, replace(second, in_doubt=NOW), third])
    assert json.loads(text)["replaying"] == {"time": at(), "first": 1}
    assert [one["detail"] for one in json.loads(text)["refused"]] == ["b", "a", "c"]
    assert [entry.in_doubt for entry in read(text).entries] == [NOW, None, None]
    cleared = [replace(entry, in_doubt=None) for entry in read(text).entries]
    assert "replaying" not in json.loads(write_letter(read(text), cleared))


def test_times_without_an_offset_are_utc() -> None:
    letter = read(letter_of({"detail": "a", "body": "x"}, deadLetteredTime="2026-11-23T07:25:30"))
    assert letter.time == NOW
    letter = read(
        letter_of({"detail": "a", "body": "x"}, deadLetteredTime="2026-11-23T08:25:30+01:00")
    )
    assert (letter.time, letter.time.tzinfo) == (NOW, UTC)


FOREIGN = {
    "text": "hello",
    "empty": "",
    "another JSON": '{"orderId": 7}',
    "array": "[]",
    "number": "7",
    "nothing refused": letter_of(),
    "entry without content": letter_of({"detail": "a"}),
    "entry with two contents": letter_of({"detail": "a", "body": "x", "message": {}}),
    "bad base64": letter_of({"detail": "a", "bodyBase64": "?"}),
    "no time": '{"reason": "invalid", "detail": "x", "refused": []}',
    "part without a piece": '{"reason": "invalid", "detail": "x", "part": 1, "parts": 2,'
    f' "deadLetteredTime": "{at()}"}}',
    "part 3 of 2": '{"reason": "invalid", "detail": "x", "part": 3, "parts": 2,'
    f' "bodyBase64": "", "deadLetteredTime": "{at()}"}}',
    "nested too deeply": "[" * 30_000,
}


@pytest.mark.parametrize("text", FOREIGN.values(), ids=FOREIGN)
def test_what_is_no_dead_letter_is_found_as_such(text: str) -> None:
    assert isinstance(read_letter(text), Unreadable)
    (found,) = find(held([text]))
    assert found.letter.reason == UNREADABLE
    assert found.letter.entries[0].content == text.encode()
    assert found.broken.startswith("no dead letter: ")


@given(texts)
def test_nothing_in_a_queue_stops_the_reading(text: str) -> None:
    (found,) = find(held([text]))
    assert found.letter.entries


def test_missing_parts_are_told_and_none_is_passed_over() -> None:
    letters = held(write_dead_letters([([LONG, OTHER], Origin("5c1f", NOW))], NOW))
    found = {one.held[0].id: one for one in find([letters[0], letters[2], letters[3]])}
    assert found["id-0"].broken == "part 1 of 2; 1 missing"
    assert found["id-2"].broken == ""
    assert [one.id for one in found["id-2"].held] == ["id-2", "id-3"]


def test_a_part_that_was_put_twice_is_left_over() -> None:
    first, second = held(write_dead_letters([([LONG], Origin("5c1f", NOW))], NOW))
    whole, rest = find([first, second, replace(first, id="again")])
    assert {one.id for one in whole.held} == {"id-0", "id-1"}
    assert [one.id for one in rest.held] == ["again"]
    assert rest.broken == "part 1 of 2; 1 missing"


def test_parts_that_make_another_whole_are_not_joined() -> None:
    letters = [json.loads(one) for one in write_dead_letters([([LONG], Origin())], NOW)]
    letters[1]["bodyBase64"] = "AAAA"
    found = list(find(held(map(json.dumps, letters))))
    assert [one.broken for one in found] == [
        "part 1 of 2; they do not make the whole",
        "part 2 of 2; they do not make the whole",
    ]


def test_parts_without_a_digest_are_joined_too() -> None:
    letters = [json.loads(one) for one in write_dead_letters([([LONG], Origin("5c1f"))], NOW)]
    for one in letters:
        del one["bodySha256"]
    (found,) = find(held(map(json.dumps, reversed(letters))))
    assert found.letter.entries[0].content == LONG.content


def test_what_is_missing_parts_does_not_fill_the_memory() -> None:
    letters = [json.loads(one) for one in write_dead_letters([([LONG], Origin())], NOW)]
    many = (
        Held(f"id-{number}", NOW, 1, json.dumps({**letters[0], "bodySha256": str(number)}))
        for number in range(1200)
    )
    found = find(many)
    assert next(found).held[0].id == "id-0"
    assert sum(1 for _ in found) == 1199


def test_an_entry_without_an_origin_has_none() -> None:
    given_ = [([Rejection(Reason.EXPIRED, "late", b"{}")], Origin())]
    (found,) = find(held(write_dead_letters(given_, NOW)))
    assert found.letter.entries == (
        Entry("late", None, None, b"{}", b'{"detail":"late","message":{}}'),
    )
