"""Alerts and workbook name metrics and dimensions that the code publishes, and only those."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

import function_app
from shared.settings import DEFAULTS
from shared.telemetry import METRICS, NAMESPACE
from tests.docs.schemas import sources_schema

from .bicep import INFRA, TEMPLATES, File

OF_QUEUES = set(
    sources_schema()["$defs"]["StorageQueueConfig"]["properties"]["metrics"]["items"]["enum"]
)
ALERTS = File.read(INFRA / "alerts.bicep")
RULE = File.read(INFRA / "alerts" / "metrics.bicep").of("resource")["rules"].value[0]
LOGS = File.read(INFRA / "alerts" / "requests.bicep")


def params(module: str) -> dict[str, Any]:
    value = ALERTS.of("module")[module].value
    body = value[0] if isinstance(value, list) else value
    found: dict[str, Any] = body["params"]
    return found


def has_dimension(metric: str, dimension: str) -> bool:
    """Whether a metric of the relay on itself has the dimension, as METRICS says."""
    _, _, dimensions = METRICS[metric].partition(", by ")
    return dimension in re.split(r" and |, ", dimensions)


def test_queues_have_depth_age_and_poison() -> None:
    alerts = params("queues")["alerts"]
    assert {one["metric"] for one in alerts} <= OF_QUEUES
    assert {one["metric"] for one in alerts} >= {"QueueDepth", "QueueOldestMessageAge"}
    assert {tuple(one["dimensions"]) for one in alerts} == {("QueueName",)}
    assert params("queues")["metricNamespace"] == "queueNamespace"


def test_the_relay_has_dead_letters_and_failures() -> None:
    alerts = params("relay")["alerts"]
    assert {one["metric"] for one in alerts} <= METRICS.keys()
    assert "PointsRejected" in {one["metric"] for one in alerts}
    # Of a hiccup; what goes on failing is found in the log.
    assert "PointsDeferred" not in {one["metric"] for one in alerts}
    assert params("relay")["metricNamespace"] == NAMESPACE
    for one in alerts:
        assert all(has_dimension(one["metric"], name) for name in one["dimensions"]), one["name"]


def test_an_unknown_dimension_is_found() -> None:
    assert has_dimension("ActiveSeries", "Region")
    assert not has_dimension("ActiveSeries", "Source")
    assert not has_dimension("PointsPublished", "Reason")


@pytest.mark.parametrize("module", ["queues", "relay"])
def test_names_of_alerts_differ(module: str) -> None:
    names = [one["name"] for one in params(module)["alerts"]]
    assert len(set(names)) == len(names)


def test_what_another_subscription_refuses_is_said() -> None:
    main = File.read(INFRA / "main.bicep").of("param")
    for one in (main["actionGroupIds"], ALERTS.of("param")["actionGroupIds"]):
        assert "of the same subscription" in one.description
    assert "another subscription" in main["deployAlerts"].description


def test_a_rule_may_be_there_before_its_metric() -> None:
    (criterion,) = RULE["properties"]["criteria"]["allOf"]
    assert criterion["skipMetricValidation"] is True
    assert RULE["location"] == "global"
    assert criterion["operator"] == "GreaterThan"


def test_a_metric_is_looked_at_more_often_than_its_window_is_long() -> None:
    assert RULE["properties"]["evaluationFrequency"] == "PT1M"
    windows = {one["window"] for module in ("queues", "relay") for one in params(module)["alerts"]}
    assert "PT1M" not in windows
    (declared,) = (
        member.type
        for member in File.read(INFRA / "alerts" / "metrics.bicep")
        .of("type")["MetricAlert"]
        .members
        if member.name == "window"
    )
    assert windows == set(re.findall(r"\w+", declared))


def test_the_namespace_of_queues_is_the_default_of_the_code() -> None:
    for path in TEMPLATES:
        text = path.read_text(encoding="utf-8")
        for found in re.findall(r"(?:queueNamespace string = |namespace \?\? )'(\w+)'", text):
            assert found == DEFAULTS["METRICS_NAMESPACE"]


def test_a_relay_that_is_silent_is_noticed() -> None:
    """By its log: a metric alert does not fire while there is no value at all."""
    resources = LOGS.of("resource")
    (silent,) = resources["silent"].value["properties"]["criteria"]["allOf"]
    assert (silent["operator"], silent["threshold"]) == ("LessThan", 1)
    assert "Success == true" in silent["query"]
    (failing,) = resources["failing"].value["properties"]["criteria"]["allOf"]
    assert "Success == false" in failing["query"]
    for one in resources.values():
        assert one.value["properties"]["skipQueryValidation"] is True


def test_how_long_silence_may_last_is_for_the_schedule_to_say() -> None:
    """The alert looks at it more often than that, over no less than that."""
    silent = LOGS.of("resource")["silent"].value["properties"]
    assert (silent["windowSize"], silent["evaluationFrequency"]) == ("silentAfter", "PT15M")
    assert "${silentAfter}" in silent["description"]
    types = File.read(INFRA / "types.bicep").of("type")
    assert types["Silence"].type == "'PT15M' | 'PT30M' | 'PT1H' | 'PT6H'"
    given = ALERTS.of("module")["requests"].value["params"]["silentAfter"]
    assert given == "thresholds.?silentAfter ?? 'PT15M'"
    schedule = File.read(INFRA / "main.bicep").of("param")["sampleSchedule"]
    assert schedule.value == "0 * * * * *"
    assert "thresholds.silentAfter" in schedule.description


def test_log_alerts_name_functions_that_there_are() -> None:
    names = re.findall(r'Name == "(\w+)"', LOGS.text)
    assert set(names) == {
        builder._function.get_function_name()
        for builder in (function_app.drain_metrics, function_app.sample_sources)
    }


# --- The workbook ---------------------------------------------------------------------------------

WORKBOOK: dict[str, Any] = json.loads((INFRA / "workbook.json").read_bytes())


def charts() -> Iterator[dict[str, Any]]:
    return (item["content"] for item in WORKBOOK["items"] if item["type"] == 10)


def shown() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each metric of each chart, with its name."""
    for chart in charts():
        for metric in chart["metrics"]:
            namespace, _, name = metric["metric"].partition("--")
            assert namespace == metric["namespace"]
            yield name, metric


def test_the_workbook_shows_metrics_that_there_are() -> None:
    for name, metric in shown():
        if metric["namespace"] == "__queueNamespace__":
            assert name in OF_QUEUES
            assert metric["splitBy"] == ["QueueName"]
        else:
            assert metric["namespace"] == NAMESPACE
            assert name in METRICS
            assert all(has_dimension(name, one) for one in metric.get("splitBy", []))


def test_the_workbook_shows_what_somebody_looks_for() -> None:
    names = {name for name, _ in shown()}
    assert names >= OF_QUEUES
    assert names >= {"PointsPublished", "PointsRejected", "PointsDeferred", "PublishLatency"}


def test_a_chart_has_the_resources_that_have_its_metrics() -> None:
    for chart in charts():
        (namespace,) = {metric["namespace"] for metric in chart["metrics"]}
        if namespace == NAMESPACE:
            expected: tuple[str, object] = ("__relayType__", ["__relayId__"])
        else:
            expected = ("microsoft.storage/storageaccounts", "__queueIds__")
        assert (chart["resourceType"], chart["resourceIds"]) == expected


def test_items_have_names_of_their_own() -> None:
    names = [item["name"] for item in WORKBOOK["items"]]
    assert len(set(names)) == len(names)
    ids = [chart["chartId"] for chart in charts()]
    assert len(set(ids)) == len(ids)


def test_the_workbook_is_where_the_documentation_says() -> None:
    workbook = File.read(INFRA / "workbook.bicep").of("resource")["workbook"].value
    assert workbook["properties"]["sourceId"] == "azure monitor"
    text = (INFRA.parent / "docs" / "deploy.md").read_text(encoding="utf-8")
    assert "The workbook is under\n*Monitor*, *Workbooks*" in text


def test_every_placeholder_is_filled_in() -> None:
    """As workbook.bicep does it, and what comes out is JSON again."""
    template = (INFRA / "workbook.bicep").read_text(encoding="utf-8")
    text = (INFRA / "workbook.json").read_text(encoding="utf-8")
    filled = {
        "__relayId__": "/subscriptions/1",
        "__relayType__": "microsoft.web/sites",
        "__queueNamespace__": "QueueProcessing",
        '"__queueIds__"': '["/subscriptions/2"]',
    }
    for placeholder, value in filled.items():
        assert f"'{placeholder}'" in template
        text = text.replace(placeholder, value)
    assert "__" not in text
    chart = next(item for item in json.loads(text)["items"] if item["name"] == "depth")
    assert chart["content"]["resourceIds"] == ["/subscriptions/2"]
