"""What the demo enqueues, and what must come of it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

__all__ = [
    "Expected",
    "dead_letters",
    "filled_queues",
    "messages",
    "published",
    "resources",
    "sampled",
    "service_bus",
    "short",
    "sources",
    "stock",
]

SUBSCRIPTION = "/subscriptions/5b1fd1f4-2a3c-4f0e-9d53-0f8b6d3f5a10"
SHOP = f"{SUBSCRIPTION}/resourceGroups/shop/providers/Microsoft.Storage/storageAccounts/shop"
API = f"{SUBSCRIPTION}/resourceGroups/shop/providers/Microsoft.Web/sites/shop-api"
DATABASE = f"{SUBSCRIPTION}/resourceGroups/data/providers/Microsoft.Sql/servers/main/databases/shop"

BUS = f"{SUBSCRIPTION}/resourceGroups/shop/providers/Microsoft.ServiceBus/namespaces/shop"

# Queue -> messages waiting in it for the timer to sample.
BACKLOG = {"images": 12, "thumbnails": 0, "videos": 3}
# The same of the queues' poison queues; the others have none.
POISON = {"videos": 2}

# Entity or topic/subscription -> messages active and dead-lettered in it.
SERVICE_BUS = {"invoices": (4, 1), "orders/billing": (7, 0), "orders/shipping": (2, 3)}
# Article -> pieces of it, as an API of the shop has them.
STOCK = {"bicycle": 12, "helmet": 250}

# (last part of the resource ID, metric, dimensions) -> min, max, sum, count
Expected = dict[tuple[str, str, str], tuple[float, float, float, int]]


def sources(monitor_url: str) -> list[dict[str, Any]]:
    """A source of each kind."""
    return [
        {
            "kind": "storage_queue",
            "resourceId": SHOP,
            "region": "westeurope",
            "connection": "MetricsStorage",
            "queues": ["images", "thumb*", "video*", "!*-poison"],
        },
        {"kind": "service_bus", "resourceId": BUS, "region": "northeurope"},
        {
            "kind": "rest",
            "resourceId": API,
            "region": "northeurope",
            "namespace": "Shop",
            "url": f"{monitor_url}/_local/documents/stock",
            "items": "articles",
            "metrics": {"Stock": "pieces"},
            "itemDimensions": {"Article": "name"},
        },
    ]


def filled_queues() -> dict[str, int]:
    """Queue -> messages waiting in it, poison queues among them."""
    return {**BACKLOG, **{f"{queue}-poison": messages for queue, messages in POISON.items()}}


def service_bus() -> dict[str, Any]:
    """What the emulator of Azure Resource Manager is to know of the namespace."""
    counts = {
        entity: {"active": active, "deadLetter": dead}
        for entity, (active, dead) in SERVICE_BUS.items()
    }
    subscriptions = [
        {"name": entity.partition("/")[2], **counts[entity]} for entity in counts if "/" in entity
    ]
    queues = [{"name": entity, **counts[entity]} for entity in counts if "/" not in entity]
    topics = [{"name": "orders", "subscriptions": subscriptions}]
    namespace = {"resourceId": BUS, "location": "northeurope", "queues": queues, "topics": topics}
    return {"namespaces": [namespace]}


def resources() -> dict[str, Any]:
    """What the emulator of Azure Resource Manager is to know of where things are."""
    return {"resources": [{"resourceId": API, "region": "northeurope"}]}


def stock() -> dict[str, Any]:
    """What an API of the shop answers."""
    articles = [{"name": article, "pieces": pieces} for article, pieces in STOCK.items()]
    return {"path": "/stock", "body": {"articles": articles}}


def sampled() -> dict[tuple[str, str, str], float]:
    """What every sample of these sources gives, whenever it is taken."""
    shop, bus, api = short(SHOP), short(BUS), short(API)
    values: dict[tuple[str, str, str], float] = {}
    for queue, backlog in BACKLOG.items():
        for metric, value in {
            "QueueDepth": backlog,
            "QueueVisibleDepth": backlog,
            "PoisonQueueDepth": POISON.get(queue, 0),
        }.items():
            values[shop, metric, f"QueueName={queue}"] = value
    for entity, (active, dead) in SERVICE_BUS.items():
        name, _, subscription = entity.partition("/")
        own = f"EntityName={name}" + (f", SubscriptionName={subscription}" if subscription else "")
        values[bus, "ActiveMessages", own] = active
        values[bus, "DeadLetterMessages", own] = dead
    for article, pieces in STOCK.items():
        values[api, "Stock", f"Article={article}"] = pieces
    return values


def messages(now: datetime) -> list[str]:
    """Bodies of both shapes: alone, in an array, one per line; some of what they say is wrong."""
    stamp = now.isoformat()
    shop = {"resourceId": API, "namespace": "Shop"}
    api = {**shop, "region": "northeurope"}
    orders = {"metric": "Orders", "time": stamp, "dimensions": {"Country": "NL"}}
    size = {"metric": "SizeInGB", "time": stamp, "value": 40.5, "resourceId": DATABASE}
    wrong = [
        {**orders, "value": 4, "dimensions": {f"Name{number}": "x" for number in range(11)}},
        {**orders, "value": 4, "time": (now - timedelta(minutes=25)).isoformat()},
        {"metric": "Orders", "value": 4, "dimension": {"Country": "NL"}},
    ]
    return [
        json.dumps({"resourceId": SHOP, "region": "westeurope", **_seed_document(now)}),
        # Azure Resource Manager knows where the resource is.
        json.dumps({**shop, "points": [{**orders, "value": 1}, {**orders, "value": 2}]}),
        json.dumps(
            [
                {**api, "points": [{**orders, "values": [5, 10]}]},
                {"region": "westeurope", "namespace": "Shop", "points": [size]},
            ]
        ),
        "\n".join(
            json.dumps({**api, "points": [{"metric": "Visits", "time": stamp, "value": visits}]})
            for visits in (10, 20, 30)
        ),
        json.dumps({**api, "points": [{**orders, "value": 4}, *wrong]}),
        json.dumps({**api, "region": "evil.example/#", "points": [{**orders, "value": 1}]}),
        "QueueDepth=7",
    ]


def published() -> Expected:
    """What the store holds of the messages once they are drained."""
    return {
        ("storageAccounts/shop", "QueueDepth", "MessageType=JPEG, QueueName=ImagesToProcess"): (
            3,
            20,
            28,
            3,
        ),
        ("sites/shop-api", "Orders", "Country=NL"): (1, 10, 22, 5),
        ("sites/shop-api", "Visits", ""): (10, 30, 60, 3),
        ("databases/shop", "SizeInGB", ""): (40.5, 40.5, 40.5, 1),
    }


def dead_letters() -> dict[str, int]:
    """How many things are refused for each reason."""
    return {"invalid": 4, "expired": 1}


def short(resource_id: str) -> str:
    """The end of a resource ID, which is what one tells resources apart by: `sites/shop-api`."""
    return "/".join(resource_id.split("/")[-2:])


def _seed_document(now: datetime) -> dict[str, Any]:
    """The example of Microsoft's article on this API, with a time of today."""
    series = {"dimValues": ["ImagesToProcess", "JPEG"], "min": 3, "max": 20, "sum": 28, "count": 3}
    base = {
        "metric": "QueueDepth",
        "namespace": "QueueProcessing",
        "dimNames": ["QueueName", "MessageType"],
        "series": [series],
    }
    return {"time": now.strftime("%Y-%m-%dT%H:%M:%S"), "data": {"baseData": base}}
