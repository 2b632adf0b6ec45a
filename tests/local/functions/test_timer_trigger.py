"""Timer triggers: the listener with a clock of its own, then the host with the real one."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.functions.index import Function, TimerTrigger
from local.functions.ncrontab import Schedule
from local.functions.timer_listener import TimerListener

from .support import RunHost, eventually

START = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)


class Clock:
    """Tells a time that passes only during a sleep, and stops at its end."""

    def __init__(self, end: datetime, late: float) -> None:
        self.time = START
        self._end = end
        self._late = late

    def now(self) -> datetime:
        return self.time

    async def sleep(self, stopping: asyncio.Event, seconds: float) -> bool:
        # Timers wake up a little early, too: the tick must not be lost or doubled.
        self.time += timedelta(seconds=max(seconds - 0.001, 0.0005) + self._late)
        self._late = 0.0
        if self.time >= self._end:
            stopping.set()
        return stopping.is_set()


async def ticks(
    expression: str,
    minutes: float,
    lasting: Callable[[int], float],
    *,
    late: float = 0.0,
    on_startup: bool = False,
) -> list[str]:
    """Return the time of each run of a function, where run n takes `lasting(n)` seconds.

    The first sleep takes `late` seconds more, as when a laptop is shut.
    """
    clock = Clock(START + timedelta(minutes=minutes), late)
    runs: list[str] = []

    async def invoke(_: Function, argument: Callable[[], Any]) -> bool:
        assert not argument().past_due
        runs.append(f"{clock.time:%H:%M:%S}")
        clock.time += timedelta(seconds=lasting(len(runs)))
        return len(runs) % 2 == 0  # Every other run fails, which changes nothing.

    trigger = TimerTrigger(Schedule(expression), expression, on_startup)
    function = Function("tick", asyncio.sleep, trigger)
    await TimerListener(function, invoke, now=clock.now, sleep=clock.sleep).run(asyncio.Event())
    return runs


async def test_each_tick_runs_once() -> None:
    assert await ticks("0 * * * * *", 3.1, lambda _: 1) == ["12:01:00", "12:02:00", "12:03:00"]


async def test_ticks_missed_during_a_run_become_one() -> None:
    assert await ticks("0 * * * * *", 6.1, lambda run: 150 if run == 2 else 1) == [
        "12:01:00",
        "12:02:00",  # Takes until 12:04:30, over two ticks.
        "12:04:30",
        "12:05:00",
        "12:06:00",
    ]


async def test_a_time_span_counts_from_the_last_tick() -> None:
    assert await ticks("00:00:45", 2.1, lambda _: 1) == ["12:01:15", "12:02:00"]


async def test_a_late_tick_runs_once() -> None:
    runs = await ticks("0 * * * * *", 11, lambda _: 1, late=9 * 60)
    assert runs == ["12:09:59", "12:10:00", "12:11:00"]


async def test_run_on_startup() -> None:
    runs = await ticks("0 * * * * *", 1.1, lambda _: 1, on_startup=True)
    assert runs == ["12:00:30", "12:01:00"]


async def test_nothing_runs_after_a_stop() -> None:
    assert await ticks("0 0 0 1 1 *", 1.0, lambda _: 1) == []


APP = """
import logging
import azure.functions as func

app = func.FunctionApp()

@app.timer_trigger(arg_name="timer", schedule="%SCHEDULE%", run_on_startup=False)
async def tick(timer: func.TimerRequest) -> None:
    logging.info("tick past_due=%s", timer.past_due)

@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *", run_on_startup=True)
async def start(timer: func.TimerRequest) -> None:
    raise RuntimeError("start failed")
"""


def test_the_host_keeps_a_schedule(run_host: RunHost) -> None:
    host = run_host(APP, SCHEDULE="* * * * * *")
    host.wait_for(
        r"ready: tick \(timerTrigger \* \* \* \* \* \*\), start \(timerTrigger 0 0 0 1 1 \*\)$"
    )
    eventually(lambda: host.output.count("INFO root: tick past_due=False") >= 2, "two ticks")
    host.wait_for(r"Executed 'Functions.start' \(Failed, ")
    host.wait_for("RuntimeError: start failed")
    host.signal(signal.SIGTERM)
    assert host.wait() == 0
    assert host.output.count("RuntimeError: start failed") == 1


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ("", "function tick: schedule: %SCHEDULE%: app setting SCHEDULE is missing"),
        ("hourly", "function tick: schedule: hourly: expected 6 fields, found 1"),
    ],
)
def test_a_bad_schedule_disables_one_function(schedule: str, said: str, run_host: RunHost) -> None:
    host = run_host(APP, SCHEDULE=schedule, ready=False)
    host.wait_for(r"ready: start \(timerTrigger 0 0 0 1 1 \*\)$")
    assert f"{said}. The function is disabled" in host.output
