"""Traffic that goes on: what `make demo KEEP=1` lets the metrics explorer show."""

from __future__ import annotations

import json
import math
import random
from datetime import UTC, datetime, timedelta
from itertools import islice

from azure.storage.queue import QueueClient

from local import demo_data
from local.stack import INGRESS, Backend

__all__ = ["LIVE", "Traffic"]

COUNTRIES = {"NL": 12.0, "BE": 7.0, "DE": 18.0, "FR": 10.0}  # Orders at a time, on average.
WAVE = 8 * 60  # Seconds from rush to rush.
MOST_WAITING = 40
PAST_MINUTES = 15  # Less than the 20 for which values are taken.
# What the page is to show of it.
LIVE = {
    "resource": demo_data.API,
    "namespace": "Shop",
    "metric": "LiveOrders",
    "split": "Country",
    "minutes": "15",
}
FAULT_EACH = 30  # Of so many turns one meets a busy Azure Monitor: the relay tries again.


class Traffic:
    """A shop that sells, and a queue of work that grows and shrinks; one turn each few seconds."""

    def __init__(self, backend: Backend, chance: random.Random) -> None:
        self._backend = backend
        self._chance = chance
        self._ingress = backend.storage.get_queue_client(INGRESS)
        self._work = backend.storage.get_queue_client(next(iter(demo_data.BACKLOG)))
        self._turns = 0
        now = datetime.now(UTC)
        for minute in range(1, PAST_MINUTES):  # So that the page does not begin with a dot.
            self._ingress.send_message(self._orders(now - timedelta(minutes=minute)))

    def turn(self) -> None:
        """Enqueue orders as of now, and some work or none; sometimes order a fault."""
        moment = datetime.now(UTC)
        self._ingress.send_message(self._orders(moment))
        _let_wait(self._work, round(MOST_WAITING * _wave(moment, 0.5)))
        self._turns += 1
        if self._turns % FAULT_EACH == 0:
            fault = {"status": 429, "retryAfter": 1, "next": 1}
            self._backend.control("POST", "faults", json=fault)

    def _orders(self, moment: datetime) -> str:
        points = [
            {
                "metric": "LiveOrders",
                "value": max(0, round(mean * _wave(moment, place / 4) + self._chance.gauss(0, 1))),
                "time": moment.isoformat(),
                "dimensions": {"Country": country},
            }
            for place, (country, mean) in enumerate(COUNTRIES.items())
        ]
        address = {"resourceId": demo_data.API, "region": "northeurope", "namespace": "Shop"}
        return json.dumps({**address, "points": points})


def _wave(moment: datetime, phase: float) -> float:
    """From 0.2 to 1.8 and back."""
    return 1 + 0.8 * math.sin(2 * math.pi * (moment.timestamp() / WAVE + phase))


def _let_wait(queue: QueueClient, wanted: int) -> None:
    """Bring the number of messages that wait in a queue nearer to another, five at a time."""
    missing = wanted - (queue.get_queue_properties().approximate_message_count or 0)
    for number in range(min(missing, 5)):
        queue.send_message(f"work {number}")
    if missing < 0:
        for message in islice(queue.receive_messages(), min(-missing, 5)):
            queue.delete_message(message)
