"""The metrics explorer: a page at `/`, and what it asks for under `/_local/`.

GET /_local/catalogue
    {"now", "resources": [{"resourceId", "region", "metrics": [{"namespace", "metric",
    "dimensions": [], "series", "added"}]}]}: what there is to choose from; `added` is when the
    metric was last published, in epoch seconds.
GET /_local/dimensions?resourceId=&namespace=&metric=
    {"dimensions": {"City": ["Delft", …]}}: values, at most 1,000 of each dimension.
GET /_local/query?resourceId=&minutes=&namespace=&metric=[&split=&dimension=&operator=&value=
        &interval=&aggregation=&top=&orderby=]
    The last minutes, up to and with the running one: values start at multiples of the interval,
    and the last of them is of a part of it. The answer is Azure Resource Manager's. All names and
    values are taken as they are, nothing is escaped: `split` names a dimension to split by;
    `dimension`, `operator` (eq, ne, sw) and `value` together are a condition, which does not split.
    All four may be repeated: several conditions of one dimension are as `or` of eq and sw, and
    `and` of ne.
GET /_local/query?resourceId=&minutes=&metricnames=&…
    The same with the parameters of Azure Resource Manager's query, but its timespan.
GET /_local/refusals
    {"refusals": […]}: the last 1,000 requests to ingestion that were not accepted, newest first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from . import arm_metrics, metric_filter, query
from .answers import BadQueryError, bad_input, json, only, whole_number
from .limits import KEPT_MINUTES, MAX_DIMENSION_VALUES
from .resources import is_resource
from .state import MonitorState
from .store import Series
from .time_grain import Span, last_minutes

__all__ = ["routes"]

_PAGE = Path(__file__).parent / "page"
# The page gets everything from this server, whatever it may be led to; nothing leaves the machine.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def routes(state: MonitorState) -> list[BaseRoute]:
    """The page, its files, and its questions."""
    explorer = _Explorer(state)
    files = [path for path in sorted(_PAGE.rglob("*")) if path.is_file()]
    return [
        Route("/", _serve(_PAGE / "index.html"), methods=["GET"]),
        *(
            Route(f"/_local/page/{path.relative_to(_PAGE).as_posix()}", _serve(path))
            for path in files
        ),
        Route("/_local/catalogue", explorer.catalogue, methods=["GET"]),
        Route("/_local/dimensions", explorer.dimensions, methods=["GET"]),
        Route("/_local/query", explorer.query, methods=["GET"]),
        Route("/_local/refusals", explorer.refusals, methods=["GET"]),
    ]


def _serve(path: Path) -> Any:
    async def serve(_request: Request) -> Response:
        return FileResponse(path, headers=_HEADERS)

    return serve


class _Explorer:
    """The handlers, over one state."""

    def __init__(self, state: MonitorState) -> None:
        self._state = state

    async def catalogue(self, request: Request) -> Response:
        only(request, set())
        store = self._state.store
        found = [store.metrics(each) for each in store.resources()]
        resources = [self._resource(metrics) for metrics in found]
        return json({"now": self._state.now_iso(), "resources": resources})

    def _resource(self, metrics: list[list[Series]]) -> dict[str, Any]:
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

    async def dimensions(self, request: Request) -> Response:
        given = only(request, {"resourceId", "namespace", "metric"})
        series = self._state.store.series(
            given.get("resourceId", ""), given.get("namespace", ""), given.get("metric", "")
        )
        values: dict[str, set[str]] = {}
        for each in series:
            for name, value in each.dimensions.items():
                values.setdefault(name, set()).add(value)
        dimensions = {name: sorted(values[name])[:MAX_DIMENSION_VALUES] for name in sorted(values)}
        return json({"dimensions": dimensions})

    async def query(self, request: Request) -> Response:
        given = arm_metrics.parameters(request)
        minutes = whole_number(given.get("minutes", "60"))
        if not minutes or minutes > KEPT_MINUTES:
            raise bad_input(
                f"minutes: '{given['minutes']}' is not a whole number from 1 to {KEPT_MINUTES}"
            )
        resource_id = given.get("resourceid", "")
        if not is_resource(resource_id):
            raise bad_input(f"resourceId: '{resource_id}' does not name a resource")
        try:
            within = last_minutes(minutes, given.get("interval"), self._state.now())
            if "metric" in given:
                asked = _plain(request, given, within)
            elif not query.names(given):
                raise bad_input("The query parameter 'metricnames' is required.")
            else:
                asked = arm_metrics.asked(self._state, resource_id, given, within)
            return json(arm_metrics.answer(self._state, resource_id, asked))
        except BadQueryError as exc:
            raise bad_input(str(exc)) from exc

    async def refusals(self, request: Request) -> Response:
        only(request, set())
        return json({"refusals": self._state.journal.refusals()})


def _plain(request: Request, given: dict[str, str], within: Span) -> query.Query:
    """The query whose names and values are parameters of their own."""
    split = [name for name in request.query_params.getlist("split") if name]
    parts = [request.query_params.getlist(name) for name in ("dimension", "operator", "value")]
    if len({len(each) for each in parts}) > 1:
        raise bad_input("dimension, operator and value: there have to be as many of each")
    terms = [metric_filter.Term(*part) for part in zip(*parts, strict=True)]
    for term in terms:
        if term.operator not in metric_filter.OPERATORS:
            raise bad_input(
                f"operator: '{term.operator}' is none of {', '.join(metric_filter.OPERATORS)}"
            )
    splitting = {name.lower() for name in split}
    rollup = {term.dimension.lower() for term in terms} - splitting
    return query.read(
        given,
        within,
        given.get("namespace", ""),
        (given["metric"],),
        conditions=metric_filter.of_terms(terms, split),
        rollup=frozenset(rollup),
    )
