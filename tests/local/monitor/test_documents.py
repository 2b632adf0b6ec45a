"""The rules for a document, tried at N and N + 1; the clock stands at 2026-11-23T07:25:30Z."""

from __future__ import annotations

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


ACCEPTED = {
    "oldest time": doc(time="2026-11-23T06:55:30Z"),
    "newest time": doc(time="2026-11-23T07:29:30Z"),
    "fraction, newest": doc(time="2026-11-23T07:29:30.0000000Z"),
    "time with an offset": doc(time="2026-11-23T09:25:00+02:00"),
    "time without an offset": doc(time="2026-11-23T07:25:00"),
    "no dimensions": doc(series(), dimNames=[]),
    "dimensions left out": without(
        doc(without(series(), "dimValues")), "data", "baseData", "dimNames"
    ),
    "no dimensions, as Go writes none": doc(series(dimValues=None), dimNames=None),
    "ten dimensions": doc(series(*TEN), dimNames=TEN),
    "longest value": doc(series(LONG, "JPEG")),
    "longest name": doc(dimNames=[LONG, "MessageType"]),
    "longest metric": doc(metric=LONG),
    "longest namespace": doc(namespace=LONG),
    "count of one": one(count=1),
    "largest count": one(count=2**31 - 1),
    "min equals max": one(min=3.5, max=3.5),
    "negative": one(min=-3, max=-1, sum=-4),
    "largest double": one(max=1.7976931348623157e308),
    "unknown member": {**doc(), "kind": "metric"},
}

TIME_MESSAGE = (
    "'time' should not be older than 30 minutes and not more than 4 minutes in the future\r\n"
)
DIMENSIONS_MESSAGE = "'dimValues' and 'dimNames' lengths should be lesser than 10\r\n"
UNEQUAL = "'dimValues' and 'dimNames' lengths should be equal\r\n"
BASE = "at `$.data.baseData"

REFUSED = {
    "too old": (doc(time="2026-11-23T06:55:29Z"), TIME_MESSAGE),
    "too new": (doc(time="2026-11-23T07:29:31Z"), TIME_MESSAGE),
    "too new by a fraction": (doc(time="2026-11-23T07:29:30.000001Z"), TIME_MESSAGE),
    "too old by its offset": (doc(time="2026-11-23T07:25:00+01:00"), TIME_MESSAGE),
    "not a time": (doc(time="yesterday"), "'time' should be an ISO 8601 time\r\n"),
    "no such day": (doc(time="2026-02-30T00:00:00Z"), "'time' should be an ISO 8601 time\r\n"),
    "time is a number": (doc(time=1795418730), "Expected `str`, got `int` - at `$.time`\r\n"),
    "no time": (without(doc(), "time"), "Object missing required field `time`\r\n"),
    "no data": (without(doc(), "data"), "Object missing required field `data`\r\n"),
    "no metric": (
        without(doc(), "data", "baseData", "metric"),
        f"Object missing required field `metric` - {BASE}`\r\n",
    ),
    "no count": (
        doc(without(series("a", "b"), "count")),
        f"Object missing required field `count` - {BASE}.series[0]`\r\n",
    ),
    "no series": (doc(series=[]), f"Expected `array` of length >= 1 - {BASE}.series`\r\n"),
    "eleven names": (doc(series(*TEN), dimNames=[*TEN, "D10"]), DIMENSIONS_MESSAGE),
    "eleven values": (doc(series(*TEN, "v"), dimNames=TEN), DIMENSIONS_MESSAGE),
    "value missing": (doc(series("ImagesToProcess")), UNEQUAL),
    "value too many": (doc(series("a", "b", "c")), UNEQUAL),
    "same name twice": (
        doc(dimNames=["QueueName", "queuename"]),
        "'dimNames' should be different from each other\r\n",
    ),
    "empty value": (
        doc(series("", "JPEG")),
        f"Expected `str` of length >= 1 - {BASE}.series[0].dimValues[0]`\r\n",
    ),
    "null value": (
        doc(series("a", "b", dimValues=["a", None])),
        f"Expected `str`, got `null` - {BASE}.series[0].dimValues[1]`\r\n",
    ),
    "empty name": (
        doc(dimNames=["", "MessageType"]),
        f"Expected `str` of length >= 1 - {BASE}.dimNames[0]`\r\n",
    ),
    "value too long": (
        doc(series(LONG + "x", "JPEG")),
        f"Expected `str` of length <= 256 - {BASE}.series[0].dimValues[0]`\r\n",
    ),
    "name too long": (
        doc(dimNames=[LONG + "x", "MessageType"]),
        f"Expected `str` of length <= 256 - {BASE}.dimNames[0]`\r\n",
    ),
    "metric too long": (
        doc(metric=LONG + "x"),
        f"Expected `str` of length <= 256 - {BASE}.metric`\r\n",
    ),
    "namespace too long": (
        doc(namespace=LONG + "x"),
        f"Expected `str` of length <= 256 - {BASE}.namespace`\r\n",
    ),
    "empty metric": (doc(metric=""), f"Expected `str` of length >= 1 - {BASE}.metric`\r\n"),
    "empty namespace": (
        doc(namespace=""),
        f"Expected `str` of length >= 1 - {BASE}.namespace`\r\n",
    ),
    "count of zero": (one(count=0), f"Expected `int` >= 1 - {BASE}.series[0].count`\r\n"),
    "count over int32": (
        one(count=2**31),
        f"Expected `int` <= 2147483647 - {BASE}.series[0].count`\r\n",
    ),
    "count is a double": (
        one(count=3.0),
        f"Expected `int`, got `float` - {BASE}.series[0].count`\r\n",
    ),
    "sum is text": (one(sum="28"), f"Expected `float`, got `str` - {BASE}.series[0].sum`\r\n"),
    "sum is null": (one(sum=None), f"Expected `float`, got `null` - {BASE}.series[0].sum`\r\n"),
    "sum is a truth": (one(sum=True), f"Expected `float`, got `bool` - {BASE}.series[0].sum`\r\n"),
    "NaN as text": (one(max="NaN"), f"Expected `float`, got `str` - {BASE}.series[0].max`\r\n"),
    "min over max": (one(min=21), "'min' should not be greater than 'max'\r\n"),
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
    assert response.json() == {"error": {"code": "BadRequest", "message": message}}
    assert frozen.values() == []


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e400", "9" * 400], ids=lambda text: text[:9]
)
def test_numbers_that_no_double_holds(client: Client, number: str) -> None:
    body = '{"time":"%s","data":{"baseData":{"metric":"M","namespace":"N","series":[%s]}}}'
    values = '{"min":0,"max":1,"sum":%s,"count":1}'
    assert client.post(body % (document()["time"], values % "1e300")).ok
    assert error(client.post(body % (document()["time"], values % number))) == (400, "BadRequest")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"null", b"\xff", b'{"time":"\xff"}', b'{"time":"\\ud800"}', b"[" * 500_000],
    ids=["empty", "cut", "null", "not text", "bad UTF-8", "half a character", "very deep"],
)
def test_what_is_no_document(client: Client, body: bytes) -> None:
    assert error(client.post(body)) == (400, "BadRequest")


def test_nesting_in_an_unknown_member_is_refused_not_fatal(client: Client) -> None:
    body = b'{"unknown":' + b"[" * 500_000 + b"]" * 500_000 + b"}"
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
