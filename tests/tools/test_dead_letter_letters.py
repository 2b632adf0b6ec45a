"""The tools read whatever shared.pipeline.dead_letters writes, and what they write themselves."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.clients.storage import message_text
from shared.messages.writer import queued_size
from shared.model import Origin, Reason, Rejection
from shared.pipeline.dead_letters import write_dead_letters
from shared.text import utc_text
from tests.unit.rollups import NOW
from tools.dead_letter.finding import UNREADABLE, Found, Held, find
from tools.dead_letter.letters import (
    Entry,
    Letter,
    Unreadable,
    entry_of,
    read_letter,
    write_letter,
)
from tools.dead_letter.showing import as_line

LIMIT = 64 * 1024
TIME = utc_text(NOW)


def held(letters: Iterable[str | bytes]) -> list[Held]:
    """The letters as a queue gives them."""
    return [
        Held(f"id-{number}", NOW, 1, text if isinstance(text, str) else message_text(text))
        for number, text in enumerate(letters)
    ]


def canonical(content: bytes) -> bytes:
    """A message stands in a letter as JSON: the same value, not the same white space."""
    try:
        return json.dumps(json.loads(content.decode()), sort_keys=True).encode()
    except (ValueError, RecursionError):
        return content


texts = st.text(st.characters(codec="utf-8") | st.sampled_from("\x00\ufffe\uffff"), max_size=99)
contents = st.one_of(
    st.binary(max_size=99),
    texts.map(str.encode),
    st.recursive(st.none() | st.integers() | texts, st.lists, max_leaves=9).map(
        lambda value: json.dumps(value, ensure_ascii=False).encode()
    ),
)
rejections = st.builds(Rejection, st.sampled_from(Reason), texts, contents)
origins = st.builds(Origin, st.none() | texts.filter(bool), st.none() | st.just(NOW))
# Letters are too short for these: JSON that is compressed, and what is cut.
LONG_JSON = json.dumps({"points": [{"metric": f"m{number}"} for number in range(3500)]}).encode()
LONG = b"\xff" * 65_536


@given(st.lists(rejections, max_size=9), origins, st.randoms(use_true_random=False))
@example([Rejection(Reason.INVALID, "why", LONG_JSON)] * 2, Origin("5c1f", NOW), random.Random(1))
def test_what_was_refused_is_read_back_in_any_order(
    given_: list[Rejection], origin: Origin, shuffle: random.Random
) -> None:
    letters = held(write_dead_letters(given_, origin, NOW))
    shuffle.shuffle(letters)
    found = list(find(letters))

    assert [one.broken for one in found] == [""] * len(found)
    assert [one.held for one in found] == letters
    message_id = origin.message_id and origin.message_id[:100]
    assert Counter(
        (letter.reason, entry.detail, entry.message_id, entry.enqueued, canonical(entry.content))
        for letter in (one.letter for one in found)
        for entry in letter.entries
    ) == Counter(
        (one.reason.value, one.detail, message_id, origin.enqueued, canonical(one.content))
        for one in given_
    )


@given(st.lists(rejections, max_size=9), origins)
@example([Rejection(Reason.INVALID, "\x00" * 3000, b"x" * 900)] * 99, Origin("\uffff" * 100, NOW))
@example([Rejection(Reason.INVALID, "\x00" * 2000, b"1")] * 9, Origin("\x00" * 3000, NOW))
@example([Rejection(Reason.INVALID, "", b"1")] * 3000, Origin("\x00" * 3000, NOW))
@example([Rejection(Reason.INVALID, "why", LONG)], Origin("\x00" * 3000, NOW))
def test_a_letter_has_room_for_a_mark_and_keeps_everything(
    given_: list[Rejection], origin: Origin
) -> None:
    later = NOW + timedelta(minutes=1)
    for text in write_dead_letters(given_, origin, NOW):
        letter = read_letter(message_text(text))
        assert isinstance(letter, Letter)
        marks = [replace(entry, in_doubt=later) for entry in letter.entries[1::2]]
        entries = [*letter.entries[::2], *marks]
        marked = write_letter(letter, entries)
        read = read_letter(marked)
        assert isinstance(read, Letter)
        assert Counter(read.entries) == Counter(entries)
        assert read.envelope.keys() == letter.envelope.keys()
        assert queued_size(marked.encode()) <= LIMIT


def letter_of(*entries: dict[str, Any], **members: Any) -> str:
    whole = {"reason": "invalid", "detail": "why", "deadLetteredTime": TIME, "refused": entries}
    return json.dumps({**whole, **members})


def read(text: str) -> Letter:
    letter = read_letter(text)
    assert isinstance(letter, Letter)
    return letter


def only(*given_: Rejection) -> Found:
    """What is found of the one letter of these rejections."""
    (found,) = find(held(write_dead_letters(given_, Origin("5c1f", NOW), NOW)))
    return found


def test_json_that_was_compressed_is_read_and_shown() -> None:
    found = only(Rejection(Reason.INVALID, "why", LONG_JSON))
    (entry,) = found.letter.entries
    assert b"bodyGzipBase64" in entry.raw
    assert (entry.content, entry.whole_bytes) == (LONG_JSON, None)
    shown = json.loads(as_line(found, [entry]))
    assert shown["refused"] == [{"detail": "why", "message": json.loads(LONG_JSON)}]


def test_a_part_of_what_was_compressed_is_compressed() -> None:
    (entry,) = only(Rejection(Reason.INVALID, "why", LONG_JSON)).letter.entries
    part = json.dumps({"points": [{"metric": "m" * 70_000}]}).encode()
    letter = read(letter_of(json.loads(entry_of(entry, part).raw)))
    assert letter.entries[0].content == part


def test_what_was_cut_has_its_length_and_hash() -> None:
    found = only(Rejection(Reason.INVALID, "why", LONG))
    (entry,) = found.letter.entries
    assert entry.whole_bytes == len(LONG)
    assert LONG.startswith(entry.content)
    (shown,) = json.loads(as_line(found, [entry]))["refused"]
    assert base64.b64decode(shown.pop("bodyBase64")) == entry.content
    assert shown == {
        "detail": "why",
        "bodyBytes": len(LONG),
        "bodySha256": hashlib.sha256(LONG).hexdigest(),
    }


def test_letters_that_several_messages_share_are_read() -> None:
    """As earlier versions wrote them."""
    one = {"detail": "a", "body": "x", "messageId": "5c1f", "enqueuedTime": TIME}
    letter = read(letter_of(one, {"detail": "b", "body": "y", "messageId": "6d2e"}))
    assert [(entry.message_id, entry.enqueued) for entry in letter.entries] == [
        ("5c1f", NOW),
        ("6d2e", None),
    ]


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
    assert json.loads(text)["replaying"] == {"time": TIME, "first": 1}
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


def gzipped(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content)).decode()


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
    "bad gzip": letter_of({"detail": "a", "bodyGzipBase64": "AAAA"}),
    "half a gzip": letter_of({"detail": "a", "bodyGzipBase64": gzipped(LONG)[:40]}),
    "a bomb": letter_of({"detail": "a", "bodyGzipBase64": gzipped(bytes(2_000_000))}),
    "no time": '{"reason": "invalid", "detail": "x", "refused": []}',
    # A letter that an earlier version cut into parts.
    "a part": '{"reason": "invalid", "detail": "x", "part": 1, "parts": 2, "bodyBase64": "AAAA",'
    f' "deadLetteredTime": "{TIME}"}}',
    "nested too deeply": "[" * 30_000,
}


@pytest.mark.parametrize("text", FOREIGN.values(), ids=FOREIGN)
def test_what_is_not_a_dead_letter_is_found_as_such(text: str) -> None:
    assert isinstance(read_letter(text), Unreadable)
    (found,) = find(held([text]))
    assert found.letter.reason == UNREADABLE
    assert found.letter.entries[0].content == text.encode()
    assert found.broken.startswith("not a dead letter: ")


@given(texts)
def test_nothing_in_a_queue_stops_the_reading(text: str) -> None:
    (found,) = find(held([text]))
    assert found.letter.entries


def test_an_entry_without_an_origin_has_none() -> None:
    given_ = [Rejection(Reason.EXPIRED, "late", b"{}")]
    (found,) = find(held(write_dead_letters(given_, Origin(), NOW)))
    assert found.letter.entries == (
        Entry("late", None, None, b"{}", b'{"detail":"late","message":{}}'),
    )
