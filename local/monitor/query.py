"""Read queries of the store, as the service's two query APIs have them in common.

`read` makes a query of parameters; `check` refuses names that nothing is stored of; `timeseries`
answers it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .answers import BadQueryError, whole_number
from .limits import MAX_QUERY_METRICS
from .metric_filter import Condition
from .resources import type_and_name
from .store import AGGREGATIONS, MetricStore, Series
from .time_grain import Span, grain

__all__ = ["Query", "check", "check_namespace", "names", "read", "rollup", "supported"]

_DEFAULT_TOP = "10"  # Documentation; only where there is a filter.


@dataclass(frozen=True, slots=True)
class Query:
    """Holds the parameters of a query, except the resource; the grain is in minutes."""

    namespace: str
    metrics: tuple[str, ...]
    span: Span
    grain: int
    aggregations: tuple[str, ...]
    conditions: tuple[Condition, ...]
    rollup: frozenset[str]  # Dimensions, in lower case, that do not split.
    top: int | None
    order: tuple[str, bool] | None  # An aggregation, and whether the greatest comes first.
    metadata: bool  # Only which series there are.
    validate: bool  # Whether a filter on an unknown dimension is an error.


def read(
    given: Mapping[str, str],
    span: Span,
    namespace: str,
    metrics: tuple[str, ...],
    *,
    conditions: tuple[Condition, ...],
    rollup: frozenset[str],
) -> Query:
    """Return the query of these and of the other parameters given, by name in lower case.

    Raises BadQueryError.
    """
    adjust = given.get("autoadjusttimegrain", "").lower() == "true"
    return Query(
        namespace=namespace,
        metrics=metrics,
        span=span,
        grain=grain(given.get("interval"), span, adjust=adjust),
        aggregations=_aggregations(given.get("aggregation", "")),
        conditions=conditions,
        rollup=rollup,
        top=_top(given.get("top", _DEFAULT_TOP)) if conditions else None,
        order=_order(given.get("orderby")),
        metadata=given.get("resulttype", "").lower() == "metadata",
        validate=given.get("validatedimensions", "true").lower() == "true",
    )


def names(given: Mapping[str, str]) -> tuple[str, ...]:
    """Return the metrics that are asked for, each once. Raises BadQueryError for too many."""
    found = _listed(given.get("metricnames", ""))
    if len(found) > MAX_QUERY_METRICS:
        raise BadQueryError(f"At most {MAX_QUERY_METRICS} metric names can be specified.")
    # A comma within a name comes as %2.
    return tuple(dict.fromkeys(name.replace("%2", ",") for name in found))


def rollup(given: Mapping[str, str]) -> frozenset[str]:
    """Return the dimensions that are not to split, in lower case."""
    return frozenset(_listed(given.get("rollupby", "").lower()))


def check(store: MetricStore, resource_ids: Sequence[str], query: Query) -> None:
    """Raise BadQueryError for names that none of the resources has values of."""
    check_namespace(store, resource_ids, query.namespace)
    known = {
        metric[0].key[1][1]: metric[0].metric
        for resource_id in resource_ids
        for metric in store.metrics(resource_id, query.namespace)
    }
    for name in query.metrics:
        if name.lower() not in known:
            provider, _, kind = type_and_name(resource_ids[0])[0].partition("/")
            raise BadQueryError(
                f"Failed to find metric configuration for provider: {provider}, resource Type:"
                f" {kind}, metric: {name}, Valid metrics: {','.join(known.values())}"
            )
    for name in query.metrics if query.validate else ():
        found = [store.series(each, query.namespace, name) for each in resource_ids]
        have = supported(series for metric in found for series in metric)
        lacking = [each.key for each in query.conditions if each.key not in have]
        if lacking:
            raise BadQueryError(
                f"Metric: {name} does not support requested dimension combination:"
                f" {','.join(lacking)}, supported ones are: {','.join(have.values())}"
            )


def check_namespace(store: MetricStore, resource_ids: Sequence[str], namespace: str) -> None:
    """Raise BadQueryError for a namespace that none of them has, other than their type."""
    kind = type_and_name(resource_ids[0])[0]
    known = {kind.lower(): kind}
    for resource_id in resource_ids:
        for metric in store.metrics(resource_id):
            known.setdefault(metric[0].key[1][0], metric[0].namespace)
    if namespace.lower() not in known:
        raise BadQueryError(
            f"Detect invalid value: {namespace} for query parameter: 'metricnamespace', the value"
            f" must be: {','.join(known.values())} if the query parameter is provided, you can"
            " also skip this optional query parameter."
        )


def supported(series: Iterable[Series]) -> dict[str, str]:
    """Return the dimensions of series: in lower case -> as first spelled."""
    return {name.lower(): name for each in series for name in each.dimensions}


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _aggregations(given: str) -> tuple[str, ...]:
    found = _listed(given.lower()) or ["average"]
    for name in found:
        if name not in AGGREGATIONS:
            raise BadQueryError(
                f"Invalid aggregation: {name}, supported ones are: {','.join(AGGREGATIONS)}"
            )
    return tuple(dict.fromkeys(found))


def _order(given: str | None) -> tuple[str, bool] | None:
    """Parse `sum asc`, as the documentation has it, or `total desc`; ascending is the default."""
    if not given:
        return None
    name, _, direction = given.strip().lower().partition(" ")
    name = {"sum": "total"}.get(name, name)
    if name not in AGGREGATIONS or direction.strip() not in {"", "asc", "desc"}:
        raise BadQueryError(f"Invalid orderby: '{given}', expected <aggregation> asc|desc")
    return name, direction.strip() == "desc"


def _top(given: str) -> int:
    number = whole_number(given)
    if not number:
        raise BadQueryError(f"Invalid top: '{given}', expected a whole number of at least 1")
    return number
