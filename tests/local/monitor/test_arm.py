"""Azure Resource Manager: who may ask for what, its errors word for word, faults and the log."""

from __future__ import annotations

import jwt
import pytest

from .client import (
    ARM_AUDIENCE,
    AUDIENCE,
    GROUP,
    QUEUE_ACCOUNT,
    SUBSCRIPTION,
    Client,
    document,
    error,
)

NAMESPACE = f"{GROUP}/providers/Microsoft.ServiceBus/namespaces/orders-bus"
QUEUES = f"{NAMESPACE}/queues?api-version=2021-11-01"
RESOURCES = f"{GROUP}/resources?api-version=2021-04-01"


@pytest.fixture(autouse=True)
def _namespace(client: Client) -> None:
    put = {"resourceId": NAMESPACE, "queues": [{"name": "in"}], "topics": [{"name": "news"}]}
    client.set("PUT", "service_bus", {"namespaces": [put]})


def oid(token: str) -> str:
    return str(jwt.decode(token, options={"verify_signature": False})["oid"])


@pytest.mark.parametrize(
    "audience",
    [
        ARM_AUDIENCE,
        "https://management.azure.com",
        "https://management.core.windows.net/",
        "https://management.core.windows.net",
    ],
)
def test_the_audiences_of_arm(client: Client, audience: str) -> None:
    assert client.arm(QUEUES, token=client.fetch_token(resource=audience)).ok


def test_a_token_for_something_else(client: Client) -> None:
    response = client.arm(QUEUES, token=client.token)
    message = (
        f"The access token has been obtained for wrong audience or resource '{AUDIENCE}'."
        " It should exactly match with one of the allowed audiences"
        " 'https://management.core.windows.net/','https://management.core.windows.net',"
        "'https://management.azure.com/','https://management.azure.com'."
    )
    assert response.status_code == 401
    assert response.json() == {
        "error": {"code": "InvalidAuthenticationTokenAudience", "message": message}
    }
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize(
    ("authorization", "code", "message"),
    [
        (
            "",
            "AuthenticationFailed",
            "Authentication failed. The 'Authorization' header is missing.",
        ),
        ("Bearer garbage", "InvalidAuthenticationToken", "The access token is invalid."),
    ],
)
def test_no_token(client: Client, authorization: str, code: str, message: str) -> None:
    response = client.arm(QUEUES, Authorization=authorization)
    assert response.status_code == 401
    assert response.json() == {"error": {"code": code, "message": message}}
    assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        (
            f"{NAMESPACE}/queues",
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        ),
        (
            f"{NAMESPACE}/queues?api-version=2021-04-01",
            "InvalidApiVersionParameter",
            (
                "The api-version '2021-04-01' is invalid. The supported versions are"
                " '2024-01-01,2022-10-01-preview,2021-11-01'."
            ),
        ),
        (
            f"{GROUP}/resources?api-version=2021-11-01",
            "InvalidApiVersionParameter",
            (
                "The api-version '2021-11-01' is invalid. The supported versions are"
                " '2025-04-01,2024-03-01,2023-07-01,2022-09-01,2021-04-01'."
            ),
        ),
    ],
)
def test_api_versions(client: Client, path: str, code: str, message: str) -> None:
    response = client.arm(path)
    assert response.status_code == 400
    assert response.json() == {"error": {"code": code, "message": message}}


@pytest.mark.parametrize(
    ("path", "action", "scope"),
    [
        (f"{NAMESPACE}/queues?", "Microsoft.ServiceBus/namespaces/queues/read", NAMESPACE),
        (
            f"{NAMESPACE}/topics/none/subscriptions?",
            "Microsoft.ServiceBus/namespaces/topics/subscriptions/read",
            f"{NAMESPACE}/topics/none",
        ),
        (
            f"{GROUP}/resources?",
            "Microsoft.Resources/subscriptions/resourceGroups/resources/read",
            GROUP,
        ),
        (
            f"{SUBSCRIPTION}/resources?",
            "Microsoft.Resources/subscriptions/resources/read",
            SUBSCRIPTION,
        ),
    ],
)
def test_role_missing(client: Client, path: str, action: str, scope: str) -> None:
    everything = [
        {"scope": "/"},
        {"scope": "/", "principalId": "someone-else", "role": "Reader"},
        {"scope": f"{NAMESPACE}/topics/other", "role": "Reader"},
    ]
    client.set("PUT", "roles", {"assignments": everything})
    version = "2021-11-01" if "ServiceBus" in path else "2021-04-01"
    response = client.arm(f"{path}api-version={version}")
    caller = oid(client.arm_token)
    message = (
        f"The client '{caller}' with object id '{caller}' does not have authorization to perform"
        f" action '{action}' over scope '{scope}' or the scope is invalid. If access was recently"
        " granted, please refresh your credentials."
    )
    assert response.status_code == 403
    assert response.json() == {"error": {"code": "AuthorizationFailed", "message": message}}


def test_a_reader_reads_below_the_scope_and_may_not_post_metrics(client: Client) -> None:
    principal = oid(client.arm_token).upper()
    assignment = {"scope": NAMESPACE.upper(), "principalId": principal, "role": "Reader"}
    assert client.local("PUT", "roles", {"assignments": [assignment]}).json() == {
        "assignments": [assignment]
    }
    assert client.arm(QUEUES).ok
    assert error(client.arm(RESOURCES)) == (403, "AuthorizationFailed")
    response = client.post(document(), resource=NAMESPACE)
    assert error(response) == (403, "AuthenticationFailed")


@pytest.mark.parametrize(
    "path",
    [
        f"{QUEUE_ACCOUNT}?api-version=2023-01-01",
        f"{SUBSCRIPTION}?api-version=2021-04-01",
        f"{GROUP}/providers/Microsoft.ServiceBus/namespaces?api-version=2021-11-01",
        f"{GROUP}/providers/Microsoft.EventHub/namespaces/x/queues?api-version=2021-11-01",
        f"{NAMESPACE}?api-version=2021-11-01",
        f"{NAMESPACE}/queues/in?api-version=2021-11-01",
        f"{NAMESPACE}/queues/?api-version=2021-11-01",
        f"{NAMESPACE}//queues?api-version=2021-11-01",
        f"{GROUP}/resources/?api-version=2021-04-01",
    ],
)
def test_what_is_not_emulated_is_said(client: Client, path: str) -> None:
    response = client.arm(path)
    assert error(response) == (404, "NotFound")
    path = path.partition("?")[0]
    assert response.json()["error"]["message"] == f"The emulator has no GET {path}."


def test_nothing_can_be_changed(client: Client) -> None:
    headers = {"Authorization": f"Bearer {client.arm_token}"}
    for method, status in (("PUT", 405), ("DELETE", 405), ("POST", 404)):
        response = client.http.request(
            method, f"{client.url}{NAMESPACE}", headers=headers, timeout=30
        )
        assert (response.status_code, response.content) == (status, b"")


class TestFaults:
    def test_throttling(self, client: Client) -> None:
        body = {"error": {"code": "TooManyRequests", "message": "The request is being throttled."}}
        client.fault(target="arm", status=429, retryAfter=7, body=body, next=1)
        assert client.post(document()).ok
        response = client.arm(QUEUES)
        assert (response.status_code, response.headers["Retry-After"]) == (429, "7")
        assert response.json() == body
        assert client.arm(QUEUES).ok

    def test_for_a_path_and_all_below_it(self, client: Client) -> None:
        client.fault(target="arm", status=503, resourceId=f"{NAMESPACE.upper()}/TOPICS")
        paths = ("topics", "topics/news/subscriptions", "queues")
        answers = [client.arm(f"{NAMESPACE}/{path}?api-version=2021-11-01") for path in paths]
        assert [answer.status_code for answer in answers] == [503, 503, 200]


def test_the_log(frozen: Client) -> None:
    assert frozen.arm_token
    query = "api-version=2021-04-01&$filter=resourceType%20eq%20'a'"
    frozen.arm(f"{GROUP}/resources?{query}")
    frozen.fault(target="arm", status=500, next=1)
    frozen.arm(f"{SUBSCRIPTION}/resources")
    frozen.arm(f"{SUBSCRIPTION}/resources?api-version=2021-04-01")
    report = frozen.requests()
    assert report["armTotals"] == {"404": 1, "500": 1, "200": 1}
    assert report["totals"] == {}
    path = f"{SUBSCRIPTION}/resources"
    assert report["armRequests"] == [
        {"time": "2026-11-23T07:25:30.000Z", "method": "GET", **members}
        for members in (
            {"path": f"{GROUP}/resources", "query": query, "status": 404}
            | {"code": "ResourceGroupNotFound"},
            {"path": path, "query": "", "status": 500, "code": "Fault"},
            {"path": path, "query": "api-version=2021-04-01", "status": 200, "code": ""},
        )
    ]
    assert len(frozen.requests(limit=2)["armRequests"]) == 2
