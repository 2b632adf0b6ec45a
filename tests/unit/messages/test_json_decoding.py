from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from shared.errors import ValidationError
from shared.messages.json_decoding import decode, restore_escapes
from shared.messages.schema import PointIn, Points

POINT = msgspec.json.Decoder(PointIn)
# What msgspec says is its own; the path is not.
PATHS = {
    "wrong type": (b'{"metric": "m", "value": "x"}', "value"),
    "wrong type in an array": (b'{"metric": "m", "values": [1, "x"]}', "values[1]"),
    "out of range": (b'{"metric": "m", "count": 0}', "count"),
    "too long": (b'{"metric": ""}', "metric"),
    "number too large": (b'{"metric": "m", "value": 1e999}', "value"),
    "missing member": (b'{"value": 1}', ""),
    "not an object": (b"1", ""),
    "not JSON": (b"{", ""),
    "half a surrogate pair": (b'{"metric": "\\ud800"}', ""),
    "nested too deeply": (b'{"dimensions": ' + b"[" * 30_000 + b"]" * 30_000 + b"}", ""),
}


MALFORMED = {
    "comma in a number": (
        b'{"metric": "requests", "value": 7,5, "dimensions": {}}',
        """object keys must be strings (byte 34), near ' "value": 7,5, "dimensio'""",
    ),
    "Arabic digit": (
        '{"metric": "m", "value": \u0661}'.encode(),
        r"""invalid character (byte 25), near '", "value": \u0661}'""",
    ),
    "cut off": (b'{"metric": "m', """Input data was truncated, near '"metric": "m'"""),
    "half of a surrogate pair": (
        b'{"metric": "cut \xed\xa0\xbd"}',
        r"""half of a surrogate pair, near 'tric": "cut \\ud83d"}'""",
    ),
    "Latin-1": (
        b'{"metric": "caf\xe9"}',
        r"""byte 0xe9 is not UTF-8, near 'etric": "caf\ufffd"}'""",
    ),
    "malformed before a byte that is not UTF-8": (
        b'{"value": 7,5, "time": "              caf\xe9"}',
        """object keys must be strings (byte 12), near '{"value": 7,5, "time": "'""",
    ),
}


@pytest.mark.parametrize(("document", "text"), MALFORMED.values(), ids=MALFORMED)
def test_what_is_malformed_is_shown(document: bytes, text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        decode(POINT, document)
    assert str(caught.value) == f"not valid JSON: {text}"


TEXTS = {
    "value": (b'{"metric": "m", "value": "7,5"}', "'7,5'"),
    "values": (b'{"metric": "m", "values": [1, "x"]}', "'x'"),
    "long text": (b'{"metric": "m", "value": "%s"}' % (b"x" * 99), f"'{'x' * 40}'…"),
    "malformed further on": (b'{"metric": "m", "value": "x", oops', "`str`"),
}


@pytest.mark.parametrize(("document", "end"), TEXTS.values(), ids=TEXTS)
def test_a_text_where_something_else_is_expected_is_shown(document: bytes, end: str) -> None:
    with pytest.raises(ValidationError) as caught:
        decode(POINT, document)
    assert str(caught.value).endswith(f" {end}")


def test_the_halves_of_surrogate_pairs_are_restored() -> None:
    assert restore_escapes(b"a\xed\xa0\xbd\xed\xb8\x80\xed\x9f\xbf") == (
        rb"a\ud83d\ude00" + b"\xed\x9f\xbf"
    )


@pytest.mark.parametrize(("document", "path"), PATHS.values(), ids=PATHS)
def test_an_error_has_the_path_and_a_text(document: bytes, path: str) -> None:
    with pytest.raises(ValidationError) as caught:
        decode(POINT, document)
    assert caught.value.path == path
    assert caught.value.text


def test_a_key_has_the_path_of_its_object() -> None:
    decoder = msgspec.json.Decoder(dict[str, dict[int, int]])
    with pytest.raises(ValidationError) as caught:
        decode(decoder, b'{"a": {"x": 1}}')
    assert caught.value.path == "[...]"


# Type, name of the unknown member, the text of the error.
UNKNOWN: dict[str, tuple[Any, str, str]] = {
    "similar": (PointIn, "vaule", "unknown member 'vaule'; did you mean value?"),
    "in another case": (PointIn, "Metric", "unknown member 'Metric'; did you mean metric?"),
    "in another style": (
        PointIn,
        "resource_id",
        "unknown member 'resource_id'; did you mean resourceId?",
    ),
    "of a generic type": (Points[Raw], "regoin", "unknown member 'regoin'; did you mean region?"),
    "not similar": (PointIn, "id", "unknown member 'id'"),
    "odd characters": (PointIn, "a`\u212a", r"unknown member 'a`\u212a'"),
    "long": (PointIn, "v" * 60_000, f"unknown member '{'v' * 300}'…"),
}


@pytest.mark.parametrize(("of", "name", "text"), UNKNOWN.values(), ids=UNKNOWN)
def test_an_unknown_member_is_named(of: Any, name: str, text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        decode(msgspec.json.Decoder(of), msgspec.json.encode({name: 1}))
    assert str(caught.value) == text
