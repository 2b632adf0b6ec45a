"""What a roll-up passes before it is published: allowed scopes, its region, the series limit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from shared.errors import RegionError
from shared.model import Outcome, Reason, Results, Rollup, Series, Status, Submit, Target
from shared.pipeline.regions import Regions
from shared.pipeline.series_limiter import SeriesLimiter
from shared.resource_ids import is_in_scopes

__all__ = ["Admission"]

LOG = logging.getLogger(__name__)


@dataclass
class Admission:
    """Admits roll-ups; shared by all invocations on one event loop."""

    regions: Regions
    allowed_scopes: tuple[str, ...] = ()  # See `is_in_scopes`.
    series_limiter: SeriesLimiter | None = None

    async def admit(self, rollups: Sequence[Rollup]) -> tuple[list[Rollup], Results]:
        """Return the roll-ups to publish, with their regions, and the outcome of the others.

        A resource outside the allowed scopes is rejected before anything is asked about it. Without
        a region a roll-up is deferred. New series beyond the limit are rejected.
        """
        admitted: list[Rollup] = []
        results: Results = []
        allowed: list[Rollup] = []
        for rollup in rollups:
            if is_in_scopes(rollup.target.resource_id, self.allowed_scopes):
                allowed.append(rollup)
            else:
                detail = f"{rollup.target.resource_id} is outside METRICS_ALLOWED_SCOPES"
                outcome = Outcome(Status.REJECTED, detail, Reason.FORBIDDEN_SCOPE)
                results.append((rollup, outcome))
        resolving = [self._resolve(rollup.target) for rollup in allowed]
        # Look-ups of one message run at the same time; the usual message has one target.
        targets = [await resolving[0]] if len(resolving) == 1 else await asyncio.gather(*resolving)
        for rollup, target in zip(allowed, targets, strict=True):
            if isinstance(target, Outcome):
                results.append((rollup, target))
            else:
                self._limit(Rollup(target, rollup.minutes), admitted, results)
        return admitted, results

    async def publish(self, rollups: Sequence[Rollup], *, submit: Submit) -> Results:
        """Submit what is admitted; return the outcome of everything."""
        admitted, results = await self.admit(rollups)
        return results + (await submit(admitted) if admitted else [])

    async def _resolve(self, target: Target) -> Target | Outcome:
        try:
            return await self.regions.resolve(target)
        except RegionError as exc:
            return Outcome(Status.DEFERRED, str(exc))
        except Exception as exc:
            LOG.exception("Unexpected error while looking up the region of %s", target.resource_id)
            return Outcome(Status.DEFERRED, repr(exc))

    def _limit(self, rollup: Rollup, admitted: list[Rollup], results: Results) -> None:
        """Admit the series of a roll-up up to the limit of its subscription and region."""
        limiter = self.series_limiter
        series: set[Series] = set().union(*rollup.minutes.values())
        excess = limiter.excess(rollup.target, series) if limiter else None
        if not limiter or not excess:
            admitted.append(rollup)
            return
        rejected = Outcome(Status.REJECTED, limiter.describe(rollup.target), Reason.CARDINALITY)
        outcomes = {(minute, one): rejected for minute in rollup.minutes for one in excess}
        for part, outcome in rollup.by_outcome(outcomes):
            if outcome is rejected:
                results.append((part, outcome))
            else:
                admitted.append(part)
