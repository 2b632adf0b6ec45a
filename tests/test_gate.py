"""Gate: so many at once, so many a second, whatever the traffic."""

from __future__ import annotations

import itertools
import threading
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.gate import Gate

PATIENCE = 10


class Time:
    """A clock that stands still; a sleep is written down and returns at once."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.granted: list[float] = []

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.granted[-1] += seconds


def ask(gate: Gate, time: Time) -> float:
    """Ask now; when the request may go."""
    time.granted.append(time.now)
    gate.wait()
    return time.granted[-1]


def timed(per_second: float) -> tuple[Gate, Time]:
    time = Time()
    gate = Gate("t", at_once=1, per_second=per_second, clock=lambda: time.now, sleep=time.sleep)
    return gate, time


RATES = st.sampled_from([0.1, 1.0, 7.0, 10.0, 1000.0])
# Between two requests; many come at the same moment.
GAPS = st.lists(st.one_of(st.just(0.0), st.floats(0, 3), st.floats(0, 0.05)), max_size=200)


@given(RATES, GAPS)
def test_the_rate_is_kept_over_any_time(per_second: float, gaps: list[float]) -> None:
    gate, time = timed(per_second)
    granted = []
    for gap in gaps:
        time.now += gap
        granted.append(ask(gate, time))
    assert all(earlier <= later for earlier, later in pairwise(granted))
    burst = max(per_second, 1.0)
    for (i, first), (j, last) in itertools.combinations(enumerate(granted), 2):
        assert j - i + 1 <= burst + per_second * (last - first) + 1e-6 * (j + 1)


@given(RATES, GAPS)
def test_nobody_waits_longer_than_the_rate_asks(per_second: float, gaps: list[float]) -> None:
    gate, time = timed(per_second)
    for number, gap in enumerate(gaps, 1):
        time.now += gap
        assert ask(gate, time) - time.now <= number / per_second + 1e-6


def test_after_a_pause_a_second_of_requests_goes_at_once() -> None:
    gate, time = timed(10.0)
    time.now += 60
    assert [round(ask(gate, time) - time.now, 6) for _ in range(12)] == [0.0] * 10 + [0.1, 0.2]


def test_at_the_start_the_rate_is_kept_from_the_first_request_on() -> None:
    gate, time = timed(10.0)
    assert [round(ask(gate, time) - time.now, 6) for _ in range(3)] == [0.1, 0.2, 0.3]


def test_threads_share_the_rate() -> None:
    time = Time()
    pauses: list[float] = []
    gate = Gate("t", at_once=8, per_second=10.0, clock=lambda: time.now, sleep=pauses.append)
    gate.each(lambda _: gate.wait(), range(50))
    assert [round(pause, 6) for pause in sorted(pauses)] == [n / 10 for n in range(1, 51)]


def test_so_many_at_once_and_no_more() -> None:
    gate = Gate("t", at_once=4, per_second=1e6)
    lock, barrier = threading.Lock(), threading.Barrier(4)
    running, most = 0, 0

    def work(_: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        barrier.wait(PATIENCE)  # All four are needed to go on.
        with lock:
            running -= 1
        barrier.wait(PATIENCE)

    gate.each(work, range(40))
    assert most == 4


def test_callers_share_the_threads() -> None:
    gate = Gate("t", at_once=3, per_second=1e6)
    lock, enough = threading.Lock(), threading.Event()
    running, most = 0, 0

    def work(_: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            if running == 3:
                enough.set()
        enough.wait(PATIENCE)
        with lock:
            running -= 1

    callers = [threading.Thread(target=gate.each, args=(work, range(20))) for _ in range(5)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert most == 3


def test_results_are_in_the_order_of_the_items() -> None:
    gate = Gate("t", at_once=4, per_second=1e6)
    first = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            first.wait(PATIENCE)  # Is done last.
        elif number == 3:
            first.set()
        return number * 2

    assert gate.each(work, range(10)) == [number * 2 for number in range(10)]
    assert gate.each(work, []) == []


def test_an_error_is_passed_on_and_the_gate_stays_open() -> None:
    gate = Gate("t", at_once=2, per_second=1e6)

    def work(number: int) -> float:
        return 1 / number

    with pytest.raises(ZeroDivisionError):
        gate.each(work, [1, 0, 2])
    assert gate.each(work, [1, 2]) == [1.0, 0.5]


def test_another_gate_is_not_held_up() -> None:
    held, free = (Gate(name, at_once=1, per_second=1e6) for name in ("held", "free"))
    release = threading.Event()
    caller = threading.Thread(target=held.each, args=(lambda _: release.wait(PATIENCE), [0]))
    caller.start()
    assert free.each(str, [1]) == ["1"]
    release.set()
    caller.join()
