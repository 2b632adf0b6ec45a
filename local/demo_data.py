"""Hold what the demo enqueues and samples, and what must come of it."""

from __future__ import annotations

import json
import math
import random
from datetime import datetime, timedelta
from typing import Any

__all__ = ["DEAD_LETTERS", "EMULATOR", "EXPECTED", "LIVE", "QUEUES"]
__all__ += ["Series", "live_orders", "messages", "short", "sources"]

SUBSCRIPTION = "/subscriptions/5b1fd1f4-2a3c-4f0e-9d53-0f8b6d3f5a10"
SHOP = f"{SUBSCRIPTION}/resourceGroups/shop/providers/Microsoft.Storage/storageAccounts/shop"
API = f"{SUBSCRIPTION}/resourceGroups/shop/providers/Microsoft.Web/sites/shop-api"
DATABASE = f"{SUBSCRIPTION}/resourceGroups/data/providers/Microsoft.Sql/servers/main/databases/shop"
BUS = f"{SUBSCRIPTION}/resourceGroups/shop/providers/Microsoft.ServiceBus/namespaces/shop"

# Queue -> messages that wait in it for the timer to sample.
QUEUES = {"images": 12, "thumbnails": 0, "videos": 3, "videos-poison": 2}

# Path of the emulator's own API -> what it is to know: the region of a resource, the entities of a
# Service Bus namespace, and an API of the shop.
EMULATOR: dict[str, Any] = {
    "resources": {"resources": [{"resourceId": API, "region": "northeurope"}]},
    "service_bus": {
        "namespaces": [
            {
                "resourceId": BUS,
                "location": "northeurope",
                "queues": [{"name": "invoices", "active": 4, "deadLetter": 1}],
                "topics": [
                    {
                        "name": "orders",
                        "subscriptions": [
                            {"name": "billing", "active": 7, "deadLetter": 0},
                            {"name": "shipping", "active": 2, "deadLetter": 3},
                        ],
                    }
                ],
            }
        ]
    },
    "documents": {
        "path": "/stock",
        "body": {
            "articles": [{"name": "bicycle", "pieces": 12}, {"name": "helmet", "pieces": 250}]
        },
    },
}

Series = tuple[str, str, str]  # Last part of the resource ID, metric, dimensions.

# What the store holds: min and max of every sample, whenever it is taken; min, max, sum and count
# of the messages once they are drained.
IMAGES = "MessageType=JPEG, QueueName=ImagesToProcess"
EXPECTED: dict[Series, tuple[float, ...]] = {
    ("storageAccounts/shop", "QueueDepth", "QueueName=images"): (12, 12),
    ("storageAccounts/shop", "QueueDepth", "QueueName=thumbnails"): (0, 0),
    ("storageAccounts/shop", "QueueDepth", "QueueName=videos"): (3, 3),
    ("storageAccounts/shop", "QueueVisibleDepth", "QueueName=images"): (12, 12),
    ("storageAccounts/shop", "QueueVisibleDepth", "QueueName=thumbnails"): (0, 0),
    ("storageAccounts/shop", "QueueVisibleDepth", "QueueName=videos"): (3, 3),
    ("storageAccounts/shop", "PoisonQueueDepth", "QueueName=images"): (0, 0),
    ("storageAccounts/shop", "PoisonQueueDepth", "QueueName=thumbnails"): (0, 0),
    ("storageAccounts/shop", "PoisonQueueDepth", "QueueName=videos"): (2, 2),
    ("namespaces/shop", "ActiveMessages", "EntityName=invoices"): (4, 4),
    ("namespaces/shop", "ActiveMessages", "EntityName=orders, SubscriptionName=billing"): (7, 7),
    ("namespaces/shop", "ActiveMessages", "EntityName=orders, SubscriptionName=shipping"): (2, 2),
    ("namespaces/shop", "DeadLetterMessages", "EntityName=invoices"): (1, 1),
    ("namespaces/shop", "DeadLetterMessages", "EntityName=orders, SubscriptionName=billing"): (
        0,
        0,
    ),
    ("namespaces/shop", "DeadLetterMessages", "EntityName=orders, SubscriptionName=shipping"): (
        3,
        3,
    ),
    ("sites/shop-api", "Stock", "Article=bicycle"): (12, 12),
    ("sites/shop-api", "Stock", "Article=helmet"): (250, 250),
    ("storageAccounts/shop", "QueueDepth", IMAGES): (3, 20, 28, 3),
    ("sites/shop-api", "Orders", "Country=NL"): (1, 10, 22, 5),
    ("sites/shop-api", "Visits", ""): (10, 30, 60, 3),
    ("databases/shop", "SizeInGB", ""): (40.5, 40.5, 40.5, 1),
}
# Reason -> how many rejections it has.
DEAD_LETTERS = {"invalid": 4, "expired": 1}

# The live traffic: what the chart shows, orders at a time on average, seconds from rush to rush.
LIVE = {
    "resource": API,
    "namespace": "Shop",
    "metric": "LiveOrders",
    "split": "Country",
    "minutes": "15",
}
COUNTRIES = {"NL": 12.0, "BE": 7.0, "DE": 18.0, "FR": 10.0}
WAVE = 8 * 60


def sources(monitor_url: str) -> list[dict[str, Any]]:
    """Return a source of each kind."""
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


def messages(now: datetime) -> list[str]:
    """Return bodies of both shapes: alone, in an array, one per line; some are partly invalid."""
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
    # The example of Microsoft's article on this API, with a time of today.
    images = {"dimValues": ["ImagesToProcess", "JPEG"], "min": 3, "max": 20, "sum": 28, "count": 3}
    base = {
        "metric": "QueueDepth",
        "namespace": "QueueProcessing",
        "dimNames": ["QueueName", "MessageType"],
        "series": [images],
    }
    document = {"time": now.strftime("%Y-%m-%dT%H:%M:%S"), "data": {"baseData": base}}
    return [
        json.dumps({"resourceId": SHOP, "region": "westeurope", **document}),
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


def live_orders(moment: datetime) -> str:
    """Return a message with orders of each country, more and less of them in turn."""
    points = []
    for number, (country, mean) in enumerate(COUNTRIES.items()):
        wave = 1 + 0.8 * math.sin(2 * math.pi * (moment.timestamp() / WAVE + number / 4))
        points.append(
            {
                "metric": LIVE["metric"],
                "value": max(0, round(mean * wave + random.gauss(0, 1))),
                "time": moment.isoformat(),
                "dimensions": {LIVE["split"]: country},
            }
        )
    target = {"resourceId": API, "region": "northeurope", "namespace": LIVE["namespace"]}
    return json.dumps({**target, "points": points})


def short(resource_id: str) -> str:
    """Return the end of a resource ID, such as `sites/shop-api`."""
    return "/".join(resource_id.split("/")[-2:])
