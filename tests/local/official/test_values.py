"""Names, values, splits and filters as Microsoft's own clients read them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from .published import AGGREGATIONS, FACTORS, MINUTE, VALUES, Published, data, five, split


def test_all_aggregations_of_several_minutes_and_resources(published: Published) -> None:
    results = published.query()
    assert len(results) == len(FACTORS)
    for site, result in enumerate(results):
        assert (result.namespace, result.resource_region) == ("shop", "westeurope")
        assert result.granularity == MINUTE
        assert [metric.name for metric in result.metrics] == ["Orders"]
        assert next(iter(result.metrics)).id.startswith(published.sites[site])
        ((dimensions, series),) = split(result).items()
        assert dimensions == ()
        assert len(series.data) == 8
        assert data(series, published.now) == {
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
    ((dimensions, series),) = split(answer).items()
    assert dimensions == ()
    assert data(series, published.now) == {
        minute: published.five(minute, site) for minute in VALUES
    }


def test_two_dimensions_and_a_rollup(published: Published) -> None:
    text = "Country eq 'NL' or Country eq 'BE' and Channel eq '*'"
    assert list(split(published.query(filter=text)[0])) == [
        (("country", "BE"), ("channel", "web")),
        (("country", "NL"), ("channel", "web")),
    ]
    rolled = split(published.query(filter=text, roll_up_by="Country")[0])
    ((dimensions, series),) = rolled.items()
    assert dimensions == (("channel", "web"),)
    assert data(series, published.now) == {
        minute: published.five(minute, 0, "NL", "BE") for minute in VALUES
    }


def test_longer_grains(published: Published) -> None:
    assert published.query(granularity=timedelta(minutes=5))[0].granularity == 5 * MINUTE
    answer = published.list(interval="FULL")
    ((_, series),) = split(answer).items()
    values = [value for each in VALUES.values() for given in each.values() for value in given]
    assert data(series, published.now) == {10: five(values)}
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
    assert list(split(answer)) == [(("country", name),) for name in ("BE", "DE", "NL")]


def test_a_filter_that_is_not_validated(published: Published) -> None:
    assert list(split(published.list(filter="City eq 'x'", validate_dimensions=False))) == [()]
