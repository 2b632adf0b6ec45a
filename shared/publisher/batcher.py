"""Group commit: many invocations submit points, few POSTs carry them.

One lane for each region and resource. While a lane's delivery is under way, newcomers gather;
when it is answered they go out together. No timer: an idle lane sends at once, a busy one in
batches that grow with the load.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import chain

import msgspec

from shared.batch import Batch
from shared.errors import RelayError
from shared.model import Judged, Lane, Status, Verdict

__all__ = ["Deliver", "Relay", "Submit"]

LOG = logging.getLogger(__name__)

Deliver = Callable[[Batch], Awaitable[list[Judged]]]
"""Sends points and judges them: every position comes back exactly once."""

Submit = Callable[[Sequence[Batch]], Awaitable[list[Verdict]]]
"""The same for points of any lanes: every point comes back in exactly one verdict."""

# Points. Most messages in work hold far less; 288 full of the shortest points would hold more.
_MOST_HELD = 250_000
# Points that go out in one delivery; the next one takes the rest.
_MOST_AT_ONCE = 50_000


class _Parcel(msgspec.Struct, eq=False):
    """The points of one submission for one lane, and who waits for them."""

    points: Batch
    answered: asyncio.Future[list[Verdict]]


class _Room:
    """A bounded number of points; who comes when it is full waits for its turn."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def enter(self, points: int) -> None:
        """Wait until the points fit, after whoever came before; more than fit come in alone."""
        if not self._queue and self._fits(points):
            self._held += points
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((points, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave(points)  # Its turn had just come.
            raise

    def leave(self, points: int) -> None:
        """Make room for the next ones."""
        self._held -= points
        while self._queue:
            wanted, turn = self._queue[0]
            if not turn.cancelled():
                if not self._fits(wanted):
                    return
                self._held += wanted
                turn.set_result(None)
            self._queue.popleft()

    def _fits(self, points: int) -> bool:
        return self._held == 0 or self._held + points <= self._most


class Relay:
    """Shared by all invocations on one event loop."""

    def __init__(
        self, deliver: Deliver, *, most_held: int = _MOST_HELD, most_at_once: int = _MOST_AT_ONCE
    ) -> None:
        self._deliver = deliver
        self._room = _Room(most_held)
        self._most_at_once = most_at_once
        self._waiting: dict[tuple[str, str], deque[_Parcel]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def submit(self, batches: Sequence[Batch]) -> list[Verdict]:
        """Wait until every point is judged, and return the verdicts on these points.

        Waits for room first when too many points are held. Points whose delivery breaks are
        deferred. Raises only CancelledError, when the caller is cancelled, which stops neither
        the delivery nor anybody else who waits for it.
        """
        parcels = []
        for batch in batches:
            await self._room.enter(len(batch))
            parcels.append(self._enqueue(batch))
        verdicts: list[Verdict] = []
        for parcel in parcels:
            verdicts += await parcel.answered
        return verdicts

    def _enqueue(self, batch: Batch) -> _Parcel:
        lane = batch.lane
        parcel = _Parcel(batch, asyncio.get_running_loop().create_future())
        if lane.key in self._waiting:
            self._waiting[lane.key].append(parcel)
        else:
            self._waiting[lane.key] = deque([parcel])
            # The loop holds its tasks weakly: one that nobody else holds may vanish.
            task = asyncio.create_task(self._run(lane))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return parcel

    async def _run(self, lane: Lane) -> None:
        """Deliver what waits in the lane until nothing does."""
        waiting = self._waiting[lane.key]
        parcels: list[_Parcel] = []
        try:
            while waiting:
                parcels = self._take(waiting)
                await self._carry(parcels)
        except BaseException:
            # The loop is being stopped. A CancelledError must not reach an invocation: the
            # Functions worker would never answer it.
            _defer((*parcels, *waiting), "the delivery was cancelled")
            self._room.leave(sum(len(parcel.points) for parcel in waiting))
            raise
        finally:
            del self._waiting[lane.key]

    def _take(self, waiting: deque[_Parcel]) -> list[_Parcel]:
        """The oldest parcels, as many as may go out at once, at least one."""
        parcels = [waiting.popleft()]
        size = len(parcels[0].points)
        while waiting and size + len(waiting[0].points) <= self._most_at_once:
            parcels.append(waiting.popleft())
            size += len(parcels[-1].points)
        return parcels

    async def _carry(self, parcels: Sequence[_Parcel]) -> None:
        whole = Batch.joined([parcel.points for parcel in parcels])
        try:
            _answer(parcels, await self._deliver(whole))
        except Exception as exc:
            LOG.exception("A delivery to %s %s broke", whole.lane.region, whole.lane.resource_id)
            _defer(parcels, repr(exc))
        finally:
            self._room.leave(len(whole))


def _answer(parcels: Sequence[_Parcel], judged: Sequence[Judged]) -> None:
    """Give each parcel the verdicts on its own points."""
    total = sum(len(parcel.points) for parcel in parcels)
    if not _each_once(judged, total):
        raise RelayError("a delivery did not judge once each point that it was given")
    if len({(one.status, one.detail, one.reason) for one in judged}) == 1:
        # As nearly always: nobody has to look for their points among those of all.
        for parcel in parcels:
            _resolve(parcel, [judged[0].on(parcel.points)])
        return
    whose = {position: one for one in judged for position in one.positions}
    start = 0
    for parcel in parcels:
        shares: dict[int, tuple[Judged, list[int]]] = {}
        for position in range(len(parcel.points)):
            one = whose[start + position]
            shares.setdefault(id(one), (one, []))[1].append(position)
        start += len(parcel.points)
        _resolve(parcel, [one.on(parcel.points.pick(own)) for one, own in shares.values()])


def _each_once(judged: Sequence[Judged], total: int) -> bool:
    """Whether each position is judged, and none twice."""
    if [one.positions for one in judged] == [range(total)]:
        return True  # As nearly always, without a look at each.
    positions = list(chain.from_iterable(one.positions for one in judged))
    return len(positions) == total and set(positions) == set(range(total))


def _resolve(parcel: _Parcel, verdicts: list[Verdict]) -> None:
    if not parcel.answered.done():  # Its invocation may have been cancelled.
        parcel.answered.set_result(verdicts)


def _defer(parcels: Iterable[_Parcel], why: str) -> None:
    for parcel in parcels:
        _resolve(parcel, [Verdict(Status.DEFERRED, parcel.points, why)])
