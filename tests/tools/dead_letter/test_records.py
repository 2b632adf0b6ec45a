"""The tool reads whatever shared.pipeline.dead_letters writes, and what it exports itself."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.clients.storage import message_text
from shared.errors import RelayError
from shared.model import Origin, Reason, Rejection
from shared.pipeline.dead_letters import write_dead_letters
from shared.text import utc_text
from tests.unit.rollups import NOW
from tools.dead_letter.records import UNREADABLE, DeadLetter, parse, read_file

TIME = utc_text(NOW)
# Too long for a dead letter as it is: JSON that is compressed, and what is cut.
LONG_JSON = json.dumps({"points": [{"metric": f"m{number}"} for number in range(3500)]}).encode()
LONG = random.Random(0).randbytes(65_536)  # Which gzip makes no shorter.


ORIGIN = Origin("5c1f", NOW)


def dead_letters(*rejections: Rejection, origin: Origin = ORIGIN) -> list[DeadLetter]:
    texts = map(message_text, write_dead_letters(rejections, origin, NOW))
    return [parse(f"id-{number}", text, NOW) for number, text in enumerate(texts)]


def parse_text(text: str) -> DeadLetter:
    return parse("7f", text, NOW)


def dead_letter_of(*entries: dict[str, Any], **members: Any) -> str:
    whole = {"reason": "invalid", "detail": "why", "deadLetteredTime": TIME, "refused": entries}
    return json.dumps({**whole, **members})


def canonical(content: bytes) -> bytes:
    """Return JSON without its white space, which a dead letter does not keep."""
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


@given(st.lists(rejections, max_size=9), origins)
@example([Rejection(Reason.INVALID, "why", LONG_JSON)] * 2, Origin("5c1f", NOW))
def test_what_was_rejected_is_read(given_: list[Rejection], origin: Origin) -> None:
    found = dead_letters(*given_, origin=origin)
    message_id = origin.message_id and origin.message_id[:100]
    assert Counter(
        (one.reason, entry.detail, one.message_id, one.enqueued_time, canonical(entry.content))
        for one in found
        for entry in one.refused
    ) == Counter(
        (one.reason.value, one.detail, message_id, origin.enqueued, canonical(one.content))
        for one in given_
    )
    assert {one.problem for one in found} <= {""}


def test_compressed_json_is_shown_decompressed() -> None:
    (one,) = dead_letters(Rejection(Reason.INVALID, "why", LONG_JSON))
    shown = json.loads(one.as_json())
    assert shown["refused"] == [{"detail": "why", "message": json.loads(LONG_JSON)}]
    assert (shown["id"], shown["messageId"]) == ("id-0", "5c1f")


def test_cut_content_cannot_be_replayed_and_is_shown_with_length_and_hash() -> None:
    (one,) = dead_letters(Rejection(Reason.INVALID, "why", LONG))
    assert one.problem == "content too long for a dead letter, so only its beginning was kept"
    (shown,) = json.loads(one.as_json())["refused"]
    assert LONG.startswith(base64.b64decode(shown.pop("bodyBase64")))
    digest = hashlib.sha256(LONG).hexdigest()
    assert shown == {"detail": "why", "bodyBytes": len(LONG), "bodySha256": digest}


def gzipped(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content)).decode()


NOT_DEAD_LETTERS = {
    "text": "hello",
    "empty": "",
    "other JSON": '{"orderId": 7}',
    "array": "[]",
    "nothing rejected": dead_letter_of(),
    "time without offset": dead_letter_of({"detail": "a", "body": "x"}, deadLetteredTime=TIME[:-1]),
    "no content": dead_letter_of({"detail": "a"}),
    "two contents": dead_letter_of({"detail": "a", "body": "x", "message": {}}),
    "bad base64": dead_letter_of({"detail": "a", "bodyBase64": "?"}),
    "bad gzip": dead_letter_of({"detail": "a", "bodyGzipBase64": "AAAA"}),
    "half a gzip": dead_letter_of({"detail": "a", "bodyGzipBase64": gzipped(LONG)[:40]}),
    "too much": dead_letter_of({"detail": "a", "bodyGzipBase64": gzipped(bytes(2_000_000))}),
    "nested too deeply": "[" * 30_000,
}


@pytest.mark.parametrize("text", NOT_DEAD_LETTERS.values(), ids=NOT_DEAD_LETTERS)
def test_a_message_that_is_not_a_dead_letter_is_unreadable(text: str) -> None:
    one = parse_text(text)
    assert (one.reason, one.problem, one.dead_lettered_time) == (
        UNREADABLE,
        "unreadable",
        NOW,
    )
    assert one.detail
    assert json.loads(one.as_json())["refused"] == [{"detail": one.detail, "body": text}]


@pytest.mark.parametrize(
    "content", [b"text", b'{"value": 1e999}', b"\xff", b"{}", b"1], [2", b"[" * 30_000]
)
def test_a_compressed_content_is_read_as_it_was(content: bytes) -> None:
    one = parse_text(dead_letter_of({"detail": "a", "bodyGzipBase64": gzipped(content)}))
    assert [entry.content for entry in one.refused] == [content]
    assert "bodyGzipBase64" not in json.loads(one.as_json())["refused"][0]


@given(texts)
def test_no_text_raises(text: str) -> None:
    assert parse_text(text).reason == UNREADABLE


EXPORTED = [
    *dead_letters(
        Rejection(Reason.INVALID, "why", LONG_JSON),
        Rejection(Reason.EXPIRED, "late", b'{"points":\r\n[]}'),
        Rejection(Reason.TOO_LARGE, "cut", LONG),
    ),
    parse_text("hello"),
]


@pytest.mark.parametrize("form", ["[%s]", "%s", "%s\n"])
def test_a_file_is_read_as_it_was_exported(tmp_path: Path, form: str) -> None:
    file = tmp_path / "file"
    separator = "," if form.startswith("[") else "\n"
    file.write_text(form % separator.join(one.as_json().decode() for one in EXPORTED))
    found = read_file(file)
    assert [one.as_json() for one in found] == [one.as_json() for one in EXPORTED]
    assert [one.problem for one in found] == [one.problem for one in EXPORTED]


WRONG_FILES = {
    "no JSON": ("[{]", "JSON is malformed"),
    "no dead letter": ("[7]", "Expected `object`, got `int` - at `$[0]`"),
    "a member is missing": (
        '{"reason": "invalid"}',
        "Object missing required field `detail`",
    ),
    "the second": (
        f"{dead_letter_of({'detail': 'a', 'body': 'x'})}\n{dead_letter_of({'detail': 'a'})}",
        "expected one of message, body, bodyBase64, bodyGzipBase64 - at `$[1].refused[0]`",
    ),
}


@pytest.mark.parametrize(("text", "error"), WRONG_FILES.values(), ids=WRONG_FILES)
def test_a_file_with_an_error_is_refused(tmp_path: Path, text: str, error: str) -> None:
    file = tmp_path / "file"
    file.write_text(text)
    with pytest.raises(RelayError) as caught:
        read_file(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert error in str(caught.value)
