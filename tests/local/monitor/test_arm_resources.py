"""The generic list of resources: what it holds, its filter and its pages."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from .client import GROUP, QUEUE_ACCOUNT, SUBSCRIPTION, Client, document, error

OTHER_GROUP = f"{SUBSCRIPTION}/resourceGroups/orders2"
BUS = f"{GROUP}/providers/Microsoft.ServiceBus/namespaces/orders-bus"
SITE = f"{OTHER_GROUP}/providers/Microsoft.Web/sites/shop"
VERSION = "api-version=2021-04-01"


def resource(resource_id: str, kind: str, location: str = "westeurope") -> dict[str, str]:
    name = resource_id.rpartition("/")[2]
    return {"id": resource_id, "name": name, "type": kind, "location": location}


ACCOUNT = resource(QUEUE_ACCOUNT, "Microsoft.Storage/storageAccounts")
NAMESPACE = resource(BUS, "Microsoft.ServiceBus/namespaces", "northeurope")
SHOP = resource(SITE, "Microsoft.Web/sites")


@pytest.fixture
def filled(client: Client) -> Client:
    """One resource learnt, one declared, one registered."""
    assert client.post(document()).ok
    namespaces = [{"resourceId": BUS, "location": "northeurope"}]
    client.set("PUT", "service_bus", {"namespaces": namespaces})
    register(client, [SITE])
    return client


def register(client: Client, resource_ids: list[str]) -> None:
    given = [{"resourceId": each, "region": "westeurope"} for each in resource_ids]
    client.set("PUT", "resources", {"resources": given})


def listed(client: Client, scope: str, given: str | None = None) -> list[dict[str, Any]]:
    query = "" if given is None else f"&$filter={quote(given)}"
    response = client.arm(f"{scope}/resources?{VERSION}{query}")
    assert response.ok, response.text
    content = response.json()
    assert set(content) == {"value"}
    value: list[dict[str, Any]] = content["value"]
    return value


def test_of_a_subscription_and_of_a_group(filled: Client) -> None:
    assert listed(filled, SUBSCRIPTION) == [ACCOUNT, NAMESPACE, SHOP]
    assert listed(filled, GROUP) == [ACCOUNT, NAMESPACE]
    assert listed(filled, GROUP.upper().replace("/SUBSCRIPTIONS", "/subscriptions")) == [
        ACCOUNT,
        NAMESPACE,
    ]
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
    register(client, [child, extension])
    assert [(each["type"], each["name"]) for each in listed(client, GROUP)] == [
        ("Microsoft.Storage/storageAccounts/queueServices", "ordersqueues/default"),
        ("Microsoft.Insights/diagnosticSettings", "all"),
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("resourceType eq 'Microsoft.ServiceBus/namespaces'", [NAMESPACE]),
        ("resourceType eq 'MICROSOFT.SERVICEBUS/NAMESPACES'", [NAMESPACE]),
        ("resourceType eq 'Microsoft.ServiceBus'", []),
        (
            (
                "resourceType eq 'Microsoft.Web/sites'"
                " or resourceType eq 'Microsoft.Storage/storageAccounts'"
            ),
            [ACCOUNT, SHOP],
        ),
        (
            (
                "resourceType eq 'Microsoft.Web/sites' and resourceType eq 'x/y'"
                " or resourceType eq 'Microsoft.Storage/storageAccounts'"
            ),
            [ACCOUNT],
        ),
        ("resourceType eq 'Microsoft.Web/sites' and resourceType eq 'microsoft.web/sites'", [SHOP]),
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
        "$filter=resourceType eq 'a/b'",
        "resourceType eq 'a/b' and name eq 'shop'",
        "resourceType eq 'a/b' or ",
        "(resourceType eq 'a/b')",
    ],
)
def test_a_filter_that_is_not_known(filled: Client, given: str) -> None:
    response = filled.arm(f"{GROUP}/resources?{VERSION}&$filter={quote(given)}")
    assert response.status_code == 400
    assert response.json() == {
        "error": {
            "code": "InvalidFilterInQueryString",
            "message": f"Invalid $filter '{given}' specified in the query string.",
        }
    }


def test_a_group_that_does_not_exist(filled: Client) -> None:
    response = filled.arm(f"{SUBSCRIPTION}/resourceGroups/Nowhere/resources?{VERSION}")
    assert response.status_code == 404
    assert response.json() == {
        "error": {
            "code": "ResourceGroupNotFound",
            "message": "Resource group 'Nowhere' could not be found.",
        }
    }


def pages(client: Client, path: str) -> list[list[str]]:
    """The names on each page, following the links."""
    found = []
    link: str | None = path
    while link is not None:
        content = client.arm(link).json()
        found.append([each["name"] for each in content["value"]])
        link = content.get("nextLink")
    return found


@pytest.mark.parametrize(("number", "sizes"), [(100, [100]), (101, [100, 1]), (200, [100, 100])])
def test_a_page_holds_a_hundred(client: Client, number: int, sizes: list[int]) -> None:
    names = [f"site{index}" for index in range(number)]
    register(client, [f"{GROUP}/providers/Microsoft.Web/sites/{name}" for name in names])
    found = pages(client, f"{GROUP}/resources?{VERSION}")
    assert [len(each) for each in found] == sizes
    assert [name for each in found for name in each] == names


def test_pages_keep_the_filter(filled: Client) -> None:
    filled.set("PUT", "service_bus", {"namespaces": [], "pageSize": 2})
    sites = [f"{GROUP}/providers/Microsoft.Web/sites/site{index}" for index in range(3)]
    register(filled, [*sites, f"{GROUP}/providers/Microsoft.Web/plans/plan"])
    given = quote("resourceType eq 'Microsoft.Web/sites'")
    path = f"{GROUP}/resources?{VERSION}&$filter={given}"
    link = filled.arm(path).json()["nextLink"]
    assert link.startswith(f"{filled.url}{GROUP}/resources?{VERSION}&%24filter=")
    assert set(parse_qs(urlsplit(link).query)) == {"api-version", "$filter", "$skiptoken"}
    assert pages(filled, path) == [["site0", "site1"], ["site2"]]
    assert pages(filled, f"{path}&$top=1") == [["site0"], ["site1"], ["site2"]]


@pytest.mark.parametrize("token", ["", "2", "Zmlyc3Q9LTE", "Zmlyc3Q9eA==", "bGFzdD0x"])
def test_a_skiptoken_of_ones_own(filled: Client, token: str) -> None:
    response = filled.arm(f"{GROUP}/resources?{VERSION}&$skiptoken={token}")
    assert error(response) == (400, "BadRequest")
