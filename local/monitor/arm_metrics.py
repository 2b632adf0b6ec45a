"""Answer queries of the metrics of one resource in Azure Resource Manager.

    GET {resourceId}/providers/Microsoft.Insights/metrics?api-version=2024-02-01
        [&metricnames=&metricnamespace=&timespan=&interval=&aggregation=&$filter=&top=&orderby=&rollupby=
         &resultType=&AutoAdjustTimegrain=&ValidateDimensions=]
    GET {resourceId}/providers/Microsoft.Insights/metricDefinitions?api-version=[&metricnamespace=]
    GET {resourceId}/providers/Microsoft.Insights/metricNamespaces?api-version=

As in the service, a query without a namespace asks for platform metrics, of which there are none
here. The errors of this provider come without the member "error" around them.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request

from . import metric_filter, query, timeseries
from .answers import BadQueryError, RefusalError
from .resources import type_and_name
from .state import MonitorState
from .store import AGGREGATIONS, Series
from .time_grain import GRAINS, Span, duration, span, stamp, timespan

__all__ = ["answer", "asked", "parameters", "read"]


def read(state: MonitorState, request: Request, path: Mapping[str, str]) -> dict[str, Any]:
    """Answer for the resource and of the kind that the path names. Raises RefusalError."""
    resource_id = path["scope"]
    if state.resources.region(resource_id) is None:
        raise _resource_not_found(resource_id)
    kinds = {
        "metrics": _values,
        "metricdefinitions": _definitions,
        "metricnamespaces": _namespaces,
    }
    try:
        return kinds[path["kind"].lower()](state, resource_id, parameters(request))
    except BadQueryError as exc:
        message = f"{exc}, TraceId: {{{uuid.uuid4()}}}"
        body = msgspec.json.encode({"code": "BadRequest", "message": message})
        raise RefusalError(400, "BadRequest", message, body=body) from exc


def parameters(request: Request) -> dict[str, str]:
    """Return the query parameters, whose names the service takes in any case."""
    return {name.lower(): value for name, value in request.query_params.items()}


def asked(
    state: MonitorState, resource_id: str, given: Mapping[str, str], within: Span
) -> query.Query:
    """Return the query of parameters with names in lower case. Raises BadQueryError."""
    namespace = _namespace_asked(resource_id, given)
    metrics = query.names(given)
    if not metrics:  # As users of the service saw: then it is the first one of its definitions.
        first = state.store.metrics(resource_id, namespace)[:1]
        metrics = tuple(series[0].metric for series in first)
    return query.read(
        given,
        within,
        namespace,
        metrics,
        conditions=metric_filter.parse(given.get("$filter")),
        rollup=query.rollup(given),
    )


def answer(state: MonitorState, resource_id: str, asked: query.Query) -> dict[str, Any]:
    """Answer a query of metrics. Raises BadQueryError."""
    query.check(state.store, [resource_id], asked)
    (metrics,) = timeseries.answer(state.store, [resource_id], asked)
    within = asked.span
    found: dict[str, Any] = {
        "cost": (within.minutes - 1) * len(asked.metrics),  # As recorded.
        "timespan": f"{stamp(within.start)}/{stamp(within.end)}",
        "interval": duration(asked.grain),
        "value": metrics,
        "namespace": asked.namespace.lower(),
        "resourceregion": state.resources.region(resource_id),
    }
    if asked.metadata:
        del found["interval"], found["cost"]
    return found


def _values(state: MonitorState, resource_id: str, given: Mapping[str, str]) -> dict[str, Any]:
    within = timespan(given.get("timespan"), state.now())
    found = answer(state, resource_id, asked(state, resource_id, given, within))
    if given["api-version"] == "2018-01-01":  # Recorded; 2023-10-01 answers in lower case.
        found["namespace"] = _namespace_asked(resource_id, given)
    return found


def _definitions(state: MonitorState, resource_id: str, given: Mapping[str, str]) -> dict[str, Any]:
    namespace = _namespace_asked(resource_id, given)
    query.check_namespace(state.store, [resource_id], namespace)
    metrics = state.store.metrics(resource_id, namespace)
    return {"value": [_definition(resource_id, series) for series in metrics]}


def _definition(resource_id: str, series: list[Series]) -> dict[str, Any]:
    metric = series[0].metric
    return {
        "id": f"{resource_id}/providers/microsoft.insights/metricdefinitions/{metric}",
        "resourceId": resource_id,
        "namespace": series[0].namespace,
        "name": {"value": metric, "localizedValue": metric},
        "isDimensionRequired": False,
        "unit": "Unspecified",
        "primaryAggregationType": "Average",
        "supportedAggregationTypes": [name.capitalize() for name in AGGREGATIONS],
        # Of the service it is P93D; here nothing is older than a day.
        "metricAvailabilities": [
            {"timeGrain": name, "retention": "P1D"} for name in GRAINS.values()
        ],
        "dimensions": [
            {"value": name, "localizedValue": name} for name in query.supported(series).values()
        ],
    }


def _namespaces(state: MonitorState, resource_id: str, given: Mapping[str, str]) -> dict[str, Any]:
    span(given.get("starttime"), None, state.now())  # Everything kept is younger than it may be.
    found = {
        series[0].key[1][0]: series[0].namespace for series in state.store.metrics(resource_id)
    }
    return {"value": [_namespace(resource_id, name) for name in found.values()]}


def _namespace(resource_id: str, namespace: str) -> dict[str, Any]:
    name = namespace.replace("/", "-")
    return {
        "id": f"{resource_id}/providers/microsoft.insights/metricNamespaces/{name}",
        "name": name,
        "type": "Microsoft.Insights/metricNamespaces",
        "classification": "Custom",
        "properties": {"metricNamespaceName": namespace},
    }


def _namespace_asked(resource_id: str, given: Mapping[str, str]) -> str:
    """Return the namespace of a query; without one it is that of the platform metrics."""
    return given.get("metricnamespace", type_and_name(resource_id)[0])


def _resource_not_found(resource_id: str) -> RefusalError:
    _, _, _, _, group, _, below = resource_id.split("/", 6)
    return RefusalError(
        404,
        "ResourceNotFound",
        f"The Resource '{below}' under resource group '{group}' was not found."
        " For more details please go to https://aka.ms/ARMResourceNotFoundFix",
    )
