from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from shared.messages.schema import Document, PointIn, Points, SeriesIn
from shared.model import MAX_COUNT
from tests.unit.builders import SERIES, at, document, message, point

LONGEST = "é" * 256
DECODERS = [msgspec.json.Decoder(kind) for kind in (Points[PointIn], Document[SeriesIn])]


def is_valid(given: Any) -> bool:
    """Return whether a message or document decodes."""
    decoder = DECODERS["data" in given]
    try:
        decoder.decode(json.dumps(given))
    except msgspec.ValidationError:
        return False
    return True


def points(**members: Any) -> dict[str, Any]:
    return message(point(**members))


def base(**members: Any) -> dict[str, Any]:
    return document(SERIES, base=members)


def series(**members: Any) -> dict[str, Any]:
    return document({**SERIES, **members})


# At the limit, and one beyond it.
LIMITS = {
    "metric": (points(metric=LONGEST), points(metric=LONGEST + "x")),
    "metric beyond 16 bits": (points(metric="\U0001f600" * 256), points(metric="\U0001f600" * 257)),
    "empty metric": (points(metric="x"), points(metric="")),
    "namespace": (points(namespace=LONGEST), points(namespace=LONGEST + "x")),
    "empty namespace": (points(namespace="x"), points(namespace="")),
    "namespace of a message": (
        message(point(), namespace=LONGEST),
        message(point(), namespace=LONGEST + "x"),
    ),
    "points": (message(point()), message()),
    "values": (points(value=None, values=[1]), points(value=None, values=[])),
    "count": (points(count=MAX_COUNT), points(count=MAX_COUNT + 1)),
    "least count": (points(count=1), points(count=0)),
    "value": (points(value=1.7976931348623157e308), points(value=10**309)),
    "series": (document(SERIES), document()),
    "metric of a document": (base(metric=LONGEST), base(metric=LONGEST + "x")),
    "namespace of a document": (base(namespace=LONGEST), base(namespace=LONGEST + "x")),
    "dimension name": (base(dimNames=[LONGEST]), base(dimNames=[LONGEST + "x"])),
    "empty dimension name": (base(dimNames=["x"]), base(dimNames=[""])),
    "dimension value": (series(dimValues=[LONGEST]), series(dimValues=[LONGEST + "x"])),
    "empty dimension value": (series(dimValues=["x"]), series(dimValues=[""])),
    "count of a series": (series(count=MAX_COUNT), series(count=MAX_COUNT + 1)),
    "least count of a series": (series(count=1), series(count=0)),
}


@pytest.mark.parametrize(("at_limit", "beyond"), LIMITS.values(), ids=LIMITS)
def test_limits(at_limit: Any, beyond: Any) -> None:
    assert is_valid(at_limit)
    assert not is_valid(beyond)


NULLS = {
    "point": {
        **point(),
        **dict.fromkeys(
            [
                "namespace",
                "dimensions",
                "time",
                "resourceId",
                "region",
                "values",
                "min",
                "max",
                "sum",
                "count",
            ]
        ),
    },
    "value": point(value=None, values=[1]) | {"value": None},
}


@pytest.mark.parametrize("given", NULLS.values(), ids=NULLS)
def test_an_optional_member_may_be_null(given: dict[str, Any]) -> None:
    assert is_valid(message(given))


def test_an_optional_member_of_a_message_or_document_may_be_null() -> None:
    nulls: dict[str, Any] = dict.fromkeys(["resourceId", "region"])
    assert is_valid({"points": [point()], "namespace": None, **nulls})
    series_in = {**SERIES, "dimValues": None}
    base_data = {"metric": "m", "series": [series_in], "namespace": None, "dimNames": None}
    assert is_valid({"data": {"baseData": base_data}, "time": None, **nulls})


WRONG = {
    "null for a metric": message({**point(), "metric": None}),
    "number for a metric": points(metric=5),
    "text for a value": points(value="1"),
    "boolean for a value": points(value=True),
    "null in values": points(value=None, values=[1, None]),
    "fraction for a count": points(count=1.5),
    "boolean for a count": points(count=True),
    "number for a time": points(time=1795418730),
    "number for a region": points(region=5),
    "null for points": {"points": None},
    "time of a message": message(point(), time=at()),
    "point by itself": point(),
    "points and data": {**document(SERIES), "points": [point()]},
    "member beside baseData": {"data": {**document(SERIES)["data"], "baseType": "x"}},
    "value of a point in a series": series(value=1),
    "dimensions of a point in baseData": base(dimensions={}),
    "no baseData": {"data": {}},
    "null for min": series(min=None),
    "null in dimValues": series(dimValues=[None]),
    "number in dimNames": base(dimNames=[5]),
    "number for the time of a document": document(SERIES, time=5),
}


@pytest.mark.parametrize("given", WRONG.values(), ids=WRONG)
def test_a_member_of_another_type_or_name_is_an_error(given: Any) -> None:
    assert not is_valid(given)
