"""shared.publisher.circuit_breaker: slots of a region, silence, time-outs in a row, probes."""

from __future__ import annotations

import asyncio

import pytest

from shared.publisher import circuit_breaker
from shared.publisher.circuit_breaker import (
    MAX_POSTS_PER_REGION,
    MAX_TIMEOUTS,
    PROBE_INTERVAL,
    CircuitBreaker,
)
from tests.unit.rollups import REGION
from tests.unit.stubs import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def breaker(clock: ManualClock) -> CircuitBreaker:
    return CircuitBreaker(REGION, clock)


async def time_out(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        assert await breaker.acquire()
        breaker.release(timed_out=True)


async def test_time_outs_in_a_row_open_the_circuit(breaker: CircuitBreaker) -> None:
    await time_out(breaker, MAX_TIMEOUTS - 1)
    assert not breaker.is_open()
    await time_out(breaker, 1)
    assert breaker.is_open()
    assert not await breaker.acquire()
    assert breaker.reason() == f"{REGION} does not answer; deferring without a request"


async def test_an_answer_between_keeps_the_circuit_closed(breaker: CircuitBreaker) -> None:
    await time_out(breaker, MAX_TIMEOUTS - 1)
    assert await breaker.acquire()
    breaker.release(answered=True)
    await time_out(breaker, MAX_TIMEOUTS - 1)
    assert not breaker.is_open()


@pytest.mark.parametrize("back", [True, False])
async def test_one_probe_at_a_time_finds_out_whether_the_region_is_back(
    *, back: bool, breaker: CircuitBreaker, clock: ManualClock
) -> None:
    await time_out(breaker, MAX_TIMEOUTS)
    clock.sleep(PROBE_INTERVAL)
    assert await breaker.acquire()
    assert not await breaker.acquire()
    breaker.release(answered=back, timed_out=not back)
    assert breaker.is_open() is not back


async def test_a_post_without_answer_or_time_out_leaves_the_circuit_open(
    breaker: CircuitBreaker, clock: ManualClock
) -> None:
    await time_out(breaker, MAX_TIMEOUTS)
    clock.sleep(PROBE_INTERVAL)
    assert await breaker.acquire()
    breaker.release()  # The connection was refused.
    # The next POST is a probe, and the only one.
    assert await breaker.acquire()
    assert breaker.is_open()


async def test_the_circuit_stays_open_until_the_interval_is_over(
    breaker: CircuitBreaker, clock: ManualClock
) -> None:
    await time_out(breaker, MAX_TIMEOUTS)
    clock.sleep(PROBE_INTERVAL - 0.001)
    assert breaker.is_open()
    clock.sleep(0.001)
    assert not breaker.is_open()


async def test_nothing_waits_for_a_slot_of_a_silent_region(
    breaker: CircuitBreaker, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(circuit_breaker, "MAX_SILENCE", 0.02)
    for _ in range(MAX_POSTS_PER_REGION):
        assert await breaker.acquire()
    waiting = asyncio.create_task(breaker.acquire())
    clock.sleep(0.01)
    done, _ = await asyncio.wait((waiting,), timeout=0.02)
    assert not done
    clock.sleep(0.02)
    assert await waiting is False
    # The one that gave up holds no slot.
    for _ in range(MAX_POSTS_PER_REGION):
        breaker.release(answered=True)
    for _ in range(MAX_POSTS_PER_REGION):
        assert await breaker.acquire()


async def test_time_without_a_post_is_not_silence(
    breaker: CircuitBreaker, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(circuit_breaker, "MAX_SILENCE", 0.02)
    await time_out(breaker, 1)
    clock.sleep(3600)
    for _ in range(MAX_POSTS_PER_REGION):
        assert await breaker.acquire()
    looks = 0

    def look() -> float:
        nonlocal looks
        looks += 1
        if looks == 3:
            breaker.release(answered=True)
        return clock()

    breaker.clock = look
    assert await breaker.acquire()  # It has looked at the clock in vain.


async def test_a_slot_is_waited_for_while_the_region_answers(breaker: CircuitBreaker) -> None:
    for _ in range(MAX_POSTS_PER_REGION):
        assert await breaker.acquire()
    waiting = asyncio.create_task(breaker.acquire())
    await asyncio.sleep(0)
    assert not waiting.done()
    breaker.release(answered=True)
    assert await waiting
