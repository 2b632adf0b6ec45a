"""Inject faults: error answers, latency, and connections closed without an answer.

Every fault that applies to a request adds its latency. Of those that decide the answer (`status`
or `drop`) the first one posted does; the others are left for later requests. So two faults of
`"next": 1` affect two requests, one after the other.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from starlette.responses import Response

from .answers import NoAnswer, bad_input, error_body, json
from .limits import MAX_FAULTS
from .resources import in_scope

__all__ = ["Fault", "Faults", "Target", "respond"]

Target = Literal["ingestion", "identity", "arm", "batch"]

_NO_BODY = {204, 304}
# Status -> body seen from the service, where the emulator never answers so by itself.
_SEEN_BODIES = {408: error_body("RequestTimeout", "Request failed")}


class Fault(
    msgspec.Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True, frozen=True
):
    """Holds a fault and the requests that it is for; the latency is in seconds."""

    status: Annotated[int, msgspec.Meta(ge=200, le=599)] | None = None
    body: Any = msgspec.UNSET
    retry_after: Annotated[str, msgspec.Meta(pattern="^[!-~]([ -~]*[!-~])?$")] | int | None = None
    latency: Annotated[float, msgspec.Meta(ge=0)] = 0
    drop: Literal["before", "after"] | None = None
    next: Annotated[int, msgspec.Meta(ge=1)] | None = None
    share: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    target: Target = "ingestion"
    region: str | None = None
    resource_id: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what contradicts itself; the message names the members."""
        with_answer = self.body is not msgspec.UNSET or self.retry_after is not None
        for broken, message in (
            (not self.decides and not self.latency, "one of status, drop and latency is required"),
            (self.status and self.drop, "status and drop exclude each other"),
            (with_answer and not self.status, "body and retryAfter need a status"),
            (self.next and self.share is not None, "next and share exclude each other"),
            (
                self.region is not None and self.target in {"identity", "arm"},
                f"region does not apply to the target {self.target}",
            ),
            (
                self.resource_id is not None and self.target in {"identity", "batch"},
                f"resourceId does not apply to the target {self.target}",
            ),
        ):
            if broken:
                raise ValueError(message)

    @property
    def decides(self) -> bool:
        """Return whether it decides the answer, rather than only delaying it."""
        return self.status is not None or self.drop is not None

    def applies_to(self, target: Target, region: str, resource_id: str) -> bool:
        """Return whether it is for such a request: in its region, at or below its resource ID."""
        return (
            self.target == target
            and (self.region is None or self.region.lower() == region.lower())
            and (self.resource_id is None or in_scope(resource_id, self.resource_id))
        )

    def response(self) -> Response:
        """Return the answer of a fault with a status."""
        status = self.status or 500
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        body = _SEEN_BODIES.get(status) if self.body is msgspec.UNSET else self.body
        if body is None or status in _NO_BODY:
            return Response(status_code=status, headers=headers)
        if isinstance(body, str):
            return Response(body, status, headers, media_type="text/plain")
        return json(body, status, headers)


class _Pending:
    """Counts the requests that a fault has affected, and those still to affect (None: all)."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.left = fault.next
        self.hits = 0
        self._random = random.Random(fault.seed)  # noqa: S311 - chance, not secrets.

    def draw(self) -> bool:
        """Draw whether it affects the next request, and count it if so."""
        if self.fault.share is not None and self._random.random() >= self.fault.share:
            return False
        self.hits += 1
        if self.left is not None:
            self.left -= 1
        return True


class Faults:
    """Keeps the pending faults in the order in which they were posted."""

    def __init__(self) -> None:
        self._pending: list[_Pending] = []

    def add(self, fault: Fault) -> None:
        """Add a fault."""
        if len(self._pending) >= MAX_FAULTS:
            raise bad_input(f"{MAX_FAULTS} faults are waiting; delete them first")
        self._pending.append(_Pending(fault))

    def clear(self) -> None:
        """Delete all faults."""
        self._pending.clear()

    def report(self) -> list[dict[str, Any]]:
        """Return the pending faults as posted, with what is left of `next`, and the hits."""
        return [
            msgspec.to_builtins(each.fault)
            | ({} if each.left is None else {"next": each.left})
            | {"hits": each.hits}
            for each in self._pending
        ]

    def draw(
        self, target: Target, region: str = "", resource_id: str = ""
    ) -> tuple[float, Fault | None]:
        """Return the latency of this request in seconds, and the fault that decides its answer."""
        latency = 0.0
        decisive: Fault | None = None
        for pending in self._pending:
            fault = pending.fault
            if not fault.applies_to(target, region, resource_id):
                continue
            if (decisive is not None and fault.decides) or not pending.draw():
                continue
            latency += fault.latency
            if fault.decides:
                decisive = fault
        self._pending = [pending for pending in self._pending if pending.left != 0]
        return latency, decisive


async def respond(fault: Fault | None, latency: float, handle: Callable[[], Response]) -> Response:
    """Return the answer of handle, or what a fault makes of it, after the latency in seconds."""
    if latency:
        await asyncio.sleep(latency)
    if fault is None:
        return handle()
    if fault.drop is None:
        return fault.response()
    if fault.drop == "after":
        handle()
    return NoAnswer()
