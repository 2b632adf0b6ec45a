"""Settings: defaults, limits, and errors that name the setting."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from shared.clients.storage import Connection
from shared.errors import ConfigurationError
from shared.model import Target, TimeWindow
from shared.settings import DEFAULTS, Settings
from shared.text import masked

RESOURCE = (
    "/subscriptions/5b2f8c1d-1111-4222-8333-944455566677/resourceGroups/orders"
    "/providers/Microsoft.Storage/storageAccounts/ordersqueues"
)
REQUIRED = {"METRICS_QUEUE": "metrics", "MetricsStorage__accountName": "orders"}
KEY = "c2VjcmV0LWFjY291bnQta2V5"
SECRET = f"DefaultEndpointsProtocol=https;AccountName=orders;AccountKey={KEY}"
VISIBILITY = "AzureFunctionsJobHost__extensions__queues__visibilityTimeout"


def settings(**changes: str | None) -> Settings:
    """Return the settings with only what is required, and changes; None removes a setting."""
    environ = {**REQUIRED, **changes}
    return Settings.from_env({name: text for name, text in environ.items() if text is not None})


def test_defaults() -> None:
    assert settings() == Settings(
        queue="metrics",
        dead_letter_queue="metrics-dead-letter",
        storage=Connection(
            "MetricsStorage", queue_service_uri="https://orders.queue.core.windows.net"
        ),
        sources="[]",
        resource_id=None,
        region=None,
        namespace="QueueProcessing",
        endpoint="https://{region}.monitoring.azure.com",
        audience="https://monitoring.azure.com/",
        arm_endpoint="https://management.azure.com",
        credential="managed_identity",
        client_id=None,
        allowed_scopes=(),
        time_window=TimeWindow(timedelta(minutes=20), timedelta(minutes=4)),
        max_body_bytes=1_000_000,
        max_active_series=50_000,
        own_target=None,
        retry_delay=timedelta(seconds=30),
        environ=REQUIRED,
    )


# Name, text, field, value.
GIVEN: list[tuple[str, str, str, object]] = [
    ("METRICS_QUEUE", "a-1", "queue", "a-1"),
    ("METRICS_DEAD_LETTER_QUEUE", "a" * 63, "dead_letter_queue", "a" * 63),
    ("METRICS_SOURCES", '[{"kind": "x"}]', "sources", '[{"kind": "x"}]'),
    ("METRICS_RESOURCE_ID", RESOURCE, "resource_id", RESOURCE),
    ("METRICS_REGION", "West Europe", "region", "westeurope"),
    ("METRICS_NAMESPACE", "n" * 256, "namespace", "n" * 256),
    ("METRICS_ENDPOINT", "https://{region}.x.us//", "endpoint", "https://{region}.x.us"),
    ("METRICS_ENDPOINT", "https://x:8443/m/{region}", "endpoint", "https://x:8443/m/{region}"),
    ("METRICS_ENDPOINT", "http://[::1]:80/{region}", "endpoint", "http://[::1]:80/{region}"),
    ("METRICS_AUDIENCE", "https://x/", "audience", "https://x/"),
    ("METRICS_ARM_ENDPOINT", "https://x.net/arm/", "arm_endpoint", "https://x.net/arm"),
    ("METRICS_CREDENTIAL", "azure_cli", "credential", "azure_cli"),
    ("AZURE_CLIENT_ID", "5b2f", "client_id", "5b2f"),
    *(
        ("METRICS_PAST_MINUTES", text, "time_window", TimeWindow(past, timedelta(minutes=4)))
        for text, past in (("1", timedelta(minutes=1)), ("30", timedelta(minutes=30)))
    ),
    *(
        ("METRICS_FUTURE_MINUTES", text, "time_window", TimeWindow(timedelta(minutes=20), future))
        for text, future in (("0", timedelta()), ("5", timedelta(minutes=5)))
    ),
    ("METRICS_MAX_BODY_BYTES", "65536", "max_body_bytes", 65_536),
    ("METRICS_MAX_BODY_BYTES", "4000000", "max_body_bytes", 4_000_000),
    ("METRICS_MAX_ACTIVE_SERIES", "1", "max_active_series", 1),
    ("METRICS_MAX_ACTIVE_SERIES", "1000000", "max_active_series", 1_000_000),
    (
        "azurefunctionsjobhost:Extensions:queues:VISIBILITYTIMEOUT",
        "00:00:05",
        "retry_delay",
        timedelta(seconds=5),
    ),
    (VISIBILITY, "01:02:03", "retry_delay", timedelta(hours=1, minutes=2, seconds=3)),
    ("METRICS_ALLOWED_SCOPES", "/subscriptions/A/", "allowed_scopes", ("/subscriptions/a/",)),
    (
        "METRICS_ALLOWED_SCOPES",
        f", /subscriptions/1/resourceGroups/Shop//,\n{RESOURCE}\t,",
        "allowed_scopes",
        ("/subscriptions/1/resourcegroups/shop/", f"{RESOURCE.lower()}/"),
    ),
]


@pytest.mark.parametrize(("name", "text", "field", "value"), GIVEN)
def test_a_setting_is_read(name: str, text: str, field: str, value: object) -> None:
    assert getattr(settings(**{name: f"  {text}\n"}), field) == value


def test_an_empty_setting_is_a_missing_one() -> None:
    names = {name for name, *_ in GIVEN} - {"METRICS_QUEUE"}
    assert DEFAULTS.keys() <= names
    given = settings(**dict.fromkeys(names, " \n"))
    assert dataclasses.replace(given, environ=REQUIRED) == settings()


QUEUE = "expected a queue name: 3 to 63 lower-case letters, digits and single hyphens between"
URL = "expected a URL such as https://{region}.monitoring.azure.com"
ARM = "expected a URL such as https://management.azure.com"
TLS = "expected https:// (http:// on the loopback interface only)"
RESOURCES = "/subscriptions/…/resourceGroups/…/providers/Microsoft.Storage/storageAccounts/…"
SCOPE = (
    "is not a prefix of a resource ID, such as /subscriptions/… or /subscriptions/…/"
    "resourceGroups/…"
)
# Name -> text -> error.
INVALID: dict[str, dict[str, str]] = {
    "METRICS_QUEUE": dict.fromkeys(
        ["Metrics", "ab", "a" * 64, "a--b", "ab-", "a_b", "métrics"], QUEUE
    ),
    "METRICS_DEAD_LETTER_QUEUE": {
        "Bad": QUEUE,
        "metrics": "expected another queue than METRICS_QUEUE",
        "metrics-poison": "expected another queue than the one in which the Functions host puts "
        "messages that crash the function",
    },
    "METRICS_RESOURCE_ID": {"orders": f"'orders' is not a resource ID: {RESOURCES}"},
    "METRICS_REGION": {"a/#": "'a/#' is not a region, such as westeurope"},
    "METRICS_NAMESPACE": {"n" * 257: "257 characters, at most 256"},
    "METRICS_ENDPOINT": {
        **dict.fromkeys(
            [
                "https://monitoring.azure.com",
                "{region}",
                "https:///{region}",
                "https://a@{region}.example",
                "https://@{region}.example",
                "https://x/{region}?",
                "https://x/{region}#",
                "https://x\\{region}",
                "https://x /{region}",
                "https://x\n/{region}",
                "https://{region}.éxample",
                "https://[{region}",
                "https://{region}:x",
                "https://{region}:65536",
                "https://{region}:0",
                "http://127.0.0.1:{region}",
                "https://{region}.{zone}.example",
            ],
            URL,
        ),
        **dict.fromkeys(
            [
                "http://{region}.monitoring.azure.com",
                "http://127.0.0.1.example/{region}",
                "http://127.0.0.1{region}/",
                "ftp://{region}.example",
            ],
            TLS,
        ),
    },
    "METRICS_ARM_ENDPOINT": {
        "management.azure.com": ARM,
        "https://": ARM,
        "https://management.azure.com/?a=b": ARM,
        "https://{region}.management.azure.com": ARM,
        "http://management.azure.com": TLS,
    },
    "METRICS_CREDENTIAL": {"x": "expected one of managed_identity, environment, azure_cli"},
    "METRICS_PAST_MINUTES": dict.fromkeys(
        ["0", "31", "2.5", "-1", "\u0661", "0000000020"], "expected a whole number from 1 to 30"
    ),
    "METRICS_FUTURE_MINUTES": dict.fromkeys(["6", "four"], "expected a whole number from 0 to 5"),
    "METRICS_MAX_BODY_BYTES": dict.fromkeys(
        ["65535", "4000001", "1MB"], "expected a whole number from 65536 to 4000000"
    ),
    "METRICS_MAX_ACTIVE_SERIES": dict.fromkeys(
        ["0", "1000001"], "expected a whole number from 1 to 1000000"
    ),
    VISIBILITY: dict.fromkeys(["30", "00:60:00", "1.00:00:00"], "expected hh:mm:ss"),
    "METRICS_ALLOWED_SCOPES": {
        ",": "expected prefixes of resource IDs, separated by commas",
        "/": f"'' {SCOPE}",
        "/subscriptions/1,shop": f"'shop' {SCOPE}",
        **{
            text: f"{masked(text)} {SCOPE}"
            for text in (
                "subscriptions/1",
                "//subscriptions/1",
                "/subscriptions",
                "/resourceGroups/shop",
                "/providers/Microsoft.Management/managementGroups/all",
                "/subscriptionsX/1",
                "/subscriptions/1//resourceGroups/shop",
                "/subscriptions/1/resourceGroups/the shop",
                "/subscriptions/1\n/subscriptions/2",
                "/subscriptions/1; /subscriptions/2",
                "https://management.azure.com/subscriptions/1",
                "/sub\u0455criptions/1",
            )
        },
    },
}


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [(name, text, error) for name, errors in INVALID.items() for text, error in errors.items()],
)
def test_an_invalid_setting_is_an_error(name: str, text: str, expected: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings(**{name: text})
    assert str(caught.value) == f"{name} is {masked(text)}: {expected}"


def test_a_required_setting_has_no_default() -> None:
    with pytest.raises(ConfigurationError, match=r"^METRICS_QUEUE is not set$"):
        settings(METRICS_QUEUE=None)
    with pytest.raises(ConfigurationError, match=r"^MetricsStorage is not set, nor "):
        settings(MetricsStorage__accountName=None)


def test_a_long_queue_name_needs_a_dead_letter_queue() -> None:
    longest = "a" * 51
    assert settings(METRICS_QUEUE=longest).dead_letter_queue == f"{longest}-dead-letter"
    with pytest.raises(ConfigurationError, match=r"^METRICS_DEAD_LETTER_QUEUE is 'a+b-dead-"):
        settings(METRICS_QUEUE=f"{longest}b")
    settings(METRICS_QUEUE=f"{longest}b", METRICS_DEAD_LETTER_QUEUE="dead-letters")


# --- The target of the relay's own metrics --------------------------------------------------------

PLATFORM = {
    "WEBSITE_OWNER_NAME": "5b2f8c1d-1111-4222-8333-944455566677+relay-WestEuropewebspace-Linux",
    "WEBSITE_RESOURCE_GROUP": "relay",
    "WEBSITE_SITE_NAME": "orders-relay",
    "REGION_NAME": "West Europe",
}
APP = Target(
    "westeurope",
    "/subscriptions/5b2f8c1d-1111-4222-8333-944455566677/resourceGroups/relay"
    "/providers/Microsoft.Web/sites/orders-relay",
)


def test_the_own_target_is_the_function_app_or_else_the_default_resource() -> None:
    assert settings(**PLATFORM).own_target == APP
    bare = {**PLATFORM, "WEBSITE_OWNER_NAME": "5b2f8c1d-1111-4222-8333-944455566677"}
    assert settings(**bare, METRICS_RESOURCE_ID=RESOURCE).own_target == APP
    given = settings(METRICS_RESOURCE_ID=RESOURCE, METRICS_REGION="eastus")
    assert given.own_target == Target("eastus", RESOURCE)
    assert settings(METRICS_RESOURCE_ID=RESOURCE).own_target == Target("", RESOURCE)
    assert settings(METRICS_REGION="eastus").own_target is None


INCOMPLETE: list[tuple[str, str | None]] = [
    *((name, text) for name in PLATFORM for text in (None, "")),
    ("WEBSITE_OWNER_NAME", "5b2f/../x+relay"),
    ("WEBSITE_OWNER_NAME", "+relay-WestEuropewebspace"),
    ("WEBSITE_RESOURCE_GROUP", "relay?x="),
    ("WEBSITE_RESOURCE_GROUP", "rélais"),
    ("WEBSITE_SITE_NAME", ".."),
    ("REGION_NAME", "evil.example/#"),
    ("REGION_NAME", "West Europe (Stage)"),
]


@pytest.mark.parametrize(("name", "text"), INCOMPLETE)
def test_a_platform_that_does_not_describe_the_app_is_ignored(name: str, text: str | None) -> None:
    platform: dict[str, str | None] = {**PLATFORM, name: text}
    assert settings(**platform).own_target is None
    given = settings(**platform, METRICS_RESOURCE_ID=RESOURCE)
    assert given.own_target == Target("", RESOURCE)


# --- The rest -------------------------------------------------------------------------------------

ARM_AUDIENCES = {
    "https://management.azure.com/": "https://management.azure.com/",
    "https://management.usgovcloudapi.net": "https://management.usgovcloudapi.net/",
    # A stand-in takes the tokens that Azure takes.
    "http://127.0.0.1:8080": "https://management.azure.com/",
}


@pytest.mark.parametrize(("endpoint", "audience"), ARM_AUDIENCES.items())
def test_arm_audience(endpoint: str, audience: str) -> None:
    assert settings(METRICS_ARM_ENDPOINT=endpoint).arm_audience == audience


def test_other_connections_are_resolved_by_name() -> None:
    given = settings(Other__queueServiceUri="https://o.queue.core.windows.net/")
    assert given.connection("Other").queue_service_uri == "https://o.queue.core.windows.net/"
    with pytest.raises(ConfigurationError, match=r"^Another is not set, nor "):
        given.connection("Another")


def test_settings_show_no_secrets_and_cannot_be_changed() -> None:
    given = settings(MetricsStorage=SECRET, AZURE_CLIENT_SECRET="hidden")
    assert given.storage.connection_string == SECRET
    for text in (repr(given), str(given)):
        assert KEY not in text
        assert "hidden" not in text
    with pytest.raises(dataclasses.FrozenInstanceError):
        given.queue = "other"  # type: ignore[misc]
