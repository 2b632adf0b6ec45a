"""The explorer's own query: names as they are, times that stay, and what it is refused for."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from .client import QUEUE_ACCOUNT, TIMEOUT, Client, document, series

TIME = "2026-11-23T07:25:00Z"
Parameters = list[tuple[str, str]]


def ask(client: Client, *parameters: tuple[str, str], **more: str) -> requests.Response:
    """Ask for the sums of the last hour; parameters may come more than once."""
    asked = {
        "resourceId": QUEUE_ACCOUNT,
        "namespace": "QueueProcessing",
        "metric": "QueueDepth",
        "aggregation": "total",
        "interval": "FULL",
        **more,
    }
    given = [*parameters, *((name, value) for name, value in asked.items() if value)]
    return client.http.get(f"{client.url}/_local/query", params=given, timeout=TIMEOUT)


def found(response: requests.Response) -> dict[tuple[str, ...], float]:
    """Dimension values -> sum."""
    assert response.ok, response.text
    (metric,) = response.json()["value"]
    return {
        tuple(each["value"] for each in one["metadatavalues"]): one["data"][0]["total"]
        for one in metric["timeseries"]
    }


AWKWARD = ["it's", " lead", "trail ", "x%2y", "a,b", "and", "a eq 'b' or c", "100%28x", "(b)", "*"]


@pytest.mark.parametrize("name", AWKWARD)
def test_every_name_and_value_that_is_taken_can_be_asked_for(frozen: Client, name: str) -> None:
    entries = [series(name, "J", sum=1), series("other", "J", sum=2)]
    body = document(
        *entries, time=TIME, metric=name, namespace=name, dimNames=[name, "MessageType"]
    )
    assert frozen.post(body).ok
    names = {"namespace": name, "metric": name}
    assert found(ask(frozen, **names)) == {(): 3}
    assert found(ask(frozen, ("split", name), **names)) == {(name,): 1, ("other",): 2}
    only = [("dimension", name), ("operator", "eq"), ("value", name)]
    assert found(ask(frozen, *only, **names)) == {(): 1}


@pytest.fixture
def cities(frozen: Client) -> Client:
    entries = [
        series(city, country, sum=2**number)
        for number, (city, country) in enumerate(
            [("Delft", "NL"), ("Den Haag", "NL"), ("Gent", "BE"), ("Brugge", "BE")]
        )
    ]
    assert frozen.post(document(*entries, time=TIME, dimNames=["City", "Country"])).ok
    return frozen


def where(*conditions: tuple[str, str, str]) -> Parameters:
    return [
        pair
        for condition in conditions
        for pair in zip(("dimension", "operator", "value"), condition, strict=True)
    ]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ([], {(): 15}),
        ([("split", "")], {(): 15}),
        ([("split", "Country")], {("NL",): 3, ("BE",): 12}),
        (where(("City", "eq", "Gent")), {(): 4}),
        (where(("City", "eq", "Gent"), ("city", "eq", "Delft")), {(): 5}),
        (where(("City", "sw", "De"), ("City", "eq", "Gent")), {(): 7}),
        (where(("City", "ne", "Gent"), ("City", "ne", "Delft")), {(): 10}),
        (where(("City", "sw", "De"), ("City", "ne", "Delft")), {(): 2}),
        (where(("City", "ne", "Gent"), ("Country", "eq", "BE")), {(): 8}),
        ([("split", "City"), *where(("City", "sw", "De"))], {("Delft",): 1, ("Den Haag",): 2}),
        ([("split", "country"), *where(("City", "ne", "Gent"))], {("NL",): 3, ("BE",): 8}),
        (
            [("split", "Country"), ("split", "City"), *where(("Country", "eq", "BE"))],
            {("BE", "Gent"): 4, ("BE", "Brugge"): 8},
        ),
    ],
)
def test_splits_and_conditions(
    cities: Client, parameters: Parameters, expected: dict[tuple[str, ...], float]
) -> None:
    assert found(ask(cities, *parameters)) == expected


def test_the_greatest_of_a_split(cities: Client) -> None:
    most = ask(cities, ("split", "City"), top="2", orderby="total desc")
    assert list(found(most)) == [("Brugge",), ("Gent",)]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            [("dimension", "City")],
            "dimension, operator and value must be given the same number of times",
        ),
        (where(("City", "gt", "a")), "operator: 'gt' is not one of eq, ne, sw"),
        ([("split", "Town")], "Metric: QueueDepth does not support requested dimension"),
        ([("minutes", "9" * 5000)], "minutes: '999"),
        ([("minutes", "1441")], "minutes: '1441' is not a whole number from 1 to 1440"),
    ],
)
def test_what_is_refused(cities: Client, parameters: Parameters, message: str) -> None:
    response = ask(cities, *parameters)
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith(message)


def test_values_of_the_past_stay_from_minute_to_minute(frozen: Client) -> None:
    for minute in range(6):
        assert frozen.post(
            document(series("a", "J", sum=2**minute), time=f"2026-11-23T07:1{minute}:00Z")
        ).ok

    def values() -> list[dict[str, Any]]:
        answer = ask(frozen, interval="PT5M", minutes="720").json()
        (one,) = answer["value"][0]["timeseries"]
        assert one["data"][0]["timeStamp"] <= answer["timespan"].partition("/")[0]
        return [each for each in one["data"] if "total" in each]

    before = values()
    assert before == [
        {"timeStamp": "2026-11-23T07:10:00Z", "total": 31},
        {"timeStamp": "2026-11-23T07:15:00Z", "total": 32},
    ]
    for minute in range(1, 6):
        frozen.set("PUT", "clock", {"offsetSeconds": 60 * minute})
        assert values() == before


def test_the_window_is_as_many_minutes_as_were_asked_for(frozen: Client) -> None:
    assert frozen.post(document(time=TIME)).ok
    answer = ask(frozen, interval="PT1M", minutes="15").json()
    (one,) = answer["value"][0]["timeseries"]
    times = [each["timeStamp"][11:16] for each in one["data"]]
    assert (len(times), times[0], times[-1]) == (15, "07:11", "07:25")


def test_so_many_values_of_a_dimension_are_offered(frozen: Client) -> None:
    entries = [series(f"{number:04}", "J") for number in range(1_001)]
    assert frozen.post(document(*entries, time=TIME)).ok
    names = {"resourceId": QUEUE_ACCOUNT, "namespace": "QueueProcessing", "metric": "QueueDepth"}
    dimensions = frozen.local("GET", "dimensions", **names).json()["dimensions"]
    assert dimensions == {
        "MessageType": ["J"],
        "QueueName": [f"{number:04}" for number in range(1_000)],
    }
