"""docs/scaling.md has the tables that bench/scaling.py prints, with the limits of the app."""

from __future__ import annotations

import json

import pytest
from unit.builders import aggregated, message, parse

from bench import scaling
from bench.scaling import FORMS, MESSAGE_BYTES, Load, main, plan, points_that_fit, simulate, tables
from local.stack import ROOT
from shared.publisher import batcher, sender
from shared.settings import DEFAULTS
from shared.sources import sampler

PAGE = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")


def test_the_page_has_the_tables_that_the_script_prints() -> None:
    for table in tables(instance_messages=100, post=0.1):
        assert table in PAGE, "run python -m bench.scaling"


def test_the_script_prints_the_tables(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert capsys.readouterr().out.rstrip("\n") == "\n\n".join(tables(100, 0.1))


def test_the_limits_are_those_of_the_app() -> None:
    assert scaling.AT_ONCE_PER_REGION == sender.MAX_POSTS_PER_REGION
    assert f"{scaling.in_work()} messages in work at once" in PAGE
    max_bytes = int(DEFAULTS["METRICS_MAX_BODY_BYTES"])
    assert f"{batcher.MAX_DELIVERY_POINTS:,} points, and {max_bytes:,}" in PAGE
    assert f"| one source and tick | {sampler.MAX_POINTS:,} points |" in PAGE
    assert f"{scaling.ACTIVE_SERIES:,}" == f"{int(DEFAULTS['METRICS_MAX_ACTIVE_SERIES']):,}"


def test_the_arithmetic_of_the_text() -> None:
    account = scaling.ACCOUNT_REQUESTS / scaling.REQUESTS_PER_MESSAGE
    assert f"20,000 ÷ 2.03 = {account:,.0f} messages" in PAGE
    of_a_series = scaling.GOAL * 60 // scaling.ACTIVE_SERIES
    assert f"are {of_a_series:,} of one series and minute" in PAGE.replace("\n", " ")
    assert f"which is {scaling.GOAL * 60 // scaling.ACTIVE_SERIES:,} subscriptions" in PAGE


@pytest.mark.parametrize(("form", "point", "values"), FORMS, ids=lambda one: str(one)[:20])
def test_so_many_points_fit_and_are_taken(form: str, point: object, values: int) -> None:
    site = f"/subscriptions/{'0' * 36}/resourceGroups/shop/providers/Microsoft.Web/sites/shop-api"

    def body(points: int) -> bytes:
        whole = message(*[point] * points, resourceId=site)
        return json.dumps(whole, separators=(",", ":")).encode()

    most = points_that_fit(point)
    assert len(body(most)) <= MESSAGE_BYTES < len(body(most + 1))
    parsed = parse(body(most))
    assert not parsed.rejections
    (aggregates,) = aggregated(parsed.rollups).values()
    counts = [one.count for group in aggregates.values() for one in group.values()]
    assert sum(counts) == most * values


def test_a_plan_rounds_up() -> None:
    assert plan(200_000, 100, 100) == scaling.Plan(2_000, 1, 1, 20)
    assert plan(200_100, 100, 100) == scaling.Plan(2_001, 2, 1, 21)


def test_one_resource_posts_one_at_a_time_and_loses_nothing() -> None:
    store = simulate(Load(messages=200, points=1, targets=1, series=1), post=0.1)
    assert store.posts == pytest.approx(10, rel=0.02)
    assert store.messages_per_post * store.posts == pytest.approx(200, rel=0.05)
    assert store.series_per_post == 1
    assert store.behind == 0


def test_an_idle_instance_posts_each_message_at_once() -> None:
    store = simulate(Load(messages=0.5, points=1, targets=50, series=50), post=0.1, seconds=600)
    assert store.messages_per_post == pytest.approx(1, abs=0.05)
    assert store.settled == pytest.approx(0.1, abs=0.01)


def test_more_than_an_instance_bears_waits_in_the_queue() -> None:
    # Of 10,000 resources hardly two messages meet: 80 POSTs a second are all there is.
    store = simulate(Load(messages=200, points=1, targets=10_000, series=10_000), post=0.1)
    assert store.posts == pytest.approx(80, rel=0.02)
    assert store.behind > 5_000
