"""Dead letters: JSON under 64 KiB from which everything that was rejected can be read again."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import json
import random
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.messages.writer import queued_size
from shared.model import PUBLISHED, Origin, Outcome, Reason, Rejection, Status
from shared.pipeline.dead_letters import (
    MAX_CUT_BYTES,
    MAX_ENTRIES_BYTES,
    rejections_of,
    write_dead_letters,
)
from tests.unit.builders import aggregated, parse
from tests.unit.rollups import MINUTE, NOW, rollup_of, series

ORIGIN = Origin("5c1f", NOW - timedelta(minutes=2))


def rejection(content: bytes, detail: str = "why", reason: Reason = Reason.INVALID) -> Rejection:
    return Rejection(reason, detail, content)


def write(*rejections: Rejection, origin: Origin = ORIGIN) -> list[Any]:
    """Write dead letters, each of which fits a queue message; return them decoded."""
    dead_letters = list(write_dead_letters(rejections, origin, NOW))
    assert all(queued_size(dead_letter) <= 65_536 for dead_letter in dead_letters)
    return [json.loads(dead_letter) for dead_letter in dead_letters]


def test_a_dead_letter_says_what_was_rejected_and_why() -> None:
    assert write(rejection(b'{"points": []}', "points: empty")) == [
        {
            "reason": "invalid",
            "detail": "points: empty",
            "messageId": "5c1f",
            "enqueuedTime": "2026-11-23T07:23:30Z",
            "deadLetteredTime": "2026-11-23T07:25:30Z",
            "refused": [{"detail": "points: empty", "message": {"points": []}}],
        }
    ]


def test_a_sample_has_no_message() -> None:
    (dead_letter,) = write(rejection(b"{}"), origin=Origin())
    assert dead_letter.keys() == {"reason", "detail", "deadLetteredTime", "refused"}


def test_there_is_a_dead_letter_for_each_reason() -> None:
    dead_letters = write(
        rejection(b"1", "first"),
        rejection(b"2", "late", Reason.EXPIRED),
        rejection(b"3", "second"),
    )
    assert {
        (dead_letter["reason"], dead_letter["detail"]): [
            one["detail"] for one in dead_letter["refused"]
        ]
        for dead_letter in dead_letters
    } == {
        ("expired", "late"): ["late"],
        ("invalid", "first (and 1 more)"): ["first", "second"],
    }
    assert write() == []


# --- One entry ------------------------------------------------------------------------------------

ENTRIES: dict[str, tuple[bytes, dict[str, Any]]] = {
    "JSON": (b'{\n "points": [\r\n]}', {"message": {"points": []}}),
    "text": (b"oops", {"body": "oops"}),
    "nothing": (b"", {"body": ""}),
    "cut JSON": (b'{"points": [', {"body": '{"points": ['}),
    "NUL": (b"\x00", {"body": "\x00"}),
    "byte order mark": (b"\xef\xbb\xbf{}", {"body": "\ufeff{}"}),
    "not UTF-8": (b"\xff{}", {"bodyBase64": "/3t9"}),
    "half a surrogate pair": (b'"\\ud800"', {"body": '"\\ud800"'}),
    "number out of range": (b'{"value": 1e999}', {"body": '{"value": 1e999}'}),
    "not a number": (b'{"value": NaN}', {"body": '{"value": NaN}'}),
    "nested": (b"[" * 29_000 + b"]" * 29_000, {"body": "[" * 29_000 + "]" * 29_000}),
}


@pytest.mark.parametrize(("content", "members"), ENTRIES.values(), ids=ENTRIES)
def test_a_content_is_as_readable_as_it_can_be(content: bytes, members: dict[str, Any]) -> None:
    (dead_letter,) = write(rejection(content))
    assert dead_letter["refused"] == [{"detail": "why", **members}]


def test_a_dead_letter_can_be_decoded_however_deep_its_message_is() -> None:
    for depth in range(800, 1000):
        content = b"[" * depth + b"]" * depth
        (entry,) = write(rejection(content))[0]["refused"]
        assert "message" in entry or entry["body"].encode() == content


def test_a_message_is_embedded_as_it_was_written() -> None:
    content = b'{"b": 1.0, "a": 1e2, "c": "\\u00e9"}'
    (dead_letter,) = write_dead_letters([rejection(content)], ORIGIN, NOW)
    assert content in dead_letter


LONG_JSON = b'"' + b"x" * 70_000 + b'"'
# Base64 of random bytes: text that gzip cannot make short enough.
RANDOM = base64.b64encode(random.Random(0).randbytes(60_000))


def cut(content: bytes) -> dict[str, Any]:
    return {
        "bodyBase64": base64.b64encode(content[:MAX_CUT_BYTES]).decode(),
        "bodyBytes": len(content),
        "bodySha256": hashlib.sha256(content).hexdigest(),
    }


def compressed(content: bytes) -> dict[str, Any]:
    return {"bodyGzipBase64": base64.b64encode(gzip.compress(content, mtime=0)).decode()}


LONG: dict[str, tuple[bytes, dict[str, Any]]] = {
    "JSON": (LONG_JSON, compressed(LONG_JSON)),
    "JSON that gzip leaves too long": (b'"' + RANDOM + b'"', cut(b'"' + RANDOM + b'"')),
    "text": (b"x" * 70_000, compressed(b"x" * 70_000)),
    "bytes": (b"\xff" * 50_000, compressed(b"\xff" * 50_000)),
    "text that gzip leaves too long": (RANDOM, cut(RANDOM)),
}


@pytest.mark.parametrize(("content", "members"), LONG.values(), ids=LONG)
def test_a_content_that_does_not_fit_is_compressed_or_cut(
    content: bytes, members: dict[str, Any]
) -> None:
    dead_letters = write(rejection(content), rejection(b"{}"))
    assert [entry for dead_letter in dead_letters for entry in dead_letter["refused"]] == [
        {"detail": "why", **members},
        {"detail": "why", "message": {}},
    ]


@pytest.mark.parametrize(("extra", "fits"), [(-1, True), (0, False)], ids=["N", "N + 1"])
def test_a_content_fits_up_to_a_limit(extra: int, fits: bool) -> None:
    available = MAX_ENTRIES_BYTES - len('{"detail":"why","body":""}')
    (entry,) = write(rejection(b"x" * (available + extra)))[0]["refused"]
    assert ("body" in entry) is fits


def test_details_and_message_ids_have_a_limit() -> None:
    (dead_letter,) = write(rejection(b"{}", "x" * 3000), origin=Origin("i" * 60_000))
    assert dead_letter["detail"] == "x" * 500
    assert dead_letter["refused"][0]["detail"] == "x" * 2000
    assert dead_letter["messageId"] == "i" * 100


# --- Several entries ------------------------------------------------------------------------------


def test_entries_that_do_not_fit_become_several_dead_letters() -> None:
    many = [rejection(json.dumps({"n": n, "x": "y" * 1000}).encode()) for n in range(200)]
    dead_letters = write(*many)
    assert len(dead_letters) == 4
    entries = [entry for dead_letter in dead_letters for entry in dead_letter["refused"]]
    assert [entry["message"]["n"] for entry in entries] == list(range(200))


_TEXTS = st.text(st.characters(codec="utf-8") | st.sampled_from('\x00"\\\ufffe\uffff\U0001f600'))
_LENGTHS = st.integers(0, 70_000)
_CONTENTS = st.one_of(
    st.binary(),
    _TEXTS.map(str.encode),
    st.dictionaries(_TEXTS, _TEXTS).map(lambda one: json.dumps(one).encode()),
    st.builds(lambda unit, size: unit * (size // len(unit)), st.binary(min_size=1), _LENGTHS),
    st.builds(lambda unit, size: json.dumps([unit] * (size // 9)).encode(), _TEXTS, _LENGTHS),
)
_DETAILS = st.builds(lambda text, count: text * count, _TEXTS, st.integers(0, 3000))
_REJECTIONS = st.builds(rejection, _CONTENTS, _DETAILS, st.sampled_from(Reason))


def identify(content: bytes) -> bytes:
    """Return JSON without its white space, and the hash of what is long."""
    with contextlib.suppress(ValueError, RecursionError):
        content = json.dumps(json.loads(content), sort_keys=True).encode()
    return content if len(content) < 1000 else hashlib.sha256(content).digest()


def read(entry: dict[str, Any]) -> bytes:
    """Return the content of an entry, as the documentation says."""
    match entry:
        case {"message": message}:
            return json.dumps(message).encode()
        case {"body": str(body)}:
            return body.encode()
        case {"bodyGzipBase64": str(body)}:
            return gzip.decompress(base64.b64decode(body))
        case {"bodySha256": str(digest), "bodyBytes": int(size), "bodyBase64": str(body)}:
            assert len(base64.b64decode(body)) == min(size, MAX_CUT_BYTES)
            return bytes.fromhex(digest)
    return base64.b64decode(entry["bodyBase64"])


@given(st.lists(_REJECTIONS, max_size=8), st.text(), st.none() | st.just(NOW))
@example([rejection(b"\x00" * 65_536, "\x00" * 3000)], "\x00" * 3000, NOW)
@example([rejection(b"\xff" * 65_536, "\U0001f600" * 3000)], "\uffff" * 3000, NOW)
@example([rejection(b"\xef\xbf\xbf" * 9_000, "\uffff" * 3000)] * 9, "\uffff" * 3000, NOW)
@example([rejection(b"x", "\x00" * 2000), *[rejection(b"x" * 900)] * 99], "\uffff" * 300, NOW)
def test_everything_can_be_read_again(
    rejections: list[Rejection], message_id: str, enqueued: Any
) -> None:
    dead_letters = write(*rejections, origin=Origin(message_id, enqueued))
    expected = Counter[tuple[str, bytes]]()
    found = Counter[tuple[str, bytes]]()
    for dead_letter in dead_letters:
        for entry in dead_letter["refused"]:
            is_cut = "bodySha256" in entry
            found[dead_letter["reason"], read(entry) if is_cut else identify(read(entry))] += 1
    for one in rejections:
        # A content that was cut is known by its hash.
        whole = str(one.reason), identify(one.content)
        digest = str(one.reason), hashlib.sha256(one.content).digest()
        expected[digest if expected[digest] < found[digest] else whole] += 1
    assert found == expected


# --- Rejected roll-ups ----------------------------------------------------------------------------

REJECTED = Outcome(Status.REJECTED, "400 no", Reason.REJECTED_BY_AZURE)


def test_a_rejected_rollup_becomes_messages_with_its_value_sets() -> None:
    rollup = rollup_of(a=[1.0, 2.0], b=3.0)
    kept = [(rollup_of(c=1.0), PUBLISHED), (rollup_of(d=1.0), Outcome(Status.DEFERRED, "503"))]
    (found,) = rejections_of([(rollup, REJECTED), *kept])
    assert (found.reason, found.detail, found.points) == (Reason.REJECTED_BY_AZURE, "400 no", 3)
    assert aggregated(parse(found.content).rollups) == aggregated([rollup])


def test_the_points_of_a_long_rollup_are_counted_once() -> None:
    rollup = rollup_of()
    rollup.minutes[MINUTE] = {series("m", Queue=f"{n:0200}"): [1.0] for n in range(1000)}
    found = list(rejections_of([(rollup, REJECTED)]))
    assert len(found) > 1
    assert sum(one.points for one in found) == 1000
