"""Every interval, split, filter and order, against the plainest way to work out the answer."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from azure.identity import ManagedIdentityCredential
from azure.mgmt.monitor import MonitorManagementClient
from azure.monitor.querymetrics import MetricsClient

from local.monitor.server import running

GROUP = "/subscriptions/7d1fd1f4-2a3c-4f0e-9d53-0f8b6d3f5a10/resourceGroups/shop"
SITES = [f"{GROUP}/providers/Microsoft.Web/sites/{name}" for name in ("shop", "outlet")]
METRICS = ["Orders", "Stock, total"]
AGGREGATIONS = ["average", "minimum", "maximum", "total", "count"]
MINUTE = timedelta(minutes=1)
# The span is of 1,334 minutes, which no interval divides; there are values before and after it.
FROM, TO = 1_337, 3
HEADER = "local-identity-header"


@dataclass(frozen=True)
class Value:
    """What was posted. The numbers are multiples of a quarter: their sums are exact."""

    site: str
    metric: str
    time: datetime
    x: str
    y: str
    min: float
    max: float
    sum: float
    count: int


@dataclass(frozen=True)
class Store:
    """What was posted in all, until when, and clients to read it with."""

    values: list[Value]
    now: datetime
    batch: MetricsClient
    arm: MonitorManagementClient


def _values(now: datetime) -> Iterator[Value]:
    """A day of values with gaps, always the same ones."""
    chance = random.Random(7)
    for ago, site, metric, x, y in itertools.product(
        range(1, 1_350, 12), SITES, METRICS, "pqr", ["u", "v'w"]
    ):
        if chance.random() < 0.6:
            numbers = [chance.randrange(-200, 400) / 4 for _ in range(chance.randint(1, 4))]
            low, high = min(numbers), max(numbers)
            time = now - ago * MINUTE
            yield Value(site, metric, time, x, y, low, high, sum(numbers), len(numbers))


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    values = list(_values(now))
    with (
        pytest.MonkeyPatch.context() as environment,
        running() as url,
        ManagedIdentityCredential() as credential,
        MetricsClient(f"{url}/westeurope", credential) as batch,
        MonitorManagementClient(credential, SITES[0].split("/")[2], base_url=url) as arm,
    ):
        environment.setenv("IDENTITY_ENDPOINT", f"{url}/msi/token")
        environment.setenv("IDENTITY_HEADER", HEADER)
        _post(url, now, values)
        yield Store(values, now, batch, arm)


def _post(url: str, now: datetime, values: list[Value]) -> None:
    """Post all, each at its time by the clock of the emulator."""
    with requests.Session() as http:
        token = http.get(
            f"{url}/msi/token",
            params={"api-version": "2019-08-01", "resource": "https://monitoring.azure.com/"},
            headers={"X-IDENTITY-HEADER": HEADER},
            timeout=30,
        ).json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        by_post = sorted(values, key=lambda value: (value.time, value.site))
        for (time, site), posted in itertools.groupby(
            by_post, key=lambda value: (value.time, value.site)
        ):
            clock = {"offsetSeconds": (time - now).total_seconds()}
            http.put(f"{url}/_local/clock", json=clock, timeout=30).raise_for_status()
            for metric, some in itertools.groupby(posted, key=lambda value: value.metric):
                _post_one(http, f"{url}/westeurope{site}/metrics", time, metric, list(some))
        http.put(f"{url}/_local/clock", json={"offsetSeconds": 0}, timeout=30).raise_for_status()


def _post_one(
    http: requests.Session, url: str, time: datetime, metric: str, values: list[Value]
) -> None:
    series = [
        {
            "dimValues": [value.x, value.y],
            "min": value.min,
            "max": value.max,
            "sum": value.sum,
            "count": value.count,
        }
        for value in values
    ]
    base = {"metric": metric, "namespace": "Shop", "dimNames": ["X", "Y"], "series": series}
    document = {"time": time.isoformat(), "data": {"baseData": base}}
    http.post(url, json=document, timeout=30).raise_for_status()


def _five(values: list[Value]) -> dict[str, float]:
    total, count = sum(value.sum for value in values), sum(value.count for value in values)
    return {
        "average": total / count,
        "minimum": min(value.min for value in values),
        "maximum": max(value.max for value in values),
        "total": total,
        "count": count,
    }


# The filter, which values pass it, and what splits them.
FILTERS: list[tuple[str | None, Callable[[Value], bool], Callable[[Value], tuple[str, ...]]]] = [
    (None, lambda _: True, lambda _: ()),
    ("X eq '*'", lambda _: True, lambda value: (value.x,)),
    ("X eq 'p' or X eq 'q' and Y eq '*'", lambda v: v.x in "pq", lambda v: (v.x, v.y)),
    ("Y eq 'v''w' and X ne 'p'", lambda v: v.y == "v'w" and v.x != "p", lambda v: (v.y, v.x)),
    ("x ne 'p' and X ne 'q'", lambda v: v.x == "r", lambda v: (v.x,)),
    ("X sw 'p' and Y eq 'u'", lambda v: (v.x, v.y) == ("p", "u"), lambda v: (v.x, v.y)),
]
ORDERS = [
    (None, None),
    ("total desc", 2),
    ("average asc", None),
    ("minimum desc", 1),
    ("maximum asc", 3),
]
Answer = list[tuple[tuple[str, ...], dict[datetime, dict[str, float]]]]


def _expected(
    values: list[Value],
    start: datetime,
    grain: timedelta,
    split: Callable[[Value], tuple[str, ...]],
    order: str | None,
    top: int | None,
) -> Answer:
    """Time series in their order: dimension values, and the five numbers by time."""
    groups: dict[tuple[str, ...], list[Value]] = defaultdict(list)
    for value in values:
        groups[split(value)].append(value)
    keys = sorted(groups)
    if order is not None:
        name, direction = order.split()
        keys.sort(key=lambda key: _five(groups[key])[name], reverse=direction == "desc")
    answer: Answer = []
    for key in keys[:top]:
        cells: dict[datetime, list[Value]] = defaultdict(list)
        for value in groups[key]:
            cells[start + (value.time - start) // grain * grain].append(value)
        answer.append((key, {time: _five(cells[time]) for time in sorted(cells)}))
    return answer


def _read(series: Any) -> dict[datetime, dict[str, float]]:
    found = {}
    for value in series.data:
        time = getattr(value, "timestamp", None) or value.time_stamp
        if value.count is not None:
            found[time] = {name: getattr(value, name) for name in AGGREGATIONS}
    return found


@pytest.mark.parametrize(
    "minutes", [pytest.param(1, marks=pytest.mark.slow), 5, 15, 30, 60, 360, 720, 1440]
)
def test_every_interval(store: Store, minutes: int) -> None:
    start, end = store.now - FROM * MINUTE, store.now - TO * MINUTE
    within = [value for value in store.values if start <= value.time < end]
    assert within != store.values
    for (text, passes, split), (order, top) in itertools.product(FILTERS, ORDERS):
        results = store.batch.query_resources(
            resource_ids=SITES,
            metric_namespace="shop",
            metric_names=[name.replace(",", "%2") for name in METRICS],
            timespan=(start, end),
            granularity=minutes * MINUTE,
            aggregations=AGGREGATIONS,
            filter=text,
            order_by=order,
            max_results=top,
            enforce_https=False,
        )
        for site, result in zip(SITES, results, strict=True):
            assert result.granularity == minutes * MINUTE
            for name, metric in zip(METRICS, result.metrics, strict=True):
                wanted = [
                    value
                    for value in within
                    if (value.site, value.metric) == (site, name) and passes(value)
                ]
                found = [
                    (tuple(each.metadata_values.values()), _read(each))
                    for each in metric.timeseries
                ]
                assert metric.name == name
                assert found == _expected(wanted, start, minutes * MINUTE, split, order, top)


@pytest.mark.parametrize(("interval", "minutes"), [("PT6H", 360), ("P1D", 1440), ("FULL", 1334)])
def test_the_same_through_azure_resource_manager(store: Store, interval: str, minutes: int) -> None:
    start, end = store.now - FROM * MINUTE, store.now - TO * MINUTE
    answer: Any = store.arm.metrics.list(
        SITES[1],
        timespan=f"{start:%Y-%m-%dT%H:%M:%SZ}/{end:%Y-%m-%dT%H:%M:%SZ}",
        interval=interval,
        metricnames="Orders",
        metricnamespace="Shop",
        aggregation=",".join(AGGREGATIONS),
        filter="X eq '*'",
        enforce_https=False,
    )
    wanted = [
        value
        for value in store.values
        if (value.site, value.metric) == (SITES[1], "Orders") and start <= value.time < end
    ]
    found = [
        (tuple(one.value for one in each.metadatavalues), _read(each))
        for each in answer.value[0].timeseries
    ]
    expected = _expected(wanted, start, minutes * MINUTE, lambda value: (value.x,), None, None)
    assert found == expected
