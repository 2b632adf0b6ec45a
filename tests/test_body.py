"""Bodies: text or base64, one document, an array of them, or one per line."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from builders import RESOURCE, as_base64, message, read

from shared.messages.body import MAX_BODY_BYTES, documents, json_text
from shared.messages.refusal import RefusedError
from shared.model import Reason

BOM = b"\xef\xbb\xbf"
NEITHER = "is neither JSON, which starts with { or [, nor base64 of it"


def one(name: str, value: Any = 1) -> dict[str, Any]:
    """A message of one point."""
    return message({"metric": name, "value": value})


A, B, C = one("a"), one("b"), one("c")
BAD = one("bad", "text")
ONE = json.dumps(A).encode()
THREE = b"\n".join(json.dumps(each).encode() for each in (A, B, C))

FORMS = {
    "alone": (ONE, "a"),
    "array": (json.dumps([A, B, C]), "abc"),
    "array of one": (json.dumps([A]), "a"),
    "one per line": (THREE, "abc"),
    "lines that end": (THREE + b"\n", "abc"),
    "lines of Windows": (THREE.replace(b"\n", b"\r\n"), "abc"),
    "lines with empty ones": (THREE.replace(b"\n", b"\n\n \n"), "abc"),
    "lines after white space": (b"\n\n  " + THREE, "abc"),
    "pretty": (json.dumps(A, indent=4), "a"),
    "pretty with the brace alone": (json.dumps(A, indent=4).replace("{\n", "{\n\n"), "a"),
    "pretty array": (json.dumps([A, B], indent="\t"), "ab"),
    "white space around": (b" \r\n\t" + ONE + b" \n", "a"),
    "byte order mark": (BOM + ONE, "a"),
    "byte order mark and lines": (BOM + THREE, "abc"),
    "base64": (as_base64(ONE), "a"),
    "base64 of an array": (as_base64(json.dumps([A, B]).encode()), "ab"),
    "base64 of lines": (as_base64(THREE), "abc"),
    "base64 of a byte order mark": (as_base64(BOM + ONE), "a"),
    "base64 in lines": (base64.encodebytes(ONE), "a"),
    "base64 of pretty JSON": (as_base64(json.dumps(A, indent=2).encode()), "a"),
    "base64 after a byte order mark": (BOM + as_base64(ONE), "a"),
}


@pytest.mark.parametrize(("body", "expected"), FORMS.values(), ids=FORMS)
def test_a_body_may_have_any_of_its_forms(body: Any, expected: str) -> None:
    parsed = read(body)
    assert parsed.rejections == []
    assert "".join(point.metric for point in parsed.points) == expected


REFUSED = {
    "empty": (b"", "body: empty"),
    "white space": (b" \r\n\t", "body: empty"),
    "byte order mark alone": (BOM, "body: empty"),
    "text": (b"hello, world", f"body: 'hello, world' {NEITHER}"),
    "text that could be base64": (b"helloall", f"body: 'helloall' {NEITHER}"),
    "null": (b"null", f"body: 'null' {NEITHER}"),
    "number": (b"42", f"body: '42' {NEITHER}"),
    "JSON text": (b'"points"', f"body: '\"points\"' {NEITHER}"),
    "text beyond ASCII": ("µ".encode(), rf"body: '\xb5' {NEITHER}"),
    "long text": (b"-" * 41, f"body: '{'-' * 40}'… {NEITHER}"),
    "XML": (b"<a/>", f"body: '<a/>' {NEITHER}"),
    "NUL": (b"\x00", rf"body: '\x00' {NEITHER}"),
    "not UTF-8": (b'{"points": "\xff"}', "body: not UTF-8: byte 0xff at offset 12"),
    "UTF-16": (ONE.decode().encode("utf-16"), "body: not UTF-8: byte 0xff at offset 0"),
    "base64 of rubbish": (as_base64(b"\xff\xfe\xfd"), f"body: '//79' {NEITHER}"),
    "base64 of text": (
        as_base64(b"hello"),
        "body, base64 decoded: 'hello' is not JSON, which starts with { or [",
    ),
    "base64 of long text": (
        as_base64(b"-" * 41),
        f"body, base64 decoded: '{'-' * 40}'… is not JSON, which starts with {{ or [",
    ),
    "base64 of white space": (
        as_base64(b"   "),
        "body, base64 decoded: '' is not JSON, which starts with { or [",
    ),
    "base64 twice": (
        as_base64(as_base64(b"{}")),
        "body, base64 decoded: 'e30=' is not JSON, which starts with { or [",
    ),
    "base64 cut off": (as_base64(b"{}!!")[:-1], f"body: 'e30hIQ=' {NEITHER}"),
    "a brace alone": (b"{", "not JSON: Input data was truncated"),
    "a bracket alone": (b"[", "body: not JSON: Input data was truncated"),
    "cut off": (ONE[:-1], "not JSON: Input data was truncated"),
    "more after it": (
        ONE + b"}",
        f"not JSON: JSON is malformed: trailing characters (byte {len(ONE) + 1})",
    ),
    "single quotes": (
        b"{'points': []}",
        "not JSON: JSON is malformed: object keys must be strings (byte 1)",
    ),
    "an array with nothing in it": (b"[]", "body: an array with nothing in it"),
    "an array of a number": (b"[1]", "[0]: found 1, expected an object"),
    "an array of an array": (b"[[]]", "[0]: found an array, expected an object"),
    "an array of a text": (b'["data"]', "[0]: found text, expected an object"),
    "an array of an empty message": (b"[{}]", "[0]: member points is missing"),
    "an array that is no JSON": (
        b"[1,]",
        "body: not JSON: JSON is malformed: trailing comma in array (byte 3)",
    ),
    "nested too deeply": (b"[" * 30_000 + b"]" * 30_000, "body: nested too deeply"),
    "a member nested too deeply": (
        b'{"points": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        "nested too deeply",
    ),
    "half a character": (b'{"points": "\\ud800"}', "not JSON: Input data was truncated"),
}


@pytest.mark.parametrize(("body", "text"), REFUSED.values(), ids=REFUSED)
def test_a_body_is_refused_as_it_came(body: bytes, text: str) -> None:
    parsed = read(body)
    assert parsed.points == []
    (rejection,) = parsed.rejections
    assert (rejection.reason, rejection.detail) == (Reason.INVALID, text)
    # Of an array, its document.
    assert rejection.content in (body, body[1:-1])


def test_a_body_has_64_kib_at_most() -> None:
    longest = ONE + b" " * (MAX_BODY_BYTES - len(ONE))
    assert len(read(longest).points) == 1
    (rejection,) = read(longest + b" ").rejections
    assert rejection.detail == "body: 65537 bytes, at most 65536"
    assert rejection.content == longest + b" "


BESIDE = {
    "bad member of an array": (json.dumps([A, BAD, C]), "[1].points[0].value"),
    "number in an array": (json.dumps([A, 5, C]), "[1]"),
    "bad line": ("\n".join(map(json.dumps, [A, BAD, C])), "line 2: points[0].value"),
    "bad first line": ("\n".join(map(json.dumps, [BAD, A, C])), "line 1: points[0].value"),
    "line that is no JSON": ("\n".join([json.dumps(A), "oops", json.dumps(C)]), "line 2"),
    "first line that is no JSON": (
        "\n".join(['{"points": [', json.dumps(A), json.dumps(C)]),
        "line 1",
    ),
    "indented lines after one that is no JSON": (
        "\n".join(['{"points": [', f"  {json.dumps(A)}", f"\t{json.dumps(C)}"]),
        "line 1",
    ),
    "last line that is no JSON": ("\n".join([json.dumps(A), json.dumps(C), "oops"]), "line 3"),
    "line with a number that is none": (
        "\n".join(map(json.dumps, [A, C, one("bad", float("nan"))])),
        "line 3: points[0].value",
    ),
}


@pytest.mark.parametrize(("body", "where"), BESIDE.values(), ids=BESIDE)
def test_the_good_documents_beside_a_bad_one_survive(body: str, where: str) -> None:
    parsed = read(body)
    assert [point.metric for point in parsed.points] == ["a", "c"]
    (rejection,) = parsed.rejections
    assert rejection.detail.startswith(f"{where}: ")


def test_each_document_knows_where_it_stands() -> None:
    assert [where for where, _ in documents(json_text(json.dumps([A, B]).encode()))] == [
        "[0]",
        "[1]",
    ]
    assert [where for where, _ in documents(json_text(b"{}\n\n{}"))] == ["line 1:", "line 3:"]
    assert list(documents(json_text(b" {} "))) == [("", b"{}")]


NOT_FINITE = {
    "value": (b'{"a": NaN, "b": -Infinity}', b'{"a": 1e999, "b": 1e999}'),
    "text": (b'{"a": "NaN", "b": NaN}', b'{"a": "NaN", "b": 1e999}'),
    "after a quote in text": (b'{"a": "\\"NaN", "b": NaN}', b'{"a": "\\"NaN", "b": 1e999}'),
    "after a broken line in text": (
        b'{"a": "\\\nNaN", "b": NaN}',
        b'{"a": "\\\nNaN", "b": 1e999}',
    ),
    "text that does not end": (b'{"b": NaN, "a": "NaN', b'{"b": 1e999, "a": "NaN'),
}


@pytest.mark.parametrize(("body", "expected"), NOT_FINITE.values(), ids=NOT_FINITE)
def test_text_is_left_as_it_is_beside_what_is_not_finite(body: bytes, expected: bytes) -> None:
    assert list(documents(json_text(body))) == [("", expected)]


def test_pretty_json_that_is_wrong_is_refused_once() -> None:
    text = json.dumps([A, B], indent=2).replace(RESOURCE, '"', 1)
    assert len(read(text).rejections) == 1
    assert len(read(json.dumps(A, indent=2)[:-1]).rejections) == 1


def test_no_telling_what_it_is_raises() -> None:
    with pytest.raises(RefusedError, match=r"^body: empty$"):
        list(documents(json_text(b"")))


def test_who_reads_more_than_a_message_says_how_much() -> None:
    body = ONE + b" " * (MAX_BODY_BYTES + 1 - len(ONE))
    assert list(documents(json_text(body, MAX_BODY_BYTES + 1))) == [("", ONE)]
    with pytest.raises(RefusedError, match=r"^body: 65537 bytes, at most 65536$"):
        json_text(body)
