"""Publishing rolled up equals publishing one by one, as far as the store can tell."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from by_points import roll_up
from hypothesis import given, settings
from hypothesis import strategies as st

from local.monitor.server import running
from local.monitor.state import MonitorState
from shared.model import MAX_COUNT, Lane, Point, Series
from shared.publisher.encoder import write_bodies

NOW = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)
LEAST_BODY = 65_536


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    with running(MonitorState(clock=NOW.timestamp)) as url:
        yield url


@pytest.fixture(scope="module")
def session(store: str) -> Iterator[requests.Session]:
    with requests.Session() as opened:
        identity = opened.get(
            f"{store}/msi/token",
            params={"api-version": "2019-08-01", "resource": "https://monitoring.azure.com/"},
            headers={"X-IDENTITY-HEADER": "local-identity-header"},
            timeout=30,
        )
        token = identity.json()["access_token"]
        opened.headers["Authorization"] = f"Bearer {token}"
        opened.headers["Content-Type"] = "application/x-ndjson"
        yield opened


# Halves add up without rounding, in whatever order.
_numbers = st.integers(-(2**40), 2**40).map(lambda number: number / 2)


@st.composite
def _points(draw: st.DrawFn, counts: Sequence[int] = (1, 2, 3, MAX_COUNT)) -> Point:
    values = sorted(draw(st.lists(_numbers, min_size=1, max_size=3)))
    count = draw(st.sampled_from(counts))
    total = values[0] if count == 1 else values[0] * (count - 1) + values[-1]
    names = draw(st.sampled_from([(), ("A",), ("A", "B")]))
    return Point(
        Lane("westeurope", ""),
        Series.of(
            draw(st.sampled_from(["N", "O"])),
            draw(st.sampled_from(["M", "P"])),
            tuple((name, draw(st.sampled_from(["x", "y"]))) for name in names),
        ),
        NOW - timedelta(seconds=draw(st.integers(0, 150))),
        values[0],
        values[0] if count == 1 else values[-1],
        total,
        count,
    )


@settings(max_examples=60)
@given(st.lists(_points(), min_size=1, max_size=40) | st.lists(_points([1]), min_size=20))
def test_the_store_holds_the_same(
    store: str, session: requests.Session, points: list[Point]
) -> None:
    together = _publish(store, session, [points])
    one_by_one = _publish(store, session, [[point] for point in points])

    assert together == one_by_one


def _publish(
    store: str, session: requests.Session, batches: list[list[Point]]
) -> list[dict[str, Any]]:
    """What the store holds of a new resource after publishing the batches to it."""
    site = f"/subscriptions/s/resourceGroups/g/providers/P.W/sites/{uuid.uuid4().hex}"
    for batch in batches:
        for body in write_bodies(roll_up(batch), LEAST_BODY):
            url = f"{store}/westeurope{site}/metrics"
            answer = session.post(url, data=body.data, timeout=30)
            assert answer.status_code == 200, answer.text
    query = {"resourceId": site}
    values = requests.get(f"{store}/_local/metrics", params=query, timeout=30).json()["values"]
    return [{**value, "resourceId": ""} for value in values]
