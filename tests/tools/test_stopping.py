"""The first Ctrl-C or SIGTERM is noted and announced; the next one raises KeyboardInterrupt."""

from __future__ import annotations

import os
import signal

import pytest

from tools.stopping import stoppable


@pytest.mark.parametrize(("first", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_the_next_signal_interrupts(
    first: signal.Signals, code: int, second: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stoppable("Stopping") as stop:
        assert not stop.asked()
        signal.raise_signal(first)
        assert stop.asked()
        assert stop.exit_code == code
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(second)
        assert stop.exit_code == code
    assert capfd.readouterr().err == "Stopping\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is before


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
        pass
    assert (stop.asked(), capfd.readouterr().err) == (False, "")
