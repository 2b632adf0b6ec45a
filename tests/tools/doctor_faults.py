"""Everything that can be wrong with a chain, one thing at a time: what the doctor is to say of it.

In texts, <names> are those of the chain.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from shlex import quote
from typing import Any

from local.stack import ROOT
from tools.doctor.walk import CHECKS

from .doctoring import Chain

__all__ = ["ALL_BUT_ROLES", "FAULTS", "Fault"]

ALL_BUT_ROLES = [link for link in CHECKS if link != "storage roles"]  # With a key there are none.


@dataclass(frozen=True)
class Fault:
    """What is wrong, and what the doctor is to make of it; <names> are those of the chain."""

    link: str
    found: str
    remedy: str  # A line of it.
    settings: Mapping[str, str | None] = field(default_factory=dict)
    control: Sequence[tuple[str, str, Any]] = ()
    options: tuple[str, ...] = ("--probe",)
    prepare: Callable[[Chain], object] | None = None
    status: str = "failed"
    skipped: tuple[str, ...] = ()  # Links that rest on it.
    mends: bool = True  # Whether the remedy, pasted, does it; else more than a command is needed.


OF_SETTINGS = tuple(
    link for link in ALL_BUT_ROLES if link not in ("settings", "triggers", "host.json")
)
OF_IDENTITY = ("audience", "region", "publish")
OF_STORAGE = ("ingress queue", "poison queue", "dead letters")
OF_RESOURCE = ("region", "endpoint", "publish")

# The identity that the emulator gives tokens of.
TO_THE_APP = (
    "--assignee-object-id 0b1ec71d-0000-4000-8000-000000000001 "
    "--assignee-principal-type ServicePrincipal"
)
ANOTHER = "/subscriptions/2/resourceGroups/other/providers/Microsoft.Web/sites/other"
SOURCE = {"kind": "storage_queue", "resourceId": "<site>", "region": "westeurope"}


def sources(**members: Any) -> dict[str, str]:
    return {"METRICS_SOURCES": json.dumps([{**SOURCE, **members}])}


def setting(name: str, value: str | None, found: str, remedy: str, **more: Any) -> Fault:
    return Fault(
        "settings", found, remedy, {name: value}, skipped=("storage roles", *OF_SETTINGS), **more
    )


def enqueue(*bodies: str, to: str = "<queue>") -> Callable[[Chain], None]:
    def prepare(chain: Chain) -> None:
        queue = chain.backend.storage.get_queue_client(chain.filled(to))
        if to != "<queue>":
            queue.create_queue()
        for body in bodies:
            queue.send_message(body)

    return prepare


def letter(reason: str, detail: str) -> str:
    return json.dumps({"reason": reason, "detail": detail, "refused": []})


REFUSED = {
    "status": 400,
    "body": {"statusCode": 400, "message": "Unable to load the proper Managed Identity."},
}

FAULTS = {
    # --- Settings
    "no queue": setting(
        "METRICS_QUEUE", None, "METRICS_QUEUE is not set", "export METRICS_QUEUE=metrics"
    ),
    "bad queue": setting(
        "METRICS_QUEUE",
        "My_Queue",
        "METRICS_QUEUE is 'My_Queue': expected a queue name",
        "export METRICS_QUEUE=metrics",
    ),
    "dead letters into the ingress queue": setting(
        "METRICS_DEAD_LETTER_QUEUE",
        "<queue>",
        "expected another queue than METRICS_QUEUE",
        "unset METRICS_DEAD_LETTER_QUEUE",
    ),
    "no storage": setting(
        "MetricsStorage",
        None,
        "MetricsStorage is not set, nor MetricsStorage__queueServiceUri",
        "export MetricsStorage=UseDevelopmentStorage=true",
        mends=False,
    ),
    "no connection string": setting(
        "MetricsStorage",
        "nonsense",
        "MetricsStorage is not a valid connection string",
        "export MetricsStorage=UseDevelopmentStorage=true",
        mends=False,
    ),
    "a reference to a key vault": Fault(
        "settings",
        "MetricsStorage is in a key vault",
        'export MetricsStorage="$(az storage account show-connection-string --name "$STORAGE" ',
        {"MetricsStorage": "@Microsoft.KeyVault(VaultName=v;SecretName=s)"},
        skipped=("storage roles", *OF_SETTINGS),
        status="warning",
        mends=False,
    ),
    "unknown credential of storage": Fault(
        "settings",
        "MetricsStorage__credential is 'password'",
        "unset MetricsStorage__credential",
        {
            "MetricsStorage": None,
            "MetricsStorage__accountName": "orders",
            "MetricsStorage__credential": "password",
        },
        skipped=("storage roles", *OF_SETTINGS),
        mends=False,
    ),
    "bad resource": setting(
        "METRICS_RESOURCE_ID",
        "shop",
        "METRICS_RESOURCE_ID is 'shop'",
        'export METRICS_RESOURCE_ID="$RESOURCE_ID"',
    ),
    "a subscription for a resource": setting(
        "METRICS_RESOURCE_ID",
        "<subscription>",
        "is a subscription; a metric belongs to a resource",
        'export METRICS_RESOURCE_ID="$RESOURCE_ID"',
    ),
    "bad region": setting(
        "METRICS_REGION",
        "west-europe",
        "METRICS_REGION is 'west-europe'",
        'export METRICS_REGION="$REGION"',
    ),
    "bad endpoint": setting(
        "METRICS_ENDPOINT",
        "http://x/{region}",
        "METRICS_ENDPOINT is",
        "unset METRICS_ENDPOINT",
        mends=False,
    ),
    "bad ARM": setting(
        "METRICS_ARM_ENDPOINT",
        "management",
        "METRICS_ARM_ENDPOINT is",
        "unset METRICS_ARM_ENDPOINT",
        mends=False,
    ),
    "unknown credential": setting(
        "METRICS_CREDENTIAL",
        "password",
        "METRICS_CREDENTIAL is 'password'",
        "export METRICS_CREDENTIAL=azure_cli",
        mends=False,
    ),
    "bad scopes": setting(
        "METRICS_ALLOWED_SCOPES",
        "shop",
        "METRICS_ALLOWED_SCOPES is 'shop'",
        'export METRICS_ALLOWED_SCOPES="/subscriptions/$SUBSCRIPTION/resourceGroups/'
        '$GROUP_OF_RESOURCES"',
        mends=False,
    ),
    **{
        f"bad {name}": setting(
            name, "many", f"{name} is 'many': expected a whole number", f"unset {name}"
        )
        for name in (
            "METRICS_PAST_MINUTES",
            "METRICS_FUTURE_MINUTES",
            "METRICS_MAX_BODY_BYTES",
            "METRICS_MAX_ACTIVE_SERIES",
        )
    },
    "bad namespace": setting(
        "METRICS_NAMESPACE", "n" * 257, "257 characters, at most 256", "unset METRICS_NAMESPACE"
    ),
    "misspelt": Fault(
        "settings",
        "METRICS_NAMESPCE is no setting of Metric Relay; is METRICS_NAMESPACE meant?",
        "export METRICS_NAMESPACE=Shop",
        {"METRICS_NAMESPCE": "Shop"},
        status="warning",
    ),
    "sources are no JSON": Fault(
        "settings",
        "METRICS_SOURCES: ",
        'test -s sources.json && export METRICS_SOURCES="$(cat sources.json)"',
        {"METRICS_SOURCES": "{"},
        skipped=("sources",),
        mends=False,
    ),
    "unknown kind": Fault(
        "settings",
        "METRICS_SOURCES[0].kind: 'queue' is not one of storage_queue, service_bus, rest",
        'test -s sources.json && export METRICS_SOURCES="$(cat sources.json)"',
        sources(kind="queue"),
        skipped=("sources",),
        mends=False,
    ),
    "unknown connection": Fault(
        "settings",
        "METRICS_SOURCES[0]: Orders is not set",
        'test -s sources.json && export METRICS_SOURCES="$(cat sources.json)"',
        sources(connection="Orders", queues=["a-1"]),
        skipped=("sources",),
        mends=False,
    ),
    # --- Triggers
    "no schedule": Fault(
        "triggers",
        "METRICS_SAMPLE_SCHEDULE is not set",
        "export METRICS_SAMPLE_SCHEDULE='0 * * * * *'",
        {"METRICS_SAMPLE_SCHEDULE": None},
    ),
    "bad schedule": Fault(
        "triggers",
        "METRICS_SAMPLE_SCHEDULE is '61 * * * * *'",
        "export METRICS_SAMPLE_SCHEDULE='0 * * * * *'",
        {"METRICS_SAMPLE_SCHEDULE": "61 * * * * *"},
    ),
    "no storage of the host": Fault(
        "triggers",
        "AzureWebJobsStorage is not set",
        "export AzureWebJobsStorage=UseDevelopmentStorage=true",
        {"AzureWebJobsStorage": None},
        status="warning",
    ),
    "another runtime": Fault(
        "triggers",
        "FUNCTIONS_WORKER_RUNTIME is 'node'",
        "export FUNCTIONS_WORKER_RUNTIME=python",
        {"FUNCTIONS_WORKER_RUNTIME": "node"},
    ),
    "switched off": Fault(
        "triggers",
        "drain_metrics does not run",
        "unset AzureWebJobs_drain_metrics_Disabled",
        {"AzureWebJobs_drain_metrics_Disabled": "true"},
    ),
    # --- host.json, by app settings; the file has a test of its own
    "base64": Fault(
        "host.json",
        "messageEncoding is base64",
        "unset AzureFunctionsJobHost__extensions__queues__messageEncoding",
        {"AzureFunctionsJobHost__extensions__queues__messageEncoding": "base64"},
    ),
    "gives up early": Fault(
        "host.json",
        "maxDequeueCount 5 × visibilityTimeout 0:00:30 is 0:02:30",
        "unset AzureFunctionsJobHost__extensions__queues__maxDequeueCount",
        {"AzureFunctionsJobHost__extensions__queues__maxDequeueCount": "5"},
    ),
    "too large a batch": Fault(
        "host.json",
        'batchSize: "64": must be an integer from 1 to 32',
        "unset AzureFunctionsJobHost__extensions__queues__batchSize",
        {"AzureFunctionsJobHost__extensions__queues__batchSize": "64"},
    ),
    "ends invocations": Fault(
        "host.json",
        "functionTimeout is 00:00:30",
        "unset AzureFunctionsJobHost__functionTimeout",
        {"AzureFunctionsJobHost__functionTimeout": "00:00:30"},
    ),
    # --- Identity
    "no identity endpoint": Fault(
        "identity",
        "a managed identity exists only inside Azure",
        f"python -m tools doctor --project {quote(str(ROOT))} --probe --credential azure_cli",
        {"IDENTITY_ENDPOINT": None, "IDENTITY_HEADER": None},
        skipped=OF_IDENTITY,
        mends=False,
    ),
    "an identity that is not the app's": Fault(
        "identity",
        "Unable to load the proper Managed Identity",
        'export AZURE_CLIENT_ID="$CLIENT_ID"',
        control=[("POST", "faults", {"target": "identity", **REFUSED})],
        skipped=OF_IDENTITY,
        mends=False,
    ),
    "an identity endpoint that is not there": Fault(
        "identity",
        "ManagedIdentityCredential: ",
        "unset IDENTITY_ENDPOINT",
        {"IDENTITY_ENDPOINT": "http://127.0.0.1:1/msi/token"},
        skipped=OF_IDENTITY,
        mends=False,
    ),
    "half a service principal": Fault(
        "identity",
        "EnvironmentCredential: ",
        'export AZURE_CLIENT_SECRET="$CLIENT_SECRET"',
        {
            "METRICS_CREDENTIAL": "environment",
            "AZURE_TENANT_ID": "t",
            "AZURE_CLIENT_ID": "c",
            "AZURE_CLIENT_SECRET": None,
        },
        skipped=OF_IDENTITY,
        mends=False,
    ),
    "nobody is signed in": Fault(
        "identity",
        "AzureCliCredential: ",
        "az login",
        {"METRICS_CREDENTIAL": "azure_cli", "PATH": "/nowhere"},
        skipped=OF_IDENTITY,
        mends=False,
    ),
    "wrong audience": Fault(
        "audience",
        "METRICS_AUDIENCE is 'https://monitor.azure.com'",
        "unset METRICS_AUDIENCE",
        {"METRICS_AUDIENCE": "https://monitor.azure.com"},
        skipped=("publish",),
    ),
    "audience without its slash": Fault(
        "audience",
        "its slash included",
        "unset METRICS_AUDIENCE",
        {"METRICS_AUDIENCE": "https://monitoring.azure.com"},
        skipped=("publish",),
    ),
    # --- Storage
    "storage is away": Fault(
        "storage",
        "127.0.0.1:1 is not reached",
        "npx azurite --queuePort 1",
        {"MetricsStorage": "<storage-away>"},
        skipped=(*OF_STORAGE, "sources"),
        mends=False,
    ),
    "no such account": Fault(
        "storage",
        "nowhere.invalid:",
        "az storage account show --name devstoreaccount1 --query primaryEndpoints.queue ",
        {"MetricsStorage": "<storage-nowhere>", "no_proxy": "*", "NO_PROXY": "*"},
        skipped=(*OF_STORAGE, "sources"),
        mends=False,
    ),
    "wrong key": Fault(
        "storage",
        "403 AuthenticationFailed",
        'export MetricsStorage="$(az storage account show-connection-string '
        '--name devstoreaccount1 --query connectionString --output tsv)"',
        {"MetricsStorage": "<storage-key>"},
        skipped=(*OF_STORAGE, "sources"),
        mends=False,
    ),
    "half a key": Fault(
        "storage",
        "the key is cut short",
        'export MetricsStorage="$(az storage account show-connection-string '
        '--name devstoreaccount1 --query connectionString --output tsv)"',
        {"MetricsStorage": "<storage-half>"},
        skipped=(*OF_STORAGE, "sources"),
        mends=False,
    ),
    "no ingress queue": Fault(
        "ingress queue",
        "there is no queue <queue>-none",
        'az storage queue create --name <queue>-none --connection-string "$MetricsStorage"',
        {
            "METRICS_QUEUE": "<queue>-none",
            **sources(connection="MetricsStorage", queues=["<queue>"]),
        },
    ),
    "poison": Fault(
        "poison queue",
        "about 1 messages crashed the function",
        "func start",
        prepare=enqueue("whatever", to="<queue>-poison"),
        mends=False,
    ),
    "poison of a member that the host takes": Fault(
        "poison queue",
        "a member named id is taken by the Functions host",
        "func start",
        prepare=enqueue('{"id": {}, "points": []}', to="<queue>-poison"),
        mends=False,
    ),
    "dead letters": Fault(
        "dead letters",
        "2 dead letters; of the first 2: 1 invalid, 1 expired; the first says: "
        "data.baseData.series[0].dimValues: 1 values for 2 dimNames",
        "python -m tools dead-letter list",
        prepare=enqueue(
            letter("invalid", "data.baseData.series[0].dimValues: 1 values for 2 dimNames"),
            letter("expired", "too old"),
            to="<queue>-dead-letter",
        ),
        status="warning",
        mends=False,
    ),
    "dead letters outside the allowed scopes": Fault(
        "dead letters",
        "1 forbidden_scope",
        'export METRICS_ALLOWED_SCOPES="<group>,$RESOURCE_ID"',
        prepare=enqueue(letter("forbidden_scope", "outside"), to="<queue>-dead-letter"),
        status="warning",
        mends=False,
    ),
    # --- Sources
    "a queue that is not there": Fault(
        "sources",
        "METRICS_SOURCES[0] (storage_queue): 0 points, 1 error: queue missing: ",
        'az storage queue list --connection-string "$MetricsStorage" --query "[].name" ',
        sources(connection="MetricsStorage", queues=["missing"]),
        mends=False,
    ),
    "a pattern that finds nothing": Fault(
        "sources",
        "found nothing to measure",
        'az storage queue list --connection-string "$MetricsStorage" --query "[].name" ',
        sources(connection="MetricsStorage", queues=["<queue>-x*"]),
        status="warning",
        mends=False,
    ),
    "a namespace that may not be read": Fault(
        "sources",
        "403",
        f"az role assignment create --role Reader {TO_THE_APP} --scope "
        "<group>/providers/Microsoft.ServiceBus/namespaces/shop",
        sources(
            kind="service_bus",
            resourceId="<group>/providers/Microsoft.ServiceBus/namespaces/shop",
            entities=["*"],
        ),
        control=[
            (
                "POST",
                "faults",
                {
                    "target": "arm",
                    "status": 403,
                    "resourceId": "<group>/providers/Microsoft.ServiceBus",
                },
            ),
        ],
        mends=False,
    ),
    "a source that is broken": Fault(
        "sources",
        "500",
        "curl -sS -o /dev/null -w '%{http_code}' <monitor>/_local/documents/stats",
        sources(kind="rest", url="<monitor>/_local/documents/stats", metrics={"Depth": "depth"}),
        control=[("PUT", "documents", {"path": "/stats", "body": {}, "status": 500})],
        mends=False,
    ),
    "a number among the sources": Fault(
        "settings",
        "METRICS_SOURCES[0]: ",
        'test -s sources.json && export METRICS_SOURCES="$(cat sources.json)"',
        {
            "METRICS_SOURCES": json.dumps(
                [1, {**SOURCE, "connection": "MetricsStorage", "queues": ["<queue>"]}]
            )
        },
        mends=False,
    ),
    "a source outside the allowed scopes": Fault(
        "sources",
        f"{ANOTHER} is outside METRICS_ALLOWED_SCOPES",
        f"export METRICS_ALLOWED_SCOPES=<group>,{ANOTHER}",
        sources(connection="MetricsStorage", queues=["<queue>"], resourceId=ANOTHER),
    ),
    # --- Resource and region
    "no resource to probe": Fault(
        "resource",
        "--probe: no resource",
        'az resource list --query "[].id" --output tsv',
        {"METRICS_RESOURCE_ID": None},
        skipped=OF_RESOURCE,
        mends=False,
    ),
    "a group for a resource": Fault(
        "resource",
        "is a resource group; a metric belongs to a resource",
        "az resource list --subscription 5b1fd1f4-2a3c-4f0e-9d53-0f8b6d3f5a10 "
        '--resource-group shop --query "[].id" --output tsv',
        options=("--resource-id", "<group>"),
        skipped=OF_RESOURCE,
        mends=False,
    ),
    "outside the allowed scopes": Fault(
        "resource",
        f"{ANOTHER} is outside METRICS_ALLOWED_SCOPES",
        f"export METRICS_ALLOWED_SCOPES=<group>,{ANOTHER}",
        options=("--resource-id", ANOTHER, "--region", "westeurope"),
        skipped=OF_RESOURCE,
        control=[
            ("PUT", "resources", {"resources": [{"resourceId": ANOTHER, "region": "westeurope"}]})
        ],
    ),
    "no such resource": Fault(
        "region",
        "is not among the microsoft.web/sites that Azure Resource Manager lists",
        "az resource show --ids <site-two> --query location",
        {"METRICS_REGION": None},
        options=("--resource-id", "<site-two>"),
        skipped=("endpoint", "publish"),
        mends=False,
    ),
    "Reader is missing": Fault(
        "region",
        "403 AuthorizationFailed",
        f"az role assignment create --role Reader {TO_THE_APP} --scope <group-lower>",
        {"METRICS_REGION": None},
        [("PUT", "roles", {"assignments": []})],
        options=(),
        skipped=("endpoint", "publish"),
    ),
    "Reader is missing and not needed": Fault(
        "region",
        "that cannot be compared",
        "# Or name the region, in messages or of METRICS_RESOURCE_ID: export METRICS_REGION=",
        control=[("PUT", "roles", {"assignments": [{"scope": "/"}]})],
        status="warning",
    ),
    "ARM is away": Fault(
        "region",
        "cannot be looked up: http://127.0.0.1:1/",
        "unset METRICS_ARM_ENDPOINT",
        {"METRICS_REGION": None, "METRICS_ARM_ENDPOINT": "http://127.0.0.1:1"},
        skipped=("endpoint", "publish"),
        mends=False,
    ),
    "METRICS_REGION is not where it is": Fault(
        "region",
        "the resource is in westeurope, METRICS_REGION says eastus",
        "export METRICS_REGION=westeurope",
        {"METRICS_REGION": "eastus"},
        skipped=("endpoint", "publish"),
    ),
    # --- The store
    "the endpoint is away": Fault(
        "endpoint",
        "http://127.0.0.1:1/westeurope is not reached",
        "unset METRICS_ENDPOINT",
        {"METRICS_ENDPOINT": "http://127.0.0.1:1/{region}"},
        skipped=("publish",),
        mends=False,
    ),
    "a region that is not there": Fault(
        "endpoint",
        "westeurope.nowhere.invalid",
        "# Is it a region with custom metrics?",
        {
            "METRICS_ENDPOINT": "https://{region}.nowhere.invalid",
            "METRICS_AUDIENCE": "https://monitoring.azure.com/",
            "no_proxy": "*",
            "NO_PROXY": "*",
        },
        skipped=("publish",),
        mends=False,
    ),
    "the role is missing": Fault(
        "publish",
        "403 AuthenticationFailed",
        "az role assignment create --role 'Monitoring Metrics Publisher' "
        f"{TO_THE_APP} --scope <site>",
        control=[("PUT", "roles", {"assignments": [{"scope": "/", "role": "Owner"}]})],
    ),
    "the store knows another region": Fault(
        "publish",
        "400 RegionMismatch",
        "export METRICS_REGION=northeurope",
        control=[
            (
                "POST",
                "faults",
                {
                    "status": 400,
                    "body": {
                        "error": {
                            "code": "RegionMismatch",
                            "message": "This endpoint : westeurope does not accept metrics "
                            "for the resource's region : northeurope ",
                        }
                    },
                },
            )
        ],
        mends=False,
    ),
    "the resource is new": Fault(
        "publish",
        "404",
        "az resource show --ids <site> --query location",
        control=[("POST", "faults", {"status": 404})],
        mends=False,
    ),
    "the store is busy": Fault(
        "publish",
        "503",
        "# Try again in a minute",
        control=[("POST", "faults", {"status": 503})],
        status="warning",
        mends=False,
    ),
    "the token is of another tenant": Fault(
        "publish",
        "401",
        "az account show --subscription 5b1fd1f4-2a3c-4f0e-9d53-0f8b6d3f5a10 --query tenantId",
        control=[("POST", "faults", {"status": 401})],
        mends=False,
    ),
    "no answer": Fault(
        "publish",
        "no answer",
        "# Try again in a minute",
        control=[("POST", "faults", {"drop": "before"})],
        status="warning",
        mends=False,
    ),
    # --- The clock
    "the clock is slow": Fault(
        "clock",
        "this machine is 0:0",
        "sudo timedatectl set-ntp true",
        control=[("PUT", "clock", {"offsetSeconds": 120})],
        status="warning",
        mends=False,
    ),
    "the clock is fast": Fault(
        "clock",
        "ahead of the metrics store",
        "sudo timedatectl set-ntp true",
        control=[("PUT", "clock", {"offsetSeconds": -120})],
        status="warning",
        mends=False,
    ),
}
