"""A flood of warnings: ten lines of each kind in a minute, then how many more there were."""

from __future__ import annotations

import asyncio
import logging

import pytest

from shared.log_limit import LogLimit

LOG = logging.getLogger("flood")


class Setup:
    """A limit, in a time turned by hand: the clock's and the running loop's timers'."""

    def __init__(self) -> None:
        self.seconds = 0.0
        loop = asyncio.get_running_loop()
        loop.time = lambda: self.seconds  # type: ignore[method-assign]
        self.limit = LogLimit(LOG, clock=lambda: self.seconds)

    def flood(self, lines: int, kind: str = "refused", count: int = 1) -> None:
        for number in range(lines):
            self.limit.warn(kind, count, f"message {number}")

    async def passes(self, seconds: float) -> None:
        self.seconds += seconds
        for _ in range(5):
            await asyncio.sleep(0)


def said(lines: int, kind: str = "refused", count: int = 1) -> list[str]:
    return [f"{count} {kind}: message {number}" for number in range(lines)]


async def test_ten_lines_are_all_said_and_nothing_after_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    setup = Setup()
    setup.flood(10)
    await setup.passes(600)
    assert caplog.messages == said(10)
    assert {(record.name, record.levelname) for record in caplog.records} == {("flood", "WARNING")}


async def test_the_eleventh_is_counted_and_said_when_the_minute_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    setup = Setup()
    setup.flood(11, count=3)
    await setup.passes(59.9)
    assert caplog.messages == said(10, count=3)
    await setup.passes(0.1)
    assert caplog.messages[10:] == ["3 more refused, of 1 messages, in the last 60 s"]
    assert caplog.records[-1].levelname == "WARNING"
    await setup.passes(600)
    assert len(caplog.messages) == 11


async def test_the_next_minute_begins_with_what_the_last_one_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    setup = Setup()
    setup.flood(1000, count=2)
    setup.seconds = 60  # The timer has not fired yet.
    setup.flood(11)
    assert caplog.messages == [
        *said(10, count=2),
        "1980 more refused, of 990 messages, in the last 60 s",
        *said(10),
    ]
    caplog.clear()
    await setup.passes(0)  # The timer of the first minute says nothing of the second.
    assert caplog.messages == []
    await setup.passes(60)
    assert caplog.messages == ["1 more refused, of 1 messages, in the last 60 s"]


async def test_after_the_timer_the_count_begins_anew(caplog: pytest.LogCaptureFixture) -> None:
    setup = Setup()
    setup.flood(11)
    await setup.passes(60)
    setup.flood(11)
    await setup.passes(60)
    more = "1 more refused, of 1 messages, in the last 60 s"
    assert caplog.messages == [*said(10), more, *said(10), more]


async def test_a_minute_begins_with_its_first_line(caplog: pytest.LogCaptureFixture) -> None:
    setup = Setup()
    setup.flood(9)
    setup.seconds = 59.9
    setup.flood(2)
    assert len(caplog.messages) == 10
    setup.seconds = 60
    setup.flood(1)
    assert caplog.messages[10:] == ["1 more refused, of 1 messages, in the last 60 s", *said(1)]


async def test_no_kind_has_a_part_in_the_lines_of_another(
    caplog: pytest.LogCaptureFixture,
) -> None:
    setup = Setup()
    setup.flood(11, "refused")
    setup.flood(10, "put back")
    setup.flood(12, "expired", count=5)
    assert caplog.messages == [*said(10), *said(10, "put back"), *said(10, "expired", 5)]
    caplog.clear()
    await setup.passes(60)
    assert sorted(caplog.messages) == [
        "1 more refused, of 1 messages, in the last 60 s",
        "10 more expired, of 2 messages, in the last 60 s",
    ]


async def test_a_flood_is_no_flood_of_timers(monkeypatch: pytest.MonkeyPatch) -> None:
    timers: list[float] = []
    setup = Setup()
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "call_later", lambda wait, *_: timers.append(wait))
    setup.flood(10)
    assert timers == []
    setup.seconds = 20
    setup.flood(10_000)
    assert timers == [40]


async def test_span_and_lines_may_be_others(caplog: pytest.LogCaptureFixture) -> None:
    setup = Setup()
    setup.limit = LogLimit(LOG, span=2.5, most=1, clock=lambda: setup.seconds)
    setup.flood(3)
    await setup.passes(2.5)
    assert caplog.messages == [*said(1), "2 more refused, of 2 messages, in the last 2.5 s"]
