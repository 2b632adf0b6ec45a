"""A child prints what is expected or fails with a reason, and none is left behind."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from local.azurite import Azurite
from local.processes import Child, ChildError

from .support import ROOT, eventually

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(600)
"""


def python(source: str, *arguments: str) -> list[str]:
    """Return a command that runs Python source."""
    return [sys.executable, "-c", source, *arguments]


def alive(pid: int) -> bool:
    """Say whether a process runs; one that merely was not collected yet does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def test_a_line_is_found_however_late_one_looks() -> None:
    seen: list[str] = []
    source = "import sys; print('port 80'); print('ü', file=sys.stderr); print('port 81')"
    with Child("it", python(source), on_line=seen.append) as child:
        assert child.wait() == 0
        assert child.wait_for(r"port (\d+)")[1] == "80"
        assert child.wait_for("port 81")
        assert sorted(child.output.splitlines()) == ["port 80", "port 81", "ü"]
    assert len(seen) == 3


def test_what_does_not_come_is_told_with_the_output() -> None:
    with Child("it", python("print('sorry')")) as child:
        with pytest.raises(ChildError) as caught:
            child.wait_for("ready")
        assert str(caught.value) == "it ended before it was ready; it printed:\nsorry"
    with Child("it", python(STUBBORN)) as child:
        child.wait_for("up")
        with pytest.raises(ChildError, match=r"it was not ready within 0\.01 s"):
            child.wait_for("ready", timeout=0.01)
        with pytest.raises(ChildError, match=r"it did not end within 0\.01 s"):
            child.wait(timeout=0.01)
        assert child.stop(timeout=0.01) == -signal.SIGKILL
        assert child.status == -signal.SIGKILL


def test_an_error_shows_the_end_of_a_long_output() -> None:
    with Child("it", python("for number in range(1000): print(number)")) as child:
        child.wait()
        shown = str(child.error("failed")).splitlines()
    assert shown == ["it failed; it printed:", *map(str, range(950, 1000))]


def test_a_program_that_does_not_exist() -> None:
    with (
        Child("it", ["/no/such/program"]) as child,
        pytest.raises(ChildError, match="FileNotFoundError"),
    ):
        child.wait_for("ready")


def test_the_whole_group_ends() -> None:
    source = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {STUBBORN!r}], stdout=subprocess.PIPE)
child.stdout.readline()
print("grandchild", child.pid, flush=True)
time.sleep(600)
"""
    with Child("it", python(source)) as child:
        grandchild = int(child.wait_for(r"grandchild (\d+)")[1])
        child.stop()  # The grandchild does not mind SIGTERM.
    eventually(lambda: not alive(grandchild), "the grandchild ended")


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's death signal is Linux's")
def test_a_child_ends_with_a_parent_that_is_killed() -> None:
    source = """
import sys, time
from local.processes import Child
child = Child("it", [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"])
child.wait_for("up")
print("child", child.pid, flush=True)
time.sleep(600)
"""
    with Child("the parent", python(source), cwd=ROOT) as parent:
        child = int(parent.wait_for(r"child (\d+)")[1])
        os.kill(parent.pid, signal.SIGKILL)
        eventually(lambda: not alive(child), "the child ended")


def test_azurite_tells_why_it_does_not_start(azurite: Azurite) -> None:
    with (
        pytest.raises(ChildError, match="EADDRINUSE"),
        Azurite(port=azurite.port),
    ):
        pass
