"""Service Bus in Azure Resource Manager: exact answers, pages, and what does not exist."""

from __future__ import annotations

from typing import Any

import pytest

from .client import GROUP, QUEUE_ACCOUNT, SUBSCRIPTION, Client, error

NAMESPACE = f"{GROUP}/providers/Microsoft.ServiceBus/namespaces/orders-bus"
VERSION = "api-version=2021-11-01"
NOW = "2026-11-23T07:25:30.000Z"
FOR_EVER = "P10675199DT2H48M5.4775807S"

COUNTS = {"active": 5, "deadLetter": 4, "scheduled": 3, "transfer": 2, "transferDeadLetter": 1}
STATE: dict[str, Any] = {
    "namespaces": [
        {
            "resourceId": NAMESPACE,
            "location": "northeurope",
            "queues": [
                {"name": "in", **COUNTS, "sizeInBytes": 15_000},
                {"name": "Desk/Incoming", "status": "SendDisabled"},
            ],
            "topics": [
                {"name": "news", "subscriptions": [{"name": "mail", **COUNTS}, {"name": "fax"}]},
                {"name": "old"},
            ],
        }
    ]
}

COUNT_DETAILS = {
    "activeMessageCount": 5,
    "deadLetterMessageCount": 4,
    "scheduledMessageCount": 3,
    "transferMessageCount": 2,
    "transferDeadLetterMessageCount": 1,
}
EVERY = {
    "status": "Active",
    "defaultMessageTimeToLive": FOR_EVER,
    "autoDeleteOnIdle": FOR_EVER,
    "enableBatchedOperations": True,
    "createdAt": NOW,
    "updatedAt": NOW,
    "accessedAt": "0001-01-01T00:00:00Z",
}
STORED = {
    "maxSizeInMegabytes": 1024,
    "maxMessageSizeInKilobytes": 256,
    "requiresDuplicateDetection": False,
    "duplicateDetectionHistoryTimeWindow": "PT10M",
    "enablePartitioning": False,
    "enableExpress": False,
}
RECEIVED = {
    "lockDuration": "PT1M",
    "requiresSession": False,
    "deadLetteringOnMessageExpiration": False,
    "maxDeliveryCount": 10,
}
QUEUE = {
    "id": f"{NAMESPACE}/queues/in",
    "name": "in",
    "type": "Microsoft.ServiceBus/Namespaces/Queues",
    "location": "northeurope",
    "properties": {
        **EVERY,
        **STORED,
        **RECEIVED,
        "countDetails": COUNT_DETAILS,
        "messageCount": 15,
        "sizeInBytes": 15_000,
    },
}
TOPIC = {
    "id": f"{NAMESPACE}/topics/news",
    "name": "news",
    "type": "Microsoft.ServiceBus/Namespaces/Topics",
    "location": "northeurope",
    "properties": {
        **EVERY,
        **STORED,
        "countDetails": dict.fromkeys(COUNT_DETAILS, 0),
        "sizeInBytes": 0,
        "supportOrdering": True,
        "subscriptionCount": 2,
    },
}
SUBSCRIBER = {
    "id": f"{NAMESPACE}/topics/news/subscriptions/mail",
    "name": "mail",
    "type": "Microsoft.ServiceBus/Namespaces/Topics/Subscriptions",
    "location": "northeurope",
    "properties": {
        **EVERY,
        **RECEIVED,
        "countDetails": COUNT_DETAILS,
        "messageCount": 15,
        "deadLetteringOnFilterEvaluationExceptions": True,
        "isClientAffine": False,
    },
}
BUS = {
    "id": NAMESPACE,
    "name": "orders-bus",
    "type": "Microsoft.ServiceBus/Namespaces",
    "location": "northeurope",
    "sku": {"name": "Standard", "tier": "Standard"},
    "properties": {
        "provisioningState": "Succeeded",
        "createdAt": NOW,
        "updatedAt": NOW,
        "serviceBusEndpoint": "https://orders-bus.servicebus.windows.net:443/",
        "status": "Active",
    },
}


def get(client: Client, path: str, query: str = VERSION) -> Any:
    response = client.arm(f"{NAMESPACE}{path}?{query}")
    assert response.ok, response.text
    return response.json()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", BUS),
        ("/queues/in", QUEUE),
        ("/topics/news", TOPIC),
        ("/topics/news/subscriptions/mail", SUBSCRIBER),
        ("/Topics/NEWS/Subscriptions/MAIL", SUBSCRIBER),
    ],
)
def test_one(frozen: Client, path: str, expected: dict[str, Any]) -> None:
    frozen.set("PUT", "service_bus", STATE)
    assert get(frozen, path) == expected


@pytest.mark.parametrize(
    ("path", "first", "names"),
    [
        ("/queues", QUEUE, ["in", "Desk~Incoming"]),
        ("/topics", TOPIC, ["news", "old"]),
        ("/topics/news/subscriptions", SUBSCRIBER, ["mail", "fax"]),
    ],
)
def test_lists(frozen: Client, path: str, first: dict[str, Any], names: list[str]) -> None:
    frozen.set("PUT", "service_bus", STATE)
    content = get(frozen, path)
    assert set(content) == {"value"}
    assert content["value"][0] == first
    assert [each["name"] for each in content["value"]] == names


def test_a_slash_in_a_name_is_a_tilde(client: Client) -> None:
    client.set("PUT", "service_bus", STATE)
    queue = get(client, "/queues/desk~incoming")
    assert (queue["id"], queue["name"]) == (f"{NAMESPACE}/queues/Desk~Incoming", "Desk~Incoming")
    assert queue["properties"]["status"] == "SendDisabled"
    assert queue["properties"]["messageCount"] == 0


def test_empty_lists(client: Client) -> None:
    client.set("PUT", "service_bus", {"namespaces": [{"resourceId": NAMESPACE}]})
    assert get(client, "/queues") == {"value": []}
    assert get(client, "/topics") == {"value": []}
    assert get(client, "")["location"] == "westeurope"


def test_a_namespace_that_is_registered_alone_is_empty(client: Client) -> None:
    given = [{"resourceId": NAMESPACE, "region": "eastus"}]
    client.set("PUT", "resources", {"resources": given})
    assert get(client, "")["location"] == "eastus"
    assert get(client, "/queues") == {"value": []}


def test_what_was_put_is_given_back(client: Client) -> None:
    assert client.local("GET", "service_bus").json() == {"namespaces": []}
    put = {**STATE, "pageSize": 3}
    assert client.local("PUT", "service_bus", put).json() == put
    assert client.local("GET", "service_bus").json() == put
    client.set("DELETE", "state")
    assert client.local("GET", "service_bus").json() == {"namespaces": []}
    assert error(client.arm(f"{NAMESPACE}/queues?{VERSION}")) == (404, "ResourceGroupNotFound")


def filled(client: Client, number: int, page_size: int | None = None) -> list[str]:
    names = [f"q{index}" for index in range(number)]
    state: dict[str, Any] = {
        "namespaces": [{"resourceId": NAMESPACE, "queues": [{"name": name} for name in names]}]
    }
    client.set("PUT", "service_bus", state | ({"pageSize": page_size} if page_size else {}))
    return names


def pages(client: Client, query: str = VERSION) -> list[list[str]]:
    """The names on each page, following the links."""
    found = []
    link: str | None = f"{NAMESPACE}/queues?{query}"
    while link is not None:
        content = client.arm(link).json()
        found.append([each["name"] for each in content["value"]])
        link = content.get("nextLink")
    return found


def test_the_link_to_the_next_page(client: Client) -> None:
    filled(client, 101)
    content = get(client, "/queues")
    link = f"{client.url}{NAMESPACE}/queues?{VERSION}&$skip=100&$top=100"
    assert content["nextLink"] == link
    assert [each["name"] for each in client.arm(link).json()["value"]] == ["q100"]


def test_small_pages_for_tests(client: Client) -> None:
    filled(client, 5, page_size=2)
    assert pages(client) == [["q0", "q1"], ["q2", "q3"], ["q4"]]
    assert pages(client, f"{VERSION}&$top=100")[0] == ["q0", "q1"]
    assert pages(client, f"{VERSION}&$top=1")[0] == ["q0"]


def test_skip_and_top(client: Client) -> None:
    filled(client, 300)
    assert len(pages(client, f"{VERSION}&$top=250")[0]) == 250
    assert pages(client, f"{VERSION}&$skip=298&$top=1") == [["q298"], ["q299"]]
    assert pages(client, f"{VERSION}&$skip=299") == [["q299"]]
    assert pages(client, f"{VERSION}&%24skip=300") == [[]]
    assert pages(client, f"{VERSION}&$top=1000") == [[f"q{index}" for index in range(300)]]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("$top=1001", "'top' exceeds maximum value of '1000'."),
        ("$top=0", "The value '0' of the query parameter '$top' is invalid."),
        ("$top=all", "The value 'all' of the query parameter '$top' is invalid."),
        ("$top=", "The value '' of the query parameter '$top' is invalid."),
        ("$skip=-1", "The value '-1' of the query parameter '$skip' is invalid."),
    ],
)
def test_bad_pages(client: Client, query: str, message: str) -> None:
    filled(client, 1)
    response = client.arm(f"{NAMESPACE}/queues?{VERSION}&{query}")
    assert response.status_code == 400
    assert response.json() == {"error": {"code": "BadRequest", "message": message}}


BUSES = f"{GROUP}/providers/Microsoft.ServiceBus/namespaces"
MORE = " For more details please go to https://aka.ms/ARMResourceNotFoundFix"
NESTED = "Can not perform requested operation on nested resource."


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        (
            f"{SUBSCRIPTION}/resourceGroups/none/providers/Microsoft.ServiceBus/namespaces/x/queues",
            "ResourceGroupNotFound",
            "Resource group 'none' could not be found.",
        ),
        (
            f"{BUSES}/Other",
            "ResourceNotFound",
            (
                "The Resource 'Microsoft.ServiceBus/namespaces/Other' under resource group 'orders'"
                f" was not found.{MORE}"
            ),
        ),
        (f"{BUSES}/x/queues", "ParentResourceNotFound", f"{NESTED} Parent resource 'x' not found."),
        (f"{BUSES}/x/queues/q", "ParentResourceNotFound", None),
        (f"{BUSES}/x/topics/news/subscriptions", "ParentResourceNotFound", None),
        (
            f"{NAMESPACE}/topics/none/subscriptions",
            "ParentResourceNotFound",
            f"{NESTED} Parent resource 'none' not found.",
        ),
        (
            f"{NAMESPACE}/queues/news",
            "ResourceNotFound",
            (
                "The Resource 'Microsoft.ServiceBus/namespaces/orders-bus/queues/news' under"
                f" resource group 'orders' was not found.{MORE}"
            ),
        ),
        (f"{NAMESPACE}/topics/in", "ResourceNotFound", None),
        (
            f"{NAMESPACE}/topics/news/subscriptions/none",
            "ResourceNotFound",
            (
                "The Resource 'Microsoft.ServiceBus/namespaces/orders-bus/topics/news/subscriptions"
                f"/none' under resource group 'orders' was not found.{MORE}"
            ),
        ),
        (f"{NAMESPACE}/topics/none/subscriptions/none", "ParentResourceNotFound", None),
    ],
)
def test_not_found(client: Client, path: str, code: str, message: str | None) -> None:
    client.set("PUT", "service_bus", STATE)
    response = client.arm(f"{path}?{VERSION}")
    assert error(response) == (404, code)
    assert message in {None, response.json()["error"]["message"]}


BAD: list[tuple[Any, str]] = [
    ({}, "Object missing required field `namespaces`"),
    (
        {"namespaces": [{"resourceId": QUEUE_ACCOUNT}]},
        f"namespaces[0].resourceId: '{QUEUE_ACCOUNT}' does not name a Service Bus namespace",
    ),
    (
        {"namespaces": [{"resourceId": NAMESPACE}, {"resourceId": NAMESPACE.upper()}]},
        f"namespaces[1]: '{NAMESPACE.lower()}' is there already",
    ),
    (
        {"namespaces": [{"resourceId": NAMESPACE, "queues": [{"name": "a/b"}, {"name": "A~B"}]}]},
        "namespaces[0].queues[1]: 'a~b' is there already",
    ),
]


@pytest.mark.parametrize(("given", "message"), BAD)
def test_bad_input_is_named(client: Client, given: Any, message: str) -> None:
    response = client.local("PUT", "service_bus", given)
    assert response.status_code == 400
    assert response.json() == {"error": {"code": "BadRequest", "message": message}}
