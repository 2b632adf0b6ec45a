"""What the relay publishes for these tests, and what the clients have to read of it.

What is expected is worked out here from the points that were enqueued, not from what is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from azure.mgmt.monitor import MonitorManagementClient
from azure.monitor.querymetrics import MetricsClient, MetricsQueryResult

__all__ = [
    "AGGREGATIONS",
    "FACTORS",
    "MINUTE",
    "VALUES",
    "Five",
    "Published",
    "data",
    "five",
    "split",
]

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
        return five(values)

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


def five(values: list[float]) -> Five:
    total = sum(values)
    return total / len(values), min(values), max(values), total, len(values)


def data(series: Any, now: datetime) -> dict[int, Five]:
    """Minutes ago -> the five aggregations, where there are any."""
    found: dict[int, Five] = {}
    for value in series.data:
        moment = getattr(value, "timestamp", None) or value.time_stamp
        if value.count is not None:
            found[(now - moment) // MINUTE] = tuple(getattr(value, name) for name in NAMES)
    return found


def split(result: Any) -> dict[tuple[tuple[str, str], ...], Any]:
    """Dimensions -> time series, of either client."""
    if isinstance(result, MetricsQueryResult):
        (metric,) = result.metrics
        return {tuple(each.metadata_values.items()): each for each in metric.timeseries}
    (metric,) = result.value
    return {
        tuple((one.name.value, one.value) for one in each.metadatavalues): each
        for each in metric.timeseries
    }
