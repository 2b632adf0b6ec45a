"""Every answer of the service that is known, with its exact body."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from local.monitor.state import Options

from .client import GROUP, QUEUE_ACCOUNT, Client, document, error, iso


def test_the_seeds_document_is_accepted_verbatim(client: Client) -> None:
    body = """
    { 
        "time": "2023-01-03T11:00:20", 
        "data": { 
            "baseData": { 
                "metric": "QueueDepth", 
                "namespace": "QueueProcessing", 
                "dimNames": [ 
                  "QueueName", 
                  "MessageType" 
                ], 
                "series": [ 
                  { 
                    "dimValues": [ 
                      "ImagesToProcess", 
                      "JPEG" 
                    ], 
                    "min": 3, 
                    "max": 20, 
                    "sum": 28, 
                    "count": 3 
                  } 
                ] 
            } 
        } 
    } 
    """.replace("2023-01-03T11:00:20", time := iso())  # noqa: W291 - verbatim.
    response = client.post(body)
    assert (response.status_code, response.content) == (200, b'{"statusCode":200}')
    assert client.values() == [
        {
            "resourceId": QUEUE_ACCOUNT,
            "region": "westeurope",
            "namespace": "QueueProcessing",
            "metric": "QueueDepth",
            "dimensions": {"MessageType": "JPEG", "QueueName": "ImagesToProcess"},
            "time": time[:17] + "00Z",
            "min": 3,
            "max": 20,
            "sum": 28,
            "count": 3,
        }
    ]


def test_region_mismatch_alternates_between_the_two_recorded_texts(client: Client) -> None:
    client.set(
        "PUT",
        "resources",
        {"resources": [{"resourceId": QUEUE_ACCOUNT.upper(), "region": "northeurope"}]},
    )
    for end in (b" ", b". Ensure you are sending to the correct regional endpoint.", b" "):
        response = client.post(document())
        assert response.status_code == 400
        assert response.content == (
            b"""{"error":{"code":"RegionMismatch","message":"This endpoint : westeurope does not """
            b"""accept metrics for the resource's region : northeurope""" + end + b""""}}"""
        )
    assert client.post(document(), region="northeurope").ok


def claims(client: Client) -> dict[str, Any]:
    """Return what the client's token says."""
    content: dict[str, Any] = jwt.decode(client.token, options={"verify_signature": False})
    return content


def test_role_missing(client: Client) -> None:
    client.set("PUT", "roles", {"assignments": []})
    response = client.post(document())
    oid = claims(client)["oid"]
    assert response.status_code == 403
    assert response.text == (
        '{"error":{"code":"AuthenticationFailed","message":"The Azure AD object '
        f"'{oid}' does not have permissions to perform action 'Microsoft.Insights/Metrics/write' "
        f"over scope '{QUEUE_ACCOUNT}'. \"}}}}"
    )
    assert client.values() == []


def test_request_timeout_as_a_fault_has_the_services_body(client: Client) -> None:
    client.fault(status=408, next=1)
    response = client.post(document())
    assert (response.status_code, response.content) == (
        408,
        b'{"error":{"code":"RequestTimeout","message":"Request failed"}}',
    )


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(f"/westeurope/{QUEUE_ACCOUNT}/metrics", id="two slashes"),
        pytest.param(f"//westeurope{QUEUE_ACCOUNT}/metrics", id="two slashes at the start"),
        pytest.param(f"/westeurope{QUEUE_ACCOUNT}//metrics", id="two slashes at the end"),
        pytest.param(f"/westeurope{QUEUE_ACCOUNT}/metrics/", id="slash at the end"),
        pytest.param(f"/westeurope{QUEUE_ACCOUNT}", id="no metrics"),
        pytest.param(f"/west-europe{QUEUE_ACCOUNT}/metrics", id="not a region"),
        pytest.param(f"/west%20europe{QUEUE_ACCOUNT}/metrics", id="region with a space"),
        pytest.param(f"{QUEUE_ACCOUNT}/metrics", id="no region"),
        pytest.param(f"/westeurope{GROUP}/metrics", id="resource group"),
        pytest.param(f"/westeurope{GROUP.rpartition('/resourceGroups')[0]}/metrics", id="subscr."),
        pytest.param(f"/westeurope{QUEUE_ACCOUNT}/queueServices/metrics", id="half a child"),
        pytest.param("/westeurope", id="region alone"),
        pytest.param("/", id="nothing"),
    ],
)
def test_a_bad_url_is_an_empty_404(client: Client, path: str) -> None:
    response = client.http.post(
        client.url + path,
        json=document(),
        headers={"Authorization": f"Bearer {client.token}"},
        timeout=30,
    )
    assert (response.status_code, response.content) == (404, b"")


@pytest.mark.parametrize(
    "resource",
    [
        f"{QUEUE_ACCOUNT}/queueServices/default",
        f"{QUEUE_ACCOUNT}/providers/Microsoft.Insights/diagnosticSettings/all",
        QUEUE_ACCOUNT.upper(),
    ],
)
def test_any_resource_may_be_the_subject(client: Client, resource: str) -> None:
    assert client.post(document(), resource=resource).ok
    assert [value["resourceId"] for value in client.values()] == [resource]


def test_an_unregistered_resource_does_not_exist_for_the_strict(
    start: Callable[[Options], Client],
) -> None:
    client = start(Options(strict=True))
    body = document(time="2026-11-23T07:25:00Z")
    response = client.post(body)
    assert (response.status_code, response.content) == (404, b"")
    resource = {"resourceId": QUEUE_ACCOUNT, "region": "westeurope"}
    client.set("PUT", "resources", {"resources": [resource]})
    assert client.post(body).ok


def test_the_first_accepted_post_settles_the_region(client: Client) -> None:
    assert client.post(document(metric=""), region="eastus").status_code == 400
    assert client.post(document(), region="WestEurope").ok
    assert error(client.post(document(), region="eastus")) == (400, "RegionMismatch")
    assert client.post(document(), resource=QUEUE_ACCOUNT.lower()).ok


def test_other_methods_are_refused(client: Client) -> None:
    response = client.http.get(client.metrics_url(), timeout=30)
    assert (response.status_code, response.content) == (405, b"")


def test_a_scope_holds_whole_segments_below_it_without_case(client: Client) -> None:
    def status(scope: str, principal: str | None = None) -> int:
        assignment = {"scope": scope} | ({"principalId": principal} if principal else {})
        client.set("PUT", "roles", {"assignments": [assignment]})
        return client.post(document()).status_code

    for scope in (GROUP.upper(), f"{GROUP}/", QUEUE_ACCOUNT, "/"):
        assert status(scope) == 200
    assert status(QUEUE_ACCOUNT, claims(client)["oid"].upper()) == 200
    assert status(QUEUE_ACCOUNT, "someone-else") == 403
    assert status(GROUP[:-1]) == 403
    assert status(f"{QUEUE_ACCOUNT}/queueServices/default") == 403


def test_tokens_are_checked(client: Client) -> None:
    def answer(authorization: str) -> tuple[int, str]:
        response = client.post(document(), Authorization=authorization)
        assert response.headers["WWW-Authenticate"] == "Bearer"
        return error(response)

    forged = jwt.encode(claims(client), b"x" * 32, "HS256")
    unsigned = jwt.encode({"aud": "https://monitoring.azure.com/"}, "", "none")
    for authorization in ("", "Basic dXNlcjpwYXNz", "Bearer "):
        assert answer(authorization) == (401, "AuthenticationFailed")
    for token in ("garbage", forged, unsigned):
        assert answer(f"Bearer {token}") == (401, "InvalidAuthenticationToken")
    for audience in ("https://monitor.azure.com", "https://monitoring.azure.com"):
        token = client.fetch_token(resource=audience)
        assert answer(f"Bearer {token}") == (401, "InvalidAudience")
    assert client.post(document(), Authorization=f"bearer {client.token}").ok


def test_the_audience_is_an_option(start: Callable[[Options], Client]) -> None:
    client = start(Options(audience="https://monitoring.azure.cn/"))
    body = document(time="2026-11-23T07:25:00Z")
    assert error(client.post(body)) == (401, "InvalidAudience")
    token = client.fetch_token(resource="https://monitoring.azure.cn/")
    assert client.post(body, token=token).ok


def test_a_token_expires_by_the_emulators_clock(start: Callable[[Options], Client]) -> None:
    client = start(Options(token_life_seconds=600))
    body = json.dumps(document(time="2026-11-23T07:34:00Z"))
    token = client.token
    client.set("PUT", "clock", {"offsetSeconds": 599})
    assert client.post(body, token=token).ok
    client.set("PUT", "clock", {"offsetSeconds": 600})
    assert error(client.post(body, token=token)) == (401, "ExpiredAuthenticationToken")
    assert client.post(body, token=client.fetch_token()).ok
    client.set("PUT", "clock", {"offsetSeconds": 300})
    assert client.post(body, token=token).ok
    client.set("PUT", "clock", {"offsetSeconds": -3600})
    assert client.post(document(time="2026-11-23T06:25:00Z"), token=token).ok
