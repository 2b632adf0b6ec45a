from __future__ import annotations

import base64
import gzip
import json
import math
from typing import Any

import pytest

from shared.errors import ValidationError
from shared.messages.body import (
    MAX_BODY_BYTES,
    MAX_INVALID_PARTS,
    check_parts,
    decode_body,
    split_documents,
)
from tests.unit.builders import message, point

BOM = b"\xef\xbb\xbf"
NEITHER = "is neither JSON, which starts with { or [, nor base64 of it"

A, B = message(point(metric="a")), message(point(metric="b"))
ONE = json.dumps(A).encode()
ARRAY = json.dumps([A, B]).encode()
LINES = json.dumps(A).encode() + b"\n" + json.dumps(B).encode()


def split(body: bytes) -> list[tuple[str, Any]]:
    """Return the location and the content of each document; what is not JSON stays text."""
    return [(where, _content(raw)) for where, raw in split_documents(decode_body(body))]


def _content(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode(errors="surrogateescape")


ALONE, IN_ARRAY = [("", A)], [("[0]", A), ("[1]", B)]
IN_LINES = [("line 1:", A), ("line 2:", B)]
FORMS = {
    "one document": (ONE, ALONE),
    "array": (ARRAY, IN_ARRAY),
    "array of one": (json.dumps([A]).encode(), IN_ARRAY[:1]),
    "one per line": (LINES, IN_LINES),
    "lines with an end each": (LINES + b"\n", IN_LINES),
    "lines of Windows": (LINES.replace(b"\n", b"\r\n"), IN_LINES),
    "empty lines": (LINES.replace(b"\n", b"\n \n\n"), [("line 1:", A), ("line 4:", B)]),
    "pretty": (json.dumps(A, indent=4).encode(), ALONE),
    "pretty with an empty line": (json.dumps(A, indent=1).replace("{\n", "{\n\n").encode(), ALONE),
    "pretty array": (json.dumps([A, B], indent="\t").encode(), IN_ARRAY),
    "white space around": (b" \r\n\t" + ONE + b" \n", ALONE),
    "byte order mark": (BOM + LINES, IN_LINES),
    "base64": (base64.b64encode(ONE), ALONE),
    "base64 of an array": (base64.b64encode(ARRAY), IN_ARRAY),
    "base64 of lines": (base64.b64encode(LINES), IN_LINES),
    "base64 of a byte order mark": (base64.b64encode(BOM + ONE), ALONE),
    "base64 in lines": (base64.encodebytes(ONE), ALONE),
    "base64 without padding": (base64.b64encode(ONE + b" ").rstrip(b"="), ALONE),
    "URL-safe base64": (base64.urlsafe_b64encode(b'{"a":"??>>>"}'), [("", {"a": "??>>>"})]),
    "bytes as Python prints them": (str(ONE).encode(), ALONE),
    "base64 as Python prints it": (str(base64.b64encode(ONE)).encode(), ALONE),
    "encoded twice": (json.dumps(ONE.decode()).encode(), ALONE),
    "base64 in a JSON string": (json.dumps(base64.b64encode(LINES).decode()).encode(), IN_LINES),
    "white space before a byte order mark": (b"\r\n" + BOM + b" " + ONE, ALONE),
    "base64 after a byte order mark": (BOM + base64.b64encode(ONE), ALONE),
    # What is not a document stands beside those that are.
    "number in an array": (b"[5, {}]", [("[0]", 5), ("[1]", {})]),
    "line that is not JSON": (
        ONE + b"\noops\n" + ONE,
        [("line 1:", A), ("line 2:", "oops"), ("line 3:", A)],
    ),
    "line that is cut off": (
        b'{"points": [\n' + ONE,
        [("line 1:", '{"points": ['), ("line 2:", A)],
    ),
    "only lines that are cut off": (b'{"a\n{"b', [("", '{"a\n{"b')]),
    "lines without line feeds": (ONE * 2, [("line 1:", A), (f"line 1, column {len(ONE) + 1}:", A)]),
    "pretty, one after another": (
        json.dumps(A, indent=1).encode() + b" " + ONE,
        [("line 1:", A), (f"line {len(json.dumps(A, indent=1).splitlines())}, column 3:", A)],
    ),
    "lines of arrays": (
        ARRAY + b"\n[5]",
        [("line 1: [0]", A), ("line 1: [1]", B), ("line 2: [0]", 5)],
    ),
    "array that is cut off after a document": (
        ONE + b"\n[1,\n" + ONE,
        [("line 1:", A), ("line 2:", "[1,"), ("line 3:", A)],
    ),
    "pretty and cut off": (b'{\n"a": [\n1,', [("", '{\n"a": [\n1,')]),
    "NaN in text after a line that is cut off in text": (
        b'{"a": "\n{"points": "NaN"}\n{"data": NaN}',
        [("line 1:", '{"a": "'), ("line 2:", {"points": "NaN"}), ("line 3:", {"data": math.inf})],
    ),
    "lines that are in a document": (b'{"a": [\n{"b": 1}\n', [("", '{"a": [\n{"b": 1}')]),
    "cut off": (ONE[:-1], [("", ONE[:-1].decode())]),
    "more after it": (ONE + b"}", [("line 1:", A), (f"line 1, column {len(ONE) + 1}:", "}")]),
    "byte that is not UTF-8": (b'{"a": "\xff"}', [("", '{"a": "\udcff"}')]),
}


@pytest.mark.parametrize(("body", "expected"), FORMS.values(), ids=FORMS)
def test_a_body_is_split_into_documents(body: bytes, expected: list[tuple[str, Any]]) -> None:
    assert split(body) == expected


INVALID = {
    "empty": (b"", "body: empty"),
    "white space": (b" \r\n\t", "body: empty"),
    "byte order mark alone": (BOM, "body: empty"),
    "text": (b"hello, world", f"body: 'hello, world' {NEITHER}"),
    "text that could be base64": (b"helloall", f"body: 'helloall' {NEITHER}"),
    "null": (b"null", f"body: 'null' {NEITHER}"),
    "number": (b"42", f"body: '42' {NEITHER}"),
    "JSON string": (b'"points"', f"body: 'points' {NEITHER}"),
    "JSON string that is cut off": (b'"points', f"body: '\"points' {NEITHER}"),
    "text outside ASCII": ("µ".encode(), rf"body: '\xb5' {NEITHER}"),
    "long text": (b"-" * 41, f"body: '{'-' * 40}'… {NEITHER}"),
    "NUL": (b"\x00", rf"body: '\x00' {NEITHER}"),
    "UTF-16": (ONE.decode().encode("utf-16"), "body: UTF-16; send UTF-8"),
    "UTF-16 without a byte order mark": (
        ONE.decode().encode("utf-16-be"),
        "body: UTF-16; send UTF-8",
    ),
    "base64 of UTF-16": (
        base64.b64encode(ONE.decode().encode("utf-16-le")),
        "body: base64 of UTF-16; send UTF-8",
    ),
    "gzip": (gzip.compress(ONE), "body: gzip; send it uncompressed"),
    "base64 of gzip": (
        base64.b64encode(gzip.compress(ONE)),
        "body: base64 of gzip; send it uncompressed",
    ),
    "base64 of other bytes": (base64.b64encode(b"\xff\xfb\xfd"), f"body: '//v9' {NEITHER}"),
    "base64 of nothing": (
        base64.b64encode(b"   "),
        f"body: 'ICAg' {NEITHER}: decoded, it is ''",
    ),
    "base64 of long text": (
        base64.b64encode(b"-" * 41),
        f"body: '{'LS0t' * 10}'… {NEITHER}: decoded, it is '{'-' * 40}'…",
    ),
    "base64 twice": (
        base64.b64encode(base64.b64encode(b"{}")),
        f"body: 'ZTMwPQ==' {NEITHER}: decoded, it is 'e30='",
    ),
    "base64 cut off": (base64.b64encode(b"{}!!")[:-3], f"body: 'e30hI' {NEITHER}"),
    "empty array": (b"[]", "body: an empty array"),
    "too long": (b"{}".ljust(MAX_BODY_BYTES + 1), "body: 65537 bytes, at most 65536"),
    "too many documents": (b"[" + b"0," * 100 + b"0]", "body: 101 parts in 203 bytes, at most 100"),
    "too many lines": (b"{}\n" * 101, "body: 101 parts in 302 bytes, at most 100"),
}


@pytest.mark.parametrize(("body", "text"), INVALID.values(), ids=INVALID)
def test_an_invalid_body_is_an_error(body: bytes, text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        split(body)
    assert str(caught.value) == text


INVALID_ARRAYS = {
    "cut off": (b"[", "not valid JSON: Input data was truncated, near '['"),
    "trailing comma": (b"[1,]", "not valid JSON: trailing comma in array (byte 3), near '[1,]'"),
    "nested too deeply": (b"[" * 30_000 + b"]" * 30_000, "nested too deeply"),
}


@pytest.mark.parametrize(("body", "text"), INVALID_ARRAYS.values(), ids=INVALID_ARRAYS)
def test_an_array_that_is_not_json_is_an_error(body: bytes, text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        split(body)
    assert str(caught.value) == f"body: {text}"


AT_THE_LIMIT = {
    "bytes": (b"{}".ljust(MAX_BODY_BYTES), 1),
    "documents": (b"[" + b"0," * 99 + b"0]", 100),
    "lines": (b"{}\n" * 100, 100),
}


@pytest.mark.parametrize(("body", "count"), AT_THE_LIMIT.values(), ids=AT_THE_LIMIT)
def test_a_body_at_a_limit_is_valid(body: bytes, count: int) -> None:
    assert len(split(body)) == count


@pytest.mark.parametrize(
    ("size", "limit"),
    [(0, MAX_INVALID_PARTS), (24 * 101 - 1, 100), (24 * 101, 101), (24 * 3000, 3000)],
)
def test_the_number_of_parts_is_limited_by_the_size(size: int, limit: int) -> None:
    check_parts("points", limit, b" " * size)
    with pytest.raises(ValidationError) as caught:
        check_parts("points", limit + 1, b" " * size)
    assert str(caught.value) == f"points: {limit + 1} parts in {size} bytes, at most {limit}"


def test_as_many_valid_points_as_fit_are_not_too_many() -> None:
    body = b'{"points":[' + b",".join([b'{"metric":"m","value":1}'] * 2000) + b"]}"
    check_parts("points", 2000, body)


def test_a_caller_may_set_another_limit() -> None:
    assert decode_body(b"{}", 2) == b"{}"
    with pytest.raises(ValidationError, match=r"^body: 2 bytes, at most 1$"):
        decode_body(b"{}", 1)


UNREADABLE = {
    "numbers of Go": (b"[+Inf, -Inf, NaN]", b"[1e999, 1e999, 1e999]"),
    "numbers of C": (b"[inf, -nan]", b"[1e999, 1e999]"),
    "other words": (b'{"a": info, "b": nano}', b'{"a": info, "b": nano}'),
    "first half of a pair": (rb'{"a": "cut \ud83d"}', b'{"a": "cut \xed\xa0\xbd"}'),
    "second half of a pair": (rb'{"a": "\uDE00"}', b'{"a": "\xed\xb8\x80"}'),
    "first half twice": (rb'["\ud83d\ud83d\ude00"]', b'["\xed\xa0\xbd\\ud83d\\ude00"]'),
    "pair": (rb'["\ud83d\ude00"]', rb'["\ud83d\ude00"]'),
    "backslash before it": (rb'["\\ud83d"]', rb'["\\ud83d"]'),
    "value": (b'{"a": NaN, "b": -Infinity}', b'{"a": 1e999, "b": 1e999}'),
    "text": (b'{"a": "NaN", "b": NaN}', b'{"a": "NaN", "b": 1e999}'),
    "after a quote in text": (b'{"a": "\\"NaN", "b": NaN}', b'{"a": "\\"NaN", "b": 1e999}'),
    "after a backslash in text": (b'{"a": "\\\\", "b": NaN}', b'{"a": "\\\\", "b": 1e999}'),
    "text without an end": (b'{"b": NaN, "a": "NaN', b'{"b": 1e999, "a": "NaN'),
    "many quotes": (b'{"NaN": "' + b'\\"' * 30_000, b'{"NaN": "' + b'\\"' * 30_000),
}


@pytest.mark.parametrize(("body", "expected"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_becomes_what_invalidates_its_part(
    body: bytes, expected: bytes
) -> None:
    documents = [document for _, document in split_documents(body)]
    if body.startswith(b"[") and len(documents) > 1:
        assert b"[" + b", ".join(documents) + b"]" == expected
    else:
        assert documents in ([expected], [expected[1:-1]])
