"""Entries of METRICS_SOURCES: what is good, and what is bad with the words for it."""

from __future__ import annotations

from typing import Any

from builders import GROUP, REGION, RESOURCE

from shared.sources import KINDS

__all__ = ["BAD", "ENVIRON", "GOOD", "entry"]

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
    """An entry with changes; a member that is None is left out."""
    common = {"kind": kind, "resourceId": RESOURCE, "region": REGION}
    whole = {**common, **ENTRIES[kind], **changes}
    return {name: value for name, value in whole.items() if value is not None}


GOOD = {
    "account": entry(),
    "account with a slash": entry(account="https://orders.queue.core.windows.net/"),
    "account with a port and path": entry(account="https://127.0.0.1:10001/devstoreaccount1"),
    "connection": entry(account=None, connection="OrdersStorage"),
    "several queues": entry(queues=["orders", "orders-poison"]),
    "longest name": entry(queues=["q" * 63]),
    "patterns": entry(queues=["*", "img-?", "[!a-f]*", "!img-test*", "!orders"]),
    "metrics": entry(metrics=["QueueDepth", "PoisonQueueDepth"]),
    "namespace": entry(namespace="n" * 256),
    "dimensions": entry(dimensions={f"d{number}": "x" for number in range(9)}),
    "every second": entry(every="1s"),
    "every day": entry(every="24h"),
    "most of every": entry(every="9999m"),
    "service bus": entry("service_bus"),
    "service bus of another resource": entry(
        "service_bus", resourceId=RESOURCE, serviceBus=NAMESPACE
    ),
    "service bus in another case": entry("service_bus", resourceId=NAMESPACE.upper()),
    "entities": entry("service_bus", entities=["*", "orders/*", "!orders/audit"]),
    "service bus with dimensions": entry(
        "service_bus", dimensions={f"d{number}": "x" for number in range(8)}
    ),
    "rest": entry("rest"),
    "rest on this machine": entry("rest", url="http://127.0.0.1:7071/api/stats?code=x"),
    "rest on this machine, in words": entry("rest", url="http://localhost/"),
    "rest on this machine, newer": entry("rest", url="http://[::1]:7071/"),
    "rest with everything": entry(
        "rest",
        audience="https://host.example/",
        items="value[?state=='up']",
        metrics={"Depth": "depth", "Age": "age.seconds || `0`"},
        itemDimensions={f"d{number}": "name" for number in range(10)},
        nextLink="links.next",
        every="5m",
    ),
}

RESOURCES = "/subscriptions/…/resourceGroups/…/providers/Microsoft.Storage/storageAccounts/…"
KNOWN = ", ".join(KINDS)
REGIONS = "is not a region: lower-case letters and digits, such as westeurope"
NO_TLS = "is not an address that begins with https://"
CONNECTION = "expected a storage connection string or the address of an account's queues"
ONE_OF = "give exactly one of account and connection"
NAME = "is not a queue name: 3 to 63 lower-case letters, digits and single hyphens between"
PATTERN = (
    "is no name or pattern: 1 to 64 lower-case letters, digits, hyphens and * ? [ ], "
    "a ! before what is excluded"
)
TIMES = "is not a time such as 30s, 5m or 1h"
ONLY_EXCLUSIONS = "only exclusions; a name or a pattern to include is missing"
BUS = "is not a Service Bus namespace"
NO_JMESPATH = "does not compile as JMESPath"
INCOMPLETE = "Invalid jmespath expression: Incomplete expression:"
TEN = {f"d{number}": "x" for number in range(10)}

BAD: dict[str, tuple[Any, str]] = {
    # --- Any kind ---
    "number": (5, ": found 5, expected an object"),
    "null": (None, ": found null, expected an object"),
    "no kind": ({"resourceId": RESOURCE}, f".kind: missing; known kinds are {KNOWN}"),
    "unknown kind": (entry() | {"kind": "queue"}, f".kind: 'queue' is not one of {KNOWN}"),
    "kind that is a number": (entry() | {"kind": 5}, f".kind: '5' is not one of {KNOWN}"),
    "kind that is an array": (
        entry() | {"kind": ["x"]},
        f".kind: \"['x']\" is not one of {KNOWN}",
    ),
    "unknown member": (entry(queue="orders"), ": unknown member 'queue'; did you mean queues?"),
    "member of another kind": (
        entry("service_bus", queues=["a"]),
        ": unknown member 'queues'",
    ),
    "no resource ID": (entry(resourceId=None), ": member resourceId is missing"),
    "resource ID that is a number": (entry(resourceId=5), ".resourceId: found 5, expected text"),
    "not a resource ID": (
        entry(resourceId="orders"),
        f".resourceId: 'orders' is not a resource ID: {RESOURCES}",
    ),
    "resource ID that climbs": (
        entry(resourceId=f"{GROUP}/providers/Microsoft.Storage/storageAccounts/.."),
        (
            f".resourceId: '{GROUP}/providers/Microsoft.Storage/storageAccounts/..' "
            f"is not a resource ID: {RESOURCES}"
        ),
    ),
    "empty region": (entry(region=""), f".region: '' {REGIONS}"),
    "a stranger's region": (
        entry(region="evil.example/#"),
        f".region: 'evil.example/#' {REGIONS}",
    ),
    "region with a line end": (entry(region="westeurope\n"), f".region: 'westeurope\\n' {REGIONS}"),
    "empty namespace": (entry(namespace=""), ".namespace: 0 characters, at least 1"),
    "long namespace": (entry(namespace="n" * 257), ".namespace: 257 characters, at most 256"),
    "dimensions that are an array": (
        entry(dimensions=["a"]),
        ".dimensions: found an array, expected an object",
    ),
    "empty dimension": (
        entry(dimensions={"d": ""}),
        ".dimensions[...]: wrong number of characters, at least 1",
    ),
    "dimension that is a number": (
        entry(dimensions={"d": 5}),
        ".dimensions[...]: found a whole number, expected text",
    ),
    "eleven dimensions": (
        entry("rest", dimensions={**TEN, "more": "x"}),
        ".dimensions: 11 dimensions, at most 10",
    ),
    "ten dimensions and its own": (
        entry(dimensions=TEN),
        ".dimensions: 11 dimensions, at most 10",
    ),
    "its own dimension": (
        entry(dimensions={"QueueName": "x"}),
        ".dimensions: 'QueueName' is given twice",
    ),
    "its own dimension in another case": (
        entry(dimensions={"queuename": "x"}),
        ".dimensions: 'queuename' is given twice, as 'QueueName' too",
    ),
    "every that is a number": (entry(every=60), ".every: found 60, expected text"),
    "every of nothing": (entry(every=""), f".every: '' {TIMES}"),
    "every of no time": (entry(every="0m"), f".every: '0m' {TIMES}"),
    "every without a unit": (entry(every="60"), f".every: '60' {TIMES}"),
    "every of days": (entry(every="1d"), f".every: '1d' {TIMES}"),
    "every of five digits": (entry(every="10000s"), f".every: '10000s' {TIMES}"),
    "every with a line end": (entry(every="5m\n"), f".every: '5m\\n' {TIMES}"),
    "every in other digits": (entry(every="٥m"), f".every: '\\u0665m' {TIMES}"),
    # --- storage_queue ---
    "missing queues": (entry(queues=None), ": member queues is missing"),
    "queues that are text": (entry(queues="orders"), ".queues: found text, expected an array"),
    "no queues": (entry(queues=[]), ".queues: 0 members, at least 1"),
    "queue that is a number": (entry(queues=["orders", 5]), ".queues[1]: found 5, expected text"),
    "short name of a queue": (entry(queues=["orders", "ab"]), f".queues[1]: 'ab' {NAME}"),
    "long name of a queue": (entry(queues=["q" * 64]), f".queues[0]: '{'q' * 64}' {NAME}"),
    "two hyphens": (entry(queues=["a--b"]), f".queues[0]: 'a--b' {NAME}"),
    "hyphen at the end": (entry(queues=["*", "orders-"]), f".queues[1]: 'orders-' {NAME}"),
    "capitals": (entry(queues=["Orders"]), f".queues[0]: 'Orders' {PATTERN}"),
    "pattern in capitals": (entry(queues=["Img-*"]), f".queues[0]: 'Img-*' {PATTERN}"),
    "queue with a slash": (entry(queues=["a/../b"]), f".queues[0]: 'a/../b' {PATTERN}"),
    "queue with a line end": (entry(queues=["orders\n"]), f".queues[0]: 'orders\\n' {PATTERN}"),
    "empty name of a queue": (entry(queues=[""]), f".queues[0]: '' {PATTERN}"),
    "long pattern": (entry(queues=["*" * 65]), f".queues[0]: '{'*' * 65}' {PATTERN}"),
    "exclusion of nothing": (entry(queues=["*", "!"]), f".queues[1]: '!' {PATTERN}"),
    "exclusions alone": (entry(queues=["!orders", "!img*"]), f".queues: {ONLY_EXCLUSIONS}"),
    "no metrics": (entry(metrics=[]), ".metrics: 0 members, at least 1"),
    "unknown metric": (
        entry(metrics=["QueueDepth", "Depth"]),
        ".metrics[1]: Invalid enum value 'Depth'",
    ),
    "account and connection": (entry(connection="OrdersStorage"), f": {ONE_OF}"),
    "neither account nor connection": (entry(account=None), f": {ONE_OF}"),
    **{
        f"account {text}": (entry(account=text), f".account: {text!a} {NO_TLS}")
        for text in (
            "",
            "orders",
            "orders.queue.core.windows.net",
            "http://orders.queue.core.windows.net",
            "https://",
            "https://[",
            "https://orders:x/",
            "https://orders:0/",
            "https://me@orders/",
            "https://orders/?sig=x",
            "https://orders/#x",
            "https://orders\\@evil.example/",
            "https://orders/\n",
            "https://\u00f6rders/",
        )
    },
    "unknown connection": (
        entry(account=None, connection="Other"),
        f": Other is not set, nor Other__queueServiceUri, nor Other__accountName: {CONNECTION}",
    ),
    "connection without TLS": (
        entry(account=None, connection="PlainStorage"),
        (
            ": PlainStorage is no address of an account's queues: "
            "Token credential is only supported with HTTPS."
        ),
    ),
    # --- service_bus ---
    "not a namespace": (
        entry("service_bus", resourceId=RESOURCE),
        f".resourceId: '{RESOURCE}' {BUS}",
    ),
    "a queue of a namespace": (
        entry("service_bus", resourceId=f"{NAMESPACE}/queues/in"),
        f".resourceId: '{NAMESPACE}/queues/in' {BUS}",
    ),
    "service bus that is no namespace": (
        entry("service_bus", serviceBus=RESOURCE),
        f".serviceBus: '{RESOURCE}' {BUS}",
    ),
    "service bus that is no resource ID": (
        entry("service_bus", serviceBus="orders"),
        f".serviceBus: 'orders' is not a resource ID: {RESOURCES}",
    ),
    "empty service bus": (
        entry("service_bus", serviceBus=""),
        f".serviceBus: '' is not a resource ID: {RESOURCES}",
    ),
    "service bus of a bad resource": (
        entry("service_bus", resourceId="orders", serviceBus=NAMESPACE),
        f".resourceId: 'orders' is not a resource ID: {RESOURCES}",
    ),
    "no entities": (entry("service_bus", entities=[]), ".entities: 0 members, at least 1"),
    "empty entity": (
        entry("service_bus", entities=["in", ""]),
        ".entities[1]: 0 characters, at least 1",
    ),
    "long entity": (
        entry("service_bus", entities=["e" * 321]),
        ".entities[0]: 321 characters, at most 320",
    ),
    "entities excluded alone": (
        entry("service_bus", entities=["!in"]),
        f".entities: {ONLY_EXCLUSIONS}",
    ),
    "nine dimensions and its own two": (
        entry("service_bus", dimensions=dict.fromkeys(list(TEN)[:9], "x")),
        ".dimensions: 11 dimensions, at most 10",
    ),
    "dimension of a subscription": (
        entry("service_bus", dimensions={"subscriptionname": "x"}),
        ".dimensions: 'subscriptionname' is given twice, as 'SubscriptionName' too",
    ),
    # --- rest ---
    "no url": (entry("rest", url=None), ": member url is missing"),
    "url that is no address": (entry("rest", url="stats"), f".url: 'stats' {NO_TLS}"),
    "empty url": (entry("rest", url=""), f".url: '' {NO_TLS}"),
    "url without a host": (entry("rest", url="https:///stats"), f".url: 'https:///stats' {NO_TLS}"),
    "url of another scheme": (entry("rest", url="file:///etc"), f".url: 'file:///etc' {NO_TLS}"),
    "url with a user": (
        entry("rest", url="https://me@host.example/?code=secret"),
        f".url: 'https://me@host.example/' {NO_TLS}",
    ),
    "url with a bracket": (
        entry("rest", url="https://[?code=secret"),
        ".url: 'https://[' is not an address: Invalid IPv6 URL",
    ),
    "url with a port of letters": (
        entry("rest", url="https://host.example:x/"),
        (
            ".url: 'https://host.example:x/' is not an address: "
            "Port could not be cast to integer value as 'x'"
        ),
    ),
    "url without TLS": (
        entry("rest", url="http://host.example/?code=secret"),
        ".url: 'http://host.example/' is neither over https:// nor on this machine",
    ),
    "no metrics of rest": (entry("rest", metrics=None), ": member metrics is missing"),
    "empty metrics": (entry("rest", metrics={}), ".metrics: 0 members, at least 1"),
    "metrics that are an array": (
        entry("rest", metrics=["depth"]),
        ".metrics: found an array, expected an object",
    ),
    "metric without a name": (
        entry("rest", metrics={"": "depth"}),
        ".metrics: a name of the wrong number of characters, at least 1",
    ),
    "empty expression": (
        entry("rest", metrics={"Depth": ""}),
        ".metrics[...]: wrong number of characters, at least 1",
    ),
    "expression that does not compile": (
        entry("rest", metrics={"Good": "depth", "Bad": "a.[b"}),
        f".metrics.Bad: 'a.[b' {NO_JMESPATH}: {INCOMPLETE}",
    ),
    "items that do not compile": (
        entry("rest", items="value[?"),
        f".items: 'value[?' {NO_JMESPATH}: {INCOMPLETE}",
    ),
    "link that does not compile": (
        entry("rest", nextLink="a..b"),
        (
            f".nextLink: 'a..b' {NO_JMESPATH}: Expecting: ['quoted_identifier', "
            "'unquoted_identifier', 'lbracket', 'lbrace'], got: dot: "
            'Parse error at column 2, token "." (DOT), for expression:'
        ),
    ),
    "empty link": (
        entry("rest", nextLink=""),
        ".nextLink: 0 characters, at least 1",
    ),
    "dimension that does not compile": (
        entry("rest", itemDimensions={"Name": "name $"}),
        (
            f".itemDimensions.Name: 'name $' {NO_JMESPATH}: "
            "Bad jmespath expression: Unknown token $:"
        ),
    ),
    "expression nested without end": (
        entry("rest", items="(" * 5000),
        f".items: '{'(' * 300}'… {NO_JMESPATH}: maximum recursion depth exceeded",
    ),
    "eleven dimensions of items": (
        entry("rest", itemDimensions={**TEN, "more": "x"}),
        ".itemDimensions: 11 dimensions, at most 10",
    ),
    "eleven dimensions of both": (
        entry("rest", itemDimensions=TEN, dimensions={"more": "x"}),
        ".dimensions: 11 dimensions, at most 10",
    ),
    "a dimension of both": (
        entry("rest", itemDimensions={"Name": "name"}, dimensions={"NAME": "x"}),
        ".dimensions: 'NAME' is given twice, as 'Name' too",
    ),
    "empty audience": (entry("rest", audience=""), ".audience: 0 characters, at least 1"),
}
