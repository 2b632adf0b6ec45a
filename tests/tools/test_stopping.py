"""Ctrl-C and SIGTERM are counted, told once, and no longer held back at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from local.stack import ROOT
from tools.stopping import stoppable


@pytest.mark.parametrize("times", [1, 2])
def test_so_many_are_counted_and_the_next_one_ends_as_ever(
    times: int, capfd: pytest.CaptureFixture[str]
) -> None:
    with stoppable("Stopping", times) as stop:
        for number in [signal.SIGTERM, signal.SIGINT][-times:]:
            signal.raise_signal(number)
        assert (stop.asked(times), stop.asked(times + 1)) == (True, False)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert capfd.readouterr().err == "Stopping\n"


def test_all_of_them_may_be_counted() -> None:
    with stoppable("Stopping", times=None) as stop:
        for _ in range(5):
            signal.raise_signal(signal.SIGINT)
        assert stop.asked(5)


BOTH_AT_ONCE = """
import os, signal
from tools.stopping import stoppable
both = {signal.SIGINT, signal.SIGTERM}
with stoppable("Stopping"):
    signal.pthread_sigmask(signal.SIG_BLOCK, both)
    for number in both:
        os.kill(os.getpid(), number)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, both)
"""


def test_both_at_once_are_two() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", BOTH_AT_ONCE],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (-signal.SIGTERM, "Stopping\n")


def test_where_nobody_reads_what_is_said_it_goes_on() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    errors = os.dup(2)
    try:
        os.dup2(writer, 2)
        with stoppable("Stopping") as stop:
            signal.raise_signal(signal.SIGINT)
            assert stop.asked()
    finally:
        os.dup2(errors, 2)
        os.close(errors)
        os.close(writer)


def test_without_any_nothing_is_changed_or_said(capfd: pytest.CaptureFixture[str]) -> None:
    with stoppable("Stopping") as stop:
        assert not stop.asked()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert capfd.readouterr().err == ""
