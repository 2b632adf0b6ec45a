"""Read the metrics of up to 50 resources at once: `metrics:getBatch`.

    POST [/{region}]/subscriptions/{subscription}/metrics:getBatch?api-version=2024-02-01
        &metricnamespace=&metricnames=[&starttime=&endtime=&interval=&aggregation=&filter=&top=
         &orderby=&rollupby=]
    {"resourceids": […]}

In the service the region is the first label of the host; where it is given, the resources have to
be there. The service answers so for platform metrics only; the emulator, which has none, for
custom ones.
"""

from __future__ import annotations

import uuid
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from . import timeseries
from .answers import BadQueryError, RefusalError, json
from .arm_metrics import asked, parameters
from .journal import ReadRecord
from .limits import MAX_BATCH_RESOURCES
from .query import check
from .resources import in_scope, is_resource, type_and_name
from .roles import READERS, holds
from .state import MonitorState
from .time_grain import duration, span, stamp

__all__ = ["AUDIENCE", "routes"]

AUDIENCE = "https://metrics.monitor.azure.com"
_VERSIONS = ("2024-02-01", "2023-10-01")


class _Body(msgspec.Struct):
    resourceids: list[str]


def routes(state: MonitorState) -> list[BaseRoute]:
    """Return the routes of the batch query, with and without a region."""

    async def post(request: Request) -> Response:
        body = await request.body()
        query_string: str = request.scope["query_string"].decode("ascii", "replace")
        path: str = request.scope["path"]
        record = ReadRecord(state.now_iso(), request.method, path, query_string)
        return await state.answer(
            "batch", record, lambda: _answer(state, request, body), region=_region(request)
        )

    path = "/subscriptions/{subscription}/metrics:getBatch"
    return [Route(each, post, methods=["POST"]) for each in (path, "/{region}" + path)]


def _region(request: Request) -> str:
    """Return the region of the path; empty without one."""
    region: str = request.path_params.get("region", "")
    return region.lower()


def _answer(state: MonitorState, request: Request, body: bytes) -> Response:
    try:
        return json({"values": _values(state, request, body)})
    except RefusalError as exc:
        # An error of this API has the trace beside the message, and the code as a header, too.
        trace = {"type": "string", "info": f"TraceId={uuid.uuid4().hex}"}
        error = {"additionalInfo": [trace], "code": exc.code, "message": exc.message}
        content = msgspec.json.encode({"error": error})
        headers = {**(exc.headers or {}), "x-ms-error-code": exc.code}
        raise RefusalError(exc.status, exc.code, exc.message, headers, content) from exc


def _values(state: MonitorState, request: Request, body: bytes) -> list[dict[str, Any]]:
    """Return what is answered for each resource. Raises RefusalError."""
    given = parameters(request)
    version = given.get("api-version", "")
    if version not in _VERSIONS:
        raise BadQueryError(
            f"Invalid api-version '{version}', supported ones are: {','.join(_VERSIONS)}"
        )
    scope = f"/subscriptions/{request.path_params['subscription']}"
    _authorize(state, request, scope)
    if "timespan" in given:
        raise BadQueryError(
            f"Detected invalid time range parameters for API version {version}."
            " Please use only starttime and endtime to specify a time range."
        )
    for name in ("metricnamespace", "metricnames"):
        if not given.get(name, "").strip(" ,"):
            raise BadQueryError(f"The query parameter '{name}' is required.")
    within = span(given.get("starttime"), given.get("endtime"), state.now())
    resource_ids = _resources(body, scope)
    _check_regions(state, resource_ids, _region(request))
    given["$filter"] = given.get("filter", "")  # As Azure Resource Manager names it.
    query = asked(state, resource_ids[0], given, within)
    check(state.store, resource_ids, query)
    found = timeseries.answer(state.store, resource_ids, query)
    return [
        {
            "starttime": stamp(within.start),
            "endtime": stamp(within.end),
            "interval": duration(query.grain),
            "value": metrics,
            "namespace": query.namespace.lower(),
            "resourceregion": state.resources.region(resource_id),
            "resourceid": resource_id,
        }
        for resource_id, metrics in zip(resource_ids, found, strict=True)
    ]


def _authorize(state: MonitorState, request: Request, scope: str) -> None:
    """Raise RefusalError (401) unless the token is for this API and its holder may read.

    For a missing role, too, the documentation names 401; what the body says then is not known.
    """
    principal = state.tokens.principal(
        request.headers.get("authorization"),
        (AUDIENCE, AUDIENCE + "/"),
        state.now(),
        "InvalidAuthenticationTokenAudience",
    )
    if not holds(state.assignments, principal, READERS, scope):
        raise RefusalError(
            401,
            "AuthorizationFailed",
            f"The client '{principal}' does not have authorization to perform action"
            f" 'Microsoft.Insights/metrics/read' over scope '{scope}'.",
        )


def _resources(body: bytes, scope: str) -> list[str]:
    """Return the resources of the body, each once, as first spelled. Raises BadQueryError."""
    try:
        given = msgspec.json.decode(body, type=_Body).resourceids
    except (ValueError, RecursionError) as exc:
        raise BadQueryError(f"The body is invalid: {exc}") from exc
    found: dict[str, str] = {}
    for each in given:
        found.setdefault(each.lower(), each)
    if not 0 < len(found) <= MAX_BATCH_RESOURCES:
        raise BadQueryError(f"Expected 1 to {MAX_BATCH_RESOURCES} resourceids, not {len(found)}.")
    for each in found.values():
        if not is_resource(each) or not in_scope(each, scope):
            raise BadQueryError(f"'{each}' is not a resource of the subscription of the request.")
    if len(kinds := {type_and_name(each)[0] for each in found}) > 1:
        raise BadQueryError(
            f"All resources must have the same type, not {','.join(sorted(kinds))}."
        )
    return list(found.values())


def _check_regions(state: MonitorState, resource_ids: list[str], region: str) -> None:
    """Raise RefusalError (404) for an unknown resource, BadQueryError for more than one region."""
    regions = {each: state.resources.region(each) for each in resource_ids}
    for each, home in regions.items():
        if home is None:
            message = f"Failed to find resource mapping for {each}."
            raise RefusalError(404, "ResourceNotFound", message)
    wanted = {region, *regions.values()} - {"", None}
    if len(wanted) > 1:
        raise BadQueryError(
            "All resources must be in the region of the endpoint:"
            f" {', '.join(sorted(filter(None, wanted)))} were found."
        )
