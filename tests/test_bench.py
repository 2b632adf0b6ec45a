"""The benches can be run; how fast anything is, is not tested."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

from bench import __main__ as all_benches
from bench import codec
from local.stack import ROOT


def test_every_bench_can_be_imported_and_the_smallest_runs(tmp_path: Path) -> None:
    there = {path.stem for path in (ROOT / "bench").glob("[!_]*.py")}
    assert there >= set(all_benches.BENCHES)
    for name in there:
        importlib.import_module(f"bench.{name}")

    out = tmp_path / "codec.json"
    assert codec.main(["--quick", "--out", str(out)]) == 0
    row = json.loads(out.read_text(encoding="utf-8"))
    assert (row["bench"], row["quick"]) == ("codec", True)
    assert row["figures"]
    assert row["goals"]
