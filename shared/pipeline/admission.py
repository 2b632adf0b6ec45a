"""What points go through on their way to the relay: the fence, their region, the guard."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from shared.batch import Batch
from shared.errors import RegionError
from shared.model import Lane, Reason, Status, Verdict
from shared.pipeline.detours import Detours
from shared.pipeline.fence import Fence
from shared.pipeline.regions import Regions
from shared.pipeline.series_limiter import Guard
from shared.publisher.batcher import Submit

__all__ = ["Intake"]

LOG = logging.getLogger(__name__)

# Resources of which it is remembered what held up their points.
_MOST_REMEMBERED = 10_000


class Intake:
    """Submits points; shared by all invocations on one event loop."""

    def __init__(
        self,
        relay: Submit,
        *,
        fence: Fence,
        regions: Regions,
        detours: Detours,
        guard: Guard | None,
    ) -> None:
        """Without a guard every series passes. `detours` are what deliveries learn."""
        self._relay = relay
        self._fence = fence
        self._regions = regions
        self._detours = detours
        self._guard = guard
        self._obstacles: dict[str, str] = {}

    async def submit(self, batches: Sequence[Batch]) -> list[Verdict]:
        """Wait until every point is judged.

        A resource outside the fence is rejected before anything is asked about it. Points whose
        region is not known are deferred; those of a series that is one too many are rejected.
        """
        verdicts: list[Verdict] = []
        inside: list[Batch] = []
        for batch in batches:
            resource_id = batch.lane.resource_id
            if self._fence.allows(resource_id):
                inside.append(batch)
            else:
                why = f"{resource_id} is outside METRICS_ALLOWED_SCOPES"
                verdicts.append(Verdict(Status.REJECTED, batch, why, Reason.FORBIDDEN_SCOPE))
        admitted: list[Batch] = []
        for batch in await self._located(inside, verdicts):
            if self._guard is None:
                admitted.append(batch)
                continue
            passed, refused = self._guard.admit(batch)
            if passed:
                admitted.append(passed)
            if refused:
                why = self._guard.why(batch.lane)
                verdicts.append(Verdict(Status.REJECTED, refused, why, Reason.CARDINALITY))
        if admitted:
            verdicts += await self._relay(admitted)
        self._remember(verdicts)
        return verdicts

    def obstacle(self, lane: Lane) -> str | None:
        """What kept the points of a resource from the store, if that is remembered."""
        return self._obstacles.get(lane.resource_id.lower())

    async def _located(self, batches: Sequence[Batch], verdicts: list[Verdict]) -> list[Batch]:
        """Those whose region is known, or found; the others get a verdict."""
        missing = [batch.lane for batch in batches if not batch.lane.region]
        look_ups = (self._regions.find(lane.resource_id) for lane in missing)
        # Mostly none is missing.
        answers = await asyncio.gather(*look_ups, return_exceptions=True) if missing else []
        regions = dict(zip(missing, answers, strict=True))
        found: list[Batch] = []
        for batch in batches:
            lane = batch.lane
            region = regions.get(lane, lane.region)
            if isinstance(region, BaseException):
                if not isinstance(region, RegionError):
                    LOG.error("A look-up broke: %s", lane.resource_id, exc_info=region)
                why = str(region) or repr(region)
                verdicts.append(Verdict(Status.DEFERRED, batch, why))
                continue
            # A series is counted where it is stored, whatever region a producer names.
            found.append(batch.moved(self._detours.route(Lane(region, lane.resource_id))))
        return found

    def _remember(self, verdicts: Sequence[Verdict]) -> None:
        """Note what holds up the points of a resource; what was rejected says nothing of it."""
        for verdict in verdicts:
            if verdict.status is Status.PUBLISHED:
                self._obstacles.pop(_resource_of(verdict), None)
        # After what was published: of one resource there may be both.
        for verdict in verdicts:
            if verdict.status is Status.DEFERRED:
                self._obstacles.pop(_resource_of(verdict), None)  # The newest is the last.
                self._obstacles[_resource_of(verdict)] = verdict.detail
        while len(self._obstacles) > _MOST_REMEMBERED:
            del self._obstacles[next(iter(self._obstacles))]


def _resource_of(verdict: Verdict) -> str:
    return verdict.points[0].lane.resource_id.lower()
