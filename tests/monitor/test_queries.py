"""The two query APIs, where no official client leads: who may, what is refused, which shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .client import ARM_AUDIENCE, GROUP, QUEUE_ACCOUNT, SUBSCRIPTION, TIMEOUT, document, series

if TYPE_CHECKING:
    import requests

    from .client import Client

TIME = "2026-11-23T07:25:00Z"
METRICS = f"{QUEUE_ACCOUNT}/providers/Microsoft.Insights/metrics"
NAMES = "api-version=2024-02-01&metricnamespace=QueueProcessing&metricnames=QueueDepth"
AUDIENCE = "https://metrics.monitor.azure.com"


@pytest.fixture(autouse=True)
def _stored(frozen: Client) -> None:
    assert frozen.post(document(time=TIME)).ok


def batch(
    client: Client,
    resource_ids: Any = (QUEUE_ACCOUNT,),
    *,
    prefix: str = "",
    audience: str = AUDIENCE,
    **query: str,
) -> requests.Response:
    """Ask the batch API."""
    names = {
        "api-version": "2024-02-01",
        "metricnamespace": "QueueProcessing",
        "metricnames": "QueueDepth",
    }
    return client.http.post(
        f"{client.url}{prefix}{SUBSCRIPTION}/metrics:getBatch",
        params={name: value for name, value in {**names, **query}.items() if value},
        json={"resourceids": list(resource_ids)},
        headers={"Authorization": f"Bearer {client.fetch_token(resource=audience)}"},
        timeout=TIMEOUT,
    )


def test_the_shape_of_an_answer(frozen: Client) -> None:
    query = f"{NAMES}&timespan=2026-11-23T07:20:00Z/2026-11-23T07:30:00Z&interval=PT5M"
    response = frozen.arm(f"{METRICS}?{query}&aggregation=average,total&$filter=QueueName eq '*'")
    name = {"value": "queuename", "localizedValue": "queuename"}
    metric = {
        "id": f"{QUEUE_ACCOUNT}/providers/Microsoft.Insights/metrics/QueueDepth",
        "type": "Microsoft.Insights/metrics",
        "name": {"value": "QueueDepth", "localizedValue": "QueueDepth"},
        "unit": "Unspecified",
        "timeseries": [
            {
                "metadatavalues": [{"name": name, "value": "ImagesToProcess"}],
                "data": [
                    {"timeStamp": "2026-11-23T07:20:00Z"},
                    {"timeStamp": "2026-11-23T07:25:00Z", "average": 28 / 3, "total": 28},
                ],
            }
        ],
        "errorCode": "Success",
    }
    assert response.json() == {
        "cost": 10,
        "timespan": "2026-11-23T07:20:00Z/2026-11-23T07:30:00Z",
        "interval": "PT5M",
        "value": [metric],
        "namespace": "queueprocessing",
        "resourceregion": "westeurope",
    }
    times = {"starttime": "2026-11-23T07:20:00Z", "endtime": "2026-11-23T07:30:00Z"}
    more = {"interval": "PT5M", "aggregation": "average,total", "filter": "QueueName eq '*'"}
    assert batch(frozen, **times, **more).json() == {
        "values": [
            {
                **times,
                "interval": "PT5M",
                "value": [metric],
                "namespace": "queueprocessing",
                "resourceregion": "westeurope",
                "resourceid": QUEUE_ACCOUNT,
            }
        ]
    }


def test_the_errors_of_azure_resource_manager_are_bare(frozen: Client) -> None:
    response = frozen.arm(f"{METRICS}?{NAMES}x")
    assert response.status_code == 400
    assert response.json().keys() == {"code", "message"}
    assert response.json()["code"] == "BadRequest"
    assert ", TraceId: {" in response.json()["message"]
    (*_, last) = frozen.requests()["armRequests"]
    assert (last["status"], last["code"]) == (400, "BadRequest")


def test_the_errors_of_the_batch_api_are_wrapped(frozen: Client) -> None:
    response = batch(frozen, timespan="PT1H")
    assert response.status_code == 400
    assert response.headers["x-ms-error-code"] == "BadRequest"
    error = response.json()["error"]
    assert error["code"] == "BadRequest"
    assert error["message"] == (
        "Detected invalid time range parameters for API version 2024-02-01."
        " Please use only starttime and endtime to specify a time range."
    )
    assert error["additionalInfo"][0]["info"].startswith("TraceId=")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"api-version": "2019-01-01"}, "Invalid api-version '2019-01-01', supported ones are:"),
        ({"metricnamespace": ""}, "The query parameter 'metricnamespace' is required."),
        ({"metricnames": ""}, "The query parameter 'metricnames' is required."),
        ({"metricnames": ",".join("abcdefghijklmnopqrstu")}, "At most 20 metric names"),
        ({"orderby": "median"}, "Invalid orderby: 'median'"),
        ({"orderby": "total up"}, "Invalid orderby: 'total up'"),
        ({"top": "0", "filter": "QueueName eq '*'"}, "Invalid top: '0'"),
        ({"filter": "QueueName"}, "Invalid filter 'QueueName'"),
        ({"resource_ids": []}, "Expected 1 to 50 resourceids, not 0."),
        (
            {"resource_ids": [f"{QUEUE_ACCOUNT}{n}" for n in range(51)]},
            "Expected 1 to 50 resourceids, not 51.",
        ),
        ({"resource_ids": [GROUP]}, f"'{GROUP}' is no resource of the subscription"),
        (
            {"resource_ids": [QUEUE_ACCOUNT.replace("5b2f", "6b2f")]},
            f"'{QUEUE_ACCOUNT.replace('5b2f', '6b2f')}' is no resource of the subscription",
        ),
        (
            {"resource_ids": [QUEUE_ACCOUNT, f"{GROUP}/providers/Microsoft.Web/sites/s"]},
            "All resources must have the same type, not",
        ),
        ({"resource_ids": [1]}, "The body is invalid: Expected `str`, got `int`"),
        (
            {"prefix": "/northeurope"},
            "All resources must be in the region of the endpoint: northeurope, westeurope",
        ),
    ],
)
def test_what_a_batch_is_refused_for(frozen: Client, query: dict[str, Any], message: str) -> None:
    response = batch(frozen, **query)
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith(message)


def test_a_batch_of_resources_of_which_one_has_no_such_metric(frozen: Client) -> None:
    assert frozen.post(document(time=TIME, metric="Other"), resource=QUEUE_ACCOUNT + "2").ok
    response = batch(frozen, [QUEUE_ACCOUNT + "2", QUEUE_ACCOUNT], prefix="/westeurope")
    first, second = (each["value"][0]["timeseries"] for each in response.json()["values"])
    assert first == []
    assert len(second) == 1


def test_resources_in_two_regions_are_no_batch(frozen: Client) -> None:
    assert frozen.post(document(time=TIME), region="uksouth", resource=QUEUE_ACCOUNT + "2").ok
    response = batch(frozen, [QUEUE_ACCOUNT, QUEUE_ACCOUNT + "2"])
    assert "uksouth, westeurope were found" in response.json()["error"]["message"]


def test_a_batch_needs_a_role_at_the_subscription(frozen: Client) -> None:
    roles = [{"scope": GROUP, "role": "Monitoring Reader"}]
    frozen.set("PUT", "roles", {"assignments": roles})
    response = batch(frozen)
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "AuthorizationFailed"
    assert frozen.arm(f"{METRICS}?{NAMES}").ok
    roles = [{"scope": SUBSCRIPTION, "role": "Monitoring Reader"}]
    frozen.set("PUT", "roles", {"assignments": roles})
    assert batch(frozen).ok


@pytest.mark.parametrize(
    ("audience", "status"),
    [(AUDIENCE, 200), (AUDIENCE + "/", 200), (ARM_AUDIENCE, 401), (AUDIENCE + ".evil", 401)],
)
def test_the_audience_of_the_batch_api(frozen: Client, audience: str, status: int) -> None:
    assert batch(frozen, audience=audience).status_code == status


def test_a_query_of_nothing_in_its_time_has_no_series(frozen: Client) -> None:
    query = f"{NAMES}&timespan=2026-11-23T05:00:00Z/2026-11-23T06:00:00Z"
    assert frozen.arm(f"{METRICS}?{query}").json()["value"][0]["timeseries"] == []


def test_ten_series_unless_more_are_asked_for(frozen: Client) -> None:
    entries = [series(f"q{number:02}", "JPEG") for number in range(12)]
    assert frozen.post(document(*entries, time=TIME, metric="Depth")).ok
    query = NAMES.replace("QueueDepth", "Depth") + "&$filter=QueueName eq '*'"

    def count(more: str = "") -> int:
        answer = frozen.arm(f"{METRICS}?{query}{more}").json()
        return len(answer["value"][0]["timeseries"])

    assert (count(), count("&top=11"), count("&top=100")) == (10, 11, 12)


def test_an_answer_that_would_be_too_large(frozen: Client) -> None:
    entries = [series(f"q{number}", "JPEG") for number in range(700)]
    assert frozen.post(document(*entries, time=TIME, metric="Depth")).ok
    names = NAMES.replace("QueueDepth", "Depth")
    day = "timespan=2026-11-22T07:30:00Z/2026-11-23T07:30:00Z"
    response = frozen.arm(f"{METRICS}?{names}&{day}&$filter=QueueName eq '*'&top=700")
    assert response.status_code == 400
    assert "700 time series of 1440 values: more than 1000000" in response.json()["message"]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"{QUEUE_ACCOUNT}2/providers/Microsoft.Insights/metrics?{NAMES}", "ResourceNotFound"),
        (f"{QUEUE_ACCOUNT}/providers/Microsoft.Insights/alerts?{NAMES}", "NotFound"),
        (f"{GROUP}/providers/Microsoft.Insights/metrics?{NAMES}", "NotFound"),
    ],
)
def test_what_is_not_there(frozen: Client, path: str, code: str) -> None:
    response = frozen.arm(path)
    assert (response.status_code, response.json()["error"]["code"]) == (404, code)
