"""`make run` says how to use the tools: the line that it prints, run, finds nothing wrong."""

from __future__ import annotations

import os
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from local.processes import Child
from local.run import settings_file
from local.stack import OURS, ROOT
from tests.secrets_in_logs import SecretFinder
from tools.app_settings import read_settings_file

COMMAND = re.compile(r"\.venv/bin/metric-relay (doctor --settings (\S+))")
RUN = (sys.executable, "-m", "local.run")


@pytest.mark.slow
def test_the_line_that_is_printed_finds_nothing_wrong(
    secret_finder: SecretFinder,
) -> None:
    # Without `func`, whose start takes minutes; in a shell that knows nothing of the app.
    shell = {name: text for name, text in os.environ.items() if not name.startswith(OURS)}
    shell["PATH"] = "/usr/bin:/bin"
    shell.pop("PYTHONWARNINGS", None)
    lines: list[str] = []
    with Child("make run", RUN, env=shell, cwd=ROOT, on_line=lines.append) as child:
        child.wait_for("Stop with Ctrl-C")
        (found,) = filter(None, map(COMMAND.search, lines))
        file = ROOT / found[2]
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        said = subprocess.run(
            [sys.executable, "-m", "tools", *shlex.split(found[1]), "--probe"],
            cwd=ROOT,
            env=shell,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert said.returncode == 0, said.stdout + said.stderr
        assert not re.search("^[!✗]", said.stdout, re.MULTILINE), said.stdout
        assert "✓ visible" in said.stdout
    assert not file.exists()
    # The key of Azurite, which everybody knows, is printed for the reader to paste.
    assert len(secret_finder.found) == 2
    secret_finder.found.clear()


def test_a_file_of_settings_is_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "new" / "run.settings.json"
    with settings_file({"METRICS_QUEUE": "one"}, file):
        assert read_settings_file(file).values == {"METRICS_QUEUE": "one"}
    assert not file.exists()
    file.touch(mode=0o644)  # Of a run that was killed.
    with settings_file({"METRICS_QUEUE": "two"}, file):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not file.exists()
