"""The two query APIs, where no official client leads: who may, what is refused, which shape."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from .client import (
    ARM_AUDIENCE,
    GROUP,
    QUEUE_ACCOUNT,
    SUBSCRIPTION,
    TIMEOUT,
    Client,
    document,
    error,
    series,
)

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


def ask(client: Client, more: str = "", metric: str = "QueueDepth") -> requests.Response:
    """Ask Azure Resource Manager."""
    return client.arm(f"{METRICS}?{NAMES.replace('QueueDepth', metric)}{more}")


def found(response: requests.Response) -> list[dict[str, Any]]:
    """Return the time series of the one metric in its answer."""
    (metric,) = response.json()["value"]
    series: list[dict[str, Any]] = metric["timeseries"]
    return series


def test_the_shape_of_an_answer(frozen: Client) -> None:
    query = "&timespan=2026-11-23T07:20:00Z/2026-11-23T07:30:00Z&interval=PT5M"
    response = ask(frozen, f"{query}&aggregation=average,total&$filter=QueueName eq '*'")
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
        "cost": 9,
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
    response = ask(frozen, metric="Other")
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
    assert response.json()["error"]["code"] == "BadRequest"
    assert response.json()["error"]["message"] == (
        "Detected invalid time range parameters for API version 2024-02-01."
        " Please use only starttime and endtime to specify a time range."
    )
    assert response.json()["error"]["additionalInfo"][0]["info"].startswith("TraceId=")


ELSEWHERE = QUEUE_ACCOUNT.replace("5b2f", "6b2f")
SITE = f"{GROUP}/providers/Microsoft.Web/sites/s"
FIFTY_ONE = [f"{QUEUE_ACCOUNT}{number}" for number in range(51)]


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
        ({"top": "9" * 5000, "filter": "QueueName eq '*'"}, "Invalid top: '999"),
        ({"filter": "QueueName"}, "Invalid filter 'QueueName'"),
        ({"resource_ids": []}, "Expected 1 to 50 resourceids, not 0."),
        ({"resource_ids": FIFTY_ONE}, "Expected 1 to 50 resourceids, not 51."),
        ({"resource_ids": [GROUP]}, f"'{GROUP}' is not a resource of the subscription"),
        ({"resource_ids": [ELSEWHERE]}, f"'{ELSEWHERE}' is not a resource of the subscription"),
        ({"resource_ids": [QUEUE_ACCOUNT, SITE]}, "All resources must have the same type, not"),
        ({"resource_ids": [1]}, "The body is invalid: Expected `str`, got `int`"),
    ],
)
def test_what_a_batch_is_refused_for(frozen: Client, query: dict[str, Any], message: str) -> None:
    response = batch(frozen, **query)
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith(message)


def test_a_batch_of_resources_of_which_one_has_no_such_metric(frozen: Client) -> None:
    assert frozen.post(document(time=TIME, metric="Other"), resource=QUEUE_ACCOUNT + "2").ok
    response = batch(frozen, [QUEUE_ACCOUNT + "2", QUEUE_ACCOUNT], prefix="/WestEurope")
    first, second = (each["value"][0]["timeseries"] for each in response.json()["values"])
    assert first == []
    assert len(second) == 1


def test_the_resources_of_a_batch_are_in_one_region(frozen: Client) -> None:
    assert frozen.post(document(time=TIME), region="uksouth", resource=QUEUE_ACCOUNT + "2").ok
    start = "All resources must be in the region of the endpoint: "
    for response, regions in (
        (batch(frozen, [QUEUE_ACCOUNT, QUEUE_ACCOUNT + "2"]), "uksouth, westeurope"),
        (batch(frozen, prefix="/northeurope"), "northeurope, westeurope"),
    ):
        assert response.status_code == 400
        assert response.json()["error"]["message"] == f"{start}{regions} were found."


def test_a_batch_needs_a_role_at_the_subscription(frozen: Client) -> None:
    def allow(scope: str) -> None:
        assignment = {"scope": scope, "role": "Monitoring Reader"}
        frozen.set("PUT", "roles", {"assignments": [assignment]})

    allow(GROUP)
    assert error(batch(frozen)) == (401, "AuthorizationFailed")  # So its documentation.
    assert ask(frozen).ok
    allow(SUBSCRIPTION)
    assert batch(frozen).ok


@pytest.mark.parametrize(
    ("audience", "status"),
    [(AUDIENCE, 200), (AUDIENCE + "/", 200), (ARM_AUDIENCE, 401), (AUDIENCE + ".evil", 401)],
)
def test_the_audience_of_the_batch_api(frozen: Client, audience: str, status: int) -> None:
    response = batch(frozen, audience=audience)
    assert response.status_code == status
    assert ("WWW-Authenticate" in response.headers) == (status == 401)


def test_a_query_of_nothing_in_its_time_has_no_series(frozen: Client) -> None:
    assert found(ask(frozen, "&timespan=2026-11-23T05:00:00Z/2026-11-23T06:00:00Z")) == []


def test_ten_series_unless_more_are_asked_for(frozen: Client) -> None:
    entries = [series(f"q{number:02}", "JPEG") for number in range(12)]
    assert frozen.post(document(*entries, time=TIME, metric="Depth")).ok
    for top, count in (("", 10), ("&top=11", 11), ("&top=100", 12)):
        assert len(found(ask(frozen, f"&$filter=QueueName eq '*'{top}", "Depth"))) == count


def test_the_limit_of_an_answer_is_for_all_its_metrics_and_resources(frozen: Client) -> None:
    entries = [series(f"q{number}", "JPEG") for number in range(400)]
    for resource in (QUEUE_ACCOUNT, QUEUE_ACCOUNT + "2"):
        for metric in ("Depth", "Age"):
            body = document(*entries, time=TIME, metric=metric)
            assert frozen.post(body, resource=resource).ok
    split = {"filter": "QueueName eq '*'", "top": "400"}
    day = {"starttime": "2026-11-22T07:30:00Z", "endtime": "2026-11-23T07:30:00Z"}
    resources = [QUEUE_ACCOUNT, QUEUE_ACCOUNT + "2"]
    assert batch(frozen, resources[:1], metricnames="Depth", **split, **day).ok
    for ids, metrics in ((resources, "Depth"), (resources[:1], "Depth,Age")):
        response = batch(frozen, ids, metricnames=metrics, **split, **day)
        assert response.status_code == 400
        assert response.json()["error"]["message"].startswith(
            "The answer would hold more than 1000000 values, of which 400 time series of 1440"
            " values in one metric."
        )


@pytest.mark.parametrize("start", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:10Z"])
def test_a_span_up_to_the_end_of_the_calendar(frozen: Client, start: str) -> None:
    for more in ("", "&interval=FULL", "&$filter=QueueName eq '*'&resultType=metadata"):
        assert found(ask(frozen, f"&timespan={start}/9999-12-31T23:59:59.5Z{more}")) == []


def test_an_offset_with_a_plus_that_is_not_encoded(frozen: Client) -> None:
    span = "2026-11-23T08:20:00+01:00/2026-11-23T08:26:00+01:00"
    response = ask(frozen, f"&timespan={span}")
    assert (response.status_code, response.json()["code"]) == (400, "BadRequest")
    assert response.json()["message"].startswith(
        f"Detected invalid time interval input: {span.replace('+', ' ')}, supported Iso 8601 time"
    )
    response = ask(frozen, f"&timespan={span.replace('+', '%252B')}")
    assert response.json()["timespan"] == "2026-11-23T07:20:00Z/2026-11-23T07:26:00Z"
    assert found(response)[0]["data"][-1]["timeStamp"] == TIME


@pytest.mark.parametrize(
    ("version", "given", "expected"),
    [
        ("2018-01-01", "&metricnamespace=QueueProcessing", "QueueProcessing"),
        ("2018-01-01", "", "Microsoft.Storage/storageAccounts"),
        ("2024-02-01", "&metricnamespace=QueueProcessing", "queueprocessing"),
    ],
)
def test_the_case_of_the_namespace(frozen: Client, version: str, given: str, expected: str) -> None:
    answer = frozen.arm(f"{METRICS}?api-version={version}{given}").json()
    assert answer["namespace"] == expected


def test_a_second_slash_before_the_path(frozen: Client) -> None:
    for below in ("metrics", "metricDefinitions", "metricNamespaces"):
        path = f"{QUEUE_ACCOUNT}/providers/Microsoft.Insights/{below}?{NAMES}"
        answer = frozen.arm("/" + path)
        assert answer.ok
        assert answer.json() == frozen.arm(path).json()
    assert frozen.requests()["armRequests"][0]["path"].startswith("//subscriptions/")


def test_without_a_name_it_is_the_first_metric(frozen: Client) -> None:
    for name in ("Zeta", "Age"):
        assert frozen.post(document(time=TIME, metric=name)).ok
    answer = frozen.arm(f"{METRICS}?api-version=2024-02-01&metricnamespace=QueueProcessing").json()
    assert [metric["name"]["value"] for metric in answer["value"]] == ["Age"]
    answer = frozen.arm(f"{METRICS}?api-version=2024-02-01").json()
    assert answer["value"] == []  # There are no platform metrics.


@pytest.mark.parametrize("content", [b"[" * 500_000, b'{"x":' + b"[" * 500_000, b"\xff", b""])
def test_a_batch_whose_body_is_no_json(frozen: Client, content: bytes) -> None:
    response = frozen.http.post(
        f"{frozen.url}{SUBSCRIPTION}/metrics:getBatch?{NAMES}",
        data=content,
        headers={"Authorization": f"Bearer {frozen.fetch_token(resource=AUDIENCE)}"},
        timeout=TIMEOUT,
    )
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith("The body is invalid: ")


def test_a_resource_that_is_named_twice_is_answered_once_as_first_spelled(frozen: Client) -> None:
    response = batch(frozen, [QUEUE_ACCOUNT, QUEUE_ACCOUNT.upper()])
    assert [each["resourceid"] for each in response.json()["values"]] == [QUEUE_ACCOUNT]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"{QUEUE_ACCOUNT}2/providers/Microsoft.Insights/metrics?{NAMES}", "ResourceNotFound"),
        (f"{QUEUE_ACCOUNT}/providers/Microsoft.Insights/alerts?{NAMES}", "NotFound"),
        (f"{GROUP}/providers/Microsoft.Insights/metrics?{NAMES}", "NotFound"),
    ],
)
def test_what_is_not_there(frozen: Client, path: str, code: str) -> None:
    assert error(frozen.arm(path)) == (404, code)


def test_the_batch_api_has_faults_and_a_log_of_its_own(frozen: Client) -> None:
    frozen.fault(status=529, target="batch", next=1, retryAfter=2)
    frozen.fault(drop="before", target="batch", next=1, region="WestEurope")
    frozen.fault(status=503, target="batch", region="eastus")
    assert ask(frozen).ok
    response = batch(frozen)
    assert (response.status_code, response.headers["Retry-After"]) == (529, "2")
    assert batch(frozen).ok
    with pytest.raises(requests.ConnectionError):
        batch(frozen, prefix="/westeurope")
    assert batch(frozen, prefix="/eastus").status_code == 503
    assert batch(frozen, prefix="/westeurope", orderby="no").status_code == 400
    report = frozen.requests()
    assert report["batchTotals"] == {"529": 1, "200": 1, "dropped": 1, "503": 1, "400": 1}
    assert report["armTotals"] == {"200": 1}
    path = f"{SUBSCRIPTION}/metrics:getBatch"
    assert [(each["path"], each["status"], each["code"]) for each in report["batchRequests"]] == [
        (path, 529, "Fault"),
        (path, 200, ""),
        (f"/westeurope{path}", None, "DroppedBefore"),
        (f"/eastus{path}", 503, "Fault"),
        (f"/westeurope{path}", 400, "BadRequest"),
    ]
    first = report["batchRequests"][0]
    assert (first["time"], first["method"]) == ("2026-11-23T07:25:30.000Z", "POST")
    assert "metricnames=QueueDepth" in first["query"]
