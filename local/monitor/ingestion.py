"""The ingestion endpoint: `POST /{region}{resourceId}/metrics`.

Checked in this order, each with its own answer: the URL (404), Content-Length (411) and the size
by it (413), the token (401), the role (403), the resource and its region (404, 400), the
Content-Type and Content-Encoding (415), the decompressed size (413), the documents (400). Only
then is anything stored: a batch is accepted or refused as a whole.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from .answers import RefusalError, bad_request, json
from .database import StoreError
from .documents import JSON, NDJSON, read
from .journal import Record
from .resources import is_resource
from .state import MonitorState

__all__ = ["routes"]

_REGION = re.compile(r"[a-z][a-z0-9]*")
_GZIP = 16 + zlib.MAX_WBITS  # How zlib is told to expect gzip's header.
_ACCEPTED = b'{"statusCode":200}'


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A request as it came in: where to, its headers, and its body or why there is none."""

    path: str
    region: str
    resource_id: str
    headers: Headers
    body: bytes | RefusalError


def routes(state: MonitorState) -> list[BaseRoute]:
    """The route of the ingestion endpoint."""

    async def post(request: Request) -> Response:
        arrival = await _arrival(request, state.options.max_body_bytes)
        record = Record(state.now_iso(), arrival.region, arrival.resource_id)
        record.encoded_bytes = 0 if isinstance(arrival.body, RefusalError) else len(arrival.body)
        return await state.answer(
            "ingestion",
            record,
            lambda: _answer(state, arrival, record),
            region=arrival.region,
            resource_id=arrival.resource_id,
        )

    # The root has a page to get; a post there, or to a region alone, is one to a bad URL.
    paths = ("/{region}/{resource:path}", "/{region}", "/")
    return [Route(path, post, methods=["POST"]) for path in paths]


def _answer(state: MonitorState, arrival: _Arrival, record: Record) -> Response:
    """Store the documents of a request. Raises RefusalError for the first rule it breaks."""
    region, resource_id, headers = arrival.region, arrival.resource_id, arrival.headers
    if not _REGION.fullmatch(region) or not is_resource(resource_id):
        raise RefusalError(404, message=f"Not the metrics of a resource: {arrival.path}")
    if isinstance(arrival.body, RefusalError):
        raise arrival.body
    now = state.now()
    options = state.options
    principal = state.tokens.principal(headers.get("authorization"), [options.audience], now)
    state.authorize(principal, resource_id)
    state.resources.check(resource_id, region)
    media_type = _media_type(headers)
    body = _decoded(arrival.body, headers, options.max_body_bytes)
    record.bytes = len(body)
    batch = read(body, media_type, now)
    state.accept(batch.points)
    try:
        state.store.add(resource_id, region, batch.points, now)
    except StoreError as exc:
        raise RefusalError(500, "InternalServerError", str(exc)) from exc
    state.resources.learn(resource_id, region)
    record.documents = batch.documents
    record.series = len(batch.points)
    return json(_ACCEPTED)


async def _arrival(request: Request, limit: int) -> _Arrival:
    """Read the request; the body only as far as it is not refused by its headers."""
    path: str = request.scope["path"]
    region, _, rest = path.removeprefix("/").partition("/")
    resource_id = f"/{rest}".removesuffix("/metrics") if rest.endswith("/metrics") else ""
    length = request.headers.get("content-length")
    body: bytes | RefusalError
    if length is None or "transfer-encoding" in request.headers:
        body = RefusalError(411, "LengthRequired", "A Content-Length is required.")
    elif int(length) > limit:
        body = _too_large(limit)
    else:
        body = await request.body()
    return _Arrival(path, region.lower(), resource_id, request.headers, body)


def _media_type(headers: Headers) -> str:
    given = headers.get("content-type", "")
    media_type = given.partition(";")[0].strip().lower()
    if media_type not in {JSON, NDJSON}:
        raise RefusalError(
            415,
            "UnsupportedMediaType",
            f"The Content-Type '{given}' is not supported: {JSON} and {NDJSON} are.",
        )
    return media_type


def _decoded(body: bytes, headers: Headers, limit: int) -> bytes:
    """The body after its Content-Encoding, never inflated further than one byte over the limit."""
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding == "identity":
        return body
    if encoding != "gzip":
        raise RefusalError(
            415,
            "UnsupportedMediaType",
            f"The Content-Encoding '{encoding}' is not supported: gzip is.",
        )
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


def _too_large(limit: int) -> RefusalError:
    return RefusalError(413, "RequestEntityTooLarge", f"The body is larger than {limit} bytes.")
