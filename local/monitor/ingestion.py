"""Take metrics in: `POST /{region}{resourceId}/metrics`.

A request is checked in this order, each with its own answer: the URL (404), Content-Length (411)
and the size by it (413), the token (401), the role (403), the resource and its region (404, 400),
the Content-Type and Content-Encoding (415), the decompressed size (413), the documents (400). Only
then is anything stored: a batch is accepted or refused as a whole.
"""

from __future__ import annotations

import re
import zlib

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from .answers import RefusalError, bad_request, json
from .documents import JSON, NDJSON, read
from .journal import Record
from .resources import REGION, is_resource
from .roles import PUBLISHERS, holds
from .state import MonitorState

__all__ = ["routes"]

_REGION = re.compile(REGION)
_GZIP = 16 + zlib.MAX_WBITS  # How zlib is told to expect gzip's header.
_ACCEPTED = b'{"statusCode":200}'


def routes(state: MonitorState) -> list[BaseRoute]:
    """Return the routes of the ingestion endpoint."""

    async def post(request: Request) -> Response:
        region, _, rest = request.scope["path"].removeprefix("/").partition("/")
        resource_id = f"/{rest}".removesuffix("/metrics") if rest.endswith("/metrics") else ""
        record = Record(state.now_iso(), region.lower(), resource_id)
        body = await _body(request, state.options.max_body_bytes)
        if isinstance(body, bytes):
            record.encoded_bytes = len(body)
        return await state.answer(
            "ingestion",
            record,
            lambda: _answer(state, request, body, record),
            region=record.region,
            resource_id=resource_id,
        )

    # The root has a page to get; a post there, or to a region alone, is one to a bad URL.
    paths = ("/{region}/{resource:path}", "/{region}", "/")
    return [Route(path, post, methods=["POST"]) for path in paths]


def _answer(
    state: MonitorState, request: Request, given: bytes | RefusalError, record: Record
) -> Response:
    """Store the documents of a request. Raises RefusalError for the first rule it breaks."""
    region, resource_id, headers = record.region, record.resource_id, request.headers
    if not _REGION.fullmatch(region) or not is_resource(resource_id):
        raise RefusalError(404, message=f"Not the metrics of a resource: {request.scope['path']}")
    if isinstance(given, RefusalError):
        raise given
    now = state.now()
    options = state.options
    principal = state.tokens.principal(headers.get("authorization"), [options.audience], now)
    if not holds(state.assignments, principal, PUBLISHERS, resource_id):
        raise RefusalError(
            403,
            "AuthenticationFailed",
            f"The Azure AD object '{principal}' does not have permissions to perform action"
            f" 'Microsoft.Insights/Metrics/write' over scope '{resource_id}'. ",
        )
    state.resources.check(resource_id, region)
    content_type = headers.get("content-type", "")
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in {JSON, NDJSON}:
        raise _unsupported(f"Content-Type '{content_type}'", f"{JSON} and {NDJSON} are")
    body = _decoded(given, headers, options.max_body_bytes)
    record.bytes = len(body)
    documents, points = read(body, media_type, now)
    for point in points if state.refused_metrics else ():
        if point.shape.metric.lower() in state.refused_metrics:
            raise bad_request(f"The metric '{point.shape.metric}' is not accepted.")
    state.store.add(resource_id, region, points, now)
    state.resources.learn(resource_id, region)
    record.documents = documents
    record.series = len(points)
    return json(_ACCEPTED)


async def _body(request: Request, limit: int) -> bytes | RefusalError:
    """Return the body, or why its headers keep it from being read."""
    length = request.headers.get("content-length")
    if length is None or "transfer-encoding" in request.headers:
        return RefusalError(411, "LengthRequired", "A Content-Length is required.")
    if int(length) > limit:
        return _too_large(limit)
    return await request.body()


def _decoded(body: bytes, headers: Headers, limit: int) -> bytes:
    """Undo the Content-Encoding; inflate no further than one byte over the limit."""
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding == "identity":
        return body
    if encoding != "gzip":
        raise _unsupported(f"Content-Encoding '{encoding}'", "gzip is")
    inflater = zlib.decompressobj(_GZIP)
    try:
        inflated = inflater.decompress(body, limit + 1)
    except zlib.error as exc:
        raise bad_request(f"The body is not gzip: {exc}") from exc
    if len(inflated) > limit:
        raise _too_large(limit)
    if not inflater.eof or inflater.unused_data:
        raise bad_request("The body is not one whole gzip member")
    return inflated


def _unsupported(given: str, supported: str) -> RefusalError:
    message = f"The {given} is not supported: {supported}."
    return RefusalError(415, "UnsupportedMediaType", message)


def _too_large(limit: int) -> RefusalError:
    return RefusalError(413, "RequestEntityTooLarge", f"The body is larger than {limit} bytes.")
