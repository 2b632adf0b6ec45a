"""Read-back and control, in JSON, under `/_local/`.

GET /_local/metrics?resourceId=&namespace=&metric=
    What is stored; each filter may be left out, and compares without case. Kept are the last 24
    hours, at most 1,000,000 values.
    {"values": [{"resourceId", "region", "namespace", "metric", "dimensions": {},
                 "time": "2026-11-23T07:25:00Z", "min", "max", "sum", "count"}]}
GET /_local/requests?limit=
    The last requests to ingestion, ARM and the batch query of metrics (at most 1,000 each), oldest
    first, and totals of all that ever were. A connection dropped by a fault has the status null,
    and is "dropped" in the totals; "query" is as it was sent.
    {"requests": [{"time", "region", "resourceId", "status", "code", "message", "documents",
                   "series", "bytes", "encodedBytes"}],
     "totals": {"200": 3}, "identityTotals": {"200": 1}, "stored": {"documents", "series"},
     "armRequests": [{"time", "method", "path", "query", "status", "code"}], "armTotals": {},
     "batchRequests": [the same], "batchTotals": {}}
PUT /_local/roles
    {"assignments": [{"scope", "principalId"?, "role"?}]}: who has which role where. A scope holds
    all below it, "/" everything; no principalId is everybody. The role is "Monitoring Metrics
    Publisher" (the default), which alone may post metrics, or "Reader", "Monitoring Reader",
    "Contributor" or "Owner", which may read in ARM. At the start: everybody, everywhere, all.
PUT /_local/resources
    {"resources": [{"resourceId", "region"}]}: replaces what was registered. A resource that is
    not is in the region to which it was first posted; with --strict it does not exist.
PUT, GET /_local/service_bus
    {"namespaces": [{"resourceId", "location"?: "westeurope", "queues": [{"name", "active"?,
    "deadLetter"?, "scheduled"?, "transfer"?, "transferDeadLetter"?, "status"?: "Active",
    "sizeInBytes"?}], "topics": [{"name", …, "subscriptions": [{"name", …}]}]}], "pageSize"?}:
    replaces all namespaces, which exist as resources then, too. Numbers not given are 0. The
    page size is the most items that a page of any list of ARM may hold.
PUT /_local/documents
    {"path": "/any/thing", "body": any JSON | "text": "no JSON" | "bytes": N, "status"?: 200,
    "headers"?: {}, "audience"?, "trickle"?: seconds}: a document, served at
    GET /_local/documents/any/thing whatever the query. With an audience it takes a token for
    that, else nothing. "bytes" are of a string that is never closed; "trickle" sends one byte at
    a time. The body is sent exactly as it was put.
GET /_local/documents
    {"documents": [{"path", "requests", "authorized"}]}: how often each was asked for since it was
    put, and how often with an Authorization header.
PUT /_local/refused
    {"metrics": ["Poison"]}: metrics that the store refuses, without case, whatever else is right
    with them; for what only the service would find wrong.
PUT /_local/clock
    {"offsetSeconds": -90}: the emulator's time relative to the machine's. The window of accepted
    times, the life of tokens and the Date of answers follow it.
POST /_local/faults
    {"status": 503, "body"?, "retryAfter"?: "2" | HTTP date | seconds}, {"drop": "before" |
    "after"} and {"latency": seconds}, the last alone or with one of the others; for the
    {"next": N} requests, for a {"share": 0..1} of all (drawn with "seed", if given) or, without
    either, for all; "target": "ingestion" | "identity" | "arm" | "batch"; for the "region" or
    "resourceId" alone; of ARM, which has no regions, for all paths at or below the "resourceId"; of
    the batch query of metrics for the "region" in its address.
    "before" closes the connection and stores nothing, "after" stores and then closes it.
    Without a body the answer has none, except 408, which has the service's.
GET, DELETE /_local/faults
    {"faults": […]}: those still waiting, with what is left of "next", and their "hits".
DELETE /_local/state
    Everything back to how it was at the start, except that tokens issued stay good.

Requests of other web sites are refused with 403: they are known by their Origin, or a Host that is
not 127.0.0.1 or localhost. What is wrong with an input is said in a 400:
{"error": {"code": "BadRequest", "message"}}.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route

from . import read_back
from .answers import RefusalError, bad_input, decoded, json, only, whole_number
from .faults import Fault
from .json_source import Document
from .limits import LOGGED_REQUESTS
from .read_back import MetricValue
from .resources import is_resource
from .roles import Assignment
from .service_bus import Given, ServiceBus
from .state import MonitorState

__all__ = ["routes"]

_METHODS = ["GET", "PUT", "POST", "PATCH", "DELETE"]
_CENTURY = 100 * 366 * 24 * 60 * 60  # Seconds; more would leave the calendar.


class _Roles(msgspec.Struct, forbid_unknown_fields=True):
    assignments: list[Assignment]


class _Resource(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    resource_id: str
    region: Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9]*$")]


class _Resources(msgspec.Struct, forbid_unknown_fields=True):
    resources: list[_Resource]


class _Refused(msgspec.Struct, forbid_unknown_fields=True):
    metrics: list[str]


class _Clock(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    offset_seconds: Annotated[float, msgspec.Meta(ge=-_CENTURY, le=_CENTURY)]


def routes(state: MonitorState) -> list[BaseRoute]:
    """The routes under /_local."""
    control = _Control(state)
    return [
        Mount(
            "/_local",
            routes=[
                Route("/metrics", control.metrics, methods=["GET"]),
                Route("/requests", control.requests, methods=["GET"]),
                Route("/roles", control.set_roles, methods=["PUT"]),
                Route("/resources", control.set_resources, methods=["PUT"]),
                Route("/service_bus", control.service_bus, methods=["GET"]),
                Route("/service_bus", control.set_service_bus, methods=["PUT"]),
                Route("/refused", control.set_refused, methods=["PUT"]),
                Route("/clock", control.set_clock, methods=["PUT"]),
                Route("/documents", control.put_document, methods=["PUT"]),
                Route("/documents", control.documents, methods=["GET"]),
                Route("/documents/{path:path}", control.serve_document, methods=["GET"]),
                Route("/faults", control.faults, methods=["GET"]),
                Route("/faults", control.add_fault, methods=["POST"]),
                Route("/faults", control.clear_faults, methods=["DELETE"]),
                Route("/state", control.reset, methods=["DELETE"]),
                Route("/{path:path}", _unknown, methods=_METHODS),
            ],
        )
    ]


class _Control:
    """The handlers, over one state."""

    def __init__(self, state: MonitorState) -> None:
        self._state = state

    async def metrics(self, request: Request) -> Response:
        given = only(request, {"resourceId", "namespace", "metric"})
        portions = read_back.portions(
            self._state.store, given.get("resourceId"), given.get("namespace"), given.get("metric")
        )
        return StreamingResponse(_listed(portions), media_type="application/json; charset=utf-8")

    async def requests(self, request: Request) -> Response:
        limit = only(request, {"limit"}).get("limit", str(LOGGED_REQUESTS))
        number = whole_number(limit)
        if not number:
            raise bad_input(f"limit: '{limit}' is not a whole number of at least 1")
        return json(self._state.journal.report(number))

    async def set_roles(self, request: Request) -> Response:
        roles = await decoded(request, _Roles)
        for index, assignment in enumerate(roles.assignments):
            if not assignment.scope.startswith("/"):
                raise bad_input(f"assignments[{index}].scope: it does not start with /")
        self._state.assignments = tuple(roles.assignments)
        return json(roles)

    async def set_resources(self, request: Request) -> Response:
        given = await decoded(request, _Resources)
        for index, each in enumerate(given.resources):
            if not is_resource(each.resource_id):
                raise bad_input(
                    f"resources[{index}].resourceId: '{each.resource_id}' does not name a resource"
                )
        self._state.resources.register({each.resource_id: each.region for each in given.resources})
        return json(given)

    async def service_bus(self, request: Request) -> Response:
        only(request, set())
        return json(self._state.service_bus.given)

    async def set_service_bus(self, request: Request) -> Response:
        state = self._state
        given = await decoded(request, Given)
        state.service_bus = ServiceBus(state.now_iso(), given)
        state.resources.declare({each.resource_id: each.location for each in given.namespaces})
        return json(given)

    async def put_document(self, request: Request) -> Response:
        self._state.json_documents.put(await decoded(request, Document))
        return json(await request.body())

    async def documents(self, _request: Request) -> Response:
        return json({"documents": self._state.json_documents.report()})

    async def serve_document(self, request: Request) -> Response:
        state = self._state
        path = "/" + request.path_params["path"]
        authorization = request.headers.get("authorization")
        document = state.json_documents.take(path, authorized=authorization is not None)
        if document is None:
            raise RefusalError(404, "NotFound", f"There is no document {path}.")
        if document.audience is not None:
            state.tokens.principal(authorization, [document.audience], state.now())
        return document.response()

    async def set_refused(self, request: Request) -> Response:
        refused = await decoded(request, _Refused)
        self._state.refused_metrics = frozenset(metric.lower() for metric in refused.metrics)
        return json(refused)

    async def set_clock(self, request: Request) -> Response:
        self._state.offset_seconds = (await decoded(request, _Clock)).offset_seconds
        return json({"offsetSeconds": self._state.offset_seconds, "now": self._state.now_iso()})

    async def faults(self, request: Request) -> Response:
        only(request, set())
        return json({"faults": self._state.faults.report()})

    async def add_fault(self, request: Request) -> Response:
        fault = await decoded(request, Fault)
        self._state.faults.add(fault)
        return json(fault, 201)

    async def clear_faults(self, _request: Request) -> Response:
        self._state.faults.clear()
        return Response(status_code=204)

    async def reset(self, _request: Request) -> Response:
        self._state.reset()
        return Response(status_code=204)


async def _listed(portions: Iterator[list[MetricValue]]) -> AsyncIterator[bytes]:
    """`{"values": […]}`, and after each portion other requests have their turn."""
    before = b'{"values":['
    for portion in portions:
        if portion:
            yield before + msgspec.json.encode(portion)[1:-1]
            before = b","
        await asyncio.sleep(0)
    yield b"]}" if before == b"," else before + b"]}"


async def _unknown(request: Request) -> Response:
    raise RefusalError(404, "NotFound", f"There is no {request.method} {request.url.path} here.")
