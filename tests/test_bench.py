"""The benches can be run; how fast anything is, is not tested."""

from __future__ import annotations

import importlib
import subprocess
import sys

from bench.__main__ import BENCHES
from local.stack import ROOT


def test_every_bench_can_be_imported_and_the_smallest_runs() -> None:
    for name in BENCHES:
        assert callable(importlib.import_module(f"bench.{name}").run)

    command = [sys.executable, "-m", "bench", "--quick", "--only", "codec"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    rows = [line for line in done.stdout.splitlines() if line.startswith("| `codec` |")]
    assert len(rows) == 6
