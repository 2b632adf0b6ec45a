"""The metrics explorer: a page at `/`, and what it asks for under `/_local/`.

GET /_local/catalogue
    {"now", "resources": [{"resourceId", "region", "metrics": [{"namespace", "metric",
    "dimensions": [], "series"}]}]}: what there is to choose from.
GET /_local/dimensions?resourceId=&namespace=&metric=
    {"dimensions": {"City": ["Delft", …]}}: values, at most 1,000 of each dimension.
GET /_local/query?resourceId=&minutes=&…
    The last minutes, up to and with the running one, cut where the interval has its whole hours
    or quarters, so that only the last value still changes; else with the parameters of Azure
    Resource Manager's query of metrics, and its answer, without a token.
GET /_local/refusals
    {"refusals": […]}: the last 1,000 requests to ingestion that were not accepted, newest first.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.responses import FileResponse
from starlette.routing import Route

from . import arm_metrics, query
from .answers import json
from .inputs import bad_input
from .inputs import query as only
from .limits import KEPT_MINUTES, MAX_DIMENSION_VALUES
from .resources import is_resource
from .time_grain import GRAINS, BadQueryError, stamp

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from .state import MonitorState
    from .store import Series

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
        minutes = given.pop("minutes", "60")
        if not minutes.isdecimal() or not 0 < int(minutes) <= KEPT_MINUTES:
            raise bad_input(f"minutes: '{minutes}' is not a whole number from 1 to {KEPT_MINUTES}")
        resource_id = given.pop("resourceid", "")
        if not is_resource(resource_id):
            raise bad_input(f"resourceId: '{resource_id}' does not name a resource")
        given["timespan"] = _last(int(minutes), given.get("interval", ""), self._state.now())
        try:
            return json(arm_metrics.values(self._state, resource_id, given))
        except BadQueryError as exc:
            raise bad_input(str(exc)) from exc

    async def refusals(self, request: Request) -> Response:
        only(request, set())
        return json({"refusals": self._state.journal.refusals()})


def _last(minutes: int, interval: str, now: float) -> str:
    """The timespan of the last minutes, from the start of one grain to within the running one."""
    grain = next((each for each, name in GRAINS.items() if name == interval.upper()), 1)
    running = int(now // 60)
    first = min(running - minutes + grain, running) // grain * grain
    start = dt.datetime.fromtimestamp(first * 60, dt.UTC)
    # A millisecond more: at its very start, too, the running minute is taken in.
    return f"{stamp(start)}/{stamp(dt.datetime.fromtimestamp(now + 0.001, dt.UTC))}"
