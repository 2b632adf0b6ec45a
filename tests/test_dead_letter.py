"""Dead letters: valid JSON under 64 KiB from which every refused thing can be had again."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from typing import Any

import pytest
from builders import NOW, at, message, point, read
from hypothesis import example, given
from hypothesis import strategies as st

from shared.messages.packing import size_in_queue
from shared.model import Reason, Rejection, Status, Verdict
from shared.pipeline.dead_letters import Origin, rejections_of, write_dead_letters

ORIGIN = Origin("5c1f", NOW)
LIMIT = 64 * 1024


def write(*rejections: Rejection, origin: Origin = ORIGIN) -> list[bytes]:
    """The letters, each as small as a queue wants it."""
    letters = list(write_dead_letters([(rejections, origin)], NOW))
    assert all(size_in_queue(letter) <= LIMIT for letter in letters)
    return letters


def refused(content: bytes, detail: str = "why", reason: Reason = Reason.INVALID) -> Rejection:
    return Rejection(reason, detail, content)


def contents(letters: list[bytes]) -> Counter[tuple[str, bytes]]:
    """Reason and content of everything in the letters, read as their documentation says."""
    found: Counter[tuple[str, bytes]] = Counter()
    parts: list[bytes] = []
    for letter in letters:
        text = letter.decode()
        read_letter = json.loads(text)
        for one in read_letter.get("refused", []):
            found[read_letter["reason"], content(one)] += 1
        if "part" in read_letter:
            parts.append(base64.b64decode(read_letter["bodyBase64"]))
            assert read_letter["part"] == len(parts)
            if read_letter["part"] == read_letter["parts"]:
                found[read_letter["reason"], b"".join(parts)] += 1
                parts = []
    assert parts == []
    return found


def content(entry: dict[str, Any]) -> bytes:
    assert len(entry.keys() & {"message", "body", "bodyBase64"}) == 1
    if "message" in entry:
        return canonical(entry["message"])
    if "body" in entry:
        body: str = entry["body"]
        return body.encode()
    return base64.b64decode(entry["bodyBase64"])


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def test_nothing_is_no_letter() -> None:
    assert write() == []


def test_a_letter_says_what_was_refused_why_and_where_it_came_from() -> None:
    bad = message({"metric": "m", "value": "x"})
    (rejection,) = read(bad).rejections
    (letter,) = write(rejection)
    detail = "points[0].value: found text, expected a number"
    assert json.loads(letter) == {
        "reason": "invalid",
        "detail": detail,
        "messageId": "5c1f",
        "enqueuedTime": at(),
        "deadLetteredTime": at(),
        "refused": [{"detail": detail, "message": bad}],
    }


def test_a_sample_has_no_message_that_it_came_with() -> None:
    (letter,) = write(refused(b"{}"), origin=Origin())
    assert json.loads(letter).keys() == {"reason", "detail", "deadLetteredTime", "refused"}


ENTRIES = {
    "message": (b'{"points": []}', {"message": {"points": []}}),
    "text": (b"oops", {"body": "oops"}),
    "nothing": (b"", {"body": ""}),
    "cut off": (b'{"points": [', {"body": '{"points": ['}),
    "NUL": (b"\x00", {"body": "\x00"}),
    "byte order mark": (b"\xef\xbb\xbf{}", {"body": "\ufeff{}"}),
    "not UTF-8": (b"\xff{}", {"bodyBase64": "/3t9"}),
    "half a character": (b'"\\ud800"', {"body": '"\\ud800"'}),
    "number that no double holds": (b'{"value": 1e999}', {"body": '{"value": 1e999}'}),
    "NaN": (b'{"value": NaN}', {"body": '{"value": NaN}'}),
    "nested too deeply": (b"[" * 29_000 + b"]" * 29_000, {"body": "[" * 29_000 + "]" * 29_000}),
    "pretty": (b'{\n  "points": [\r\n]}', {"message": {"points": []}}),
}


@pytest.mark.parametrize(("given_content", "entry"), ENTRIES.values(), ids=ENTRIES)
def test_what_is_json_stays_json(given_content: bytes, entry: dict[str, Any]) -> None:
    (letter,) = write(refused(given_content))
    assert json.loads(letter)["refused"] == [{"detail": "why", **entry}]


def test_a_letter_can_be_read_however_deep_a_message_nests() -> None:
    for depth in range(800, 1000):
        body = b"[" * depth + b"]" * depth
        (letter,) = write(refused(body))
        (entry,) = json.loads(letter)["refused"]
        assert "message" in entry or entry["body"].encode() == body


def test_a_message_stands_in_its_letter_as_it_was_written() -> None:
    body = b'{"b": 1.0, "a": 1e2, "b": "\\u00e9"}'
    (letter,) = write(refused(body))
    assert body in letter


def test_reasons_do_not_share_a_letter() -> None:
    letters = write(
        refused(b"1", "first"),
        refused(b"2", "late", Reason.EXPIRED),
        refused(b"3", "second"),
        refused(b"4", "no", Reason.REJECTED_BY_AZURE),
    )
    assert {
        json.loads(letter)["reason"]: [one["detail"] for one in json.loads(letter)["refused"]]
        for letter in letters
    } == {"expired": ["late"], "invalid": ["first", "second"], "rejected_by_azure": ["no"]}


def test_a_letter_tells_of_the_first_and_counts_the_rest() -> None:
    (letter,) = write(refused(b"1", "first"), refused(b"2", "second"), refused(b"3", "third"))
    assert json.loads(letter)["detail"] == "first (and 2 more)"


def test_what_does_not_fit_one_letter_becomes_several() -> None:
    many = [refused(json.dumps({"n": n, "x": "y" * 1000}).encode()) for n in range(200)]
    letters = write(*many)
    assert len(letters) == 4
    entries = [one for letter in letters for one in json.loads(letter)["refused"]]
    assert [one["message"]["n"] for one in entries] == list(range(200))


def test_what_does_not_fit_by_itself_is_cut_and_can_be_joined() -> None:
    body = b'{"x": "' + b"y" * 65_500 + b'"}'
    letters = [json.loads(letter) for letter in write(refused(body), refused(b"{}"))]
    assert [(one.get("part"), one.get("parts")) for one in letters] == [
        (1, 2),
        (2, 2),
        (None, None),
    ]
    pieces = [base64.b64decode(one["bodyBase64"]) for one in letters[:2]]
    assert pieces == [body[:40_000], body[40_000:]]
    assert letters[0] == {
        "reason": "invalid",
        "detail": "why",
        "messageId": "5c1f",
        "enqueuedTime": at(),
        "deadLetteredTime": at(),
        "part": 1,
        "parts": 2,
        "bodyBase64": base64.b64encode(body[:40_000]).decode(),
        "bodySha256": hashlib.sha256(body).hexdigest(),
    }


def test_what_fits_by_itself_is_not_cut() -> None:
    room = 60_000 - len('{"detail":"why","body":""}')
    (letter,) = write(refused(b"x" * room))
    assert json.loads(letter)["refused"] == [{"detail": "why", "body": "x" * room}]
    assert [json.loads(part)["part"] for part in write(refused(b"x" * (room + 1)))] == [1, 2]


def test_a_detail_is_cut_where_it_only_repeats_what_it_found() -> None:
    (letter,) = write(refused(b"{}", "x" * 3000))
    assert json.loads(letter)["detail"] == "x" * 500
    assert json.loads(letter)["refused"][0]["detail"] == "x" * 2000


def test_a_message_id_that_a_body_made_up_makes_no_letter_too_long() -> None:
    (letter,) = write(refused(b"x" * 50_000), origin=Origin("i" * 60_000, NOW))
    assert json.loads(letter)["messageId"] == "i" * 100


def test_a_rejected_verdict_holds_its_points_as_messages() -> None:
    members = [point(1.0), point(2.0)]
    verdict = Verdict(Status.REJECTED, members, "400 BadRequest", Reason.REJECTED_BY_AZURE)
    (rejection,) = rejections_of(verdict)
    assert (rejection.reason, rejection.detail) == (Reason.REJECTED_BY_AZURE, "400 BadRequest")
    assert read(rejection.content).points == members


longs = st.integers(0, 70_000)
texts = st.text(st.characters(codec="utf-8") | st.sampled_from('\x00"\\\ufffe\uffff\U0001f600'))
shapes = st.recursive(
    st.none() | st.integers(-(10**20), 10**20) | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=8,
)
pieces = st.one_of(
    st.binary(),
    texts.map(str.encode),
    shapes.map(canonical),
    st.builds(lambda unit, size: unit * (size // len(unit)), st.binary(min_size=1), longs),
    st.builds(
        lambda unit, size: canonical({"x": unit * (size // len(canonical(unit)))}), texts, longs
    ),
)
details = texts | st.builds(lambda unit, size: unit * size, texts, st.integers(0, 3000))
rejected = st.builds(Rejection, st.sampled_from(Reason), details, pieces)


@given(st.lists(rejected, max_size=12), st.text(), st.none() | st.just(NOW))
@example([refused(b"\x00" * 65_536, "\x00" * 3000)], "\x00" * 3000, NOW)
@example([refused(b"\xff" * 65_536, "\U0001f600" * 3000)], "\uffff" * 3000, NOW)
@example([refused(b"\xef\xbf\xbf" * 9_000, "\uffff" * 3000)] * 9, "\uffff" * 3000, NOW)
@example([refused(b'"' + b"x" * 57_900 + b'"', "\x00" * 2000)] * 3, "\x00", NOW)
@example([refused(b"x", "\x00" * 2000), *[refused(b"x" * 900)] * 99], "\uffff" * 3000, NOW)
@example([refused(b"x" * 5_000, "\x00" * 2000)] * 9, "\x00", NOW)
def test_everything_refused_can_be_had_again(
    rejections: list[Rejection], message_id: str, enqueued: Any
) -> None:
    letters = write(*rejections, origin=Origin(message_id, enqueued))
    expected: Counter[tuple[str, bytes]] = Counter()
    for one in rejections:
        expected[one.reason.value, one.content] += 1
    found = contents(letters)
    # A message stands in a letter as JSON: the same value, not the same white space.
    assert normal(found) == normal(expected)


def normal(found: Counter[tuple[str, bytes]]) -> Counter[tuple[str, bytes]]:
    result: Counter[tuple[str, bytes]] = Counter()
    for (reason, one), count in found.items():
        try:
            result[reason, canonical(json.loads(one.decode()))] += count
        except (ValueError, RecursionError):
            result[reason, one] += count
    return result


def test_what_several_messages_bring_shares_a_letter_and_keeps_its_origin() -> None:
    other = Origin("6d20", NOW)
    bad = Rejection(Reason.INVALID, "no", b"oops")
    old = Rejection(Reason.EXPIRED, "late", b"{}")
    given = [([bad, old], ORIGIN), ([bad], other), ([bad], Origin())]
    expired, invalid = map(json.loads, write_dead_letters(given, NOW))
    for letter in (expired, invalid):
        assert letter["deadLetteredTime"] == "2026-11-23T07:25:30Z"
        assert "messageId" not in letter
        assert "enqueuedTime" not in letter
    assert [one.get("messageId") for one in expired["refused"]] == [ORIGIN.message_id]
    assert [one.get("messageId") for one in invalid["refused"]] == [
        ORIGIN.message_id,
        "6d20",
        None,
    ]
    assert invalid["refused"][1]["enqueuedTime"] == "2026-11-23T07:25:30Z"
    assert invalid["detail"] == "no (and 2 more)"
