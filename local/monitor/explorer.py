"""Serve the metrics explorer: a page at `/`, and its requests under `/_local/`.

GET /_local/catalogue
    {"now", "resources": [{"resourceId", "region", "metrics": [{"namespace", "metric",
    "dimensions": [], "series", "added"}]}]}: what is stored; `series` is a number, and `added` is
    when the metric was last published, in epoch seconds.
GET /_local/dimensions?resourceId=&namespace=&metric=
    {"dimensions": {"City": ["Delft", …]}}: at most 1,000 values of each dimension.
GET /_local/query?resourceId=&minutes=&namespace=&metric=[&split=&dimension=&operator=&value=
        &interval=&aggregation=&top=&orderby=]
    The last minutes, including the current one: values start at multiples of the interval, and the
    last value covers the part of it that has passed. The response has the format of Azure Resource
    Manager. Names and values are not escaped: `split` names a dimension to split by; `dimension`,
    `operator` (eq, ne, sw) and `value` together are a condition, which does not split. All four may
    be repeated: several conditions of one dimension are joined with `or` for eq and sw, and with
    `and` for ne.
GET /_local/refusals
    {"refusals": […]}: the last 1,000 requests that the ingestion endpoint refused, newest first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from . import arm_metrics, metric_filter, query
from .answers import bad_input, json, only, whole_number
from .limits import KEPT_MINUTES, MAX_DIMENSION_VALUES
from .resources import is_resource
from .state import MonitorState
from .store import Series
from .time_grain import Span, last_minutes

__all__ = ["routes"]

_PAGE = Path(__file__).parent / "page"
# The page loads from and sends to this server only: nothing leaves the machine.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def routes(state: MonitorState) -> list[BaseRoute]:
    """Return the routes of the page, its files and its requests."""
    files = [path for path in sorted(_PAGE.rglob("*")) if path.is_file()]
    return [
        Route("/", _serve(_PAGE / "index.html"), methods=["GET"]),
        *(
            Route(f"/_local/page/{path.relative_to(_PAGE).as_posix()}", _serve(path))
            for path in files
        ),
        state.route("GET", "/_local/catalogue", _catalogue),
        state.route("GET", "/_local/dimensions", _dimensions),
        state.route("GET", "/_local/query", _query),
        state.route("GET", "/_local/refusals", _refusals),
    ]


def _serve(path: Path) -> Any:
    async def serve(_request: Request) -> Response:
        return FileResponse(path, headers=_HEADERS)

    return serve


def _catalogue(state: MonitorState, request: Request) -> Response:
    only(request, set())
    store = state.store
    found = [store.metrics(each) for each in store.resources()]
    resources = [_resource(metrics) for metrics in found]
    return json({"now": state.now_iso(), "resources": resources})


def _resource(metrics: list[list[Series]]) -> dict[str, Any]:
    first = metrics[0][0]
    return {
        "resourceId": first.resource_id,
        "region": first.region,
        "metrics": [
            {
                "namespace": series[0].namespace,
                "metric": series[0].metric,
                "dimensions": sorted(query.supported(series).values(), key=str.lower),
                "series": len(series),
                "added": max(each.added for each in series),
            }
            for series in metrics
        ],
    }


def _dimensions(state: MonitorState, request: Request) -> Response:
    given = only(request, {"resourceId", "namespace", "metric"})
    series = state.store.series(
        given.get("resourceId", ""), given.get("namespace", ""), given.get("metric", "")
    )
    values: dict[str, set[str]] = {}
    for each in series:
        for name, value in each.dimensions.items():
            values.setdefault(name, set()).add(value)
    dimensions = {name: sorted(values[name])[:MAX_DIMENSION_VALUES] for name in sorted(values)}
    return json({"dimensions": dimensions})


def _query(state: MonitorState, request: Request) -> Response:
    given = arm_metrics.parameters(request)
    minutes = whole_number(given.get("minutes", "60"))
    if not minutes or minutes > KEPT_MINUTES:
        raise bad_input(
            f"minutes: '{given['minutes']}' is not a whole number from 1 to {KEPT_MINUTES}"
        )
    resource_id = given.get("resourceid", "")
    if not is_resource(resource_id):
        raise bad_input(f"resourceId: '{resource_id}' does not name a resource")
    within = last_minutes(minutes, given.get("interval"), state.now())
    return json(arm_metrics.answer(state, resource_id, _plain(request, given, within)))


def _refusals(state: MonitorState, request: Request) -> Response:
    only(request, set())
    return json({"refusals": state.journal.refusals()})


def _plain(request: Request, given: dict[str, str], within: Span) -> query.Query:
    """Return the query whose names and values are parameters of their own."""
    split = [name for name in request.query_params.getlist("split") if name]
    parts = [request.query_params.getlist(name) for name in ("dimension", "operator", "value")]
    if len({len(each) for each in parts}) > 1:
        raise bad_input("dimension, operator and value must be given the same number of times")
    terms = [metric_filter.Term(*part) for part in zip(*parts, strict=True)]
    for term in terms:
        if term.operator not in metric_filter.OPERATORS:
            raise bad_input(
                f"operator: '{term.operator}' is not one of {', '.join(metric_filter.OPERATORS)}"
            )
    splitting = {name.lower() for name in split}
    rollup = {term.dimension.lower() for term in terms} - splitting
    return query.read(
        given,
        within,
        given.get("namespace", ""),
        (given.get("metric", ""),),
        conditions=metric_filter.of_terms(terms, split),
        rollup=frozenset(rollup),
    )
