"""Ctrl-C and SIGTERM are counted and announced once; a further one has its usual effect."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from local.stack import ROOT
from tools.stopping import stoppable


@pytest.mark.parametrize("times", [1, 2])
def test_the_next_signal_has_its_usual_effect(
    times: int, capfd: pytest.CaptureFixture[str]
) -> None:
    with stoppable("Stopping", times) as stop:
        for number in [signal.SIGTERM, signal.SIGINT][-times:]:
            signal.raise_signal(number)
        assert (stop.asked(times), stop.asked(times + 1)) == (True, False)
        assert stop.exit_code == (130 if times == 1 else 143)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert capfd.readouterr().err == "Stopping\n"


def test_all_signals_may_be_counted() -> None:
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


def test_two_signals_at_once_are_counted_as_two() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", BOTH_AT_ONCE],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (-signal.SIGTERM, "Stopping\n")


def test_a_closed_pipe_does_not_matter() -> None:
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


def test_without_a_signal_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    with stoppable("Stopping") as stop:
        assert not stop.asked()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert capfd.readouterr().err == ""
