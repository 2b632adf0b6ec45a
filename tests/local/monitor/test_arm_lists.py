"""The lists of Azure Resource Manager: resources, Service Bus entities, and their pages."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from .client import GROUP, QUEUE_ACCOUNT, SUBSCRIPTION, Client, document, error

OTHER_GROUP = f"{SUBSCRIPTION}/resourceGroups/orders2"
BUS = f"{GROUP}/providers/Microsoft.ServiceBus/namespaces/orders-bus"
SITE = f"{OTHER_GROUP}/providers/Microsoft.Web/sites/shop"
VERSION = "api-version=2021-04-01"
BUS_VERSION = "api-version=2021-11-01"


def resource(resource_id: str, kind: str, location: str = "westeurope") -> dict[str, str]:
    name = resource_id.rpartition("/")[2]
    return {"id": resource_id, "name": name, "type": kind, "location": location}


ACCOUNT = resource(QUEUE_ACCOUNT, "Microsoft.Storage/storageAccounts")
NAMESPACE = resource(BUS, "Microsoft.ServiceBus/namespaces", "northeurope")
SHOP = resource(SITE, "Microsoft.Web/sites")

COUNTS = {"active": 5, "deadLetter": 4, "scheduled": 3, "transfer": 2, "transferDeadLetter": 1}
COUNT_DETAILS = {
    "activeMessageCount": 5,
    "deadLetterMessageCount": 4,
    "scheduledMessageCount": 3,
    "transferMessageCount": 2,
    "transferDeadLetterMessageCount": 1,
}
ZERO = dict.fromkeys(COUNT_DETAILS, 0)
FILLED: dict[str, Any] = {
    "resourceId": BUS,
    "location": "northeurope",
    "queues": [{"name": "in", **COUNTS}, {"name": "Desk/Incoming"}],
    "topics": [
        {"name": "news", "subscriptions": [{"name": "mail", **COUNTS}, {"name": "fax"}]},
        {"name": "old"},
    ],
}


@pytest.fixture
def filled(client: Client) -> Client:
    """One resource learned from a post, one declared as a namespace, one registered."""
    assert client.post(document()).ok
    client.set("PUT", "service_bus", {"namespaces": [FILLED]})
    register(client, [SITE])
    return client


def register(client: Client, resource_ids: list[str]) -> None:
    given = [{"resourceId": each, "region": "westeurope"} for each in resource_ids]
    client.set("PUT", "resources", {"resources": given})


def pages(client: Client, path: str) -> list[list[Any]]:
    """Return what each page lists; follow the links."""
    found = []
    link: str | None = path
    while link is not None:
        response = client.arm(link)
        assert response.ok, response.text
        content = response.json()
        found.append(content["value"])
        link = content.get("nextLink")
    return found


def listed(client: Client, scope: str, given: str | None = None) -> list[Any]:
    query = "" if given is None else f"&$filter={quote(given)}"
    (page,) = pages(client, f"{scope}/resources?{VERSION}{query}")
    return page


def test_resources_of_a_subscription_and_of_a_group(filled: Client) -> None:
    assert listed(filled, SUBSCRIPTION) == [ACCOUNT, NAMESPACE, SHOP]
    assert listed(filled, GROUP) == [ACCOUNT, NAMESPACE]
    without_case = GROUP.upper().replace("/SUBSCRIPTIONS", "/subscriptions")
    assert listed(filled, without_case) == [ACCOUNT, NAMESPACE]
    assert listed(filled, OTHER_GROUP) == [SHOP]
    assert listed(filled, "/subscriptions/other") == []


def test_a_resource_is_listed_once_as_it_was_registered(filled: Client) -> None:
    register(filled, [QUEUE_ACCOUNT.upper(), BUS])
    assert [(each["id"], each["location"]) for each in listed(filled, SUBSCRIPTION)] == [
        (QUEUE_ACCOUNT.upper(), "westeurope"),
        (BUS, "westeurope"),
    ]


def test_a_namespace_is_in_its_location_for_ingestion_too(filled: Client) -> None:
    assert error(filled.post(document(), resource=BUS)) == (400, "RegionMismatch")
    assert filled.post(document(), resource=BUS, region="northeurope").ok


def test_children_and_extensions(client: Client) -> None:
    child = f"{QUEUE_ACCOUNT}/queueServices/default"
    extension = f"{QUEUE_ACCOUNT}/providers/Microsoft.Insights/diagnosticSettings/all"
    named = f"{GROUP}/providers/Microsoft.Web/sites/providers"
    register(client, [child, extension, named])
    assert [(each["type"], each["name"]) for each in listed(client, GROUP)] == [
        ("Microsoft.Storage/storageAccounts/queueServices", "ordersqueues/default"),
        ("Microsoft.Insights/diagnosticSettings", "all"),
        ("Microsoft.Web/sites", "providers"),
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("resourceType eq 'Microsoft.ServiceBus/namespaces'", [NAMESPACE]),
        ("resourceType eq 'MICROSOFT.SERVICEBUS/NAMESPACES'", [NAMESPACE]),
        ("resourceType eq 'Microsoft.ServiceBus'", []),
    ],
)
def test_the_filter(filled: Client, given: str, expected: list[dict[str, str]]) -> None:
    assert listed(filled, SUBSCRIPTION, given) == expected


@pytest.mark.parametrize(
    "given",
    [
        "",
        "name eq 'shop'",
        "resourceType ne 'a/b'",
        "resourceType eq a/b",
        "resourceType eq ''",
        "resourceType eq 'a/b' and name eq 'shop'",
    ],
)
def test_a_filter_that_is_not_known(filled: Client, given: str) -> None:
    response = filled.arm(f"{GROUP}/resources?{VERSION}&$filter={quote(given)}")
    message = f"Invalid $filter '{given}' specified in the query string."
    assert response.status_code == 400
    assert response.json() == {"error": {"code": "InvalidFilterInQueryString", "message": message}}


@pytest.mark.parametrize(
    ("path", "kind", "expected"),
    [
        ("queues", "Queues", {"in": COUNT_DETAILS, "Desk~Incoming": ZERO}),
        ("topics", "Topics", {"news": ZERO, "old": ZERO}),
        ("topics/news/subscriptions", "subscriptions", {"mail": COUNT_DETAILS, "fax": ZERO}),
        ("Topics/NEWS/Subscriptions", "subscriptions", {"mail": COUNT_DETAILS, "fax": ZERO}),
        ("topics/old/subscriptions", "", {}),
    ],
)
def test_service_bus(
    filled: Client, path: str, kind: str, expected: dict[str, dict[str, int]]
) -> None:
    (entities,) = pages(filled, f"{BUS}/{path}?{BUS_VERSION}")
    for entity in entities:
        type_of_list = entity.pop("type").lower()
        assert type_of_list.startswith("microsoft.servicebus/namespaces/")
        assert type_of_list.endswith(kind.lower())
    assert entities == [
        {
            "id": f"{BUS}/{path}/{name}",
            "name": name,
            "properties": {"status": "Active", "countDetails": counts},
        }
        for name, counts in expected.items()
    ]


@pytest.mark.parametrize(("number", "sizes"), [(100, [100]), (101, [100, 1]), (200, [100, 100])])
def test_a_page_holds_a_hundred(client: Client, number: int, sizes: list[int]) -> None:
    names = [f"site{index}" for index in range(number)]
    register(client, [f"{GROUP}/providers/Microsoft.Web/sites/{name}" for name in names])
    found = pages(client, f"{GROUP}/resources?{VERSION}")
    assert [len(page) for page in found] == sizes
    assert [each["name"] for page in found for each in page] == names


def test_pages_can_be_smaller_and_keep_the_filter(client: Client) -> None:
    queues = [{"name": f"q{index}"} for index in range(5)]
    namespace = {"resourceId": BUS, "queues": queues}
    client.set("PUT", "service_bus", {"namespaces": [namespace], "pageSize": 2})
    register(client, [QUEUE_ACCOUNT, f"{GROUP}2/providers/a/b/c", SITE, f"{SITE}2", f"{SITE}3"])
    found = pages(client, f"{BUS}/queues?{BUS_VERSION}")
    assert [[each["name"] for each in page] for page in found] == [
        ["q0", "q1"],
        ["q2", "q3"],
        ["q4"],
    ]
    given = quote("resourceType eq 'Microsoft.Web/sites'")
    found = pages(client, f"{SUBSCRIPTION}/resources?{VERSION}&$filter={given}")
    assert [[each["name"] for each in page] for page in found] == [["shop", "shop2"], ["shop3"]]


@pytest.mark.parametrize("token", ["", "-1", "x"])
def test_a_skip_token_that_the_emulator_never_gave(filled: Client, token: str) -> None:
    response = filled.arm(f"{GROUP}/resources?{VERSION}&$skiptoken={token}")
    assert error(response) == (400, "BadRequest")


NOWHERE = f"{SUBSCRIPTION}/resourceGroups/Nowhere"
OTHER_BUS = f"{GROUP}/providers/Microsoft.ServiceBus/namespaces/other"
NO_GROUP = ("ResourceGroupNotFound", "Resource group 'Nowhere' could not be found.")
NESTED = "Can not perform requested operation on nested resource. Parent resource"


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        (f"{NOWHERE}/resources?{VERSION}", *NO_GROUP),
        (f"{NOWHERE}/providers/Microsoft.ServiceBus/namespaces/x/queues?{BUS_VERSION}", *NO_GROUP),
        *(
            (f"{path}?{BUS_VERSION}", "ParentResourceNotFound", f"{NESTED} '{name}' not found.")
            for path, name in (
                (f"{OTHER_BUS}/queues", "other"),
                (f"{OTHER_BUS}/topics/news/subscriptions", "other"),
                (f"{BUS}/topics/none/subscriptions", "none"),
            )
        ),
    ],
)
def test_not_found(filled: Client, path: str, code: str, message: str) -> None:
    response = filled.arm(path)
    assert response.status_code == 404
    assert response.json() == {"error": {"code": code, "message": message}}
