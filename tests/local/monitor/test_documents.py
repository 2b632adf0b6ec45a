"""The rules for a document, tried at N and N + 1; the clock stands at 2026-11-23T07:25:30Z."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .client import Client, document, error, series

TIME = "2026-11-23T07:25:00Z"
LONG = "é" * 256
TEN = [f"D{index}" for index in range(10)]


def doc(*entries: Any, time: Any = TIME, **base: Any) -> dict[str, Any]:
    return document(*entries, time=time, **base)


def one(**values: Any) -> dict[str, Any]:
    """A document whose one entry has other values."""
    return doc(series("ImagesToProcess", "JPEG", **values))


def without(content: dict[str, Any], *path: str) -> dict[str, Any]:
    """The same without the member at the path."""
    head, *rest = path
    return {
        name: without(value, *rest) if name == head else value
        for name, value in content.items()
        if name != head or rest
    }


# Where a text stands -> a document that has it there.
TEXTS: dict[str, Callable[[str], dict[str, Any]]] = {
    "metric": lambda text: doc(metric=text),
    "namespace": lambda text: doc(namespace=text),
    "dimNames[0]": lambda text: doc(dimNames=[text, "MessageType"]),
    "series[0].dimValues[0]": lambda text: doc(series(text, "JPEG")),
}

ACCEPTED = {
    "oldest time": doc(time="2026-11-23T06:55:30Z"),
    "newest time": doc(time="2026-11-23T07:29:30Z"),
    "fraction, newest": doc(time="2026-11-23T07:29:30.0000000Z"),
    "time with an offset": doc(time="2026-11-23T09:25:00+02:00"),
    "time without an offset": doc(time="2026-11-23T07:25:00"),
    "time in small letters, as RFC 3339 allows": doc(time="2026-11-23t07:25:00z"),
    "no dimensions": doc(series(), dimNames=[]),
    "dimensions left out": without(
        doc(without(series(), "dimValues")), "data", "baseData", "dimNames"
    ),
    "no dimensions, as Go writes none": doc(series(dimValues=None), dimNames=None),
    "ten dimensions": doc(series(*TEN), dimNames=TEN),
    **{f"longest {place}": with_text(LONG) for place, with_text in TEXTS.items()},
    "count of one": one(count=1),
    "largest count": one(count=2**31 - 1),
    "min equals max": one(min=3.5, max=3.5),
    "negative": one(min=-3, max=-1, sum=-4),
    "largest double": one(max=1.7976931348623157e308),
    "unknown member": {**doc(), "kind": "metric"},
}

TIME_MESSAGE = (
    "'time' should not be older than 30 minutes and not more than 4 minutes in the future"
)
NOT_A_TIME = "'time' should be an ISO 8601 time"
DIMENSIONS_MESSAGE = "'dimValues' and 'dimNames' lengths should be lesser than 10"
UNEQUAL = "'dimValues' and 'dimNames' lengths should be equal"


def at(place: str, message: str) -> str:
    """The message for what stands somewhere in baseData."""
    return f"{message} - at `$.data.baseData{place}`"


REFUSED = {
    "too old": (doc(time="2026-11-23T06:55:29Z"), TIME_MESSAGE),
    "too new": (doc(time="2026-11-23T07:29:31Z"), TIME_MESSAGE),
    "too new by a fraction": (doc(time="2026-11-23T07:29:30.000001Z"), TIME_MESSAGE),
    "too old by its offset": (doc(time="2026-11-23T07:25:00+01:00"), TIME_MESSAGE),
    "not a time": (doc(time="yesterday"), NOT_A_TIME),
    "no such day": (doc(time="2026-02-30T00:00:00Z"), NOT_A_TIME),
    "time without a T": (doc(time="2026-11-23x07:25:00Z"), NOT_A_TIME),
    "fraction of an offset": (doc(time="2026-11-23T07:25:00+00:00:00.5"), NOT_A_TIME),
    "time is a number": (doc(time=1795418730), "Expected `str`, got `int` - at `$.time`"),
    "no time": (without(doc(), "time"), "Object missing required field `time`"),
    "no data": (without(doc(), "data"), "Object missing required field `data`"),
    "no metric": (
        without(doc(), "data", "baseData", "metric"),
        at("", "Object missing required field `metric`"),
    ),
    "no count": (
        doc(without(series("a", "b"), "count")),
        at(".series[0]", "Object missing required field `count`"),
    ),
    "no series": (doc(series=[]), at(".series", "Expected `array` of length >= 1")),
    "eleven names": (doc(series(*TEN), dimNames=[*TEN, "D10"]), DIMENSIONS_MESSAGE),
    "eleven values": (doc(series(*TEN, "v"), dimNames=TEN), DIMENSIONS_MESSAGE),
    "value missing": (doc(series("ImagesToProcess")), UNEQUAL),
    "value too many": (doc(series("a", "b", "c")), UNEQUAL),
    "same name twice": (
        doc(dimNames=["QueueName", "queuename"]),
        "'dimNames' should be different from each other",
    ),
    "null value": (
        doc(series("a", "b", dimValues=["a", None])),
        at(".series[0].dimValues[1]", "Expected `str`, got `null`"),
    ),
    "min over max": (one(min=21), "'min' should not be greater than 'max'"),
    **{
        f"{place} {wrong}": (with_text(text), at(f".{place}", f"Expected `str` of length {wrong}"))
        for place, with_text in TEXTS.items()
        for wrong, text in ((">= 1", ""), ("<= 256", LONG + "x"))
    },
    **{
        f"{name} is {value}": (one(**{name: value}), at(f".series[0].{name}", f"Expected {wrong}"))
        for name, value, wrong in (
            ("count", 0, "`int` >= 1"),
            ("count", 2**31, "`int` <= 2147483647"),
            ("count", 3.0, "`int`, got `float`"),
            ("sum", "28", "`float`, got `str`"),
            ("sum", None, "`float`, got `null`"),
            ("sum", True, "`float`, got `bool`"),
            ("max", "NaN", "`float`, got `str`"),
        )
    },
}


@pytest.mark.parametrize("body", ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(frozen: Client, body: Any) -> None:
    response = frozen.post(body)
    assert (response.status_code, response.text) == (200, '{"statusCode":200}')
    assert len(frozen.values()) == 1


@pytest.mark.parametrize(("body", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(frozen: Client, body: Any, message: str) -> None:
    response = frozen.post(body)
    assert response.status_code == 400
    assert response.json() == {"error": {"code": "BadRequest", "message": f"{message}\r\n"}}
    assert frozen.values() == []


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e400", "9" * 400], ids=lambda text: text[:9]
)
def test_numbers_that_no_double_holds(client: Client, number: str) -> None:
    body = '{"time":"%s","data":{"baseData":{"metric":"M","namespace":"N","series":[%s]}}}'
    values = '{"min":0,"max":1,"sum":%s,"count":1}'
    assert client.post(body % (document()["time"], values % "1e300")).ok
    assert error(client.post(body % (document()["time"], values % number))) == (400, "BadRequest")


NESTED = b'{"unknown":' + b"[" * 500_000 + b"]" * 500_000 + b"}"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"\xff",
        b'{"time":"\xff"}',
        b'{"time":"\\ud800"}',
        b"[" * 500_000,
        NESTED,
    ],
    ids=["empty", "cut", "null", "not text", "bad UTF-8", "half a character", "deep", "nested"],
)
def test_what_is_no_document(client: Client, body: bytes) -> None:
    assert error(client.post(body)) == (400, "BadRequest")


def test_a_refused_line_is_named_and_nothing_of_the_batch_is_stored(frozen: Client) -> None:
    response = frozen.post([doc(), one(count=0), doc(metric="Other")])
    assert response.json()["error"]["message"] == (
        "line 2: Expected `int` >= 1 - at `$.data.baseData.series[0].count`\r\n"
    )
    for bad in (doc(time="2026-11-23T06:00:00Z"), one(min=21), doc(series("a"))):
        assert error(frozen.post([doc(), bad])) == (400, "BadRequest")
        assert error(frozen.post([bad, doc()])) == (400, "BadRequest")
    assert error(frozen.post(doc(series("a", "b"), series("c")))) == (400, "BadRequest")
    assert frozen.values() == []
