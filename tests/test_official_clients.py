"""Microsoft's own clients read back from the emulator what the relay published.

What is expected is worked out here from the points that were enqueued, not from what is stored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
)
from azure.identity import ManagedIdentityCredential
from azure.mgmt.monitor import MonitorManagementClient
from azure.monitor.querymetrics import MetricsClient, MetricsQueryResult

from local.stack import Backend, run_app

Ask = Callable[[Callable[[], Any], Callable[[Any], bool]], Any]
Five = tuple[float, ...]

AGGREGATIONS = ["Average", "Minimum", "Maximum", "Total", "Count"]
NAMES = [name.lower() for name in AGGREGATIONS]
MINUTE = timedelta(minutes=1)
# Minutes ago, and the values of each country: enqueued for the first resource as they are, for
# the second one ten times as much.
VALUES: dict[int, dict[str, list[float]]] = {
    6: {"NL": [1, 2.5, 8], "BE": [4]},
    5: {"NL": [3]},
    3: {"NL": [-2, 2], "BE": [0.5, 0.25], "DE": [100]},
}
FACTORS = (1, 10)


@dataclass(frozen=True)
class Published:
    """What was published, and clients to read it with."""

    sites: list[str]
    now: datetime
    batch: MetricsClient
    arm: MonitorManagementClient

    def five(self, minute: int, site: int = 0, *countries: str) -> Five:
        """The aggregations of a minute, over some countries, or over all."""
        values = [
            value * FACTORS[site]
            for country, given in VALUES[minute].items()
            for value in given
            if not countries or country in countries
        ]
        return _five(values)

    @property
    def span(self) -> tuple[datetime, datetime]:
        """Eight minutes, which end with the last one published."""
        return self.now - 10 * MINUTE, self.now - 2 * MINUTE

    @property
    def timespan(self) -> str:
        """The same, as Azure Resource Manager wants it."""
        return "/".join(each.strftime("%Y-%m-%dT%H:%M:%SZ") for each in self.span)

    def query(self, **options: Any) -> list[MetricsQueryResult]:
        """All five aggregations of the orders, minute by minute."""
        asked: dict[str, Any] = {
            "resource_ids": self.sites,
            "metric_namespace": "Shop",
            "metric_names": ["Orders"],
            "timespan": self.span,
            "granularity": MINUTE,
            "aggregations": AGGREGATIONS,
            **options,
        }
        return self.batch.query_resources(**asked, enforce_https=False)

    def list(self, site: int = 0, **options: Any) -> Any:
        """The same through Azure Resource Manager."""
        asked = {
            "timespan": self.timespan,
            "interval": "PT1M",
            "metricnames": "Orders",
            "metricnamespace": "Shop",
            "aggregation": ",".join(AGGREGATIONS),
            **options,
        }
        return self.arm.metrics.list(self.sites[site], **asked, enforce_https=False)


def _five(values: list[float]) -> Five:
    total = sum(values)
    return total / len(values), min(values), max(values), total, len(values)


def _data(series: Any, now: datetime) -> dict[int, Five]:
    """Minutes ago -> the five aggregations, where there are any."""
    found: dict[int, Five] = {}
    for value in series.data:
        moment = getattr(value, "timestamp", None) or value.time_stamp
        if value.count is not None:
            found[(now - moment) // MINUTE] = tuple(getattr(value, name) for name in NAMES)
    return found


def _split(result: Any) -> dict[tuple[tuple[str, str], ...], Any]:
    """Dimensions -> time series, of either client."""
    if isinstance(result, MetricsQueryResult):
        (metric,) = result.metrics
        return {tuple(each.metadata_values.items()): each for each in metric.timeseries}
    (metric,) = result.value
    return {
        tuple((one.name.value, one.value) for one in each.metadatavalues): each
        for each in metric.timeseries
    }


@pytest.fixture(scope="module")
def published(backend: Backend) -> Iterator[Published]:
    """Enqueued for the real app, drained by it and stored."""
    queue = "metrics-official-clients"
    group = "/subscriptions/7d1fd1f4-2a3c-4f0e-9d53-0f8b6d3f5a10/resourceGroups/shop"
    sites = [f"{group}/providers/Microsoft.Web/sites/{name}" for name in ("shop", "outlet")]
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    with (
        pytest.MonkeyPatch.context() as environment,
        run_app(backend, {"METRICS_SAMPLE_SCHEDULE": "0 0 0 1 1 *"}, queue=queue) as host,
    ):
        ingress = backend.storage.get_queue_client(queue)
        for site, factor in zip(sites, FACTORS, strict=True):
            ingress.send_message(json.dumps(_message(site, factor, now)))
        stored = 2 * (sum(map(len, VALUES.values())) + 1)
        _wait(lambda: sum(len(backend.metrics(resourceId=site)) for site in sites) == stored)
        host.stop()
        for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
            environment.setenv(name, backend.app_settings()[name])
        with (
            ManagedIdentityCredential() as credential,
            MetricsClient(f"{backend.monitor_url}/westeurope", credential) as batch,
            MonitorManagementClient(
                credential, sites[0].split("/")[2], base_url=backend.monitor_url
            ) as arm,
        ):
            yield Published(sites, now, batch, arm)


def _message(site: str, factor: int, now: datetime) -> dict[str, Any]:
    orders = [
        {
            "metric": "Orders",
            "values": [value * factor for value in values],
            "time": (now - minute * MINUTE).isoformat(),
            "dimensions": {"Country": country, "Channel": "web"},
        }
        for minute, countries in VALUES.items()
        for country, values in countries.items()
    ]
    stock = {"metric": "Stock", "value": 7, "namespace": "Store/House", "time": now.isoformat()}
    return {
        "resourceId": site,
        "region": "westeurope",
        "namespace": "Shop",
        "points": [*orders, stock],
    }


def _wait(good: Callable[[], bool]) -> None:
    deadline = datetime.now(UTC) + MINUTE
    while not good():
        assert datetime.now(UTC) < deadline, "not stored within a minute"


def test_all_aggregations_of_several_minutes_and_resources(published: Published) -> None:
    results = published.query()
    assert len(results) == len(FACTORS)
    for site, result in enumerate(results):
        assert (result.namespace, result.resource_region) == ("shop", "westeurope")
        assert result.granularity == MINUTE
        assert [metric.name for metric in result.metrics] == ["Orders"]
        assert next(iter(result.metrics)).id.startswith(published.sites[site])
        ((dimensions, series),) = _split(result).items()
        assert dimensions == ()
        assert len(series.data) == 8
        assert _data(series, published.now) == {
            minute: published.five(minute, site) for minute in VALUES
        }


@pytest.mark.parametrize("site", [0, 1])
def test_the_same_through_azure_resource_manager(published: Published, site: int) -> None:
    answer = published.list(site)
    assert (answer.namespace, answer.resourceregion) == ("shop", "westeurope")
    assert answer.timespan == published.timespan
    assert answer.interval == "PT1M"
    assert answer.value[0].id.startswith(published.sites[site])
    assert answer.value[0].error_code == "Success"
    ((dimensions, series),) = _split(answer).items()
    assert dimensions == ()
    assert _data(series, published.now) == {
        minute: published.five(minute, site) for minute in VALUES
    }


def _by_country(published: Published, *countries: str) -> dict[Any, dict[int, Five]]:
    return {
        (("country", country),): {
            minute: published.five(minute, 0, country)
            for minute in VALUES
            if country in VALUES[minute]
        }
        for country in countries
    }


@pytest.mark.parametrize(
    ("text", "countries"),
    [
        ("Country eq '*'", ["BE", "DE", "NL"]),
        ("Country eq 'NL'", ["NL"]),
        ("Country eq 'NL' or Country eq 'DE'", ["DE", "NL"]),
        ("Country ne 'NL'", ["BE", "DE"]),
        ("Country ne 'NL' and Country ne 'BE'", ["DE"]),
        ("Country eq 'FR'", []),
    ],
)
@pytest.mark.parametrize("client", ["query", "list"])
def test_splits_and_filters(
    published: Published, client: str, text: str, countries: list[str]
) -> None:
    if client == "query":
        result: Any = published.query(filter=text)[0]
    else:
        result = published.list(filter=text)
    found = {key: _data(series, published.now) for key, series in _split(result).items()}
    assert found == _by_country(published, *countries)


def test_two_dimensions_and_a_rollup(published: Published) -> None:
    text = "Country eq 'NL' or Country eq 'BE' and Channel eq '*'"
    assert list(_split(published.query(filter=text)[0])) == [
        (("country", "BE"), ("channel", "web")),
        (("country", "NL"), ("channel", "web")),
    ]
    rolled = _split(published.query(filter=text, roll_up_by="Country")[0])
    ((dimensions, series),) = rolled.items()
    assert dimensions == (("channel", "web"),)
    assert _data(series, published.now) == {
        minute: published.five(minute, 0, "NL", "BE") for minute in VALUES
    }


def test_order_and_top(published: Published) -> None:
    def order(**options: Any) -> list[str]:
        found = _split(published.query(filter="Country eq '*'", **options)[0])
        return [value for ((_, value),) in found]

    assert order(order_by="total desc") == ["DE", "NL", "BE"]
    assert order(order_by="sum asc") == ["BE", "NL", "DE"]
    assert order(order_by="count desc", max_results=2) == ["NL", "BE"]


def test_longer_grains(published: Published) -> None:
    assert published.query(granularity=timedelta(minutes=5))[0].granularity == 5 * MINUTE
    answer = published.list(interval="FULL")
    ((_, series),) = _split(answer).items()
    values = [value for each in VALUES.values() for given in each.values() for value in given]
    assert _data(series, published.now) == {10: _five(values)}
    assert answer.interval == "PT8M"


def test_names_and_definitions(published: Published) -> None:
    site = published.sites[0]
    namespaces: Any = published.arm.metric_namespaces.list(site, enforce_https=False)
    found = {each.properties.metric_namespace_name: each.classification for each in namespaces}
    assert found == {"Shop": "Custom", "Store/House": "Custom"}
    orders: Any
    (orders,) = published.arm.metric_definitions.list(
        site, metricnamespace="shop", enforce_https=False
    )
    assert (orders.name.value, orders.namespace) == ("Orders", "Shop")
    assert sorted(each.value for each in orders.dimensions) == ["Channel", "Country"]
    assert list(orders.supported_aggregation_types) == AGGREGATIONS
    assert timedelta(minutes=1) in [each.time_grain for each in orders.metric_availabilities]
    stock: Any
    (stock,) = published.arm.metric_definitions.list(
        site, metricnamespace="Store/House", enforce_https=False
    )
    assert (stock.name.value, stock.dimensions) == ("Stock", [])


def test_the_metadata_of_series(published: Published) -> None:
    answer = published.list(filter="Country eq '*'", result_type="Metadata")
    assert answer.interval is None
    assert list(_split(answer)) == [(("country", name),) for name in ("BE", "DE", "NL")]


NO_METRIC = (
    "Failed to find metric configuration for provider: Microsoft.Web, resource Type: sites,"
    " metric: Order, Valid metrics: Orders"
)
NO_NAMESPACE = (
    "Detect invalid value: Shops for query parameter: 'metricnamespace', the value must be:"
    " Microsoft.Web/sites,Shop,Store/House if the query parameter is provided"
)
NO_DIMENSION = (
    "Metric: Orders does not support requested dimension combination: city, supported ones are:"
    " Channel,Country"
)


@pytest.mark.parametrize(
    ("batch", "arm", "message"),
    [
        ({"metric_names": ["Orders", "Order"]}, {"metricnames": "Orders,Order"}, NO_METRIC),
        ({"metric_namespace": "Shops"}, {"metricnamespace": "Shops"}, NO_NAMESPACE),
        ({"filter": "City eq '*'"}, {"filter": "City eq '*'"}, NO_DIMENSION),
        (
            {"granularity": timedelta(minutes=3)},
            {"interval": "PT3M"},
            "Invalid time grain duration: PT3M, supported ones are: 00:01:00,",
        ),
        ({"aggregations": ["Median"]}, {"aggregation": "Median"}, "Invalid aggregation: median"),
    ],
)
def test_errors(
    published: Published, batch: dict[str, Any], arm: dict[str, Any], message: str
) -> None:
    for ask in (lambda: published.query(**batch), lambda: published.list(**arm)):
        with pytest.raises(HttpResponseError) as caught:
            ask()
        assert type(caught.value) is HttpResponseError
        assert caught.value.status_code == 400
        assert caught.value.error is not None
        assert caught.value.error.code == "BadRequest"
        assert caught.value.error.message is not None
        assert caught.value.error.message.startswith(message)


def test_a_namespace_is_not_guessed(published: Published) -> None:
    with pytest.raises(HttpResponseError, match="metric: Orders, Valid metrics: ,"):
        published.list(metricnamespace=None)


def test_a_filter_that_is_not_validated(published: Published) -> None:
    assert list(_split(published.list(filter="City eq 'x'", validate_dimensions=False))) == [()]


def test_a_resource_that_does_not_exist(published: Published) -> None:
    with pytest.raises(ResourceNotFoundError, match="Failed to find resource mapping"):
        published.query(resource_ids=[published.sites[0] + "-new"])
    with pytest.raises(ResourceNotFoundError, match="ResourceNotFound"):
        published.arm.metrics.list(published.sites[0] + "-new", enforce_https=False)


def test_a_token_for_something_else(published: Published, backend: Backend) -> None:
    credential = ManagedIdentityCredential()
    audience = "https://vault.azure.net"
    with (
        credential,
        MetricsClient(backend.monitor_url, credential, audience=audience) as batch,
        pytest.raises(ClientAuthenticationError),
    ):
        batch.query_resources(
            resource_ids=published.sites,
            metric_namespace="Shop",
            metric_names=["Orders"],
            enforce_https=False,
        )
