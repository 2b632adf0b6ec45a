"""The store holds the same, whether values are posted as one roll-up or one by one."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from local.monitor.server import running
from local.monitor.state import MonitorState
from shared.model import MAX_COUNT, Rollup, Series, Target, ValueSet
from shared.publisher.encoder import encode_bodies

NOW = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)
MAX_BODY_BYTES = 65_536

Value = tuple[datetime, Series, float | ValueSet]


@pytest.fixture(scope="module")
def monitor() -> Iterator[str]:
    """The URL of an emulator that stands still at NOW."""
    with running(MonitorState(clock=NOW.timestamp)) as url:
        yield url


@pytest.fixture(scope="module")
def session(monitor: str) -> Iterator[requests.Session]:
    """A session with a token."""
    with requests.Session() as session:
        answer = session.get(
            f"{monitor}/msi/token",
            params={"api-version": "2019-08-01", "resource": "https://monitoring.azure.com/"},
            headers={"X-IDENTITY-HEADER": "local-identity-header"},
            timeout=30,
        )
        session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        session.headers["Content-Type"] = "application/x-ndjson"
        yield session


# Halves add up without rounding, in any order: 40 value sets of 2**31 samples stay below 2**53.
numbers = st.integers(-(2**15), 2**15).map(lambda number: number / 2)


@st.composite
def values(draw: st.DrawFn, counts: Sequence[int] = (1, 2, 3, MAX_COUNT)) -> Value:
    lowest, highest = sorted((draw(numbers), draw(numbers)))
    count = draw(st.sampled_from(counts))
    value: float | ValueSet = lowest
    if count > 1:
        value = ValueSet(lowest, highest, lowest * (count - 1) + highest, count)
    names = draw(st.sampled_from([(), ("A",), ("A", "B")]))
    dimensions = tuple((name, draw(st.sampled_from(["x", "y"]))) for name in names)
    namespace, metric = draw(st.sampled_from(["N", "O"])), draw(st.sampled_from(["M", "P"]))
    time = NOW - timedelta(seconds=draw(st.integers(0, 150)))
    return time, Series.of(namespace, metric, dimensions), value


@settings(max_examples=60)
@given(st.lists(values(), min_size=1, max_size=40) | st.lists(values([1]), min_size=20))
def test_one_rollup_equals_single_values(
    monitor: str, session: requests.Session, given_values: list[Value]
) -> None:
    together = publish(monitor, session, [given_values])
    one_by_one = publish(monitor, session, [[value] for value in given_values])

    assert together == one_by_one


def publish(
    monitor: str, session: requests.Session, rollups: list[list[Value]]
) -> list[dict[str, Any]]:
    """Post roll-ups for a new resource; return what the store holds of it."""
    resource_id = f"/subscriptions/s/resourceGroups/g/providers/P.W/sites/{uuid.uuid4().hex}"
    for contents in rollups:
        rollup = Rollup(Target("westeurope", resource_id))
        for value in contents:
            rollup.add(*value)
        for aggregates in rollup.aggregate_all():
            for body in encode_bodies(aggregates, MAX_BODY_BYTES):
                url = f"{monitor}/westeurope{resource_id}/metrics"
                answer = session.post(url, data=body.data, timeout=30)
                assert answer.status_code == 200, answer.text
    answer = requests.get(
        f"{monitor}/_local/metrics", params={"resourceId": resource_id}, timeout=30
    )
    return [{**value, "resourceId": ""} for value in answer.json()["values"]]
