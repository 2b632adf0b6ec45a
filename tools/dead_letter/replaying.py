"""Putting points back into the ingress queue, and only then letters away.

For each message that goes back, letters by letters:

    1. mark    the letters say that they are being replayed; who cannot mark one does not hold it
    2. put     the message into the ingress queue, tried once
    3. settle  the letters are deleted, or written again with what stays, without the mark

Cut short before 1, nothing has happened. Cut short after it, whatever may have been put back
stands in a marked letter, which no replay touches unless it is told to: nothing is lost, and
nothing counts twice without an operator who decided it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from shared.clients.storage import NO_EXPIRY, message_text
from shared.messages.writer import MAX_MESSAGE_BYTES
from tools.dead_letter.holding import Holder, QueueError, queue_errors
from tools.dead_letter.judging import Plan
from tools.doubt import refuses, unconnected
from tools.pieces import Bundle
from tools.wording import things

if TYPE_CHECKING:
    from azure.core.exceptions import AzureError
    from azure.storage.queue import QueueClient

__all__ = ["Replay", "Totals", "bodies_of", "refused"]

# Tries of a put that storage was too busy for, and seconds before the second one.
_TRIES = 4
_FIRST_PAUSE = 1.0


class Totals:
    """What a replay did, or would do."""

    def __init__(self) -> None:
        self.points = 0
        self.letters = 0
        self.messages = 0
        self.restamped = 0
        self.chosen = 0  # Entries that the filters let pass.
        self.in_doubt = 0  # Entries that are left alone.
        self.taken = 0  # Letters that another took meanwhile.
        self.missed = 0  # Letters that were there and could not be seen.
        self.marked = 0  # Letters that another took once their points were put back.
        self.stay: Counter[str] = Counter()  # Why -> points.

    def count(self, plan: Plan) -> None:
        """Add what is put back of a letter."""
        self.points += len(plan.pieces)
        self.letters += bool(plan.pieces)
        self.restamped += plan.restamped


class Replay:
    """Gathers letters until their points fill a message, then puts it back."""

    def __init__(
        self,
        holder: Holder,
        ingress: QueueClient,
        totals: Totals,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`ingress` must not try again by itself: it could put a message twice unseen."""
        self._holder = holder
        self._ingress = ingress
        self._clock = clock
        self._sleep = sleep
        self._plans: list[Plan] = []
        self._bundle = Bundle()
        self._totals = totals

    def add(self, plan: Plan) -> None:
        """Take a letter on; it is settled by a later `add`, or by `flush`."""
        self._totals.stay += plan.stay
        if not plan.pieces:
            return
        if self._plans and self._bundle.size + self._bundle.cost(plan.pieces) > MAX_MESSAGE_BYTES:
            self.flush()
        self._plans.append(plan)
        for piece in plan.pieces:
            self._bundle.add(piece)

    def flush(self) -> None:
        """Put back what was gathered. Raises QueueError."""
        plans, self._plans, self._bundle = self._plans, [], Bundle()
        plans = self._marked(plans)
        for index, body in enumerate(bodies_of(plans)):
            self._put(body, plans, first=not index)
            self._totals.messages += 1
        for plan in plans:
            self._totals.count(plan)
        self._settle(plans)

    def _marked(self, plans: Sequence[Plan]) -> list[Plan]:
        """Mark the letters; those that could be, for another may have taken one meanwhile."""
        now = self._clock()
        done = self._holder.rewrite([(plan.found.held.id, plan.marked(now)) for plan in plans])
        self._totals.taken += done.count(False)
        return [plan for plan, is_ours in zip(plans, done, strict=True) if is_ours]

    def _put(self, body: bytes, plans: Sequence[Plan], *, first: bool) -> None:
        from azure.core.exceptions import AzureError

        points = sum(len(plan.pieces) for plan in plans)
        about = f"{things(points, 'point')} of {things(len(plans), 'letter')}"
        pause = _FIRST_PAUSE
        for left in reversed(range(_TRIES)):
            try:
                self._ingress.send_message(message_text(body), time_to_live=NO_EXPIRY)
            except AzureError as exc:
                if not (first and refused(exc)):
                    with queue_errors(
                        f"{about} may be in {self._ingress.queue_name} or not; they stay, marked: "
                        "see --in-doubt"
                    ):
                        raise
                if not (left and _busy(exc)):
                    held = [plan.found.held for plan in plans]
                    self._holder.rewrite([(one.id, one.text) for one in held])
                    with queue_errors(f"{about} were not put into {self._ingress.queue_name}"):
                        raise
                self._sleep(pause)
                pause *= 2
            else:
                return

    def _settle(self, plans: Sequence[Plan]) -> None:
        kept = [(plan.found.held.id, plan.settled()) for plan in plans if plan.left]
        gone = [plan.found.held.id for plan in plans if not plan.left]
        try:
            done = [*self._holder.rewrite(kept), *self._holder.drop(gone)]
        except QueueError as exc:
            raise QueueError(
                f"{exc}; letters whose points were put back may be left, marked: see --in-doubt"
            ) from exc
        self._totals.marked += done.count(False)


def bodies_of(plans: Sequence[Plan]) -> Iterator[bytes]:
    """The messages that hold the points of these letters: one, unless one letter is too much."""
    bundle = Bundle()
    for plan in plans:
        for piece in plan.pieces:
            if bundle.count and bundle.size + bundle.cost([piece]) > MAX_MESSAGE_BYTES:
                yield bundle.write()
                bundle = Bundle()
            bundle.add(piece)
    if bundle.count:
        yield bundle.write()


def refused(exc: AzureError) -> bool:
    """Whether the message that was put is surely not in the queue."""
    from azure.core.exceptions import HttpResponseError

    if isinstance(exc, HttpResponseError) and exc.status_code is not None:
        return refuses(exc.status_code) or _busy(exc)
    return unconnected(exc)


def _busy(exc: Exception) -> bool:
    return getattr(exc, "status_code", None) in (429, 503)
