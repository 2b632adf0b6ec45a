"""Gate: so many at once, so many a second, whatever the traffic."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sourcing import Standing

from shared.clients.deadline import Deadline
from shared.clients.rate_limiter import Answer, Gate
from shared.errors import LateError

PATIENCE = 60
LATER = Deadline(1e9)


class SoonAfter(Deadline):
    """A moment soon after something has happened, however long that takes on a busy machine."""

    def __init__(self, happened: threading.Event) -> None:
        super().__init__(PATIENCE)
        self._happened = happened

    def left(self) -> float:
        assert self._happened.wait(PATIENCE)
        return 0.3


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
    with gate.turn(LATER):
        return time.granted[-1]


def timed(per_second: float) -> tuple[Gate, Time]:
    time = Time()
    gate = Gate(at_once=1, per_second=per_second, clock=lambda: time.now, sleep=time.sleep)
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
    pauses: list[float] = []
    gate = Gate(at_once=8, per_second=10.0, clock=lambda: 1000.0, sleep=pauses.append)

    def ask_for(_: int) -> Iterator[None]:
        with gate.turn(LATER):
            yield

    list(gate.each(ask_for, range(50), LATER, "numbers"))
    assert [round(pause, 6) for pause in sorted(pauses)] == [n / 10 for n in range(1, 51)]


# --- Deadlines ------------------------------------------------------------------------------------


def test_a_turn_that_comes_too_late_is_not_waited_for_nor_taken() -> None:
    gate, time = timed(10.0)

    def within(seconds: float) -> None:
        time.granted.append(time.now)
        with gate.turn(Deadline(seconds, clock=lambda: time.now)):
            pass

    within(0.1)
    with pytest.raises(LateError, match=r"^at most 1 requests at once and 10 a second$"):
        within(0.19)
    within(0.21)
    assert [round(moment - time.now, 6) for moment in time.granted] == [0.1, 0.0, 0.2]
    time.now += 60
    with pytest.raises(LateError):  # However idle it was.
        within(0.0)


def test_a_gate_that_is_full_is_waited_for_until_the_deadline() -> None:
    gate = Gate(at_once=1, per_second=1e6)
    with gate.turn(LATER):
        with pytest.raises(LateError, match=r"^at most 1 requests at once"), gate.turn(Deadline(0)):
            pass
        with pytest.raises(LateError), gate.turn(Deadline(0.05)):
            pass
    with gate.turn(Deadline(PATIENCE)):
        pass


def test_a_turn_ends_with_an_error_too() -> None:
    gate = Gate(at_once=1, per_second=1e6)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), gate.turn(Deadline(PATIENCE)):
            raise ZeroDivisionError


def test_a_closed_gate_says_why_and_opens_again() -> None:
    clock = Standing()
    gate = Gate(at_once=8, per_second=10.0, clock=clock, sleep=clock.sleep)
    clock.now = 2000.0
    gate.close(20.0, "429")
    gate.close(5.0, "503")  # Which ends earlier.

    def within(seconds: float) -> float:
        with gate.turn(Deadline(seconds, clock=clock)):
            return round(clock.now - 2000.0, 6)

    with pytest.raises(LateError, match=r"^429$"):
        within(19.9)
    assert clock.now == 2000.0
    # Once it opens the rate is kept: what waited does not come at once.
    assert [within(30.0) for _ in range(3)] == [20.0, 20.1, 20.2]


def test_a_gate_that_closes_while_somebody_waits_lets_nobody_through() -> None:
    clock = Standing()
    sleeps: list[float] = []

    def sleep(seconds: float) -> None:
        sleeps.append(round(seconds, 6))
        clock.sleep(seconds)
        if len(sleeps) == 1:
            gate.close(3.0, "429")

    gate = Gate(at_once=8, per_second=10.0, clock=clock, sleep=sleep)
    with gate.turn(Deadline(60, clock=clock)):
        assert sleeps == [0.1, 3.0]


def test_each_gives_what_was_there_in_time() -> None:
    gate = Gate(at_once=2, per_second=1e6)
    ends, last = threading.Event(), threading.Event()

    def work(number: int) -> Iterator[str]:
        yield f"{number}a"
        if number == 1:
            ends.wait(PATIENCE)
        elif number == 3:
            raise LateError("too late")
        yield f"{number}b"
        if number == 5:
            last.set()

    results = gate.each(work, range(6), SoonAfter(last), "numbers")
    assert list(itertools.islice(results, 6)) == [
        Answer(number, [f"{number}a"], False)
        if number in (1, 3)
        else Answer(number, [f"{number}a", f"{number}b"], True)
        for number in range(6)
    ]
    with pytest.raises(LateError, match=r"^2 of 6 numbers not read in time: too late$"):
        next(results)
    ends.set()


def test_each_begins_nothing_after_the_deadline() -> None:
    gate = Gate(at_once=1, per_second=1e6)
    begun: list[int] = []
    ends, first = threading.Event(), threading.Event()

    def work(number: int) -> list[int]:
        begun.append(number)
        first.set()
        ends.wait(PATIENCE)
        return []

    results = gate.each(work, range(5), SoonAfter(first), "numbers")
    assert list(itertools.islice(results, 5)) == [Answer(n, [], False) for n in range(5)]
    with pytest.raises(LateError, match=r"^5 of 5 numbers not read in time: no answer yet$"):
        next(results)
    ends.set()
    assert begun == [0]


# --- Many at once ---------------------------------------------------------------------------------


class Crowd:
    """Work of which so many are needed at once to go on, and that is counted."""

    def __init__(self, needed: int) -> None:
        self._needed = needed
        self._lock, self._enough = threading.Lock(), threading.Event()
        self._running = 0
        self.most = 0

    def work(self, _: int) -> list[None]:
        with self._lock:
            self._running += 1
            self.most = max(self.most, self._running)
            if self._running == self._needed:
                self._enough.set()
        self._enough.wait(PATIENCE)
        with self._lock:
            self._running -= 1
        return []


def test_so_many_at_once_and_no_more() -> None:
    crowd = Crowd(4)
    list(Gate(at_once=4, per_second=1e6).each(crowd.work, range(40), LATER, "numbers"))
    assert crowd.most == 4


def test_callers_share_the_turns() -> None:
    gate, crowd = Gate(at_once=3, per_second=1e6), Crowd(3)

    def work(number: int) -> list[None]:
        with gate.turn(LATER):
            return crowd.work(number)

    def call() -> None:
        list(gate.each(work, range(20), LATER, "numbers"))

    callers = [threading.Thread(target=call) for _ in range(5)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert crowd.most == 3


def test_one_caller_that_hangs_holds_up_no_other() -> None:
    gate = Gate(at_once=1, per_second=1e6)
    ends = threading.Event()

    def hang(_: int) -> list[None]:
        ends.wait(PATIENCE)
        return []

    caller = threading.Thread(target=lambda: list(gate.each(hang, [0], LATER, "numbers")))
    caller.start()
    assert list(gate.each(str, [1], LATER, "numbers")) == [Answer(1, ["1"], True)]
    ends.set()
    caller.join()


def test_results_are_in_the_order_of_the_items() -> None:
    gate = Gate(at_once=4, per_second=1e6)
    first = threading.Event()

    def work(number: int) -> list[int]:
        if number == 0:
            first.wait(PATIENCE)  # Is done last.
        elif number == 3:
            first.set()
        return [number * 2]

    answers = gate.each(work, range(10), LATER, "n")
    assert list(answers) == [Answer(number, [number * 2], True) for number in range(10)]
    assert list(gate.each(work, [], LATER, "n")) == []


def test_an_error_is_passed_on_after_what_the_others_gave() -> None:
    gate = Gate(at_once=2, per_second=1e6)

    def work(number: int) -> list[float]:
        return [1 / number]

    answers = gate.each(work, [1, 0, 2], LATER, "numbers")
    assert [next(answers).results for _ in range(3)] == [[1.0], [], [0.5]]
    with pytest.raises(ZeroDivisionError):
        next(answers)
    assert [one.results for one in gate.each(work, [1, 2], LATER, "numbers")] == [[1.0], [0.5]]
