"""Rate limiter: concurrent requests, requests per second, pauses, deadlines, and `map`."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.clients.http import Deadline
from shared.clients.rate_limiter import MAX_PAUSE, ItemResult, RateLimiter
from shared.errors import DeadlineError
from tests.unit.stubs import TIMEOUT, ManualClock

LATER = Deadline(1e9)


class AfterEvent(Deadline):
    """A deadline that passes soon after an event, however slow the machine is."""

    def __init__(self, event: threading.Event) -> None:
        super().__init__(TIMEOUT)
        self._event = event

    def left(self) -> float:
        assert self._event.wait(TIMEOUT)
        return 0.1


class Requests:
    """Requests that do not wait: a sleep is added to the time at which they start."""

    def __init__(self, per_second: float) -> None:
        self.now = 1000.0
        self.starts: list[float] = []
        self._limiter = RateLimiter(
            max_concurrent=1, per_second=per_second, clock=lambda: self.now, sleep=self._sleep
        )

    def _sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.starts[-1] += seconds

    def send(self, seconds: float = 1e9) -> float:
        """Return the seconds until the request starts."""
        self.starts.append(self.now)
        with self._limiter.acquire(Deadline(seconds, lambda: self.now)):
            return round(self.starts[-1] - self.now, 6)


RATES = st.sampled_from([0.1, 1.0, 7.0, 10.0, 1000.0])
# Seconds between two requests; many come at the same moment.
GAPS = st.lists(st.one_of(st.just(0.0), st.floats(0, 3), st.floats(0, 0.05)), max_size=100)


@given(RATES, GAPS)
def test_the_rate_holds_over_any_time_and_nothing_waits_longer(
    per_second: float, gaps: list[float]
) -> None:
    requests = Requests(per_second)
    for number, gap in enumerate(gaps, 1):
        requests.now += gap
        assert requests.send() <= number / per_second + 1e-5
    assert all(earlier <= later for earlier, later in pairwise(requests.starts))
    burst = max(per_second, 1.0)
    for (i, first), (j, last) in itertools.combinations(enumerate(requests.starts), 2):
        assert j - i + 1 <= burst + per_second * (last - first) + 1e-6 * (j + 1)


def test_the_rate_holds_from_the_first_request_on() -> None:
    requests = Requests(10.0)
    assert [requests.send() for _ in range(3)] == [0.1, 0.2, 0.3]


def test_after_idle_time_the_requests_of_one_second_start_at_once() -> None:
    requests = Requests(10.0)
    requests.now += 60
    assert [requests.send() for _ in range(12)] == [0.0] * 10 + [0.1, 0.2]


# --- Deadlines and pauses -------------------------------------------------------------------------


def test_a_request_that_would_start_too_late_takes_no_slot() -> None:
    requests = Requests(10.0)
    assert requests.send(0.1) == 0.1
    text = "^the rate limit is 10 requests per second, 1 at a time$"
    with pytest.raises(DeadlineError, match=text):
        requests.send(0.19)
    assert requests.send(0.21) == 0.2
    requests.now += 60
    with pytest.raises(DeadlineError):
        requests.send(0.0)


def test_a_slot_is_waited_for_until_the_deadline_and_released_after_an_error() -> None:
    limiter = RateLimiter(max_concurrent=1, per_second=1e6)

    def run() -> None:
        with limiter.acquire(LATER):
            with pytest.raises(DeadlineError), limiter.acquire(Deadline(0.01)):
                pass
            raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            run()


def test_a_pause_says_why_and_ends() -> None:
    clock = ManualClock()
    limiter = RateLimiter(max_concurrent=8, per_second=10.0, clock=clock, sleep=clock.sleep)
    clock.now = 2000.0
    limiter.pause(20.0, "429")
    limiter.pause(5.0, "503")  # Ends earlier.

    def start(seconds: float) -> float:
        with limiter.acquire(Deadline(seconds, clock)):
            return round(clock.now - 2000.0, 6)

    with pytest.raises(DeadlineError, match=r"^429$"):
        start(19.9)
    assert clock.now == 2000.0
    # The rate holds after the pause: what waited does not start at once.
    assert [start(30.0) for _ in range(3)] == [20.0, 20.1, 20.2]
    limiter.pause(1e9, "a wrong Retry-After")
    assert start(1e9) == pytest.approx(20.2 + MAX_PAUSE)


def test_a_pause_that_begins_during_a_wait_is_waited_for_too() -> None:
    clock = ManualClock()
    sleeps: list[float] = []

    def sleep(seconds: float) -> None:
        sleeps.append(round(seconds, 6))
        clock.sleep(seconds)
        if len(sleeps) == 1:
            limiter.pause(3.0, "429")

    limiter = RateLimiter(max_concurrent=8, per_second=10.0, clock=clock, sleep=sleep)
    with limiter.acquire(Deadline(60, clock)):
        assert sleeps == [0.1, 3.0]


# --- map ------------------------------------------------------------------------------------------


def limiter_of(max_concurrent: int) -> RateLimiter:
    return RateLimiter(max_concurrent=max_concurrent, per_second=1e6)


def test_results_are_in_the_order_of_the_items() -> None:
    last_item = threading.Event()

    def work(number: int) -> list[int]:
        if number == 0:
            assert last_item.wait(TIMEOUT)
        elif number == 3:
            last_item.set()
        return [number * 2]

    limiter = limiter_of(4)
    results = limiter.map(work, range(5), LATER, "numbers")
    assert list(results) == [ItemResult(number, [number * 2], True) for number in range(5)]
    assert list(limiter.map(work, [], LATER, "numbers")) == []


def test_results_that_came_before_the_deadline_are_kept() -> None:
    end, last = threading.Event(), threading.Event()

    def work(number: int) -> Iterator[str]:
        yield f"{number}a"
        if number == 1:
            end.wait(TIMEOUT)
        elif number == 3:
            raise DeadlineError("too late")
        yield f"{number}b"
        if number == 5:
            last.set()

    results = limiter_of(2).map(work, range(6), AfterEvent(last), "numbers")
    assert list(itertools.islice(results, 6)) == [
        ItemResult(number, [f"{number}a"], False)
        if number in (1, 3)
        else ItemResult(number, [f"{number}a", f"{number}b"], True)
        for number in range(6)
    ]
    text = "^2 of 6 numbers not read before the deadline: too late$"
    with pytest.raises(DeadlineError, match=text):
        next(results)
    end.set()


def test_no_item_begins_after_the_deadline() -> None:
    begun: list[int] = []
    end, first = threading.Event(), threading.Event()

    def work(number: int) -> list[int]:
        begun.append(number)
        first.set()
        end.wait(TIMEOUT)
        return []

    results = limiter_of(1).map(work, range(3), AfterEvent(first), "numbers")
    assert list(itertools.islice(results, 3)) == [ItemResult(n, [], False) for n in range(3)]
    text = "^3 of 3 numbers not read before the deadline: no response yet$"
    with pytest.raises(DeadlineError, match=text):
        next(results)
    end.set()
    assert begun == [0]


def test_an_error_is_raised_after_the_results_of_all_items() -> None:
    def work(number: int) -> list[float]:
        return [1 / number]

    results = limiter_of(2).map(work, [1, 0, 2], LATER, "numbers")
    assert [next(results).results for _ in range(3)] == [[1.0], [], [0.5]]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_callers_share_the_slots() -> None:
    limiter = limiter_of(3)
    lock, all_taken = threading.Lock(), threading.Event()
    running = [0, 0]  # Now, and at most.

    def work(_: int) -> list[None]:
        with limiter.acquire(LATER):
            with lock:
                running[0] += 1
                running[1] = max(running)
                if running[0] == 3:
                    all_taken.set()
            assert all_taken.wait(TIMEOUT)
            with lock:
                running[0] -= 1
        return []

    callers = [
        threading.Thread(target=lambda: list(limiter.map(work, range(9), LATER, "numbers")))
        for _ in range(3)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert running == [0, 3]


def test_a_caller_that_hangs_does_not_hold_up_another() -> None:
    limiter, end = limiter_of(1), threading.Event()

    def hang(_: int) -> list[None]:
        end.wait(TIMEOUT)
        return []

    caller = threading.Thread(target=lambda: list(limiter.map(hang, [0], LATER, "numbers")))
    caller.start()
    assert list(limiter.map(str, [1], LATER, "numbers")) == [ItemResult(1, ["1"], True)]
    end.set()
    caller.join()
