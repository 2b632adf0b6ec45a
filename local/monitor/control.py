"""Read-back and control, in JSON, under `/_local/`.

GET /_local/metrics?resourceId=&namespace=&metric=
    The stored values: the last 24 hours, at most 1,000,000. Each filter is optional, and compares
    without case.
    {"values": [{"resourceId", "region", "namespace", "metric", "dimensions": {},
                 "time": "2026-11-23T07:25:00Z", "min", "max", "sum", "count"}]}
GET /_local/requests?limit=
    The last requests to ingestion, ARM and the batch query of metrics (at most 1,000 each), oldest
    first, and totals since the start. A connection dropped by a fault has the status null, and is
    "dropped" in the totals; "query" is as it was sent.
    {"requests": [{"time", "region", "resourceId", "status", "code", "message", "documents",
                   "series", "bytes", "encodedBytes"}],
     "totals": {"200": 3}, "identityTotals": {"200": 1}, "stored": {"documents", "series"},
     "armRequests": [{"time", "method", "path", "query", "status", "code"}], "armTotals": {},
     "batchRequests": [the same], "batchTotals": {}}

Each PUT replaces what was put before, and answers with what it was given.

PUT /_local/roles
    {"assignments": [{"scope", "principalId"?, "role"?}]}: who has which role where. A scope holds
    all below it, "/" everything; no principalId is everybody. The role is "Monitoring Metrics
    Publisher" (the default), which alone may post metrics, or "Reader", "Monitoring Reader",
    "Contributor" or "Owner", which may read in ARM. At the start: everybody, everywhere, all.
PUT /_local/resources
    {"resources": [{"resourceId", "region"}]}. A resource that is not registered is in the region to
    which it was first posted; with --strict it does not exist.
PUT /_local/service_bus
    {"namespaces": [{"resourceId", "location"?: "westeurope", "queues": [{"name", "active"?,
    "deadLetter"?, "scheduled"?, "transfer"?, "transferDeadLetter"?}], "topics": [{"name", …,
    "subscriptions": [{"name", …}]}]}], "pageSize"?: 100}: the namespaces, which exist as resources
    then, too. Numbers not given are 0. The page size is that of all lists of ARM.
PUT /_local/documents
    {"path": "/any/thing", "body": any JSON, "audience"?}: the document of a path, served exactly as
    it was put at GET /_local/documents/any/thing. With an audience it takes a token for that.
PUT /_local/refused
    {"metrics": ["Poison"]}: metrics that the store refuses, without case, even if they are valid,
    for errors that only the service would find.
PUT /_local/clock
    {"offsetSeconds": -90}: the emulator's time relative to the machine's. The window of accepted
    times, the life of tokens and the Date of answers follow it.

POST /_local/faults
    {"status": 503, "body"?, "retryAfter"?: "2" | HTTP date | seconds}, {"drop": "before" |
    "after"} and {"latency": seconds}, the last alone or with one of the others; for the
    {"next": N} requests, for a {"share": 0..1} of all (drawn with "seed"?: 0) or, without either,
    for all; "target": "ingestion" | "identity" | "arm" | "batch"; for the "region" alone
    (ingestion, batch), or at and below the "resourceId" alone (ingestion, ARM).
    "before" closes the connection and stores nothing, "after" stores and then closes it.
    Without a body the answer has none, except 408, which has the service's.
GET, DELETE /_local/faults
    {"faults": […]}: the pending faults, with what is left of "next", and their "hits".
DELETE /_local/state
    Resets everything, except that issued tokens stay valid.

Requests of other web sites are refused with 403: they are known by their Origin, or a Host that is
not 127.0.0.1 or localhost. A wrong input is refused with 400 and the reason:
{"error": {"code": "BadRequest", "message"}}.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route

from . import read_back
from .answers import RefusalError, bad_input, decoded, json, only, whole_number
from .faults import Fault
from .limits import LOGGED_REQUESTS
from .read_back import MetricValue
from .resources import Region, is_resource
from .roles import Assignment
from .sources import Document, ServiceBus
from .state import MonitorState

__all__ = ["routes"]

_METHODS = ["GET", "PUT", "POST", "PATCH", "DELETE"]
_CENTURY = 100 * 366 * 24 * 60 * 60  # Seconds; more would leave the calendar.

_T = TypeVar("_T")


class _Roles(msgspec.Struct, forbid_unknown_fields=True):
    assignments: list[Assignment]


class _Resource(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    resource_id: str
    region: Region

    def __post_init__(self) -> None:
        if not is_resource(self.resource_id):
            raise ValueError(f"'{self.resource_id}' does not name a resource")


class _Resources(msgspec.Struct, forbid_unknown_fields=True):
    resources: list[_Resource]


class _Refused(msgspec.Struct, forbid_unknown_fields=True):
    metrics: list[str]


class _Clock(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    offset_seconds: Annotated[float, msgspec.Meta(ge=-_CENTURY, le=_CENTURY)]


def routes(state: MonitorState) -> list[BaseRoute]:
    """Return the routes under /_local."""

    def change(
        method: str, path: str, kind: type[_T], apply: Callable[[MonitorState, _T], None]
    ) -> Route:
        """Return a route that applies what it is given, and answers with it."""

        async def handle(request: Request) -> Response:
            given = await decoded(request, kind)
            apply(state, given)
            return json(given, 201 if method == "POST" else 200)

        return Route(path, handle, methods=[method])

    return [
        Mount(
            "/_local",
            routes=[
                state.route("GET", "/metrics", _metrics),
                state.route("GET", "/requests", _requests),
                change("PUT", "/roles", _Roles, _set_roles),
                change("PUT", "/resources", _Resources, _set_resources),
                change("PUT", "/service_bus", ServiceBus, _set_service_bus),
                change("PUT", "/documents", Document, _set_document),
                state.route("GET", "/documents/{path:path}", _document),
                change("PUT", "/refused", _Refused, _set_refused),
                change("PUT", "/clock", _Clock, _set_clock),
                change("POST", "/faults", Fault, _add_fault),
                state.route("GET", "/faults", _faults),
                state.route("DELETE", "/faults", _clear_faults),
                state.route("DELETE", "/state", _reset),
                Route("/{path:path}", _unknown, methods=_METHODS),
            ],
        )
    ]


def _metrics(state: MonitorState, request: Request) -> Response:
    given = only(request, {"resourceId", "namespace", "metric"})
    portions = read_back.portions(
        state.store, given.get("resourceId"), given.get("namespace"), given.get("metric")
    )
    return StreamingResponse(_listed(portions), media_type="application/json; charset=utf-8")


async def _listed(portions: Iterator[list[MetricValue]]) -> AsyncIterator[bytes]:
    """Write `{"values": […]}`; after each portion other requests have their turn."""
    before = b'{"values":['
    for portion in portions:
        if portion:
            yield before + msgspec.json.encode(portion)[1:-1]
            before = b","
        await asyncio.sleep(0)
    yield b"]}" if before == b"," else before + b"]}"


def _requests(state: MonitorState, request: Request) -> Response:
    limit = only(request, {"limit"}).get("limit", str(LOGGED_REQUESTS))
    number = whole_number(limit)
    if not number:
        raise bad_input(f"limit: '{limit}' is not a whole number of at least 1")
    return json(state.journal.report(number))


def _set_roles(state: MonitorState, given: _Roles) -> None:
    state.assignments = tuple(given.assignments)


def _set_resources(state: MonitorState, given: _Resources) -> None:
    state.resources.register({each.resource_id: each.region for each in given.resources})


def _set_service_bus(state: MonitorState, given: ServiceBus) -> None:
    state.service_bus = given
    state.resources.declare({each.resource_id: each.location for each in given.namespaces})


def _set_document(state: MonitorState, given: Document) -> None:
    state.json_documents[given.path] = given


def _document(state: MonitorState, request: Request) -> Response:
    path = "/" + request.path_params["path"]
    document = state.json_documents.get(path)
    if document is None:
        raise RefusalError(404, "NotFound", f"There is no document {path}.")
    if document.audience is not None:
        state.tokens.principal(
            request.headers.get("authorization"), [document.audience], state.now()
        )
    return json(document.body)


def _set_refused(state: MonitorState, given: _Refused) -> None:
    state.refused_metrics = frozenset(metric.lower() for metric in given.metrics)


def _set_clock(state: MonitorState, given: _Clock) -> None:
    state.offset_seconds = given.offset_seconds


def _add_fault(state: MonitorState, given: Fault) -> None:
    state.faults.add(given)


def _faults(state: MonitorState, request: Request) -> Response:
    only(request, set())
    return json({"faults": state.faults.report()})


def _clear_faults(state: MonitorState, _request: Request) -> Response:
    state.faults.clear()
    return Response(status_code=204)


def _reset(state: MonitorState, _request: Request) -> Response:
    state.reset()
    return Response(status_code=204)


async def _unknown(request: Request) -> Response:
    raise RefusalError(404, "NotFound", f"There is no {request.method} {request.url.path} here.")
