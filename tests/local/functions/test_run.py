"""`make run` starts a host that failed again, as the platform would."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from local.processes import ChildError
from local.run import run_host
from local.stack import Backend

# Fails the first two times.
HOST = """
import sys
from pathlib import Path
starts = Path(sys.argv[1])
starts.write_text(starts.read_text() + "x")
print("Functions host ready: work", flush=True)
sys.exit(0 if starts.read_text() == "xxx" else 1)
"""


def test_a_host_that_fails_is_started_again(
    backend: Backend, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    starts = tmp_path / "starts"
    starts.touch()
    host = (sys.executable, "-c", HOST, str(starts))
    assert run_host(backend, {}, host, delay=0) == 0
    assert starts.read_text() == "xxx"
    again = "The Functions host ended with status 1. Starting it again, as Azure does.\n"
    assert capsys.readouterr().err == 2 * again


def test_a_host_that_does_not_start_ends_the_run(backend: Backend) -> None:
    with pytest.raises(ChildError, match="ended before it printed"):
        run_host(backend, {}, (sys.executable, "-c", "print('wrong')"), delay=0)
