"""Entries of METRICS_SOURCES: valid ones, and invalid ones with their errors."""

from __future__ import annotations

from typing import Any

from shared.sources import KINDS
from shared.text import masked
from tests.unit.rollups import GROUP, REGION, RESOURCE

__all__ = ["ENVIRON", "INVALID", "VALID", "entry"]

ENVIRON = {
    "OrdersStorage": "UseDevelopmentStorage=true",
    "BrokenStorage": "AccountKey=c2VjcmV0",
    "PlainStorage__queueServiceUri": "http://orders.queue.core.windows.net",
}
NAMESPACE = f"{GROUP}/providers/Microsoft.ServiceBus/namespaces/orders"
ENTRIES: dict[str, dict[str, Any]] = {
    "storage_queue": {
        "account": "https://orders.queue.core.windows.net",
        "queues": ["orders"],
    },
    "service_bus": {"resourceId": NAMESPACE},
    "rest": {"url": "https://host.example/stats", "metrics": {"Depth": "depth"}},
}


def entry(kind: str = "storage_queue", **changes: Any) -> dict[str, Any]:
    """Return an entry with changes; a member that is None is left out."""
    common = {"kind": kind, "resourceId": RESOURCE, "region": REGION}
    whole = {**common, **ENTRIES[kind], **changes}
    return {name: value for name, value in whole.items() if value is not None}


TEN = {f"d{number}": "x" for number in range(10)}
EIGHT = dict(list(TEN.items())[:8])
VALID = {
    "account": entry(),
    "account with a port and path": entry(account="https://127.0.0.1:10001/devstoreaccount1/"),
    "connection": entry(account=None, connection="OrdersStorage"),
    "longest name": entry(queues=["orders", "q" * 63]),
    "patterns": entry(queues=["*", "img-?", "[!a-f]*", "!img-test*", "!orders", "*" * 64]),
    "metrics": entry(metrics=["QueueDepth", "PoisonQueueDepth"]),
    "longest namespace": entry(namespace="n" * 256),
    "region to be looked up": entry(region=None),
    "service bus": entry("service_bus"),
    "service bus of another resource": entry(
        "service_bus", resourceId=RESOURCE, serviceBus=NAMESPACE
    ),
    "service bus in another case": entry("service_bus", resourceId=NAMESPACE.upper()),
    "entities": entry("service_bus", entities=["*", "orders/*", "!orders/audit", "e" * 320]),
    "service bus with dimensions": entry("service_bus", dimensions=EIGHT),
    "rest on this machine": entry("rest", url="http://127.0.0.1:7071/api/stats?code=x"),
    "rest with everything": entry(
        "rest",
        audience="https://host.example/",
        items="value[?state=='up']",
        metrics={"Depth": "depth", "Age": "age.seconds || `0`"},
        itemDimensions=TEN,
        nextLink="links.next",
        every="5m",
    ),
}

RESOURCES = "/subscriptions/…/resourceGroups/…/providers/Microsoft.Storage/storageAccounts/…"
KNOWN = ", ".join(KINDS)
A_REGION = "is not a region, such as westeurope"
A_URL = "expected a URL such as https://host.example"
TLS = "expected https:// (http:// on the loopback interface only)"
TABLES = "https://orders.z01.Table.storage.azure.net/"
ACCOUNT = "expected a URL such as https://….queue.core.windows.net"
CONNECTION = "expected a storage connection string or the URL of an account's queue service"
ONE_OF = "give exactly one of account and connection"
NAME = "is not a queue name: 3 to 63 lower-case letters, digits and single hyphens between"
PATTERN = (
    "is not a name or pattern: 1 to 64 lower-case letters, digits, hyphens and * ? [ ], "
    "after a ! to exclude"
)
DURATION = "is not a duration such as 30s, 5m or 1h"
ONLY_EXCLUSIONS = "only exclusions; add a name or a pattern to include"
BUS = "is not a Service Bus namespace"
JMESPATH = "is not valid JMESPath"
INCOMPLETE = "Invalid jmespath expression: Incomplete expression:"

INVALID: dict[str, tuple[Any, str]] = {
    # --- Any kind ---
    "number": (5, ": Expected `object`, got `int`"),
    "no kind": ({"resourceId": RESOURCE}, ": Object missing required field `kind`"),
    "unknown kind": (entry() | {"kind": "queue"}, f".kind: 'queue' is not one of {KNOWN}"),
    "kind that is a number": (entry() | {"kind": 5}, ".kind: Expected `str`, got `int`"),
    "unknown member": (entry(queue="orders"), ": unknown member 'queue'; did you mean queues?"),
    "member of another kind": (entry("service_bus", queues=["a"]), ": unknown member 'queues'"),
    "no resource ID": (
        entry(resourceId=None),
        ": Object missing required field `resourceId`",
    ),
    "resource ID": (
        entry(resourceId="orders"),
        f".resourceId: 'orders' is not a resource ID: {RESOURCES}",
    ),
    "empty region": (entry(region=""), f".region: '' {A_REGION}"),
    "region with a path": (
        entry(region="evil.example/#"),
        f".region: 'evil.example/#' {A_REGION}",
    ),
    "region with a newline": (entry(region="westeurope\n"), f".region: 'westeurope\\n' {A_REGION}"),
    "empty namespace": (entry(namespace=""), ".namespace: Expected `str` of length >= 1"),
    "dimension that is a number": (
        entry(dimensions={"d": 5}),
        ".dimensions[...]: Expected `str`, got `int`",
    ),
    "dimensions and the kind's own": (
        entry(dimensions=TEN),
        ".dimensions: 11 dimensions, at most 10",
    ),
    "dimension of the kind": (
        entry(dimensions={"queuename": "x"}),
        ".dimensions: 'queuename' is given twice, as 'QueueName' too",
    ),
    **{
        f"every {text!a}": (entry(every=text), f".every: {text!a} {DURATION}")
        for text in ("", "0m", "60", "1d", "10000s", "5m\n", "٥m")
    },
    # --- storage_queue ---
    "missing queues": (entry(queues=None), ": Object missing required field `queues`"),
    "no queues": (entry(queues=[]), ".queues: Expected `array` of length >= 1"),
    "short name": (entry(queues=["orders", "ab"]), f".queues[1]: 'ab' {NAME}"),
    "long name": (entry(queues=["q" * 64]), f".queues[0]: '{'q' * 64}' {NAME}"),
    "two hyphens": (entry(queues=["a--b"]), f".queues[0]: 'a--b' {NAME}"),
    "hyphen at the end": (entry(queues=["*", "orders-"]), f".queues[1]: 'orders-' {NAME}"),
    **{
        f"queue {text!a}": (entry(queues=["*", text]), f".queues[1]: {text!a} {PATTERN}")
        for text in ("Orders", "Img-*", "a/../b", "orders\n", "", "!", "*" * 65)
    },
    "exclusions alone": (entry(queues=["!orders", "!img*"]), f".queues: {ONLY_EXCLUSIONS}"),
    "no metrics": (entry(metrics=[]), ".metrics: Expected `array` of length >= 1"),
    "unknown metric": (
        entry(metrics=["QueueDepth", "Depth"]),
        ".metrics[1]: Invalid enum value 'Depth'",
    ),
    "account and connection": (entry(connection="OrdersStorage"), f": {ONE_OF}"),
    "neither account nor connection": (entry(account=None), f": {ONE_OF}"),
    **{
        f"account {text!a}": (entry(account=text), f".account: {masked(text)}: {ACCOUNT}")
        for text in (
            "orders",
            "https://",
            "https://[",
            "https://orders:x/",
            "http://orders.queue.core.windows.net",
            "http://127.0.0.1/",
            "https://me@orders/",
            "https://orders/?sig=x",
            "https://orders/#x",
            "https://orders\\@evil.example/",
            "https://orders/\n",
            "https://\u00f6rders/",
        )
    },
    "account of tables in a DNS zone": (
        entry(account=TABLES),
        f".account: '{TABLES}': {ACCOUNT}, not that of the table service",
    ),
    "unknown connection": (
        entry(account=None, connection="Other"),
        f": Other is not set, nor Other__queueServiceUri, nor Other__accountName: {CONNECTION}",
    ),
    "connection without TLS": (
        entry(account=None, connection="PlainStorage"),
        ": PlainStorage__queueServiceUri is 'http://orders.queue.core.windows.net': " + ACCOUNT,
    ),
    # --- service_bus ---
    "not a namespace": (
        entry("service_bus", resourceId=RESOURCE),
        f".resourceId: '{RESOURCE}' {BUS}",
    ),
    "queue of a namespace": (
        entry("service_bus", serviceBus=f"{NAMESPACE}/queues/in"),
        f".serviceBus: '{NAMESPACE}/queues/in' {BUS}",
    ),
    "empty service bus": (
        entry("service_bus", serviceBus=""),
        f".serviceBus: '' is not a resource ID: {RESOURCES}",
    ),
    "no entities": (
        entry("service_bus", entities=[]),
        ".entities: Expected `array` of length >= 1",
    ),
    "long entity": (
        entry("service_bus", entities=["e" * 321]),
        ".entities[0]: Expected `str` of length <= 320",
    ),
    "entities excluded alone": (
        entry("service_bus", entities=["!in"]),
        f".entities: {ONLY_EXCLUSIONS}",
    ),
    "dimensions and its own two": (
        entry("service_bus", dimensions={**EIGHT, "more": "x"}),
        ".dimensions: 11 dimensions, at most 10",
    ),
    # --- rest ---
    "url": (entry("rest", url="stats"), f".url: 'stats': {A_URL}"),
    "url with a user": (
        entry("rest", url="https://me@host.example/?code=secret"),
        f".url: 'https://…' (the rest may be secret): {A_URL}",
    ),
    "url without TLS": (
        entry("rest", url="http://host.example/?code=secret"),
        f".url: 'http://host.example/…' (the rest may be secret): {TLS}",
    ),
    "empty metrics": (entry("rest", metrics={}), ".metrics: Expected `object` of length >= 1"),
    "empty expression": (
        entry("rest", metrics={"Depth": ""}),
        ".metrics[...]: Expected `str` of length >= 1",
    ),
    "invalid metric": (
        entry("rest", metrics={"Good": "depth", "Bad": "a.[b"}),
        f".metrics.Bad: 'a.[b' {JMESPATH}: {INCOMPLETE}",
    ),
    "invalid items": (
        entry("rest", items="value[?"),
        f".items: 'value[?' {JMESPATH}: {INCOMPLETE}",
    ),
    "invalid link": (
        entry("rest", nextLink="a[?"),
        f".nextLink: 'a[?' {JMESPATH}: {INCOMPLETE}",
    ),
    "invalid dimension": (
        entry("rest", itemDimensions={"Name": "name $"}),
        f".itemDimensions.Name: 'name $' {JMESPATH}: Bad jmespath expression: Unknown token $:",
    ),
    "nested expression": (
        entry("rest", items="(" * 5000),
        f".items: '{'(' * 300}'… {JMESPATH}: maximum recursion depth exceeded",
    ),
    "dimensions of items": (
        entry("rest", itemDimensions={**TEN, "more": "x"}),
        ".itemDimensions: 11 dimensions, at most 10",
    ),
    "dimension of both": (
        entry("rest", itemDimensions={"Name": "name"}, dimensions={"NAME": "x"}),
        ".dimensions: 'NAME' is given twice, as 'Name' too",
    ),
}
