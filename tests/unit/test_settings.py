"""Settings: every default, and every refusal with the name of the setting in it."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest
from builders import RESOURCE

from shared.clients.storage import Connection
from shared.errors import ConfigurationError
from shared.model import Lane, Window
from shared.pipeline.fence import Fence
from shared.settings import DEFAULTS, Settings

LEAST = {"METRICS_QUEUE": "metrics", "MetricsStorage__accountName": "orders"}
KEY = "c2VjcmV0LWFjY291bnQta2V5"
SECRET = f"DefaultEndpointsProtocol=https;AccountName=orders;AccountKey={KEY}"


def settings(**changes: str | None) -> Settings:
    """The least that is needed, with changes; None leaves a setting out."""
    environ = {**LEAST, **changes}
    return Settings.from_env({name: text for name, text in environ.items() if text is not None})


def test_the_defaults() -> None:
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
        window=Window(timedelta(minutes=20), timedelta(minutes=4)),
        max_body_bytes=1_000_000,
        fence=Fence(),
        max_active_series=50_000,
        own=None,
        retry_delay=timedelta(seconds=30),
        environ=LEAST,
    )


GIVEN = {
    "METRICS_QUEUE": ("orders-1", "queue", "orders-1"),
    "METRICS_DEAD_LETTER_QUEUE": ("bad", "dead_letter_queue", "bad"),
    "METRICS_SOURCES": ('[{"kind": "x"}]', "sources", '[{"kind": "x"}]'),
    "METRICS_RESOURCE_ID": (RESOURCE, "resource_id", RESOURCE),
    "METRICS_REGION": ("westeurope", "region", "westeurope"),
    "METRICS_NAMESPACE": ("n" * 256, "namespace", "n" * 256),
    "METRICS_ENDPOINT": (
        "https://{region}.monitoring.azure.us",
        "endpoint",
        "https://{region}.monitoring.azure.us",
    ),
    "METRICS_AUDIENCE": ("https://x/", "audience", "https://x/"),
    "METRICS_ARM_ENDPOINT": (
        "https://management.usgovcloudapi.net/",
        "arm_endpoint",
        "https://management.usgovcloudapi.net",
    ),
    "METRICS_CREDENTIAL": ("azure_cli", "credential", "azure_cli"),
    "AZURE_CLIENT_ID": ("5b2f", "client_id", "5b2f"),
    "METRICS_PAST_MINUTES": ("30", "window", Window(timedelta(minutes=30), timedelta(minutes=4))),
    "METRICS_FUTURE_MINUTES": ("0", "window", Window(timedelta(minutes=20), timedelta())),
    "METRICS_MAX_BODY_BYTES": ("65536", "max_body_bytes", 65_536),
    "METRICS_MAX_ACTIVE_SERIES": ("1000", "max_active_series", 1000),
    "METRICS_ALLOWED_SCOPES": (
        "/subscriptions/1/resourceGroups/Shop/, /subscriptions/2",
        "fence",
        Fence(("/subscriptions/1/resourcegroups/shop/", "/subscriptions/2/")),
    ),
}


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [(name, *expected) for name, expected in GIVEN.items()],
    ids=GIVEN,
)
def test_a_setting_is_taken(name: str, text: str, field: str, value: object) -> None:
    assert getattr(settings(**{name: text}), field) == value
    assert getattr(settings(**{name: f"  {text}\n"}), field) == value


@pytest.mark.parametrize("name", [name for name in GIVEN if name != "METRICS_QUEUE"])
@pytest.mark.parametrize("text", ["", " \n"], ids=["empty", "white space"])
def test_an_empty_setting_is_none(name: str, text: str) -> None:
    given = settings(**{name: text})
    assert dataclasses.replace(given, environ=LEAST) == settings()


# The function app, as the platform describes it to the app.
PLATFORM = {
    "WEBSITE_OWNER_NAME": "5b2f8c1d-1111-4222-8333-944455566677+relay-WestEuropewebspace-Linux",
    "WEBSITE_RESOURCE_GROUP": "relay",
    "WEBSITE_SITE_NAME": "orders-relay",
    "REGION_NAME": "West Europe",
}
APP = Lane(
    "westeurope",
    "/subscriptions/5b2f8c1d-1111-4222-8333-944455566677/resourceGroups/relay"
    "/providers/Microsoft.Web/sites/orders-relay",
)


def test_the_app_s_own_resource_is_what_the_platform_describes() -> None:
    assert settings(**PLATFORM).own == APP
    assert settings(**PLATFORM, METRICS_RESOURCE_ID=RESOURCE, METRICS_REGION="eastus").own == APP
    compact = {**PLATFORM, "REGION_NAME": "westeurope"}
    assert settings(**compact).own == APP
    bare = {**PLATFORM, "WEBSITE_OWNER_NAME": PLATFORM["WEBSITE_OWNER_NAME"].partition("+")[0]}
    assert settings(**bare).own == APP


@pytest.mark.parametrize("missing", PLATFORM)
@pytest.mark.parametrize("text", [None, ""], ids=["missing", "empty"])
def test_a_platform_that_does_not_say_all_says_nothing(missing: str, text: str | None) -> None:
    """On the Flex Consumption plan it does not name the resource group."""
    platform: dict[str, str | None] = {**PLATFORM, missing: text}
    assert settings(**platform).own is None
    given = settings(**platform, METRICS_RESOURCE_ID=RESOURCE, METRICS_REGION="eastus")
    assert given.own == Lane("eastus", RESOURCE)


ODD = {
    "subscription": ("WEBSITE_OWNER_NAME", "5b2f/../x+relay"),
    "no subscription": ("WEBSITE_OWNER_NAME", "+relay-WestEuropewebspace"),
    "group": ("WEBSITE_RESOURCE_GROUP", "relay?x="),
    "group of another script": ("WEBSITE_RESOURCE_GROUP", "rélais"),
    "site": ("WEBSITE_SITE_NAME", ".."),
    "region": ("REGION_NAME", "evil.example/#"),
    "region that is not one": ("REGION_NAME", "West Europe (Stage)"),
}


@pytest.mark.parametrize(("name", "text"), ODD.values(), ids=ODD)
def test_a_platform_that_says_something_odd_says_nothing(name: str, text: str) -> None:
    assert settings(**{**PLATFORM, name: text}).own is None
    assert settings(**{**PLATFORM, name: text}, METRICS_RESOURCE_ID=RESOURCE).own == Lane(
        "", RESOURCE
    )


def test_without_a_platform_the_app_s_own_resource_is_the_one_that_is_configured() -> None:
    assert settings(METRICS_RESOURCE_ID=RESOURCE, METRICS_REGION="eastus").own == Lane(
        "eastus", RESOURCE
    )
    assert settings(METRICS_RESOURCE_ID=RESOURCE).own == Lane("", RESOURCE)  # To be looked up.
    assert settings(METRICS_REGION="eastus").own is None


def test_every_default_is_of_a_setting() -> None:
    assert DEFAULTS.keys() <= GIVEN.keys()


QUEUE = "expected a queue name: 3 to 63 lower-case letters, digits and single hyphens between"
URL = "expected a URL such as https://{region}.monitoring.azure.com"
ARM = "expected a URL such as https://management.azure.com"
TLS = "expected https:// (http:// on the loopback interface only)"
MINUTES_PAST = "expected a whole number from 1 to 30"
MINUTES_FUTURE = "expected a whole number from 0 to 5"
BODY = "expected a whole number from 65536 to 4000000"
RESOURCES = "/subscriptions/…/resourceGroups/…/providers/Microsoft.Storage/storageAccounts/…"
REFUSED = {
    "queue of capitals": ("METRICS_QUEUE", "Metrics", QUEUE),
    "short queue": ("METRICS_QUEUE", "ab", QUEUE),
    "long queue": ("METRICS_QUEUE", "a" * 64, QUEUE),
    "queue with two hyphens": ("METRICS_QUEUE", "a--b", QUEUE),
    "queue that ends with a hyphen": ("METRICS_QUEUE", "ab-", QUEUE),
    "queue with an underscore": ("METRICS_QUEUE", "a_b", QUEUE),
    "queue with another script": ("METRICS_QUEUE", "métrics", QUEUE),
    "dead letters of capitals": ("METRICS_DEAD_LETTER_QUEUE", "Bad", QUEUE),
    "dead letters into the ingress": (
        "METRICS_DEAD_LETTER_QUEUE",
        "metrics",
        "expected another queue than METRICS_QUEUE",
    ),
    "resource": (
        "METRICS_RESOURCE_ID",
        "orders",
        f"'orders' is not a resource ID: {RESOURCES}",
    ),
    "region": (
        "METRICS_REGION",
        "West Europe",
        "'West Europe' is not a region: lower-case letters and digits, such as westeurope",
    ),
    "long namespace": ("METRICS_NAMESPACE", "n" * 257, "257 characters, at most 256"),
    "endpoint without a region": ("METRICS_ENDPOINT", "https://monitoring.azure.com", URL),
    "endpoint that is a word": ("METRICS_ENDPOINT", "{region}", URL),
    "endpoint without a host": ("METRICS_ENDPOINT", "https:///{region}", URL),
    "endpoint with a user": ("METRICS_ENDPOINT", "https://a@{region}.example", URL),
    "endpoint with a password": ("METRICS_ENDPOINT", "https://:b@{region}.example", URL),
    "endpoint with an empty user": ("METRICS_ENDPOINT", "https://@{region}.example", URL),
    "endpoint with a query": ("METRICS_ENDPOINT", "https://x/{region}?a=b", URL),
    "endpoint with an empty query": ("METRICS_ENDPOINT", "https://x/{region}?", URL),
    "endpoint with a fragment": ("METRICS_ENDPOINT", "https://x/{region}#a", URL),
    "endpoint with an empty fragment": ("METRICS_ENDPOINT", "https://x/{region}#", URL),
    "endpoint with a backslash": ("METRICS_ENDPOINT", "https://x\\{region}", URL),
    "endpoint with a space": ("METRICS_ENDPOINT", "https://x /{region}", URL),
    "endpoint with a newline": ("METRICS_ENDPOINT", "https://x\n/{region}", URL),
    "endpoint with another script": ("METRICS_ENDPOINT", "https://{region}.éxample", URL),
    "endpoint with brackets": ("METRICS_ENDPOINT", "https://[{region}", URL),
    "endpoint with a port that is a word": ("METRICS_ENDPOINT", "https://{region}:x", URL),
    "endpoint with a port too high": ("METRICS_ENDPOINT", "https://{region}:65536", URL),
    "endpoint with port 0": ("METRICS_ENDPOINT", "https://{region}:0", URL),
    "endpoint whose port is the region": ("METRICS_ENDPOINT", "http://127.0.0.1:{region}", URL),
    "endpoint without TLS": ("METRICS_ENDPOINT", "http://{region}.monitoring.azure.com", TLS),
    "endpoint near the loopback": ("METRICS_ENDPOINT", "http://127.0.0.1.example/{region}", TLS),
    "endpoint that begins as loopback": ("METRICS_ENDPOINT", "http://127.0.0.1{region}/", TLS),
    "endpoint of another scheme": ("METRICS_ENDPOINT", "ftp://{region}.example", TLS),
    "endpoint of other braces": ("METRICS_ENDPOINT", "https://{region}.{zone}.example", URL),
    "ARM that is a word": ("METRICS_ARM_ENDPOINT", "management.azure.com", ARM),
    "ARM without a host": ("METRICS_ARM_ENDPOINT", "https://", ARM),
    "ARM with a user": ("METRICS_ARM_ENDPOINT", "https://a@management.azure.com", ARM),
    "ARM with a query": ("METRICS_ARM_ENDPOINT", "https://management.azure.com/?a=b", ARM),
    "ARM of a region": ("METRICS_ARM_ENDPOINT", "https://{region}.management.azure.com", ARM),
    "ARM with port 0": ("METRICS_ARM_ENDPOINT", "https://management.azure.com:0", ARM),
    "ARM without TLS": ("METRICS_ARM_ENDPOINT", "http://management.azure.com", TLS),
    "credential": (
        "METRICS_CREDENTIAL",
        "password",
        "expected one of managed_identity, environment, azure_cli",
    ),
    "no past": ("METRICS_PAST_MINUTES", "0", MINUTES_PAST),
    "long past": ("METRICS_PAST_MINUTES", "31", MINUTES_PAST),
    "fraction of the past": ("METRICS_PAST_MINUTES", "2.5", MINUTES_PAST),
    "negative past": ("METRICS_PAST_MINUTES", "-1", MINUTES_PAST),
    "past of other digits": ("METRICS_PAST_MINUTES", "\u0661", MINUTES_PAST),
    "past of ten digits": ("METRICS_PAST_MINUTES", "0000000020", MINUTES_PAST),
    "far future": ("METRICS_FUTURE_MINUTES", "6", MINUTES_FUTURE),
    "future that is a word": ("METRICS_FUTURE_MINUTES", "four", MINUTES_FUTURE),
    "small body": ("METRICS_MAX_BODY_BYTES", "65535", BODY),
    "large body": ("METRICS_MAX_BODY_BYTES", "4000001", BODY),
    "body with a unit": ("METRICS_MAX_BODY_BYTES", "1MB", BODY),
}


@pytest.mark.parametrize(("name", "text", "expected"), REFUSED.values(), ids=REFUSED)
def test_a_setting_is_refused(name: str, text: str, expected: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings(**{name: text})
    assert str(caught.value) == f"{name} is {text!r}: {expected}"


AT_THE_LIMIT = [
    ("METRICS_QUEUE", "a-b"),
    ("METRICS_DEAD_LETTER_QUEUE", "a" * 63),
    ("METRICS_PAST_MINUTES", "1"),
    ("METRICS_FUTURE_MINUTES", "5"),
    ("METRICS_MAX_BODY_BYTES", "4000000"),
    ("METRICS_ENDPOINT", "http://127.0.0.1:8080/{region}"),
    ("METRICS_ENDPOINT", "http://localhost/{region}"),
    ("METRICS_ENDPOINT", "http://[::1]:8080/{region}"),
    ("METRICS_ARM_ENDPOINT", "http://127.0.0.1:8080"),
    ("METRICS_ARM_ENDPOINT", "https://gateway.example:8443/arm"),
    ("METRICS_ENDPOINT", "https://gateway.example:8443/metrics/{region}"),
]


@pytest.mark.parametrize(("name", "text"), AT_THE_LIMIT)
def test_a_setting_at_its_limit_is_taken(name: str, text: str) -> None:
    settings(**{name: text})


def test_a_slash_at_the_end_of_an_endpoint_would_be_one_too_many() -> None:
    given = settings(METRICS_ENDPOINT="https://{region}.monitoring.azure.com//")
    assert given.endpoint == "https://{region}.monitoring.azure.com"


ARM_AUDIENCES = {
    "https://management.azure.com": "https://management.azure.com/",
    "https://management.azure.com/": "https://management.azure.com/",
    "https://management.usgovcloudapi.net": "https://management.usgovcloudapi.net/",
    # A stand-in takes the tokens that Azure would.
    "http://127.0.0.1:8080": "https://management.azure.com/",
}


@pytest.mark.parametrize(("endpoint", "audience"), ARM_AUDIENCES.items())
def test_the_audience_of_arm_is_its_address(endpoint: str, audience: str) -> None:
    assert settings(METRICS_ARM_ENDPOINT=endpoint).arm_audience == audience


def test_the_ingress_queue_has_no_default() -> None:
    with pytest.raises(ConfigurationError, match=r"^METRICS_QUEUE is not set$"):
        settings(METRICS_QUEUE=None)


def test_a_queue_with_a_long_name_needs_a_dead_letter_queue_of_its_own_name() -> None:
    longest = "a" * 51
    assert settings(METRICS_QUEUE=longest).dead_letter_queue == f"{longest}-dead-letter"
    with pytest.raises(ConfigurationError) as caught:
        settings(METRICS_QUEUE=f"{longest}b")
    assert str(caught.value) == (f"METRICS_DEAD_LETTER_QUEUE is '{longest}b-dead-letter': {QUEUE}")
    settings(METRICS_QUEUE=f"{longest}b", METRICS_DEAD_LETTER_QUEUE="dead-letters")


def test_a_connection_is_required() -> None:
    with pytest.raises(ConfigurationError, match=r"^MetricsStorage is not set, nor "):
        settings(MetricsStorage__accountName=None)


def test_other_connections_are_found_by_name() -> None:
    given = settings(Other__queueServiceUri="https://o.queue.core.windows.net/")
    assert given.connection("Other").queue_service_uri == "https://o.queue.core.windows.net/"
    with pytest.raises(ConfigurationError, match=r"^Another is not set, nor "):
        given.connection("Another")


def test_secrets_are_not_shown() -> None:
    given = settings(MetricsStorage=SECRET, AZURE_CLIENT_SECRET="hidden")
    assert given.storage.connection_string == SECRET
    for text in (repr(given), str(given), repr(given.storage)):
        assert KEY not in text
        assert "hidden" not in text


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings().queue = "other"  # type: ignore[misc]
