from __future__ import annotations

from shared.clients.deadline import Deadline
from tests.unit.stubs import ManualClock


def test_seconds_that_are_left_are_never_negative() -> None:
    clock = ManualClock()
    deadline = Deadline(5.0, clock)
    assert deadline.left() == 5.0
    clock.sleep(4.0)
    assert deadline.left() == 1.0
    clock.sleep(4.0)
    assert deadline.left() == 0.0
