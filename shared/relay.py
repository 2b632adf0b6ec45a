"""Group commit: many invocations submit points, few POSTs carry them.

One lane for each region and resource. While a lane's delivery is under way, newcomers gather;
when it is answered they go out together. No timer: an idle lane sends at once, a busy one in
batches that grow with the load.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

import msgspec

from shared.errors import RelayError
from shared.model import Lane, Point, Status, Verdict

__all__ = ["Deliver", "Relay"]

Deliver = Callable[[Lane, Sequence[Point]], Awaitable[list[Verdict]]]
"""Sends points and judges them: every point comes back in exactly one verdict."""


class _Parcel(msgspec.Struct, eq=False):
    """The points of one submission for one lane, and who waits for them."""

    points: Sequence[Point]
    answered: asyncio.Future[list[Verdict]]


class Relay:
    """Shared by all invocations on one event loop."""

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._waiting: dict[tuple[str, str], list[_Parcel]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def submit(self, points: Sequence[Point]) -> list[Verdict]:
        """Wait until every point is judged, and return the verdicts on these points.

        Raises what the delivery raised, once all lanes have answered; when only some of them
        raised, the points there are deferred, so that what the others published is not sent
        again with them. Raises CancelledError when the caller is cancelled, which stops neither
        the delivery nor anybody else who waits for it.
        """
        parcels = [self._enqueue(lane, part) for lane, part in _by_lane(points)]
        answers = await asyncio.gather(
            *(parcel.answered for parcel in parcels), return_exceptions=True
        )
        failures = [answer for answer in answers if isinstance(answer, BaseException)]
        if failures and len(failures) == len(parcels):
            raise failures[0]
        verdicts: list[Verdict] = []
        for parcel, answer in zip(parcels, answers, strict=True):
            if isinstance(answer, BaseException):
                verdicts.append(Verdict(Status.DEFERRED, parcel.points, repr(answer)))
            else:
                verdicts.extend(answer)
        return verdicts

    def _enqueue(self, lane: Lane, points: Sequence[Point]) -> _Parcel:
        parcel = _Parcel(points, asyncio.get_running_loop().create_future())
        key = lane.key
        if key in self._waiting:
            self._waiting[key].append(parcel)
        else:
            self._waiting[key] = [parcel]
            # The loop holds its tasks weakly: one that nobody else holds may vanish.
            task = asyncio.create_task(self._run(key, lane))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return parcel

    async def _run(self, key: tuple[str, str], lane: Lane) -> None:
        """Deliver what waits in the lane until nothing does."""
        parcels: list[_Parcel] = []
        try:
            while parcels := self._waiting[key]:
                self._waiting[key] = []
                points = [point for parcel in parcels for point in parcel.points]
                try:
                    _answer(parcels, await self._deliver(lane, points))
                except Exception as exc:  # noqa: BLE001 (whoever waits decides what it means)
                    for parcel in parcels:
                        _fail(parcel, exc)
        finally:
            # Only when the delivery was cancelled does anybody wait now. Whoever waits for an
            # answer that never comes hangs for ever.
            for parcel in (*parcels, *self._waiting.pop(key)):
                _fail(parcel, RelayError("the delivery was cancelled"))


def _by_lane(points: Iterable[Point]) -> list[tuple[Lane, list[Point]]]:
    lanes: dict[tuple[str, str], tuple[Lane, list[Point]]] = {}
    for point in points:
        lanes.setdefault(point.lane.key, (point.lane, []))[1].append(point)
    return list(lanes.values())


def _answer(parcels: Sequence[_Parcel], verdicts: Sequence[Verdict]) -> None:
    """Give each parcel the verdicts on its own points."""
    if len(verdicts) == 1:
        for parcel in parcels:
            _resolve(parcel, [msgspec.structs.replace(verdicts[0], points=parcel.points)])
        return
    # Points are told apart by identity: two submissions may hold equal ones.
    judged = {id(point): verdict for verdict in verdicts for point in verdict.points}
    for parcel in parcels:
        shares: dict[int, tuple[Verdict, list[Point]]] = {}
        for point in parcel.points:
            verdict = judged[id(point)]
            shares.setdefault(id(verdict), (verdict, []))[1].append(point)
        _resolve(parcel, [msgspec.structs.replace(v, points=p) for v, p in shares.values()])


def _resolve(parcel: _Parcel, verdicts: list[Verdict]) -> None:
    if not parcel.answered.done():  # Its invocation may have been cancelled.
        parcel.answered.set_result(verdicts)


def _fail(parcel: _Parcel, exc: Exception) -> None:
    if not parcel.answered.done():
        parcel.answered.set_exception(exc)
