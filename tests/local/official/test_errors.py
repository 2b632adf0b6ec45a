"""What Microsoft's own clients raise, and what it says."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
)
from azure.identity import ManagedIdentityCredential
from azure.monitor.querymetrics import MetricsClient

from local.stack import Backend

from .published import Published

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
